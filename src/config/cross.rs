//! Where the configuration refers to the policy.

use super::Config;
use crate::diagnostic::{Diagnostic, Place, nearest};
use crate::document::listed;
use crate::model::Trust;
use crate::policy::Policy;

/// Looks for categories and groups that the configuration names and the policy does not have.
pub fn check_against(config: &Config, policy: &Policy) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for source in &config.sources {
        if let Trust::Category(name) = &source.settings.trust {
            let known = policy.categories.iter().map(|category| category.name.as_str());
            found.extend(missing("category", name, &source.trust_place, known.collect()));
        }
    }
    for (name, place) in config.zones.iter().flat_map(|zone| &zone.groups) {
        let known = policy.groups.iter().map(|group| group.name.as_str());
        found.extend(missing("group", name, place, known.collect()));
    }
    found
}

fn missing(what: &str, name: &str, place: &Place, known: Vec<&str>) -> Option<Diagnostic> {
    if known.contains(&name) {
        return None;
    }
    let hint = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("add `[{what}.{name}]` to a policy file"),
        None => format!("known are {}", listed(known, "and")),
    };
    let message = format!("the policy has no {what} `{name}`");
    Some(Diagnostic::error(message).at(place.clone()).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::PublicSuffixes;
    use crate::model::Timestamp;
    use crate::policy;

    #[test]
    fn categories_and_groups_that_the_policy_lacks_are_found() {
        let text = "[[source]]\nid = 'a'\nurl = 'https://a.example/'\nformat = 'domains'\n\
                    trust = 'category:adz'\n\
                    [[zone]]\nfile = 'z.rpz'\ngroups = ['kids', 'x']\n";
        let (config, findings) = crate::config::read("s.toml", text);
        assert_eq!(findings, []);
        let policies = [("p.toml".to_owned(), "[category.ads]\n[group.kids]\n".to_owned())];
        let mut read = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let (policy, _) =
            policy::load(&policies, &mut read, &PublicSuffixes::default(), Timestamp::default());
        let found = check_against(&config.unwrap(), &policy.unwrap());
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "error: the policy has no category `adz`\n  --> s.toml:5:9\n\
                 hint: did you mean `ads`?",
                "error: the policy has no group `x`\n  --> s.toml:8:19\nhint: known are `kids`"
            ]
        );
    }
}
