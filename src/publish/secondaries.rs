//! Who gets which zones: by address, by key (RFC 8945), or by both.
//!
//! A secondary with a key has to sign, and may then ask from anywhere unless its networks are
//! named; one without a key is known by its address alone. There is no way to hand zones to
//! everybody.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::model::{Name, NameRef, Network};
use crate::zone::tsig::Key;

/// Another server that takes our zones.
#[derive(Debug, Clone)]
pub struct Secondary {
    /// What it is called in the log and in answers to people.
    pub name: String,
    /// Where it is told of news.
    pub address: Option<SocketAddr>,
    /// Whence it asks; empty is from its address, or with a key from anywhere.
    pub from: Vec<Network>,
    /// The key that it signs with.
    pub key: Option<Arc<Key>>,
    /// The zones it gets; none where it gets every zone that is for everyone.
    pub zones: Option<Vec<Name>>,
    /// Whether it is told of news (RFC 1996).
    pub notify: bool,
    /// Whether it gets a version before the others.
    pub canary: bool,
}

impl Secondary {
    /// Whether it gets a zone. Zones of groups are for those that ask for them by name.
    pub fn gets(&self, zone: NameRef<'_>, for_everyone: bool) -> bool {
        match &self.zones {
            Some(zones) => zones.iter().any(|held| held.as_ref() == zone),
            None => for_everyone,
        }
    }

    /// Whether a message of this origin is its own.
    fn is(&self, peer: IpAddr, signed_by: Option<NameRef<'_>>) -> bool {
        let peer = peer.to_canonical();
        if self.key.as_ref().map(|key| key.name()) != signed_by {
            return false;
        }
        match (self.from.is_empty(), self.address) {
            (false, _) => self.from.iter().any(|network| network.contains(peer)),
            (true, _) if self.key.is_some() => true,
            (true, address) => address.is_some_and(|a| a.ip().to_canonical() == peer),
        }
    }
}

/// All of them, in the order of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Secondaries(Vec<Secondary>);

impl Secondaries {
    /// These, in order.
    pub fn new(secondaries: Vec<Secondary>) -> Self {
        Self(secondaries)
    }

    /// Who may have sent a message, by position.
    pub fn from(
        &self,
        peer: IpAddr,
        signed_by: Option<NameRef<'_>>,
    ) -> impl Iterator<Item = (usize, &Secondary)> {
        self.0.iter().enumerate().filter(move |(_, secondary)| secondary.is(peer, signed_by))
    }

    /// Each with its position.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (usize, &Secondary)> {
        self.0.iter().enumerate()
    }

    /// The one at a position.
    pub fn at(&self, position: usize) -> Option<&Secondary> {
        self.0.get(position)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any of them gets a version before the others.
    pub fn has_canary(&self, zone: NameRef<'_>, for_everyone: bool) -> bool {
        self.0.iter().any(|secondary| secondary.canary && secondary.gets(zone, for_everyone))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::zone::tsig::Algorithm;

    pub fn name(text: &str) -> Name {
        Name::from_presentation(text).unwrap()
    }

    pub fn key(text: &str) -> Arc<Key> {
        Arc::new(Key::new(name(text), Algorithm::HmacSha256, b"0123456789abcdef0123456789abcdef"))
    }

    pub fn secondary(text: &str) -> Secondary {
        Secondary {
            name: text.to_owned(),
            address: None,
            from: Vec::new(),
            key: None,
            zones: None,
            notify: true,
            canary: false,
        }
    }

    #[test]
    fn an_address_or_a_key_or_both_say_who_asks() {
        let by_address =
            Secondary { address: Some("192.0.2.1:53".parse().unwrap()), ..secondary("address") };
        let by_key = Secondary { key: Some(key("a.key")), ..secondary("key") };
        let by_both = Secondary {
            key: Some(key("b.key")),
            from: vec![Network::parse_strict("198.51.100.0/24").unwrap()],
            ..secondary("both")
        };
        let all = Secondaries::new(vec![by_address, by_key, by_both, secondary("nobody")]);
        let who = |peer: &str, key: Option<&str>| {
            let key = key.map(name);
            let peer = peer.parse().unwrap();
            let found = all.from(peer, key.as_ref().map(Name::as_ref));
            found.map(|(_, s)| s.name.as_str()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(who("192.0.2.1", None), "address");
        assert_eq!(who("::ffff:192.0.2.1", None), "address", "as a socket for both families says");
        assert_eq!(who("192.0.2.2", None), "");
        assert_eq!(who("192.0.2.1", Some("c.key")), "", "a strange key is no address");
        assert_eq!(who("203.0.113.9", Some("a.key")), "key");
        assert_eq!(who("203.0.113.9", Some("b.key")), "");
        assert_eq!(who("198.51.100.9", Some("b.key")), "both");
        assert_eq!(who("198.51.100.9", None), "", "who has a key signs");
    }

    #[test]
    fn zones_of_groups_are_for_those_that_name_them() {
        let zone = name("kids.rpz");
        let named = Secondary { zones: Some(vec![zone.clone()]), ..secondary("named") };
        assert!(named.gets(zone.as_ref(), false) && !named.gets(name("x.rpz").as_ref(), true));
        let all = secondary("all");
        assert!(all.gets(zone.as_ref(), true) && !all.gets(zone.as_ref(), false));
    }
}
