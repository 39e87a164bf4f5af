//! Public suffixes, the private section included (SCORING 2.1).

use psl::Psl;

use crate::model::NameRef;

/// The public suffix list: the one compiled in, or a newer one from a source.
#[derive(Default)]
pub struct PublicSuffixes {
    loaded: Option<publicsuffix::List>,
}

/// Where a name stands towards the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registration<'n> {
    /// The public suffix that the name is, or lies below.
    pub suffix: NameRef<'n>,
    /// One label more than the suffix; none where the name is itself a suffix.
    pub registrable: Option<NameRef<'n>>,
    /// Whether the suffix is of the private section: names below it belong to different tenants.
    pub private: bool,
}

impl PublicSuffixes {
    /// Reads the list's own text. None where it is not such a list.
    pub fn from_text(text: &[u8]) -> Option<Self> {
        let list = publicsuffix::List::from_bytes(text).ok().filter(|list| !list.is_empty())?;
        Some(Self { loaded: Some(list) })
    }

    /// The suffix of a name and what is registered below it. A top label that the list does not
    /// know counts as a suffix, as the list itself prescribes.
    pub fn registration<'n>(&self, name: NameRef<'n>) -> Registration<'n> {
        let labels = name.labels();
        let info = match &self.loaded {
            Some(list) => list.find(labels),
            None => psl::List.find(labels),
        };
        // The text of a suffix has one octet less than its lookup form, which ends every label.
        let suffix = match name.key().get(..info.len + 1) {
            Some(key) if info.len > 0 => NameRef::from_key(key),
            _ => name.top(1),
        };
        let registrable = name.top(suffix.label_count() + 1);
        Registration {
            suffix,
            registrable: (registrable != suffix).then_some(registrable),
            private: matches!(info.typ, Some(psl::Type::Private)),
        }
    }

    /// Whether the name is a public suffix. A single label always is, listed or not, and so is the
    /// root.
    pub fn is_suffix(&self, name: NameRef<'_>) -> bool {
        self.registration(name).registrable.is_none()
    }

    /// The registrable domain of a name; the name itself where it is a public suffix.
    pub fn registrable<'n>(&self, name: NameRef<'n>) -> NameRef<'n> {
        let registration = self.registration(name);
        registration.registrable.unwrap_or(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;

    #[test]
    fn private_suffixes_part_their_tenants() {
        let text = b"// ===BEGIN ICANN DOMAINS===\ncom\nuk\nco.uk\n*.ck\n!www.ck\n// ===END ICANN DOMAINS===\n// ===BEGIN PRIVATE DOMAINS===\ngithub.io\n// ===END PRIVATE DOMAINS===\n";
        let loaded = PublicSuffixes::from_text(text).unwrap();
        for list in [PublicSuffixes::default(), loaded] {
            for (name, suffix, registrable, private) in [
                ("a.b.example.com", "com", Some("example.com"), false),
                ("example.co.uk", "co.uk", Some("example.co.uk"), false),
                ("co.uk", "co.uk", None, false),
                ("x.y.github.io", "github.io", Some("y.github.io"), true),
                ("github.io", "github.io", None, true),
                ("a.b.c.ck", "c.ck", Some("b.c.ck"), false),
                ("a.www.ck", "ck", Some("www.ck"), false),
                ("printer.notatld", "notatld", Some("printer.notatld"), false),
            ] {
                let name = Name::from_host(name).unwrap();
                let found = list.registration(name.as_ref());
                assert_eq!(found.suffix.to_string(), suffix, "{name}");
                assert_eq!(
                    found.registrable.map(|n| n.to_string()).as_deref(),
                    registrable,
                    "{name}"
                );
                assert_eq!(found.private, private, "{name}");
                assert_eq!(list.is_suffix(name.as_ref()), registrable.is_none(), "{name}");
            }
        }
    }

    #[test]
    fn a_page_of_html_is_not_a_list() {
        assert!(PublicSuffixes::from_text(b"").is_none());
    }
}
