//! Learning on small worlds.

use super::*;
use crate::evidence::{ClaimsBuilder, PublicSuffixes, RankList};
use crate::model::{Category, Claim, Indicator, Name, Scope, SourceId};
use crate::names::{NameTable, NameTableBuilder};
use crate::pipeline::{Pipeline, Profile, Standings};
use crate::policy;
use crate::ports::ledger::Answer;
use crate::scoring::SHIPPED_DESCRIPTION;
use std::sync::Arc;

const DAY: u32 = 86_400;
const NOW: Timestamp = Timestamp(20_000 * DAY);

fn source_seen(id: &str, weighs_as: &str, names: &[String], seen: Timestamp) -> Source {
    let claim = Claim {
        first_seen: seen,
        last_seen: seen,
        scope: Scope::Name,
        category: Category::Phishing,
    };
    let mut claims = ClaimsBuilder::default();
    for name in names {
        claims.push(&Indicator::parse(name).unwrap(), claim, false);
    }
    Source { profile: Profile::scored(id, weighs_as), claims: claims.finish(None) }
}

fn source(id: &str, weighs_as: &str, names: &[String]) -> Source {
    source_seen(id, weighs_as, names, NOW)
}

fn names(prefix: &str, range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("{prefix}{n}.com")).collect()
}

/// A hundred popular domains.
fn popularity() -> Popularity {
    let mut popular: Vec<Name> =
        (0..100).map(|n| Name::from_host(&format!("popular{n}.com")).unwrap()).collect();
    popular.sort();
    let mut ranks = NameTableBuilder::new(4, None);
    popular.iter().for_each(|name| ranks.push(name.as_ref(), &50u32.to_le_bytes()));
    let list = RankList { source: SourceId::new("r"), day: 19_999, ranks: NameTable::built(ranks) };
    Popularity::join(&[list], 20_000, &PublicSuffixes::default(), 7)
}

fn learn_from(sources: &[Source], model: &Model, audits: &[Audit], reports: &[Report]) -> Learnt {
    learn(&Material {
        sources,
        model,
        pinned: &|a, b| (a, b) == ("certpl", "openphish"),
        popularity: &popularity(),
        registrable: &|_| 2,
        audits,
        reports,
        reviewed: &[],
        now: NOW,
    })
}

fn audit(source: &str, name: &str, answer: Answer) -> Audit {
    Audit {
        indicator: name.to_owned(),
        answer,
        by: "amy".to_owned(),
        at: NOW,
        sources: vec![source.to_owned()],
        drawn: Some((source.to_owned(), 1000)),
    }
}

#[test]
fn a_verbatim_copy_is_found_and_independent_lists_stay_at_the_floor() {
    let model = Model::shipped();
    let sources = [
        source("openphish", "openphish", &names("a", 0..300)),
        source_seen("mirror", "unreviewed_list", &names("a", 0..298), Timestamp(NOW.0 + 9)),
        source("urlhaus", "urlhaus", &names("b", 0..300)),
    ];
    let learnt = learn_from(&sources, &model, &[], &[]);
    let copies: Vec<(&str, &str)> =
        learnt.changes.copies.iter().map(|c| (c.source.as_str(), c.of.as_str())).collect();
    assert_eq!(copies, [("mirror", "openphish")]);
    let floor = learnt.changes.couplings.iter().filter(|c| c.after < 600);
    assert_eq!(floor.count(), 0, "{:?}", learnt.changes.couplings);
}

#[test]
fn an_aggregator_is_found_and_its_members_are_not() {
    let model = Model::shipped();
    let mut all = names("a", 0..200);
    all.extend(names("b", 0..200));
    all.extend(names("c", 0..100));
    let sources = [
        source("openphish", "openphish", &names("a", 0..220)),
        source("urlhaus", "urlhaus", &names("b", 0..220)),
        source("blp", "blp", &all),
    ];
    let learnt = learn_from(&sources, &model, &[], &[]);
    let found: Vec<&str> = learnt.changes.aggregators.iter().map(|a| a.source.as_str()).collect();
    assert_eq!(found, ["blp"]);
}

