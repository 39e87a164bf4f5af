//! Which names are public suffixes: names below which strangers register.

use std::sync::Arc;

use psl::Psl;

use crate::model::NameRef;

/// A public suffix list, both its ICANN and its private section.
#[derive(Clone, Default)]
pub enum Suffixes {
    /// The list that was current when the program was built.
    #[default]
    BuiltIn,
    /// A newer list, read from a file in the format of publicsuffix.org.
    Loaded(Arc<publicsuffix::List>),
}

impl Suffixes {
    /// Whether `name` is a public suffix. A single label always is, listed or not, and so is the
    /// root.
    pub fn is_suffix(&self, name: NameRef<'_>) -> bool {
        if name.label_count() < 2 {
            return true;
        }
        // Escapes stand only for the octets 0 and 1, which no entry of the list has.
        let labels = name.labels();
        let found = match self {
            Self::BuiltIn => psl::List.find(labels),
            Self::Loaded(list) => list.find(labels),
        };
        // The length counts the dots between labels; the key has one more octet.
        found.typ.is_some() && found.len + 1 == name.key().len()
    }
}

impl std::fmt::Debug for Suffixes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::BuiltIn => "BuiltIn",
            Self::Loaded(_) => "Loaded",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;

    fn suffixes_among(suffixes: &Suffixes, names: &[&str]) -> Vec<String> {
        let names = names.iter().map(|text| Name::from_host(text).unwrap());
        names.filter(|n| suffixes.is_suffix(n.as_ref())).map(|n| n.to_string()).collect()
    }

    #[test]
    fn suffixes_of_both_sections_count_and_so_do_international_and_wildcard_ones() {
        let names = [
            "com",
            "lan",
            "example.com",
            "co.uk",
            "example.co.uk",
            "github.io",
            "user.github.io",
            "公司.cn",
            "anything.ck",
            "www.ck",
        ];
        assert_eq!(
            suffixes_among(&Suffixes::BuiltIn, &names),
            ["com", "lan", "co.uk", "github.io", "xn--55qx5d.cn", "anything.ck"]
        );
    }

    #[test]
    fn a_loaded_list_takes_the_place_of_the_built_in_one() {
        let list = "// ===BEGIN PRIVATE DOMAINS===\ncom\nplatform.example\n";
        let list = list.parse::<publicsuffix::List>().unwrap();
        let loaded = Suffixes::Loaded(Arc::new(list));
        assert_eq!(
            suffixes_among(&loaded, &["platform.example", "co.uk", "a.platform.example"]),
            ["platform.example"]
        );
        assert!(loaded.is_suffix(NameRef::ROOT));
    }
}
