//! What AS are called.
//!
//! One run of octets, magic `skasnam1` and three sections: AS numbers (u32, ascending), where each
//! name starts in the texts and the end (u32), texts.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;

use super::octets::{Kind, OctetsError, count_u32, read_u32};

const KIND: Kind = Kind { magic: b"skasnam1", name: "table of AS names" };

/// The most characters of a name that are kept. The longest of RIPE's `asnames.txt` has about 100.
const NAME_CHARACTERS_MAX: usize = 160;

/// Names by AS number. Cheap to clone: the octets are shared.
#[derive(Clone)]
pub struct AsNames {
    octets: Bytes,
    systems: Bytes,
    offsets: Bytes,
    texts: Bytes,
}

impl AsNames {
    /// No names.
    pub fn empty() -> Self {
        AsNamesBuilder::default().finish()
    }

    /// Reads a table. It stays where it lies.
    pub fn from_octets(octets: Bytes) -> Result<Self, OctetsError> {
        let [systems, offsets, texts] = KIND.split(&octets)?;
        let bounds: Vec<usize> =
            offsets.chunks_exact(4).map(|octets| read_u32(octets, 0) as usize).collect();
        let text = std::str::from_utf8(&texts).map_err(|_| KIND.shape())?;
        let fits = offsets.len() == systems.len() + 4
            && bounds.is_sorted()
            && bounds.last() == Some(&texts.len())
            && bounds.iter().all(|bound| text.is_char_boundary(*bound));
        match fits {
            true => Ok(Self { octets, systems, offsets, texts }),
            false => Err(KIND.shape()),
        }
    }

    /// The octets, for writing them to a file.
    pub fn octets(&self) -> &Bytes {
        &self.octets
    }

    /// How many AS have a name.
    pub fn len(&self) -> usize {
        self.systems.len() / 4
    }

    /// Whether no AS has one.
    pub fn is_empty(&self) -> bool {
        self.systems.is_empty()
    }

    /// The name of an AS, fit to be shown: it has no control or direction characters.
    pub fn name(&self, system: u32) -> Option<&str> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            match read_u32(&self.systems, middle * 4) < system {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        let found = low < self.len() && read_u32(&self.systems, low * 4) == system;
        let bound = |index: usize| read_u32(&self.offsets, index * 4) as usize;
        found.then(|| {
            let text = &self.texts[bound(low)..bound(low + 1)];
            std::str::from_utf8(text).expect("texts are checked when they are read")
        })
    }
}

impl fmt::Debug for AsNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AsNames({} names, {} octets)", self.len(), self.octets.len())
    }
}

/// Takes names in any order. The first name of an AS stays, so the better source comes first.
#[derive(Debug, Default)]
pub struct AsNamesBuilder {
    names: BTreeMap<u32, Box<str>>,
}

impl AsNamesBuilder {
    /// Takes a name. One that says nothing is left out.
    pub fn add(&mut self, system: u32, name: &str) {
        if self.names.contains_key(&system) {
            return;
        }
        let name = presentable(name);
        if !name.is_empty() {
            self.names.insert(system, name.into());
        }
    }

    /// The table of all that was taken.
    pub fn finish(self) -> AsNames {
        let (mut systems, mut offsets, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        for (system, name) in &self.names {
            systems.extend(system.to_le_bytes());
            offsets.extend(count_u32(texts.len()).to_le_bytes());
            texts.extend_from_slice(name.as_bytes());
        }
        offsets.extend(count_u32(texts.len()).to_le_bytes());
        let octets = KIND.join(&[&systems, &offsets, &texts]);
        AsNames::from_octets(octets).expect("a builder writes a sound table")
    }
}

/// The text without characters that steer a terminal or hide, and not without end.
fn presentable(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let seen = text.chars().filter(|c| !steers(*c)).take(NAME_CHARACTERS_MAX);
    seen.collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(entries: &[(u32, &str)]) -> AsNames {
        let mut builder = AsNamesBuilder::default();
        entries.iter().for_each(|(system, name)| builder.add(*system, name));
        builder.finish()
    }

    #[test]
    fn the_first_name_of_an_as_stays_and_comes_back_from_octets() {
        let names = names(&[(64500, "EXAMPLE, ZZ"), (1, "É"), (64500, "other"), (2, " ")]);
        let back = AsNames::from_octets(names.octets().clone()).unwrap();
        for (system, name) in [(64500, Some("EXAMPLE, ZZ")), (1, Some("É")), (2, None), (3, None)]
        {
            assert_eq!(back.name(system), name);
        }
        assert_eq!(back.len(), 2);
        assert!(AsNames::empty().is_empty());
    }

    #[test]
    fn names_cannot_steer_a_terminal_or_grow_without_end() {
        let names = names(&[(1, "a\x1b[31m\u{202e}b\n"), (2, &"x".repeat(1000))]);
        assert_eq!(names.name(1), Some("a[31mb"));
        assert_eq!(names.name(2).map(str::len), Some(NAME_CHARACTERS_MAX));
    }

    #[test]
    fn texts_cut_inside_a_character_are_refused() {
        let sound = names(&[(1, "É"), (2, "x")]);
        let [systems, _, texts] = KIND.split(sound.octets()).unwrap();
        let offsets: Vec<u8> = [0u32, 1, 3].iter().flat_map(|o| o.to_le_bytes()).collect();
        let cut = KIND.join(&[&systems, &offsets, &texts]);
        assert_eq!(AsNames::from_octets(cut).unwrap_err(), KIND.shape());
    }
}