#[test]
fn shared_mistakes_are_a_sign_of_copying() {
    let model = Model::shipped();
    let with_mistakes = |prefix: &str| {
        let mut list = names(prefix, 0..200);
        list.extend(names("popular", 0..6));
        list
    };
    let sources = [
        source("urlhaus", "urlhaus", &with_mistakes("a")),
        source("blp", "blp", &with_mistakes("b")),
    ];
    let learnt = learn_from(&sources, &model, &[], &[]);
    let change = &learnt.changes.couplings[0];
    assert!(change.after >= 900 && change.reason.contains("mistakes"), "{change:?}");
}

#[test]
fn reviews_raise_or_lower_trust_within_the_steps_of_a_week() {
    let model = Model::shipped();
    let sources = [source("urlhaus", "urlhaus", &names("a", 0..300))];
    let before = model.source(model.source_index("urlhaus").unwrap());
    let before = before.precision_ppm(Kind::Domain).unwrap();
    let audits = |answer| -> Vec<Audit> {
        (0..40).map(|n| audit("urlhaus", &format!("a{n}.com"), answer)).collect()
    };
    let after = |audits: &[Audit]| {
        let learnt = learn_from(&sources, &model, audits, &[]);
        learnt.changes.precisions.first().map(|change| change.after)
    };
    let better = after(&audits(Answer::Malicious)).unwrap();
    let worse = after(&audits(Answer::Benign)).unwrap();
    assert!(before < better && better <= 990_000, "{before} {better}");
    assert!(worse < before && worse > 700_000, "a week bounds the fall: {before} {worse}");
    // What was not drawn is no sample.
    let mut chosen = audits(Answer::Benign);
    chosen.iter_mut().for_each(|audit| audit.drawn = None);
    assert_eq!(after(&chosen), None);
}

#[test]
fn the_order_of_lists_and_a_skewed_clock_change_nothing_that_is_learnt() {
    let model = Model::shipped();
    let mut sources = vec![
        source("openphish", "openphish", &names("a", 0..300)),
        source("urlhaus", "urlhaus", &names("a", 100..400)),
        source("blp", "blp", &names("a", 0..120)),
        source("mirror", "unreviewed_list", &names("a", 0..300)),
    ];
    let learnt = learn_from(&sources, &model, &[], &[]);
    sources.reverse();
    assert_eq!(learn_from(&sources, &model, &[], &[]), learnt);
    // A day ahead of ours: nothing of it is in the future as far as lists go.
    let ahead: Vec<Source> = [("openphish", 0..300), ("urlhaus", 100..400), ("blp", 0..120)]
        .map(|(id, range)| source_seen(id, id, &names("a", range), NOW.plus_seconds(DAY)))
        .into();
    let behind = &sources[1..];
    let couplings = |sources: &[Source]| learn_from(sources, &model, &[], &[]).changes.couplings;
    assert_eq!(couplings(&ahead), couplings(behind));
}

#[test]
fn a_file_of_changes_reads_back_and_becomes_a_model() {
    let model = Model::shipped();
    let sources = [
        source("openphish", "openphish", &names("a", 0..300)),
        source("mirror", "unreviewed_list", &names("a", 0..300)),
        source("urlhaus", "urlhaus", &names("a", 100..400)),
    ];
    let learnt = learn_from(&sources, &model, &[], &[]);
    assert!(!learnt.changes.is_empty());
    let back = Changes::read(&learnt.changes.write()).unwrap();
    assert_eq!(back, learnt.changes);
    let weighs_as = |id: &str| (id == "mirror").then(|| "unreviewed_list".to_owned());
    let applied = apply(SHIPPED_DESCRIPTION, &model, &back, weighs_as).unwrap();
    let mirror = applied.model.source_index("mirror").unwrap();
    let original = applied.model.source_index("openphish").unwrap();
    assert_eq!(applied.model.coupling_permille(mirror, original), 1000);
    // Once applied they are changes of a model that is no longer in force.
    let again = apply(&applied.description, &applied.model, &back, weighs_as).unwrap_err();
    assert!(matches!(again, ApplyError::Base { .. }), "{again}");
    let mut odd = back.clone();
    odd.copies[0].source = "nobody".to_owned();
    let error = apply(SHIPPED_DESCRIPTION, &model, &odd, weighs_as).unwrap_err();
    assert_eq!(error.to_string(), "no source `nobody` is known");
    assert!(Changes::read("base = 'x'\nbse = 1\n").is_err());
}

