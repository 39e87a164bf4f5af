//! The scorer against the golden pair of the specification, against our own vectors, against a
//! plain reading of the document, and against what must hold for all facts.

mod plain;
mod worlds;

use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::file::ModelFile;
use super::part::Part;
use super::replay::{self, Case};
use super::shipped::SHIPPED_JSON;
use super::{Model, Previous, evaluate, explain, score};

/// A file of the reference data that lies beside the checkout, or nothing and a loud line.
pub fn shared(path: &str) -> Option<Vec<u8>> {
    #[expect(clippy::disallowed_methods, reason = "tests may be told where the data is")]
    let told = std::env::var_os("SEKISHO_SHARED").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|ancestor| ancestor.join("shared"))
        .find(|shared| shared.join("data").is_dir());
    let file = told.or(beside).map(|shared| shared.join(path));
    let octets = file.and_then(|file| std::fs::read(file).ok());
    if octets.is_none() {
        #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
        {
            eprintln!("SKIPPED: {path} of the reference data is not there");
        }
    }
    octets
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

/// Facts of our own under the shipped model: every kind, guard, cap and amendment. They have teeth
/// where the reference data is absent.
#[test]
fn our_own_vectors_are_exact() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/scoring/vectors.json");
    let octets = std::fs::read(path).unwrap();
    #[expect(clippy::disallowed_methods, reason = "how golden files are written anew")]
    if std::env::var_os("SEKISHO_BLESS").is_some() {
        let mut cases: Vec<Value> = serde_json::from_slice(&octets).unwrap();
        let outputs = replay::run(SHIPPED_JSON.as_bytes(), &octets).unwrap();
        for (case, output) in cases.iter_mut().zip(&outputs) {
            case["expect"] = serde_json::to_value(output).unwrap();
            case["expect"].as_object_mut().unwrap().remove("id");
        }
        return std::fs::write(path, serde_json::to_vec_pretty(&cases).unwrap()).unwrap();
    }
    check_vectors(SHIPPED_JSON.as_bytes(), &octets);
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

/// Random cases by number; the number is the seed, so a failure can be looked at alone.
fn worlds(model: &Model, numbers: std::ops::Range<u64>) -> impl Iterator<Item = Case> {
    numbers.map(move |number| {
        let mut rng = ChaCha8Rng::seed_from_u64(number);
        worlds::case(&mut rng, model, number as usize)
    })
}

/// The scorer and the plain reading agree on all cases of that model.
fn check_against_plain_reading(model_json: &[u8], numbers: std::ops::Range<u64>) {
    let model = Model::from_json(model_json).unwrap();
    let plain_model: Value = serde_json::from_slice(model_json).unwrap();
    for case in worlds(&model, numbers) {
        let output = serde_json::to_value(replay::replay(&model, &case).unwrap()).unwrap();
        let case = serde_json::to_value(&case).unwrap();
        assert_eq!(output, plain::replay(&plain_model, &case), "{case}");
    }
}

#[test]
fn the_scorer_agrees_with_a_plain_reading_of_the_document() {
    check_against_plain_reading(SHIPPED_JSON.as_bytes(), 0..200_000);
}

#[test]
fn the_scorer_agrees_with_a_plain_reading_under_the_golden_model() {
    let Some(model) = shared("design/model.default.json") else { return };
    check_against_plain_reading(&model, 0..20_000);
}

#[test]
fn contributions_sum_to_the_score() {
    let model = Model::shipped();
    for case in worlds(&model, 0..100_000) {
        let model = case.model(&model).unwrap();
        let facts = case.facts.resolve(&model).unwrap();
        let mut parts: Vec<Part> = Vec::new();
        let explained = evaluate(&model, &facts, &mut parts);
        let sum: i64 = parts.iter().map(|part| i64::from(part.mban)).sum();
        assert_eq!(sum, explained.mban, "{}", case.id);
        assert_eq!(score(&model, &facts), explained, "{}", case.id);
    }
}

#[test]
fn ten_copies_of_a_list_change_nothing() {
    let model = Model::shipped();
    let mut checked = 0;
    for number in 0..20_000 {
        let mut rng = ChaCha8Rng::seed_from_u64(number);
        let alone = worlds::case(&mut rng, &model, 0);
        if !alone.overlay.is_empty() {
            continue;
        }
        let mut copied = alone.clone();
        // Of copies that say the same the first id counts: here the original's.
        let name = |like: &str, copy: usize| format!("{like}.copy{copy}");
        worlds::copy_one(&mut rng, &mut copied.facts, &mut copied.overlay, name);
        let (alone, copied) =
            (replay::replay(&model, &alone).unwrap(), replay::replay(&model, &copied).unwrap());
        assert_eq!(alone, copied, "{number}");
        checked += 1;
    }
    assert!(checked > 10_000);
}

#[test]
fn the_order_of_the_input_does_not_matter() {
    let model = Model::shipped();
    for mut case in worlds(&model, 0..5_000) {
        let bytes = |case: &Case| {
            let overlaid = case.model(&model).unwrap();
            let facts = case.facts.resolve(&overlaid).unwrap();
            let explanation = explain(&overlaid, &facts, &Previous::default());
            let output = replay::replay(&model, case).unwrap();
            serde_json::to_string(&(output, explanation)).unwrap()
        };
        let before = bytes(&case);
        let mut rng = ChaCha8Rng::seed_from_u64(before.len() as u64);
        case.facts.listings.shuffle(&mut rng);
        assert_eq!(bytes(&case), before);
    }
}

#[test]
fn recorded_facts_replay_to_identical_bytes() {
    let model = Model::shipped();
    let cases: Vec<Case> = worlds(&model, 0..5_000).collect();
    let first: Vec<_> = cases.iter().map(|case| replay::replay(&model, case).unwrap()).collect();
    let recorded = serde_json::to_vec(&cases).unwrap();
    let again = replay::run(SHIPPED_JSON.as_bytes(), &recorded).unwrap();
    assert_eq!(serde_json::to_vec(&again).unwrap(), serde_json::to_vec(&first).unwrap());
}
