//! The same generated policy zones in our resolver, in BIND and in Unbound, the same questions to
//! each, and every difference explained by what is known of the peer.
//!
//! BIND reads the draft as we do, so nothing may differ. Unbound 1.17 does not, in ways that are
//! known (`Reason`); each difference must have one of them about the very rules that match.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod asking;
mod country;
mod rules;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use asking::{SILENCE, patient_verdict, verdicts};
use country::{Country, ROOT};
use rules::{Asked, ZONES};
use sekisho::model::{Name, TriggerKind};
use sekisho::snapshot::{Fate, Match, Query, Response, Snapshot, Transport};
use sekisho::zone::file::{Limits, load};
use sekisho::zone::{PolicyZone, ZoneOptions};
use support::dice::Dice;
use support::instance::Instance;
use support::{Daemon, free_port, peer, world};

const SEED: u64 = 20_261_124;

#[test]
fn differences_to_bind_and_unbound_are_known_ones() {
    compare("differences_to_bind_and_unbound_are_known_ones", Country { zones: 60 }, 600, 3_000);
}

#[test]
#[ignore = "long: 20,000 rules and 50,000 questions to three resolvers"]
fn differences_to_bind_and_unbound_are_known_ones_among_many_rules() {
    let test = "differences_to_bind_and_unbound_are_known_ones_among_many_rules";
    compare(test, Country { zones: 2_000 }, 20_000, 50_000);
}

fn compare(test: &str, country: Country, rules: usize, questions: usize) {
    let (Some(named), Some(unbound)) = (peer("named"), peer("unbound")) else { return };
    if !world::in_own_network(test) {
        return;
    }
    country.start();
    let mut dice = Dice(SEED);
    let zones = rules::zones(&mut dice, country, rules);
    let questions = rules::questions(&mut dice, country, questions);
    let folder = support::temporary_folder();
    let place = folder.path();
    for (name, text) in ZONES.iter().zip(&zones) {
        std::fs::write(place.join(name), text).unwrap();
    }
    let snapshot = snapshot(&zones);
    let instance = start_ours(&zones);
    let ours = verdicts(instance.port(), &questions);
    let acted = ours.iter().filter(|v| v.contains("203.0.113.") || *v == SILENCE).count();
    assert!(acted > questions.len() / 20, "{acted} of {} met a rule", questions.len());

    let port = free_port();
    let mut peer = start_named(&named, place, port);
    let theirs = verdicts(port, &questions);
    let again = |question: &Asked| {
        (patient_verdict(instance.port(), question), patient_verdict(port, question))
    };
    forget(&instance);
    let found = differences(&questions, &ours, &theirs, again);
    report("named", &questions, &found, |_, _| None);
    peer.kill();

    let port = free_port();
    let _unbound = start_unbound(&unbound, place, port);
    let theirs = verdicts(port, &questions);
    let again = |question: &Asked| {
        (patient_verdict(instance.port(), question), patient_verdict(port, question))
    };
    forget(&instance);
    let found = differences(&questions, &ours, &theirs, again);
    report("unbound", &questions, &found, |question, difference| {
        Reason::of_unbound(question, difference, country, &snapshot)
    });
}

/// Has failures forgotten that came of datagrams that a busy machine lost.
fn forget(instance: &Instance) {
    let said = instance.say(&["flush", ".", "--below"]);
    assert!(said.contains("asked for anew"), "{said}");
}

/// A question by its place, and what we and the peer say.
struct Difference {
    at: usize,
    ours: String,
    theirs: String,
}

/// What differs, also when both are asked again and given time.
fn differences(
    questions: &[Asked],
    ours: &[String],
    theirs: &[String],
    again: impl Fn(&Asked) -> (String, String),
) -> Vec<Difference> {
    (0..questions.len())
        .filter(|at| ours[*at] != theirs[*at])
        .map(|at| {
            let (ours, theirs) = again(&questions[at]);
            Difference { at, ours, theirs }
        })
        .filter(|difference| difference.ours != difference.theirs)
        .collect()
}

