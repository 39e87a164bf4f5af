//! The tables `[provider.NAME]`.

use super::super::Provider;
use super::key;
use crate::diagnostic::{Diagnostic, nearest};
use crate::document::{Table, Value, listed};
use crate::model::lookup::Service;
use crate::source::provider::{Plan, Provider as Settings, Uses};

/// No plan of any service allows as much in a day.
const UNITS_MAX: i64 = 10_000_000;

/// Reads all services.
pub(super) fn providers(root: &Table<'_>, file: &str) -> Vec<Provider> {
    let mut providers = Vec::new();
    root.named("provider", |name, table| {
        let service = service(&name);
        providers.extend(provider(service, table, file));
    });
    providers
}

fn service(name: &Value<'_>) -> Option<Service> {
    let found = Service::of_word(name.key());
    if found.is_none() {
        let known = Service::ALL.map(Service::as_str);
        let hint = match nearest(name.key(), known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known are {}", listed(known, "and")),
        };
        let message = format!("there is no provider `{}`", name.key());
        name.report(Diagnostic::error(message).hint(hint));
    }
    found
}

/// Asks for every key, also where the service is not known, so that each is looked at.
fn provider(service: Option<Service>, table: &Table<'_>, file: &str) -> Option<Provider> {
    let plans = [("free", Plan::Free), ("paid", Plan::Paid)];
    let uses = [("off", Uses::Off), ("investigations", Uses::Investigations), ("all", Uses::All)];
    let plan = table.get("plan").and_then(|v| v.word(&plans)).unwrap_or_default();
    let uses = table.get("uses").and_then(|v| v.word(&uses)).unwrap_or_default();
    let base = table.get("url").and_then(|v| v.parse(base));
    let count = |key| {
        let number = table.get(key).and_then(|v| v.integer(1..=UNITS_MAX));
        number.and_then(|number| u32::try_from(number).ok())
    };
    let (minute, day, month) = (count("per_minute"), count("per_day"), count("per_month"));
    let legacy = table.get("legacy").and_then(|v| {
        if service.is_some_and(|service| service != Service::VirusTotal) {
            v.report(Diagnostic::error("only VirusTotal has an earlier version that is asked"));
        }
        v.flag()
    });
    let takes_key = service.is_none_or(|service| Settings::new(service, plan).needs_key());
    let secret = match takes_key {
        true => Some(key::secret(table)),
        false => None,
    };
    let mut settings = Settings::new(service?, plan);
    settings.uses = uses;
    settings.legacy = legacy.unwrap_or(false);
    if let Some(base) = base {
        settings.base = base;
    }
    let limits = &mut settings.limits;
    for (limit, given) in [
        (&mut limits.per_minute, minute),
        (&mut limits.per_day, day),
        (&mut limits.per_month, month),
    ] {
        *limit = given.unwrap_or(*limit);
    }
    let place = table.position().in_file(file);
    let secret = match secret {
        Some(secret) => Some(secret?),
        None => None,
    };
    Some(Provider { settings, secret, place })
}

/// The address that requests begin with.
fn base(text: &str) -> Result<String, Diagnostic> {
    let refused = |what: &str| {
        Err(Diagnostic::error(format!("`{text}` is no address of a service: {what}"))
            .hint("`https://host/path`, without a query; the key has a place of its own"))
    };
    let Ok(uri) = text.parse::<http::Uri>() else { return refused("it is not a URL") };
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => {}
        // A key goes over the wire in the clear to this machine alone.
        (Some("http"), Some("127.0.0.1" | "localhost" | "[::1]")) => {}
        (Some("http"), _) => return refused("a key must not be sent unprotected"),
        _ => return refused("it is not a URL of the web"),
    }
    if uri.query().is_some() || text.contains(['@', '#']) {
        return refused("it has more than a host and a path");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use crate::config::Secret;
    use crate::config::v1::tests::read;
    use crate::source::provider::{Plan, Uses};

    #[test]
    fn services_are_read_with_their_limits_and_the_place_of_the_key() {
        let (config, found) = read(
            "[provider.virustotal]\nfile = '/etc/vt.key'\nplan = 'paid'\nuses = 'all'\n\
             per_day = 900\nlegacy = true\n\
             [provider.bgpranking]\nurl = 'http://127.0.0.1:5005/'\n",
        );
        assert_eq!(found, "");
        let providers = config.unwrap().providers;
        let [virustotal, ranking] = providers.as_slice() else { panic!("{providers:?}") };
        let settings = &virustotal.settings;
        assert_eq!((settings.plan, settings.uses), (Plan::Paid, Uses::All));
        assert_eq!((settings.limits.per_day, settings.limits.per_minute), (900, 60));
        assert_eq!(virustotal.secret, Some(Secret::File("/etc/vt.key".into())));
        assert_eq!(
            (ranking.settings.base.as_str(), &ranking.secret),
            ("http://127.0.0.1:5005", &None)
        );
    }

    #[test]
    fn slips_are_found() {
        for (text, finding) in [
            (
                "[provider.virustotl]\nfile = '/k'\n",
                "error: there is no provider `virustotl`\n  --> s.toml:1:11\n\
                 hint: did you mean `virustotal`?",
            ),
            (
                "[provider.apivoid]\n",
                "error: there is no secret\n  --> s.toml:1:11\n\
                 hint: the secret stands in a `file`, or systemd hands it over as a `credential`",
            ),
            (
                "[provider.bgpranking]\nfile = '/k'\n",
                "error: unknown key `file` in `[provider.bgpranking]`\n  --> s.toml:2:1\n\
                 hint: known here are `plan`, `uses`, `url`, `per_minute`, `per_day`, `per_month` \
                 and `legacy`",
            ),
            (
                "[provider.dnsdumpster]\nfile = '/k'\nurl = 'http://dd.example/'\n",
                "error: `http://dd.example/` is no address of a service: a key must not be sent \
                 unprotected\n  --> s.toml:3:7\n\
                 hint: `https://host/path`, without a query; the key has a place of its own",
            ),
            (
                "[provider.bgpranking]\nlegacy = true\n",
                "error: only VirusTotal has an earlier version that is asked\n  --> s.toml:2:10",
            ),
            (
                "[provider.bgpranking]\nper_day = 0\n",
                "error: `per_day` is out of range\n  --> s.toml:2:11\nhint: from 1 to 10000000",
            ),
        ] {
            assert_eq!(read(text).1, finding, "{text}");
        }
    }
}
