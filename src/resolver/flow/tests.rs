//! Exact replies in scripted worlds.

use super::super::access::Access;
use super::super::dns64::{Dns64, Prefix};
use super::super::handler::HandlerSettings;
use super::super::script::{Plan, Rig, World, data, name, policy, rig, rule};
use super::super::special::SpecialSettings;
use crate::model::Network;
use std::time::Duration;

use crate::model::{Action, Rule};
use crate::ports::Security;
use crate::telemetry::{CacheLookup, Outcome};
use crate::zone::options::ExtendedError;
use crate::zone::structured::StructuredError;
use crate::zone::{Mode, Override, PolicyZone};

const GOOD: &str = "www.good.test. 300 A 198.51.100.10";
const SOA: &str = "rpz1.policy. 60 SOA localhost. nobody.invalid. 1 3600 600 2592000 60";

fn world() -> World {
    World::default()
        .says("www.good.test A", GOOD)
        .says("www.bad.test A", "www.bad.test. 300 A 192.0.2.10")
        .says("garden.test A", "garden.test. 300 A 203.0.113.80")
        .says(
            "tobad.good.test A",
            "tobad.good.test. 300 CNAME www.bad.test.\nwww.bad.test. 300 A 192.0.2.10",
        )
}

/// One policy zone with these rules.
fn ruled(rules: impl IntoIterator<Item = Rule>) -> Rig {
    rig([policy("rpz1.policy", rules)], world())
}

fn options(change: impl Fn(&mut crate::zone::ZoneOptions), rules: Vec<Rule>) -> PolicyZone {
    let mut zone = policy("rpz1.policy", rules);
    change(&mut zone.options);
    zone
}

/// A negative rewritten reply.
fn negative(code: &str, trigger: &str) -> String {
    format!("{code} rd ra\nauthority {SOA}\nadditional {SOA}\nerror 15 rpz1.policy: {trigger}")
}

