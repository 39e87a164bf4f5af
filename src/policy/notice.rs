//! What people are told about an answer that policy changed.

use crate::zone::options::ExtendedError;
use crate::zone::structured::{StructuredError, WORD_OCTETS_MAX};

/// The longest text of an extended error, in octets. The option travels in a UDP answer beside
/// the question and an SOA, and 200 octets leave room for both in the 512 that any client takes.
pub const TEXT_OCTETS_MAX: usize = 200;

/// The sub-error "DNS Operator Policy" of draft-ietf-dnsop-structured-dns-error.
const RESOLVER_POLICY: u8 = 6;

/// Words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Who runs this resolver.
    pub organisation: Option<String>,
    /// Whom to ask, for the block page and extended errors: an address or a URL.
    pub contact: Option<String>,
    /// The text for names that are blocked as threats or by the operator's lists.
    pub blocked: String,
    /// The text for names whose answer leads to the walled garden.
    pub redirected: String,
    /// The text for names of a category.
    pub filtered: String,
}

impl Default for Notice {
    fn default() -> Self {
        Self {
            organisation: None,
            contact: None,
            blocked: "blocked by the security policy of this network".to_owned(),
            redirected: "redirected by the security policy of this network".to_owned(),
            filtered: "filtered by the content policy of this network".to_owned(),
        }
    }
}

/// Why an answer was changed, by the codes of RFC 8914.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// 15, Blocked: the operator's own security policy (section 4.16). For threats and for the
    /// operator's lists.
    Blocked,
    /// 4, Forged Answer: an answer is still given (section 4.5). For the walled garden.
    Forged,
    /// 17, Filtered: content that the people behind the client want filtered (section 4.18). For
    /// categories.
    Filtered,
}

impl Notice {
    /// The extended error of an answer: the text, and the contact where both fit.
    pub fn extended_error(&self, kind: NoticeKind) -> ExtendedError {
        let (code, text) = match kind {
            NoticeKind::Blocked => (15, &self.blocked),
            NoticeKind::Forged => (4, &self.redirected),
            NoticeKind::Filtered => (17, &self.filtered),
        };
        let with_contact = self.contact.as_ref().map(|contact| format!("{text}; ask {contact}"));
        let text = with_contact.filter(|long| long.len() <= TEXT_OCTETS_MAX);
        ExtendedError {
            code,
            text: text.unwrap_or_else(|| self.own_text(kind)),
            structured: self.structured(kind),
        }
    }

    /// The same as data, where the contact is an address that a client can use.
    fn structured(&self, kind: NoticeKind) -> Option<StructuredError> {
        let contact = self.contact.as_ref()?;
        let uri = match contact.contains('@') && !contact.contains(':') {
            true => format!("mailto:{contact}"),
            false => contact.clone(),
        };
        let short = |name: &&String| name.len() <= WORD_OCTETS_MAX;
        StructuredError::is_contact(&uri).then(|| StructuredError {
            contacts: vec![uri],
            organisation: self.organisation.as_ref().filter(short).cloned(),
            suberror: (kind != NoticeKind::Filtered).then_some(RESOLVER_POLICY),
            database: None,
        })
    }

    fn own_text(&self, kind: NoticeKind) -> String {
        match kind {
            NoticeKind::Blocked => self.blocked.clone(),
            NoticeKind::Forged => self.redirected.clone(),
            NoticeKind::Filtered => self.filtered.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contact_stands_in_the_text_where_both_fit() {
        let mut notice = Notice {
            contact: Some("noc@example.org".to_owned()),
            blocked: "no".to_owned(),
            ..Notice::default()
        };
        let shown = |notice: &Notice| {
            let error = notice.extended_error(NoticeKind::Blocked);
            (error.code, error.text)
        };
        assert_eq!(shown(&notice), (15, "no; ask noc@example.org".to_owned()));
        notice.contact = Some("x".repeat(TEXT_OCTETS_MAX));
        assert_eq!(shown(&notice), (15, "no".to_owned()));
    }
}
