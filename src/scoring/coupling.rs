//! Who repeats whom: couplings of sources from pairs, classes and origins (SCORING 2.5).

use std::collections::BTreeMap;

use super::check::ModelError;
use super::file::{Class, ModelFile};
use super::model::{Source, SourceIndex};

/// Couplings of all pairs of classes in permille.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClassCouplings(pub [[u16; Class::ALL.len()]; Class::ALL.len()]);

impl ClassCouplings {
    pub fn of(&self, one: Class, other: Class) -> u16 {
        self.0[one as usize][other as usize]
    }
}

/// Couplings of all pairs of sources in permille.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Matrix {
    width: usize,
    permille: Vec<u16>,
}

impl Matrix {
    pub fn build(width: usize, of: impl Fn(usize, usize) -> u16) -> Self {
        let permille = (0..width * width).map(|at| of(at / width, at % width)).collect();
        Self { width, permille }
    }

    pub fn at(&self, one: SourceIndex, other: SourceIndex) -> u16 {
        self.permille[self.place(one, other)]
    }

    pub fn set(&mut self, one: SourceIndex, other: SourceIndex, permille: u16) {
        let place = self.place(one, other);
        self.permille[place] = permille;
    }

    fn place(&self, one: SourceIndex, other: SourceIndex) -> usize {
        usize::from(one.0) * self.width + usize::from(other.0)
    }
}

/// Copies share a number; a source without an origin is a copy of itself alone.
pub(super) fn number_origins(sources: &mut [Source]) {
    let mut numbers: BTreeMap<Box<str>, u16> = BTreeMap::new();
    for (at, source) in sources.iter_mut().enumerate() {
        let own = at as u16;
        source.origin_number = match &source.origin {
            Some(origin) => *numbers.entry(origin.clone()).or_insert(own),
            None => own,
        };
    }
}

/// Reads the couplings of classes; all that two sources can need must be there.
pub(super) fn check_classes(file: &ModelFile) -> Result<ClassCouplings, ModelError> {
    let class = |word: &str| Class::ALL.into_iter().find(|class| class.as_str() == word);
    let mut classes = [[None; Class::ALL.len()]; Class::ALL.len()];
    for (pair, &permille) in &file.class_pairs {
        let (one, other) = split_pair(pair, permille, class)?;
        if classes[one as usize][other as usize].is_some() {
            return Err(ModelError::PairTwice(pair.clone()));
        }
        classes[one as usize][other as usize] = Some(permille);
        classes[other as usize][one as usize] = Some(permille);
    }
    let mut couplings = [[1000; Class::ALL.len()]; Class::ALL.len()];
    for one in Class::ALL {
        // Only of lists there can be two.
        for other in Class::ALL.into_iter().filter(|&other| one != other || one == Class::List) {
            let permille = classes[one as usize][other as usize];
            couplings[one as usize][other as usize] =
                permille.ok_or(ModelError::ClassPair(one, other))?;
        }
    }
    Ok(ClassCouplings(couplings))
}

/// Couplings by pair, else by class.
pub(super) fn relate(
    file: &ModelFile,
    sources: &[Source],
    classes: &ClassCouplings,
) -> Result<Matrix, ModelError> {
    let mut related = Matrix::build(sources.len(), |one, other| {
        classes.of(sources[one].class, sources[other].class)
    });
    let index = |id: &str| {
        let at = sources.binary_search_by(|source| source.id().cmp(id)).ok()?;
        Some(SourceIndex(at as u16))
    };
    for (pair, &permille) in &file.pairs {
        let (one, other) = split_pair(pair, permille, index)?;
        if one == other {
            return Err(ModelError::Pair(pair.clone()));
        }
        let ids = [one, other].map(|index| sources[usize::from(index.0)].id());
        if file.pairs.contains_key(&format!("{}|{}", ids[1], ids[0])) {
            return Err(ModelError::PairTwice(pair.clone()));
        }
        related.set(one, other, permille);
        related.set(other, one, permille);
    }
    Ok(related)
}

/// Copies repeat each other wholly, whatever their pair says.
pub(super) fn couple(related: &Matrix, sources: &[Source]) -> Matrix {
    Matrix::build(sources.len(), |one, other| {
        if sources[one].origin_number == sources[other].origin_number {
            return 1000;
        }
        related.at(SourceIndex(one as u16), SourceIndex(other as u16))
    })
}

fn split_pair<T>(
    pair: &str,
    permille: u16,
    known: impl Fn(&str) -> Option<T>,
) -> Result<(T, T), ModelError> {
    if permille > 1000 {
        return Err(ModelError::Coupling { pair: pair.to_owned(), permille });
    }
    pair.split_once('|')
        .and_then(|(one, other)| known(one).zip(known(other)))
        .ok_or_else(|| ModelError::Pair(pair.to_owned()))
}
