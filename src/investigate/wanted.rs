//! Which facts each service is asked for, one row each: the facts that people know the services
//! for, in their order.

use crate::model::lookup::{Aspect, Fact, FileRelation, Service, Target};

/// About what a row is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// What is investigated.
    Target,
    /// Its first address.
    Address,
    /// The AS of its first address.
    System,
}

/// What stands in a row that no question fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// The service has no such thing for programs; what to do instead.
    Said(&'static str),
    /// The service's web page has it. `{}` stands for the target.
    Link(&'static str),
    /// It is pieced together from earlier answers.
    History,
}

/// One row.
#[derive(Clone, Copy)]
pub struct Wanted {
    /// What it is called.
    pub what: &'static str,
    /// Questions whose answers are looked through, the first first.
    pub aspects: &'static [Aspect],
    /// About what.
    pub about: About,
    /// Which facts belong here.
    pub picks: fn(&Fact) -> bool,
    /// What stands here where there are no questions.
    pub otherwise: Option<Otherwise>,
}

const fn row(what: &'static str, aspects: &'static [Aspect], picks: fn(&Fact) -> bool) -> Wanted {
    Wanted { what, aspects, about: About::Target, picks, otherwise: None }
}

const fn of_address(row: Wanted) -> Wanted {
    Wanted { about: About::Address, ..row }
}

const fn of_system(row: Wanted) -> Wanted {
    Wanted { about: About::System, ..row }
}

const fn said(what: &'static str, otherwise: Otherwise) -> Wanted {
    let picks: fn(&Fact) -> bool = nothing;
    let otherwise = Some(otherwise);
    Wanted { what, aspects: &[], about: About::Target, picks, otherwise }
}

fn nothing(_: &Fact) -> bool {
    false
}

fn engines(fact: &Fact) -> bool {
    matches!(fact, Fact::Engines { .. })
}

fn origin(fact: &Fact) -> bool {
    matches!(fact, Fact::Origin { .. } | Fact::NotAnnounced { .. })
}

fn place(fact: &Fact) -> bool {
    matches!(fact, Fact::Location { .. })
}

fn registration(fact: &Fact) -> bool {
    matches!(fact, Fact::Registration { .. })
}

fn certificate(fact: &Fact) -> bool {
    matches!(fact, Fact::Certificate(_))
}

fn record(fact: &Fact) -> bool {
    matches!(fact, Fact::Record { .. })
}

fn reverse(fact: &Fact) -> bool {
    matches!(fact, Fact::ReverseName { .. })
}

fn file(fact: &Fact, wanted: FileRelation) -> bool {
    matches!(fact, Fact::File { relation, .. } if *relation == wanted)
}

/// A test of Threat Intelligence Platform by a part of its name.
fn test(fact: &Fact, part: &str) -> bool {
    matches!(fact, Fact::Test(test) if test.name.to_ascii_lowercase().contains(part))
}

fn whois_test(fact: &Fact) -> bool {
    test(fact, "whois")
}

/// The rows of a service for a target. Empty where the service answers nothing about such a thing.
pub fn wanted(service: Service, target: &Target) -> Vec<Wanted> {
    match service {
        Service::VirusTotal => virus_total(target),
        Service::ThreatIntelligencePlatform => tip(target),
        Service::ApiVoid => api_void(target),
        Service::DnsDumpster => dns_dumpster(target),
        Service::BgpRanking => bgp_ranking(target),
        Service::IpasnHistory => ipasn_history(target),
    }
}

fn virus_total(target: &Target) -> Vec<Wanted> {
    use Aspect as A;
    let of_domain = matches!(target, Target::Domain(_));
    let mut rows = vec![
        row("Engines", &[A::Report], engines),
        row("Community score", &[A::Report, A::Votes], |fact| {
            matches!(fact, Fact::Score { .. } | Fact::Votes { .. } | Fact::Vote { .. })
        }),
        row("Passive DNS", &[A::Resolutions], |fact| matches!(fact, Fact::Resolution { .. })),
        row("WHOIS", &[A::Report, A::HistoricalWhois], registration),
        row("Subdomains", &[A::Subdomains], |fact| matches!(fact, Fact::Subdomain { .. })),
        row("Detected URLs", &[A::Urls, A::LegacyReport], |fact| {
            matches!(fact, Fact::UrlSeen { .. })
        }),
        row("Communicating files", &[A::CommunicatingFiles, A::LegacyReport], |fact| {
            file(fact, FileRelation::Communicating)
        }),
        row("Referrer files", &[A::ReferrerFiles, A::LegacyReport], |fact| {
            file(fact, FileRelation::Referrer)
        }),
        row("Downloaded files", &[A::DownloadedFiles, A::LegacyReport], |fact| {
            file(fact, FileRelation::Downloaded)
        }),
        row("Graph summary", &[A::Graphs], |fact| matches!(fact, Fact::Graph { .. })),
        row("Certificates", &[A::Report, A::HistoricalCertificates], certificate),
        row("DNS records", &[A::Report], record),
        row("Categories and traits", &[A::Report], |fact| {
            matches!(
                fact,
                Fact::Category { .. }
                    | Fact::Trait { .. }
                    | Fact::Popularity { .. }
                    | Fact::Note { .. }
            )
        }),
        row("ASN", &[A::Report], origin),
        row("Geolocation", &[A::Report], place),
        said("Google results", Otherwise::Link("https://www.google.com/search?q=%22{}%22")),
    ];
    let applies = |wanted: &Wanted| match target {
        Target::Domain(_) => true,
        Target::Address(_) => !matches!(wanted.what, "Subdomains" | "DNS records"),
        Target::Url(_) => !matches!(
            wanted.what,
            "Passive DNS"
                | "Subdomains"
                | "WHOIS"
                | "DNS records"
                | "Detected URLs"
                | "Certificates"
        ),
        Target::Prefix(_) | Target::As(_) => false,
    };
    rows.retain(applies);
    for row in &mut rows {
        // Of a name the service has neither; of its address it has both.
        if of_domain && matches!(row.what, "ASN" | "Geolocation") {
            *row = of_address(*row);
        }
    }
    rows
}

fn tip(target: &Target) -> Vec<Wanted> {
    use Aspect as A;
    let reputation = |what, picks| row(what, &[A::Report], picks);
    let score = row("Reputation (0 dangerous, 100 safe)", &[A::Report], |fact| {
        matches!(fact, Fact::Score { .. })
    });
    let malware = row("Malware detection", &[A::Report, A::MalwareCheck], |fact| {
        test(fact, "malware") || matches!(fact, Fact::Score { name, .. } if name == "safe")
    });
    match target {
        Target::Address(address) if address.is_ipv4() => vec![
            score,
            row("Malware detection", &[A::Report], |fact| test(fact, "malware")),
            reputation("Other tests", |fact| {
                matches!(fact, Fact::Test(_)) && !test(fact, "malware")
            }),
        ],
        Target::Domain(_) => vec![
            score,
            malware,
            row("Domains on the same address", &[A::ConnectedDomains], |fact| {
                matches!(fact, Fact::Neighbour { .. })
            }),
            row("Infrastructure: addresses, MX and NS hosts", &[A::Infrastructure], |fact| {
                matches!(fact, Fact::Host { .. })
            }),
            row("Geolocation", &[A::Infrastructure], place),
            reputation("Website analysis", |fact| test(fact, "content")),
            reputation("Host configuration issues", |fact| test(fact, "host configuration")),
            reputation("Open ports and services", |fact| test(fact, "open ports")),
            row("Certificate chain", &[A::CertificateChain], certificate),
            row("TLS configuration", &[A::TlsConfiguration, A::Report], |fact| {
                matches!(fact, Fact::Test(test) if test.code.is_none()
                    && !test.name.contains(' '))
                    || test(fact, "ssl")
            }),
            reputation("WHOIS", whois_test),
            reputation("SOA", |fact| test(fact, "soa")),
            reputation("Mail servers", |fact| test(fact, "mail") || test(fact, "blackhole")),
            reputation("Name servers", |fact| test(fact, "name servers") && !whois_test(fact)),
        ],
        _ => Vec::new(),
    }
}

fn api_void(target: &Target) -> Vec<Wanted> {
    use Aspect as A;
    let main = |what, picks| row(what, &[A::Report], picks);
    let mut rows = vec![
        main("Blacklist report", engines),
        main("Risk", |fact| matches!(fact, Fact::Score { .. })),
        main("Reverse DNS", reverse),
        main("Geolocation", place),
        main("ASN", origin),
        main("Address and records", record),
        main("Traits", |fact| matches!(fact, Fact::Trait { .. } | Fact::Note { .. })),
        said("WHOIS", Otherwise::Said("not in this service's version 2: see the registration")),
        said(
            "HTTP headers",
            Otherwise::Said("the service has none for programs; ask the host itself"),
        ),
        said(
            "TLS certificate",
            Otherwise::Said(
                "its answer is not described; see VirusTotal's and Threat Intelligence Platform's",
            ),
        ),
        said("Dig, MX", Otherwise::Said("asked by this program itself: see below")),
        said("CIDR", Otherwise::Said("computed by this program itself: see below")),
    ];
    match target {
        Target::Domain(_) | Target::Url(_) => {}
        Target::Address(_) => rows.retain(|row| !matches!(row.what, "TLS certificate" | "Dig, MX")),
        _ => rows.clear(),
    }
    rows
}

fn dns_dumpster(target: &Target) -> Vec<Wanted> {
    use Aspect as A;
    let main = |what, picks| row(what, &[A::Report], picks);
    match target {
        Target::Domain(_) => vec![
            main("Hosts with their AS and country", |fact| matches!(fact, Fact::Host { .. })),
            main("DNS records", record),
            main("Reverse DNS", reverse),
            main("Banners", |fact| matches!(fact, Fact::Banner { .. })),
            said("Hosting per AS over time", Otherwise::History),
            said("Map and export", Otherwise::Link("https://dnsdumpster.com/?q={}")),
        ],
        _ => Vec::new(),
    }
}

fn bgp_ranking(target: &Target) -> Vec<Wanted> {
    use Aspect as A;
    let rows = [
        row("Rank", &[A::Report], |fact| matches!(fact, Fact::Rank { .. })),
        row("Rank over time", &[A::RankHistory], |fact| matches!(fact, Fact::RankOn { .. })),
        row("Names of the AS", &[A::Descriptions, A::Report], |fact| {
            matches!(fact, Fact::AsName { .. })
        }),
        said("Rank by source", Otherwise::Said("computed from the lists read here: `sekisho asn`")),
    ];
    match target {
        Target::As(_) => rows.to_vec(),
        _ => rows.into_iter().map(of_system).collect(),
    }
}

fn ipasn_history(target: &Target) -> Vec<Wanted> {
    use Aspect as A;
    let history = row("AS over time", &[A::OriginHistory], origin);
    let prefixes = row("Prefixes of the AS", &[A::Prefixes], |fact| {
        matches!(fact, Fact::Announced { .. } | Fact::AddressCount { .. })
    });
    match target {
        Target::As(_) => vec![prefixes],
        Target::Address(_) => vec![history, of_system(prefixes)],
        _ => vec![of_address(history), of_system(prefixes)],
    }
}