/// Prints how many differences each reason explains, and fails for those without one.
#[expect(clippy::print_stderr, reason = "the table is what the test is for")]
fn report(
    peer: &str,
    questions: &[Asked],
    found: &[Difference],
    reason: impl Fn(&Asked, &Difference) -> Option<Reason>,
) {
    let mut reasons: BTreeMap<Reason, usize> = BTreeMap::new();
    let mut unexplained = String::new();
    let mut unexplained_count = 0;
    for difference in found {
        let question = &questions[difference.at];
        match reason(question, difference) {
            Some(reason) => *reasons.entry(reason).or_default() += 1,
            None => {
                unexplained_count += 1;
                if unexplained_count <= 20 {
                    let Difference { ours, theirs, .. } = difference;
                    writeln!(unexplained, "{question:?}:\n  we {ours}\n  {peer} {theirs}").unwrap();
                }
            }
        }
    }
    eprintln!("{peer}: {} of {} differ", found.len(), questions.len());
    for (reason, times) in reasons {
        eprintln!("  {times:6} {reason:?}");
    }
    assert_eq!(unexplained_count, 0, "unexplained differences to {peer}:\n{unexplained}");
}

/// What is known of Unbound 1.17.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// It looks at kinds of trigger before zones: clients, query names of all zones, servers, and
    /// addresses last.
    KindsBeforeZones,
    /// It does not look at what aliases lead to, or loses the alias (since 1.20 it does).
    BehindAnAlias,
    /// It looks at servers while it asks them, and not for what it has in its cache.
    ServersOnlyWhileAsking,
    /// It has no empty non-terminals: a wildcard also covers what lies above a longer owner.
    EmptyNonTerminals,
    /// The first address that a rule matches decides, not the longest prefix.
    FirstAddress,
    /// An alias for a client or for an answer's address is not followed, and `*.` not expanded.
    AliasNotFollowed,
    /// A question for the alias itself gets it with `*.` not expanded.
    AliasNotExpanded,
    /// Local data for a client come as one record of the set.
    OneRecordForClients,
    /// Dropping and TCP-only do not hold for answers from its cache (since 1.18 they do).
    CachedAnswers,
}

impl Reason {
    fn of_unbound(
        question: &Asked,
        difference: &Difference,
        country: Country,
        snapshot: &Snapshot,
    ) -> Option<Self> {
        let facts = country.facts(&question.name, question.rtype);
        let name = Name::from_host(&question.name).unwrap();
        let query = Query {
            name: name.as_ref(),
            rtype: question.rtype.into(),
            client: question.client.into(),
            transport: Transport::Udp,
            recursion_desired: true,
            dnssec_ok: false,
        };
        let matches = snapshot.explain(&query, Some(&facts));
        let decided = matches.iter().find(|m| m.fate == Fate::Decides);
        let of_kind = |kinds: &[TriggerKind]| {
            matches.iter().any(|m| kinds.contains(&m.hit.kind) && m.fate != Fate::CloserName)
        };
        let is_alias = |m: &&Match<'_>| matches!(m.hit.response, Response::Alias(_));
        let servers = [TriggerKind::NameserverName, TriggerKind::NameserverAddress];
        let kinds: std::collections::BTreeSet<u8> = matches
            .iter()
            .filter(|m| m.fate != Fate::CloserName)
            .map(|m| m.hit.kind as u8)
            .collect();
        if of_kind(&servers) {
            return Some(Self::ServersOnlyWhileAsking);
        }
        if matches.iter().any(|m| m.hit.stage > 0) || facts.steps.len() > 1 && decided.is_some() {
            return Some(Self::BehindAnAlias);
        }
        if matches.iter().any(|m| m.fate == Fate::CloserName) {
            return Some(Self::EmptyNonTerminals);
        }
        if kinds.len() > 1 {
            return Some(Self::KindsBeforeZones);
        }
        let decided = decided?;
        let of_address = decided.hit.kind == TriggerKind::AnswerAddress;
        if of_address && facts.steps[0].addresses.len() > 1 {
            return Some(Self::FirstAddress);
        }
        if (of_address || decided.hit.kind == TriggerKind::ClientAddress) && is_alias(&decided) {
            return Some(Self::AliasNotFollowed);
        }
        if is_alias(&decided) && difference.theirs.contains("CNAME *.") {
            return Some(Self::AliasNotExpanded);
        }
        let of_client = decided.hit.kind == TriggerKind::ClientAddress;
        if of_client && matches!(decided.hit.response, Response::Data(_)) {
            return Some(Self::OneRecordForClients);
        }
        let is_silent = difference.ours == SILENCE || difference.ours == "truncated";
        (is_silent && of_address).then_some(Self::CachedAnswers)
    }
}

