//! `sekisho evaluate`: reads the files, hands values to [`crate::evaluate`], prints what it found.

use std::fs::{self, File};
use std::io::{self, BufRead, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::args::{Arguments, Evaluate};
use super::{Failure, print, print_json, render};
use crate::diagnostic::Diagnostic;
use crate::disk;
use crate::evaluate::{FileLabel, Gatherer, Row, evaluate};
use crate::model::Timestamp;
use crate::scoring::{MODEL_SIZE_BYTES_MAX, Model};
use crate::source::decompress::{self, DecompressLimits};

/// A line of a list of names; a longer one is no row and is passed over.
const LINE_OCTETS_MAX: usize = 4096;
/// Files of one folder; more is not the folder that was meant.
const FILES_MAX: usize = 4096;

/// What a file is read as.
#[derive(Clone, Copy)]
enum Role {
    Feed,
    Truth,
    Benign,
    Popularity,
}

/// Runs the protocol over the files that the arguments name.
pub fn run(arguments: &Arguments, evaluation: &Evaluate) -> Result<(), Failure> {
    let cut = Timestamp::parse(&evaluation.cut).ok_or_else(|| {
        Diagnostic::error(format!("`{}` is no day", evaluation.cut))
            .hint("`--cut` is a day such as 2026-07-01")
    })?;
    let model = model(evaluation.model.as_deref())?;
    let mut files = Vec::new();
    for (role, paths) in [
        (Role::Feed, &evaluation.feeds),
        (Role::Truth, &evaluation.truth),
        (Role::Benign, &evaluation.benign),
        (Role::Popularity, &evaluation.popularity),
    ] {
        for path in paths {
            files.extend(files_of(path)?.into_iter().map(|file| (role, file)));
        }
    }
    // The bar shows on a terminal only.
    let bar = ProgressBar::new(files.len() as u64);
    let style = ProgressStyle::with_template("{spinner} [{bar:24}] {pos}/{len} {msg} {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(120));
    let mut gatherer = Gatherer::new(cut);
    for (role, path) in &files {
        bar.set_message(format!("reading {}", path.display()));
        let label = FileLabel::parse(&path.file_name().unwrap_or_default().to_string_lossy());
        let rows = rows(path)?;
        match role {
            Role::Feed => gatherer.feed(&label, rows),
            Role::Truth => gatherer.truth(&label, rows),
            Role::Benign => gatherer.benign(&label, rows),
            Role::Popularity => gatherer.popularity(&label, rows),
        }
        bar.inc(1);
    }
    let material = gatherer.finish(&model);
    let report = evaluate(&material, &model, &|what| bar.set_message(what.to_owned()));
    bar.finish_and_clear();
    let report = report.map_err(|error| {
        Diagnostic::error(error.to_string())
            .hint("`sekisho evaluate --help` says which files are read as what")
    })?;
    if let Some(path) = &evaluation.output {
        let written = disk::replace(path, |out| {
            serde_json::to_writer_pretty(&mut *out, &report)?;
            out.write_all(b"\n")
        });
        written.map_err(|error| named(path, &error))?;
    }
    if arguments.json {
        return print_json(&report);
    }
    print(&render::evaluate::report(&report));
    Ok(())
}

fn model(path: Option<&Path>) -> Result<Model, Failure> {
    let Some(path) = path else { return Ok(Model::shipped()) };
    let octets =
        disk::read_small(path, MODEL_SIZE_BYTES_MAX as u64).map_err(|e| named(path, &e))?;
    let octets = octets.ok_or_else(|| named(path, &"no such file"))?;
    Model::from_json(&octets).map_err(|error| named(path, &error).into())
}

/// A file, or the files of a folder in the order of their names. What is hidden is passed over.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error: io::Error| named(path, &error);
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !hidden && entry.path().is_file() {
            files.push(entry.path());
        }
        if files.len() > FILES_MAX {
            return Err(named(path, &format!("it holds more than {FILES_MAX} files")).into());
        }
    }
    if files.is_empty() {
        return Err(named(path, &"there is no file in it").into());
    }
    files.sort();
    Ok(files)
}

/// The rows of a list, packed or not. Octets that are no UTF-8 make a line no row.
fn rows(path: &Path) -> Result<Vec<Row>, Failure> {
    let file = File::open(path).map_err(|error| named(path, &error))?;
    let read = decompress::read(file, None, &DecompressLimits::default(), |text| {
        let mut rows = Vec::new();
        for line in text.split(b'\n') {
            let line = line?;
            let line = std::str::from_utf8(&line).ok().filter(|l| l.len() <= LINE_OCTETS_MAX);
            rows.extend(line.and_then(Row::parse));
        }
        Ok::<_, io::Error>(rows)
    });
    let rows = read.map_err(|error| named(path, &error))?.map_err(|error| named(path, &error))?;
    if rows.is_empty() {
        let finding = named(path, &"no line of it is a name");
        return Err(finding.hint("a row is a name, or name, day and class between tabs").into());
    }
    Ok(rows)
}

fn named(path: &Path, error: &dyn std::fmt::Display) -> Diagnostic {
    Diagnostic::error(format!("{}: {error}", path.display()))
}