/// Everything that is decided, as octets.
fn decided(sources: Vec<Source>, model: Model) -> Vec<(String, i32, String)> {
    let text = [("p.toml".to_owned(), "version = 1".to_owned())];
    let mut read = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let policy = policy::load(&text, &mut read, &PublicSuffixes::default(), NOW).0.unwrap();
    let mut pipeline = Pipeline::new(model, Arc::new(policy), Name::root(), 7);
    pipeline.set_sources(sources);
    pipeline
        .set_standings(Standings { popularity: Arc::new(popularity()), ..Standings::default() });
    let state = pipeline.rebuild(NOW).unwrap();
    let mut decided = Vec::new();
    state.verdicts.each(|name, verdict| {
        decided.push((name.to_owned().to_string(), verdict.score, verdict.level.to_string()));
    });
    decided
}

/// SCORING 6, R-h: ten extra copies of any list change no score by a single millibans.
#[test]
fn ten_copies_of_a_list_change_no_score() {
    let lists = || {
        vec![
            source("openphish", "openphish", &names("a", 0..300)),
            source("urlhaus", "urlhaus", &names("a", 200..400)),
            source("certpl", "certpl", &names("a", 250..260)),
            source("small", "unreviewed_list", &names("s", 0..100)),
        ]
    };
    let copied = |weighs_as: &str| {
        let mut sources = lists();
        for n in 0..10 {
            sources.push(source(&format!("copy{n}"), weighs_as, &names("a", 200..400)));
        }
        sources
    };
    let before = decided(lists(), Model::shipped());
    assert!(before.len() > 300);
    // Under the name that the model knows, a list that names something twice counts once.
    assert_eq!(decided(copied("urlhaus"), Model::shipped()), before);

    // Under names of their own they are lists that nobody has reviewed, until it is learnt what
    // they are.
    let model = Model::shipped();
    let learnt = learn_from(&copied("unreviewed_list"), &model, &[], &[]);
    let found = learnt.changes.copies.iter().filter(|c| c.source.starts_with("copy"));
    assert!(found.count() >= 10, "{:?}", learnt.changes.copies);
    let changes = Changes { couplings: Vec::new(), precisions: Vec::new(), ..learnt.changes };
    let weighs_as = |id: &str| match id.starts_with("copy") || id == "small" {
        true => Some("unreviewed_list".to_owned()),
        false => None,
    };
    let applied = apply(SHIPPED_DESCRIPTION, &model, &changes, weighs_as).unwrap();
    let mut sources = copied("unreviewed_list");
    for source in &mut sources {
        let own = source.profile.id.as_str().to_owned();
        if applied.model.source_index(&own).is_some() {
            source.profile.weighs_as = own.into();
        }
    }
    let mut alone = lists();
    alone.iter_mut().for_each(|source| {
        let own = source.profile.id.as_str().to_owned();
        if applied.model.source_index(&own).is_some() {
            source.profile.weighs_as = own.into();
        }
    });
    let json = applied.json;
    let with = decided(sources, Model::from_json(&json).unwrap());
    assert_eq!(with, decided(alone, Model::from_json(&json).unwrap()));
    // Every one of the original names keeps its score to the last millibans.
    assert_eq!(with, before);
}