/// The zones as our evaluation has them, to say which rules match.
fn snapshot(zones: &[String; 3]) -> Snapshot {
    let zones = ZONES.iter().zip(zones).map(|(name, text)| {
        let origin = Name::from_host(name).unwrap();
        let (zone, report) = load(text.as_bytes(), &origin, SEED, &Limits::default()).unwrap();
        assert_eq!(report.rejected, 0, "{:?}", report.rejects);
        PolicyZone { zone, options: options() }
    });
    Snapshot::new(1, SEED, zones.collect(), Vec::new(), None).unwrap()
}

fn options() -> ZoneOptions {
    ZoneOptions::ours()
}

fn start_ours(zones: &[String; 3]) -> Instance {
    let mut configuration = format!(
        "[upstream]\nmode = 'recursion'\nroots = ['{ROOT}']\nallow_servers = ['127.0.0.0/8']\n\
         ipv6 = 'off'\n[resolver.local_zones]\nenabled = false\n[dnssec]\nvalidate = false\n"
    );
    for name in ZONES {
        write!(
            configuration,
            "[[zone]]\nfile = '{name}'\nstanding = 'first'\noptions = 'ours'\nlog = false\n"
        )
        .unwrap();
    }
    let instance = Instance::new(&configuration);
    for (name, text) in ZONES.iter().zip(zones) {
        instance.write(&format!("zones/{name}"), text);
    }
    instance.start()
}

fn hints() -> String {
    format!(". 3600000 NS a.root.test.\na.root.test. 3600000 A {ROOT}\n")
}

fn start_named(named: &Path, folder: &Path, port: u16) -> Daemon {
    let policy: String = ZONES.map(|name| format!("zone \"{name}\"; ")).concat();
    let mut text = format!(
        "options {{ directory \"{0}\"; pid-file none; session-keyfile none; recursion yes;\n\
         listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
         allow-query {{ any; }}; allow-recursion {{ any; }};\n\
         dnssec-validation no; empty-zones-enable no; notify no; servfail-ttl 0;\n\
         response-policy {{ {policy} }} break-dnssec yes qname-wait-recurse no recursive-only no;\n\
         }};\ncontrols {{ }};\nzone \".\" {{ type hint; file \"{0}/hints\"; }};\n",
        folder.display()
    );
    for name in ZONES {
        writeln!(text, "zone \"{name}\" {{ type primary; file \"{name}\"; }};").unwrap();
    }
    std::fs::write(folder.join("hints"), hints()).unwrap();
    std::fs::write(folder.join("named.conf"), text).unwrap();
    let mut command = Command::new(named);
    command.args(["-4", "-g", "-n", "2", "-c"]).arg(folder.join("named.conf"));
    let mut daemon = Daemon::start(command);
    daemon.wait_for_line("running");
    for _ in ZONES {
        daemon.wait_for_line("reload done: success");
    }
    daemon
}

fn start_unbound(unbound: &Path, folder: &Path, port: u16) -> Daemon {
    let mut text = format!(
        "server:\n directory: \"{0}\"\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n\
         interface: 127.0.0.1\n port: {port}\n do-ip6: no\n do-not-query-localhost: no\n\
         access-control: 127.0.0.0/8 allow\n root-hints: \"{0}/hints\"\n\
         module-config: \"respip iterator\"\n use-syslog: no\n local-zone: \"test.\" nodefault\n\
         target-fetch-policy: \"0 0 0 0 0\"\nremote-control:\n control-enable: no\n",
        folder.display()
    );
    for name in ZONES {
        write!(text, "rpz:\n name: \"{name}\"\n zonefile: \"{}/{name}\"\n", folder.display())
            .unwrap();
    }
    std::fs::write(folder.join("hints"), hints()).unwrap();
    std::fs::write(folder.join("unbound.conf"), text).unwrap();
    let mut command = Command::new(unbound);
    command.args(["-d", "-p", "-c"]).arg(folder.join("unbound.conf"));
    let mut daemon = Daemon::start(command);
    daemon.wait_for_line("start of service");
    daemon
}