/// A rewritten reply with answers.
fn positive(answers: &str, trigger: &str) -> String {
    format!("NoError rd ra\n{answers}\nadditional {SOA}\nerror 15 rpz1.policy: {trigger}")
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[tokio::test]
async fn a_blocked_name_does_not_exist_and_nobody_is_asked() {
    let rig = ruled([rule("*.bad.test", Action::NxDomain)]);
    assert_eq!(rig.ask_fast("www.Bad.test A"), negative("NXDomain", "*.bad.test"));
    assert_eq!(rig.ask_fast("www.bad.test TXT tcp"), negative("NXDomain", "*.bad.test"));
    assert_eq!(rig.asked(), [""; 0]);
    assert_eq!(rig.ask("www.good.test A").await, format!("NoError rd ra\n{GOOD}"));
    assert_eq!(rig.asked(), ["www.good.test A"]);
}

#[tokio::test]
async fn nodata_has_no_records_of_any_type() {
    let rig = ruled([rule("www.bad.test", Action::NoData)]);
    for rtype in ["A", "CNAME", "ANY", "HTTPS"] {
        let reply = rig.ask_fast(&format!("www.bad.test {rtype}"));
        assert_eq!(reply, negative("NoError", "www.bad.test"), "{rtype}");
    }
}

#[tokio::test]
async fn local_data_stands_at_the_query_name_and_other_types_have_none() {
    let action = data(&["A 203.0.113.4", "A 203.0.113.5", "TXT blocked"]);
    let rig = ruled([rule("*.bad.test", action)]);
    let trigger = "*.bad.test";
    let addresses = "www.bad.test. 60 A 203.0.113.4\nwww.bad.test. 60 A 203.0.113.5";
    assert_eq!(rig.ask_fast("www.bad.test A"), positive(addresses, trigger));
    assert_eq!(rig.ask_fast("x.bad.test TXT"), positive("x.bad.test. 60 TXT blocked", trigger));
    let all = format!("{addresses}\nwww.bad.test. 60 TXT blocked");
    assert_eq!(rig.ask_fast("www.bad.test ANY"), positive(&all, trigger));
    assert_eq!(rig.ask_fast("www.bad.test AAAA"), negative("NoError", trigger));
}

#[tokio::test]
async fn an_alias_includes_what_it_leads_to() {
    let rig = ruled([rule("www.bad.test", Action::Redirect(name("garden.test")))]);
    let alias = "www.bad.test. 60 CNAME garden.test.";
    assert_eq!(
        rig.ask("www.bad.test A").await,
        positive(&format!("{alias}\ngarden.test. 300 A 203.0.113.80"), "www.bad.test")
    );
    assert_eq!(rig.asked(), ["garden.test A"]);
    for rtype in ["CNAME", "ANY"] {
        let reply = rig.ask_fast(&format!("www.bad.test {rtype}"));
        assert_eq!(reply, positive(alias, "www.bad.test"), "{rtype}: the alias alone");
    }
    for rtype in ["HTTPS", "SVCB"] {
        let reply = rig.ask_fast(&format!("www.bad.test {rtype}"));
        assert_eq!(reply, negative("NoError", "www.bad.test"), "{rtype}: no service binding");
    }
}

#[tokio::test]
async fn an_alias_to_nothing_has_the_negative_answer_of_its_target() {
    let soa = "garden.test. 900 SOA ns.garden.test. h.garden.test. 1 2 3 4 5";
    let world = world().says_code("gone.garden.test A", 3, &format!("--{soa}"));
    let rules = [rule("www.bad.test", Action::Redirect(name("gone.garden.test")))];
    let rig = rig([policy("rpz1.policy", rules)], world);
    assert_eq!(
        lines(&rig.ask("www.bad.test A").await)[..4],
        [
            "NXDomain rd ra",
            "www.bad.test. 60 CNAME gone.garden.test.",
            &format!("authority {soa}"),
            &format!("additional {SOA}"),
        ]
    );
    let failed = rig.ask("www.bad.test AAAA").await;
    assert_eq!(failed, "ServFail rd ra\nerror 22 no answer before the deadline");
}

#[tokio::test]
async fn an_alias_may_carry_the_query_name_and_be_too_long_for_it() {
    let world =
        world().says("www.bad.test.garden.test A", "www.bad.test.garden.test. 300 A 203.0.113.81");
    let below = Action::RedirectBelow(name("garden.test"));
    let rig = rig([policy("rpz1.policy", [rule("*.bad.test", below)])], world);
    assert_eq!(
        rig.ask("www.bad.test A").await,
        positive(
            "www.bad.test. 60 CNAME www.bad.test.garden.test.\n\
             www.bad.test.garden.test. 300 A 203.0.113.81",
            "*.bad.test"
        )
    );
    let label = "a".repeat(60);
    let long = format!("{label}.{label}.{label}.{label}.bad.test A");
    let reply = rig.ask_fast(&long);
    assert_eq!(lines(&reply)[..2], ["YXDomain rd ra", &format!("authority {SOA}")]);
}

#[tokio::test]
async fn an_alias_to_a_name_served_here_is_answered_here() {
    let rig = ruled([rule("www.bad.test", Action::Redirect(name("localhost")))]);
    assert_eq!(
        rig.ask_fast("www.bad.test A"),
        positive("www.bad.test. 60 CNAME localhost.\nlocalhost. 10800 A 127.0.0.1", "www.bad.test")
    );
}

#[tokio::test]
async fn policy_does_not_apply_behind_its_own_alias() {
    let rig = ruled([
        rule("www.bad.test", Action::Redirect(name("garden.test"))),
        rule("garden.test", Action::NxDomain),
        rule("ip 203.0.113.80", Action::NxDomain),
    ]);
    assert!(rig.ask("www.bad.test A").await.contains("garden.test. 300 A 203.0.113.80"));
    assert_eq!(rig.ask("garden.test A").await, negative("NXDomain", "garden.test"));
}

#[tokio::test]
async fn passthru_is_the_truth_without_a_trace_of_policy() {
    let rig = ruled([
        rule("www.good.test", Action::Passthru),
        rule("*.good.test", Action::NxDomain),
        rule("ip 198.51.100.0/24", Action::NxDomain),
    ]);
    assert_eq!(rig.ask("www.good.test A").await, format!("NoError rd ra\n{GOOD}"));
}

#[tokio::test]
async fn drop_is_silence_on_every_transport() {
    let rig = ruled([rule("www.bad.test", Action::Drop)]);
    assert_eq!(rig.ask_fast("www.bad.test A"), "silence");
    assert_eq!(rig.ask("www.bad.test A tcp").await, "silence");
    assert_eq!(rig.metrics.queries(Outcome::Silent), 2);
}

#[tokio::test]
async fn tcp_only_is_truncated_over_udp_and_the_truth_over_a_connection() {
    let rig = ruled([rule("www.good.test", Action::TcpOnly)]);
    assert_eq!(rig.ask_fast("www.good.test A"), "NoError tc rd ra");
    for transport in ["tcp", "dot"] {
        let reply = rig.ask(&format!("www.good.test A {transport}")).await;
        assert_eq!(reply, format!("NoError rd ra\n{GOOD}"));
    }
    assert_eq!(rig.metrics.queries(Outcome::Truncated), 1);
}

#[tokio::test]
async fn a_rule_on_a_later_name_keeps_the_chain_up_to_it() {
    let chain = "tobad.good.test. 300 CNAME www.bad.test.";
    for (action, expected) in [
        (Action::NxDomain, negative("NXDomain", "www.bad.test")),
        (Action::NoData, negative("NoError", "www.bad.test")),
        (data(&["A 203.0.113.1"]), positive("www.bad.test. 60 A 203.0.113.1", "www.bad.test")),
        (data(&["TXT x"]), negative("NoError", "www.bad.test")),
        (
            Action::Redirect(name("garden.test")),
            positive(
                "www.bad.test. 60 CNAME garden.test.\ngarden.test. 300 A 203.0.113.80",
                "www.bad.test",
            ),
        ),
    ] {
        let rig = ruled([rule("www.bad.test", action.clone())]);
        let (head, rest) = expected.split_once('\n').unwrap();
        let expected = format!("{head}\n{chain}\n{rest}");
        assert_eq!(rig.ask("tobad.good.test A").await, expected, "{action:?}");
    }
    let rig = ruled([rule("www.bad.test", Action::Drop)]);
    assert_eq!(rig.ask("tobad.good.test A").await, "silence");
}

#[tokio::test]
async fn an_address_at_the_end_of_a_chain_is_replaced_there() {
    let rig = ruled([rule("ip 192.0.2.0/24", data(&["A 203.0.113.1"]))]);
    assert_eq!(
        rig.ask("tobad.good.test A").await,
        positive(
            "tobad.good.test. 300 CNAME www.bad.test.\nwww.bad.test. 60 A 203.0.113.1",
            "192.0.2.0/24"
        )
    );
}

#[tokio::test]
async fn behind_a_service_binding_in_alias_mode_there_is_nothing() {
    let world = world().says(
        "a.good.test HTTPS",
        "a.good.test. 300 CNAME b.good.test.\nb.good.test. 300 HTTPS 0 www.bad.test.",
    );
    let rig = rig([policy("rpz1.policy", [rule("www.bad.test", Action::NxDomain)])], world);
    let reply = rig.ask("a.good.test HTTPS").await;
    assert_eq!(
        lines(&reply)[..3],
        ["NoError rd ra", "a.good.test. 300 CNAME b.good.test.", &format!("authority {SOA}")]
    );
}

#[tokio::test(start_paused = true)]
async fn policy_applies_to_answers_in_memory_and_times_to_live_run_down() {
    let world = world().says("cached.test A", "cached.test. 300 A 192.0.2.66");
    let mut rig = rig([policy("rpz1.policy", [rule("ip 192.0.2.0/24", Action::NxDomain)])], world);
    for name in ["www.good.test A", "cached.test A"] {
        assert_eq!(rig.ask_fast(name), "slow");
        rig.ask(name).await;
    }
    rig.events.drain(9).for_each(drop);
    tokio::time::advance(Duration::from_secs(100)).await;
    assert_eq!(
        rig.ask_fast("www.good.test A"),
        "NoError rd ra\nwww.good.test. 200 A 198.51.100.10"
    );
    assert_eq!(rig.ask_fast("cached.test A"), negative("NXDomain", "192.0.2.0/24"));
    assert_eq!(rig.asked().len(), 2);
    let lookups: Vec<_> = rig.events.drain(9).map(|event| event.cache).collect();
    assert_eq!(lookups, [Some(CacheLookup::Hit); 2]);
}

#[tokio::test]
async fn a_question_without_rd_is_answered_from_memory_or_refused() {
    let world = world().says("cached.test A", "cached.test. 300 A 198.51.100.1");
    let rig = rig([policy("rpz1.policy", [rule("www.bad.test", Action::NxDomain)])], world);
    rig.ask("cached.test A").await;
    assert_eq!(rig.ask_fast("cached.test A rd=0"), "NoError ra\ncached.test. 300 A 198.51.100.1");
    assert_eq!(
        rig.ask_fast("www.good.test A rd=0"),
        "Refused ra\nerror 20 recursion was not desired"
    );
    assert!(rig.ask_fast("www.bad.test A rd=0").starts_with("NXDomain ra\n"), "no way around");
}

#[tokio::test]
async fn a_rewritten_answer_has_neither_ad_nor_signatures() {
    let signature = "RRSIG";
    let signed = |world: World, question: &str, lines: &str| {
        world.says_with(question, 0, lines, |r| r.security = Security::Secure)
    };
    let world = signed(world(), "safe.test A", "safe.test. 300 A 198.51.100.1");
    let chain = format!(
        "to.test. 300 CNAME www.bad.test.\nto.test. 300 {signature}\n\
         www.bad.test. 300 A 192.0.2.10\nwww.bad.test. 300 {signature}"
    );
    let world = signed(world, "to.test A", &chain);
    let target = format!("garden.test. 300 A 203.0.113.80\ngarden.test. 300 {signature}");
    let world = signed(world, "garden.test A", &target);
    let rules = [
        rule("ip 192.0.2.0/24", data(&["A 203.0.113.1"])),
        rule("www.bad.test", Action::Redirect(name("garden.test"))),
    ];
    let rig = rig([policy("rpz1.policy", rules)], world);
    for question in ["to.test A do", "www.bad.test A do"] {
        let reply = rig.ask(question).await;
        assert!(reply.starts_with("NoError rd ra\n"), "no AD: {reply}");
        assert!(!reply.contains("RRSIG"), "{reply}");
    }
    let safe = "\nsafe.test. 300 A 198.51.100.1";
    assert_eq!(rig.ask("safe.test A do").await, format!("NoError rd ra ad{safe}"));
    assert_eq!(rig.ask("safe.test A ad").await, format!("NoError rd ra ad{safe}"));
    assert_eq!(rig.ask("safe.test A").await, format!("NoError rd ra{safe}"), "nobody asked");
}

#[tokio::test]
async fn a_zone_may_leave_out_its_soa_and_word_its_reason_or_give_none() {
    let rules = || vec![rule("www.bad.test", Action::NxDomain)];
    let quiet = options(
        |o| {
            o.add_soa = false;
            o.extended_error = None;
        },
        rules(),
    );
    let rig1 = rig([quiet], world());
    assert_eq!(rig1.ask_fast("www.bad.test A"), "NXDomain rd ra");
    let worded =
        options(|o| o.extended_error = Some(ExtendedError::new(17, "ask the help desk")), rules());
    let rig2 = rig([worded], world());
    assert!(rig2.ask_fast("www.bad.test A").ends_with("\nerror 17 ask the help desk"));
    assert!(!rig2.ask_fast("www.bad.test A noedns").contains("error"));
}

#[tokio::test]
async fn who_reads_errors_as_data_gets_contact_reason_and_case() {
    let rules = vec![rule("*.bad.test", Action::NxDomain)];
    let told = options(
        |o| {
            let structured = StructuredError {
                contacts: vec!["mailto:help@good.test".to_owned()],
                organisation: None,
                suberror: Some(1),
                database: Some("cases".to_owned()),
            };
            let structured = Some(structured);
            o.extended_error =
                Some(ExtendedError { structured, ..ExtendedError::new(4, "malware") });
        },
        rules,
    );
    let rig = rig([told], world());
    let json = "error 15 {\"c\":[\"mailto:help@good.test\"],\"j\":\"malware\",\"s\":1,\
                \"fdbs\":[{\"db\":\"cases\",\"id\":\"rpz1.policy: *.bad.test\"}]}";
    for asking in ["sde", "ede"] {
        let reply = rig.ask_fast(&format!("www.bad.test A {asking}"));
        assert!(reply.ends_with(json), "{reply}");
    }
    let reply = rig.ask_fast("www.bad.test A");
    assert!(reply.ends_with("error 4 malware"), "{reply}");
}

#[tokio::test]
async fn a_zone_that_observes_changes_nothing_and_is_counted() {
    let zone = options(|o| o.mode = Mode::Observe, vec![rule("www.good.test", Action::NxDomain)]);
    let mut rig = rig([zone], world());
    assert_eq!(rig.ask("www.good.test A").await, format!("NoError rd ra\n{GOOD}"));
    let event = rig.events.drain(9).next().unwrap();
    let hit = event.policy.unwrap();
    assert_eq!((&*hit.zone, hit.action, hit.enforced), ("rpz1.policy", "nxdomain", false));
    assert_eq!(event.outcome, Outcome::Resolved);
    let series = r#"sekisho_policy_hits_total{zone="rpz1.policy",trigger="qname",action="nxdomain",mode="observe"} 1"#;
    assert!(rig.metrics.encode().contains(series), "counted once: {}", rig.metrics.encode());
}

#[tokio::test]
async fn policy_zones_come_before_the_zones_served_here() {
    let block = rule("localhost", Action::NxDomain);
    let rig1 = ruled([block, rule("ip 127.0.0.0/8", Action::NxDomain)]);
    assert_eq!(rig1.ask_fast("localhost A"), negative("NXDomain", "localhost"));
    let local = "NoError aa rd ra\nx.localhost. 10800 A 127.0.0.1";
    assert_eq!(rig1.ask_fast("x.localhost A"), local, "no rule applies to what is made up here");
    let soa =
        "10.in-addr.arpa. 10800 SOA 10.in-addr.arpa. nobody.invalid. 1 3600 1200 604800 10800";
    assert_eq!(
        rig1.ask_fast("1.2.3.10.in-addr.arpa PTR"),
        format!("NXDomain aa rd ra\nauthority {soa}")
    );
    let special = SpecialSettings { off: vec![name("localhost")], ..SpecialSettings::default() };
    let rig2 = Rig::new(Plan { world: world(), special, ..Plan::default() });
    assert_eq!(rig2.ask_fast("localhost A"), "slow");
}

#[tokio::test]
async fn any_has_one_answer_and_policy_still_applies() {
    let rig = ruled([rule("www.bad.test", Action::NxDomain)]);
    assert_eq!(
        rig.ask_fast("www.good.test ANY"),
        "NoError rd ra\nwww.good.test. 3600 HINFO RFC8482 "
    );
    assert_eq!(rig.ask_fast("www.bad.test ANY"), negative("NXDomain", "www.bad.test"));
}

#[tokio::test]
async fn what_cannot_be_resolved_fails_and_a_rule_for_its_name_still_holds() {
    let first = policy("rpz0.policy", [rule("ip 192.0.2.0/24", Action::NxDomain)]);
    let second = policy("rpz1.policy", [rule("dead.bad.test", Action::NxDomain)]);
    let rig = rig([first, second], world());
    assert_eq!(
        rig.ask("dead.test A").await,
        "ServFail rd ra\nerror 22 no answer before the deadline"
    );
    assert_eq!(rig.ask_fast("dead.bad.test A"), "slow", "zone 1 may have a say");
    assert_eq!(rig.ask("dead.bad.test A").await, negative("NXDomain", "dead.bad.test"));
}

#[tokio::test]
async fn an_answer_too_large_for_the_client_is_whole_over_tcp() {
    let many: String = (0..60).map(|n| format!("many.test. 300 A 198.51.100.{n}\n")).collect();
    let rig = rig([], World::default().says("many.test A", &many));
    assert_eq!(rig.ask("many.test A noedns").await, "NoError tc rd ra");
    assert_eq!(lines(&rig.ask("many.test A").await).len(), 61);
    assert_eq!(lines(&rig.ask("many.test A tcp noedns").await).len(), 61);
}

#[tokio::test]
async fn an_override_replaces_the_action() {
    let zone = options(
        |o| o.policy = Override::Action(Action::Redirect(name("garden.test"))),
        vec![rule("www.bad.test", Action::NxDomain)],
    );
    let rig = rig([zone], world());
    assert!(rig.ask("www.bad.test A").await.contains("www.bad.test. 60 CNAME garden.test."));
}

#[tokio::test]
async fn an_alias_among_local_data_is_followed() {
    let action = data(&["CNAME localhost."]);
    let rig = ruled([rule("www.bad.test", action)]);
    assert!(rig.ask_fast("www.bad.test A").contains("localhost. 10800 A 127.0.0.1"));
    assert_eq!(
        rig.ask_fast("www.bad.test CNAME"),
        positive("www.bad.test. 60 CNAME localhost.", "www.bad.test")
    );
}

fn network(text: &str) -> Network {
    Network::parse_strict(text).unwrap()
}

/// A world with IPv4 alone, seen by clients with IPv6 alone.
fn translating(rules: impl IntoIterator<Item = Rule>, world: World) -> Rig {
    let dns64 = Dns64 {
        prefixes: vec![Prefix::new(network("64:ff9b::/96")).unwrap()],
        exclude: vec![network("::ffff:0:0/96")],
        exclude_v4: Access::new(&[network("10.0.0.0/8")]),
        clients: Some(Access::new(&[network("127.0.0.0/8")])),
    };
    let settings = HandlerSettings { dns64: Some(dns64), ..HandlerSettings::new([0; 16]) };
    Rig::new(Plan {
        zones: vec![policy("rpz1.policy", rules)],
        world,
        settings: Some(settings),
        special: SpecialSettings { dns64: true, ..SpecialSettings::default() },
        ..Plan::default()
    })
}

const NO_AAAA: &str = "--good.test. 120 SOA ns.good.test. h.good.test. 1 2 3 4 120";

fn v4_only() -> World {
    world()
        .says("www.good.test AAAA", NO_AAAA)
        .says_with(
            "tobad.good.test AAAA",
            0,
            &format!("tobad.good.test. 300 CNAME www.bad.test.\n{NO_AAAA}"),
            |resolution| resolution.is_negative = true,
        )
        .says("inner.test AAAA", NO_AAAA)
        .says("inner.test A", "inner.test. 300 A 10.0.0.1")
        .says("both.test AAAA", "both.test. 300 AAAA 2001:db8::1")
        .says("mapped.test AAAA", "mapped.test. 300 AAAA ::ffff:192.0.2.9")
        .says("mapped.test A", "mapped.test. 300 A 192.0.2.9")
        .says_code("gone.test AAAA", 3, NO_AAAA)
        .says(
            "34.216.184.93.in-addr.arpa PTR",
            "34.216.184.93.in-addr.arpa. 300 PTR www.good.test.",
        )
}

/// The answer records alone.
async fn answers(rig: &Rig, question: &str) -> Vec<String> {
    let reply = rig.ask(question).await;
    let is_answer =
        |line: &&str| !["authority ", "additional ", "error "].iter().any(|w| line.starts_with(w));
    reply.lines().filter(is_answer).map(str::to_owned).collect()
}

#[tokio::test]
async fn names_with_ipv4_alone_get_addresses_behind_the_translator() {
    let rig = translating([], v4_only());
    let ok = "NoError rd ra";
    let good = "www.good.test. 120 AAAA 64:ff9b::c633:640a";
    assert_eq!(answers(&rig, "www.good.test AAAA").await, [ok, good]);
    assert_eq!(answers(&rig, "www.good.test AAAA do").await, [ok, good], "without AD");
    assert_eq!(answers(&rig, "both.test AAAA").await, [ok, "both.test. 300 AAAA 2001:db8::1"]);
    assert_eq!(answers(&rig, "inner.test AAAA").await, [ok], "not translated");
    assert_eq!(answers(&rig, "gone.test AAAA").await, ["NXDomain rd ra"]);
    let mapped = "mapped.test. 300 AAAA 64:ff9b::c000:209";
    assert_eq!(answers(&rig, "mapped.test AAAA").await, [ok, mapped]);
    let chain = "tobad.good.test. 300 CNAME www.bad.test.";
    let end = "www.bad.test. 120 AAAA 64:ff9b::c000:20a";
    assert_eq!(answers(&rig, "tobad.good.test AAAA").await, [ok, chain, end]);
    assert_eq!(answers(&rig, "www.good.test AAAA @10.0.0.9").await, [ok], "another client");
    let only = answers(&rig, "ipv4only.arpa AAAA").await;
    assert_eq!(only[1], "ipv4only.arpa. 10800 AAAA 64:ff9b::c000:aa");
}

#[tokio::test]
async fn a_client_that_validates_gets_nothing_made_up() {
    let rig = translating([], v4_only());
    let (mut packet, client) = super::super::script::query("www.good.test AAAA do");
    packet[3] |= 0x10;
    let reply = rig.handler.answer(&packet, client, &rig.shard).await.unwrap();
    assert_eq!(super::super::script::shown(&reply).lines().next(), Some("NoError rd ra cd"));
    assert_eq!(rig.asked(), ["www.good.test AAAA"]);
}

#[tokio::test]
async fn addresses_are_made_after_policy_and_do_not_get_past_it() {
    let rig = translating(
        [
            rule("ip 198.51.100.0/24", Action::NxDomain),
            rule("www.bad.test", data(&["A 203.0.113.80"])),
            rule("nodata.test", Action::NoData),
            rule("garden.bad.test", Action::Redirect(name("mapped.test"))),
        ],
        v4_only(),
    );
    assert_eq!(answers(&rig, "www.good.test AAAA").await, ["NXDomain rd ra"]);
    assert_eq!(
        answers(&rig, "www.bad.test AAAA").await,
        ["NoError rd ra", "www.bad.test. 60 AAAA 64:ff9b::cb00:7150"]
    );
    assert_eq!(answers(&rig, "nodata.test AAAA").await, ["NoError rd ra"]);
    assert_eq!(
        answers(&rig, "garden.bad.test AAAA").await[1..],
        ["garden.bad.test. 60 CNAME mapped.test.", "mapped.test. 300 AAAA 64:ff9b::c000:209"]
    );
}

#[tokio::test]
async fn the_name_of_a_made_up_address_leads_to_that_of_the_ipv4_address() {
    let rig = translating([], v4_only());
    let name = "2.2.8.d.8.b.d.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa";
    assert_eq!(
        answers(&rig, &format!("{name} PTR")).await[1..],
        [
            format!("{name}. 300 CNAME 34.216.184.93.in-addr.arpa."),
            "34.216.184.93.in-addr.arpa. 300 PTR www.good.test.".to_owned()
        ]
    );
}
