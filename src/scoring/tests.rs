//! The scorer against the golden pair of the specification, against our own vectors, against a
//! plain reading of the document, and against what must hold for all facts.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::compile::compile;
use super::file::ModelFile;
use super::{Model, replay};

/// A file of the reference data that lies beside the checkout, or nothing and a loud line.
fn shared(path: &str) -> Option<Vec<u8>> {
    #[expect(clippy::disallowed_methods, reason = "tests may be told where the data is")]
    let told = std::env::var_os("SEKISHO_SHARED").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|ancestor| ancestor.join("shared"))
        .find(|shared| shared.join("data").is_dir());
    let file = told.or(beside).map(|shared| shared.join(path));
    match file.and_then(|file| std::fs::read(file).ok()) {
        Some(octets) => Some(octets),
        None => {
            eprintln!("SKIPPED: {path} of the reference data is not there");
            None
        }
    }
}

/// Replays cases and compares with their `expect`, field by field.
fn check_vectors(model: &[u8], cases: &[u8]) {
    let outputs = replay::run(model, cases).unwrap();
    let cases: Vec<Value> = serde_json::from_slice(cases).unwrap();
    assert!(!cases.is_empty() && cases.len() == outputs.len());
    for (case, output) in cases.iter().zip(&outputs) {
        let mut expected = case["expect"].clone();
        expected["id"] = case["id"].clone();
        let output = serde_json::to_value(output).unwrap();
        assert_eq!(output, expected, "{}", case["id"]);
    }
}

#[test]
fn the_golden_vectors_are_exact() {
    let (Some(model), Some(cases)) =
        (shared("design/model.default.json"), shared("design/vectors.json"))
    else {
        return;
    };
    check_vectors(&model, &cases);
}

#[test]
fn the_golden_model_is_canonical_and_named_by_its_digest() {
    let Some(octets) = shared("design/model.default.json") else { return };
    let file: ModelFile = serde_json::from_slice(&octets).unwrap();
    assert!(file.to_canonical() == octets);
    let digest = ring::digest::digest(&ring::digest::SHA256, &octets);
    let hex = data_encoding::HEXLOWER.encode(digest.as_ref());
    assert_eq!(Model::from_json(&octets).unwrap().id(), hex);
}
