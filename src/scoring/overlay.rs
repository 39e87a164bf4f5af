//! A model with extra lists: clones that are verbatim copies of one origin (SCORING section 3).

use std::collections::BTreeMap;

use super::Model;
use super::check::{ModelError, check_id, digest, find_providers};
use super::coupling::{Matrix, couple, number_origins};
use super::file::Class;
use super::model::{SOURCES_MAX, Source, SourceIndex};

/// See [`Model::overlaid`].
pub(super) fn overlay(
    model: &Model,
    overlay: &BTreeMap<String, (String, String)>,
) -> Result<Model, ModelError> {
    let mut by_id: BTreeMap<&str, Source> =
        model.sources.iter().map(|source| (source.id(), source.clone())).collect();
    for (id, (like, origin)) in overlay {
        check_id(id)?;
        let like = model
            .source_index(like)
            .map(|index| model.source(index))
            .filter(|like| like.class == Class::List)
            .ok_or_else(|| ModelError::OverlayLike(like.clone()))?;
        let (id_of_clone, origin) = (id.as_str().into(), Some(origin.as_str().into()));
        by_id.insert(id, Source { id: id_of_clone, origin, ..like.clone() });
    }
    if by_id.len() > SOURCES_MAX {
        return Err(ModelError::TooManySources(by_id.len()));
    }
    let mut sources: Vec<Source> = by_id.into_values().collect();
    number_origins(&mut sources);
    let known: Vec<Option<SourceIndex>> =
        sources.iter().map(|source| model.source_index(source.id())).collect();
    let related = Matrix::build(sources.len(), |one, other| match (known[one], known[other]) {
        (Some(one), Some(other)) => model.related.at(one, other),
        _ => model.classes.of(sources[one].class, sources[other].class),
    });
    let overlay = serde_json::to_vec(overlay)?;
    Ok(Model {
        id: digest(&[model.id.as_bytes(), &overlay]),
        couplings: couple(&related, &sources),
        related,
        providers: find_providers(&sources)?,
        sources,
        ..model.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::Kind;

    #[test]
    fn an_overlay_clones_lists_and_makes_copies() {
        let model = Model::shipped();
        let overlay = |id: &str, like: &str| {
            model.overlaid(&BTreeMap::from([
                (id.to_owned(), (like.to_owned(), "O".to_owned())),
                ("openphish".to_owned(), ("openphish".to_owned(), "O".to_owned())),
            ]))
        };
        let overlaid = overlay("mirror", "openphish").unwrap();
        let index = |id: &str| overlaid.source_index(id).unwrap();
        let (mirror, openphish) = (index("mirror"), index("openphish"));
        assert_eq!(overlaid.coupling_permille(mirror, openphish), 1000);
        assert_eq!(overlaid.coupling_permille(openphish, index("hagezi_tif")), 800);
        assert_eq!(overlaid.coupling_permille(mirror, index("hagezi_tif")), 600);
        assert_eq!(overlaid.coupling_permille(mirror, index("vt")), 400);
        assert_eq!(overlaid.source(mirror).weight(Kind::Domain, 9), 3380);
        assert_ne!(overlaid.id(), model.id());
        assert!(matches!(overlay("mirror", "nobody"), Err(ModelError::OverlayLike(_))));
        assert!(matches!(overlay("mirror", "vt"), Err(ModelError::OverlayLike(_))));
        assert!(matches!(overlay("Mirror", "openphish"), Err(ModelError::SourceId(_))));
        assert!(matches!(overlay("vt", "openphish"), Err(ModelError::Provider { .. })));
    }
}
