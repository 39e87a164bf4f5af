//! `sekisho model`.

use std::io::Write as _;
use std::path::Path;

use super::Failure;
use super::args::{Arguments, Model};
use crate::diagnostic::Diagnostic;
use crate::disk;
use crate::scoring::{MODEL_SIZE_BYTES_MAX, compile, replay};

/// Runs the command.
pub fn run(arguments: &Arguments, command: &Model) -> Result<(), Failure> {
    match command {
        Model::Apply { changes, .. } => super::learning::apply(arguments, changes.as_deref()),
        Model::Train => super::questions::train(arguments),
        Model::Compile { description, output } => compile(description, output.as_deref()),
        Model::Score { model, facts } => score(model.as_deref(), facts),
    }
}

fn compile(description: &Path, output: Option<&Path>) -> Result<(), Failure> {
    let text = read(description, MODEL_SIZE_BYTES_MAX as u64)?;
    let text = String::from_utf8(text).map_err(|_| named(description, "not UTF-8"))?;
    let compiled = compile::compile(&text).map_err(|error| named(description, error))?;
    let json = compiled.to_canonical();
    match output {
        Some(path) => {
            disk::replace(path, |out| out.write_all(&json)).map_err(|e| named(path, e))?
        }
        None => write_out(&json)?,
    }
    let id =
        data_encoding::HEXLOWER.encode(ring::digest::digest(&ring::digest::SHA256, &json).as_ref());
    anstream::eprintln!("model {id}");
    Ok(())
}

fn score(model: Option<&Path>, facts: &Path) -> Result<(), Failure> {
    let model_json = match model {
        Some(path) => read(path, MODEL_SIZE_BYTES_MAX as u64)?,
        None => crate::scoring::SHIPPED_JSON.as_bytes().to_vec(),
    };
    let records = read(facts, replay::FACTS_SIZE_BYTES_MAX as u64)?;
    let scored = replay::run(&model_json, &records).map_err(|error| named(facts, error))?;
    let mut json = serde_json::to_vec_pretty(&scored).map_err(|error| named(facts, error))?;
    json.push(b'\n');
    write_out(&json)
}

fn write_out(octets: &[u8]) -> Result<(), Failure> {
    let written = std::io::stdout().lock().write_all(octets);
    written.map_err(|error| Diagnostic::error(format!("standard output: {error}")).into())
}

fn read(path: &Path, octets_max: u64) -> Result<Vec<u8>, Failure> {
    match disk::read_small(path, octets_max) {
        Ok(Some(octets)) => Ok(octets),
        Ok(None) => Err(named(path, "no such file")),
        Err(error) => Err(named(path, error)),
    }
}

fn named(path: &Path, error: impl std::fmt::Display) -> Failure {
    Diagnostic::error(format!("{}: {error}", path.display())).into()
}
