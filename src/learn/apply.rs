//! From a reviewed file of changes to a new model: the description in force with the changes in it,
//! compiled as any description is.

use toml::{Table, Value};

use super::Changes;
use crate::scoring::Model;
use crate::scoring::compile::{self, CompileError};

/// What a copy is called together with what it repeats.
const ORIGIN: &str = "origin";

/// A new model and where it came from.
#[derive(Debug)]
pub struct Applied {
    /// The description with the changes.
    pub description: String,
    /// The model in canonical JSON.
    pub json: Vec<u8>,
    /// The same, ready for use.
    pub model: Model,
}

/// Why changes cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// They are changes of another model than the one in force.
    #[error("they are changes of model {found:.12}, and {in_force:.12} is in force")]
    Base {
        /// The model they are of.
        found: String,
        /// The model in force.
        in_force: String,
    },
    /// A list that neither the model knows nor the configuration.
    #[error("no source `{0}` is known")]
    Source(String),
    /// The description in force cannot be changed.
    #[error("the description in force does not read: {0}")]
    Description(String),
    /// What would come of it is no model.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The same.
    #[error(transparent)]
    Model(#[from] crate::scoring::ModelError),
}

/// Applies changes to the description of the model in force. `weighs_as` names the source of the
/// model whose weights a list of the configuration has.
pub fn apply(
    description: &str,
    in_force: &Model,
    changes: &Changes,
    weighs_as: impl Fn(&str) -> Option<String>,
) -> Result<Applied, ApplyError> {
    if changes.base != in_force.id() {
        let (found, in_force) = (changes.base.clone(), in_force.id().to_owned());
        return Err(ApplyError::Base { found, in_force });
    }
    let unreadable = |error: &dyn std::fmt::Display| ApplyError::Description(error.to_string());
    let mut root: Table = description.parse().map_err(|error| unreadable(&error))?;
    let mut draft = Draft { root: &mut root, weighs_as: &weighs_as };
    for copy in &changes.copies {
        draft.join(&copy.source, &copy.of)?;
    }
    for aggregator in &changes.aggregators {
        draft.source(&aggregator.source)?.insert("stage".to_owned(), Value::Integer(2));
    }
    for coupling in &changes.couplings {
        let [a, b] = &coupling.sources;
        draft.source(a)?;
        draft.source(b)?;
        let pairs = draft.table("pairs")?;
        pairs.remove(&format!("{b}|{a}"));
        pairs.insert(format!("{a}|{b}"), Value::Integer(coupling.after.into()));
    }
    for precision in &changes.precisions {
        let kind = precision.kind.as_str();
        let source = draft.source(&precision.source)?;
        let curve = source.get_mut(kind).and_then(Value::as_table_mut);
        let curve = curve.ok_or_else(|| ApplyError::Source(precision.source.clone()))?;
        let pi = f64::from(precision.after) / 1e6;
        curve.insert("pi".to_owned(), Value::Float(pi));
    }
    let description = toml::to_string(&root).map_err(|error| unreadable(&error))?;
    let json = compile::compile(&description)?.to_canonical();
    let model = Model::from_json(&json)?;
    Ok(Applied { description, json, model })
}

/// The description while it is changed.
struct Draft<'d> {
    root: &'d mut Table,
    weighs_as: &'d dyn Fn(&str) -> Option<String>,
}

impl Draft<'_> {
    fn table(&mut self, key: &str) -> Result<&mut Table, ApplyError> {
        let entry = self.root.entry(key).or_insert_with(|| Value::Table(Table::new()));
        let unfit = || ApplyError::Description(format!("`{key}` is no table"));
        entry.as_table_mut().ok_or_else(unfit)
    }

    /// The source of that name; a list that has the weights of another gets a place of its own.
    fn source(&mut self, id: &str) -> Result<&mut Table, ApplyError> {
        let like = (self.weighs_as)(id);
        let sources = self.table("sources")?;
        if !sources.contains_key(id) {
            let unknown = || ApplyError::Source(id.to_owned());
            let like = like.ok_or_else(unknown)?;
            let copied = sources.get(&like).cloned().ok_or_else(unknown)?;
            sources.insert(id.to_owned(), copied);
        }
        let found = sources.get_mut(id).and_then(Value::as_table_mut);
        found.ok_or_else(|| ApplyError::Source(id.to_owned()))
    }

    /// Makes two sources, and all that are copies of either, copies of each other.
    fn join(&mut self, copy: &str, of: &str) -> Result<(), ApplyError> {
        let origin = self.origin_of(of)?;
        let other = self.origin_of(copy)?;
        for (_, source) in self.table("sources")?.iter_mut() {
            let source = source.as_table_mut();
            let held = source.and_then(|source| source.get_mut(ORIGIN));
            if let Some(held) = held.filter(|held| held.as_str() == Some(&other)) {
                *held = Value::String(origin.clone());
            }
        }
        Ok(())
    }

    /// What all copies of a source are called; its own name where there was none yet.
    fn origin_of(&mut self, id: &str) -> Result<String, ApplyError> {
        let source = self.source(id)?;
        let held = source.get(ORIGIN).and_then(Value::as_str).map(str::to_owned);
        let origin = held.unwrap_or_else(|| id.to_owned());
        source.insert(ORIGIN.to_owned(), Value::String(origin.clone()));
        Ok(origin)
    }
}
