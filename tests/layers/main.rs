//! The shape of the sources, read from the sources.
//!
//! `src/lib.rs` lists the modules bottom-up and a blank line starts a layer. A module may name
//! itself and modules of earlier layers, in `use` lines, in paths and in tests alike. Besides, each
//! file says first what it is for, `unsafe` stands in named files only, and no module is named
//! for being left over.

mod lexer;

use std::path::Path;
use std::{fs, io};

use lexer::{Token, tokens};

/// Files with `unsafe` code, each with the system call or library that has no safe form.
const UNSAFE_FILES: [(&str, &str); 2] =
    [("disk/map.rs", "mmap(2)"), ("resolver/batch.rs", "recvmmsg(2), sendmmsg(2)")];

/// Names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 8] =
    ["utils", "util", "common", "helpers", "helper", "core", "misc", "shared"];

/// A file below `src/`.
struct Source {
    /// Such as `zone/mod.rs`.
    path: String,
    text: String,
}

impl Source {
    /// The module of `src/lib.rs` to which the file belongs.
    fn module(&self) -> &str {
        self.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    /// How many modules deep the file is: 1 for `zone.rs` and `zone/mod.rs`, 2 for `zone/soa.rs`.
    fn depth(&self) -> usize {
        self.path.trim_end_matches("/mod.rs").split('/').count()
    }
}

/// The modules of `src/lib.rs` with the number of their layer.
struct Layers(Vec<(String, usize)>);

impl Layers {
    fn read(lib: &str) -> Result<Layers, String> {
        let (mut modules, mut layer, mut blank) = (Vec::new(), 0, false);
        for line in lib.lines().filter(|l| !l.starts_with("//!")) {
            if line.trim().is_empty() {
                blank = true;
                continue;
            }
            let name = line.strip_prefix("pub mod ").and_then(|l| l.strip_suffix(';'));
            let name =
                name.ok_or_else(|| format!("src/lib.rs holds only modules, not `{line}`"))?;
            layer += usize::from(std::mem::take(&mut blank));
            modules.push((name.to_owned(), layer));
        }
        Ok(Layers(modules))
    }

    fn of(&self, module: &str) -> Option<usize> {
        self.0.iter().find(|(name, _)| name == module).map(|(_, layer)| *layer)
    }

    /// What is wrong with `module` naming `target`.
    fn fault(&self, module: &str, target: &str) -> Option<String> {
        let Some(own) = self.of(module) else {
            return Some(format!("`{module}` does not stand in src/lib.rs"));
        };
        match self.of(target) {
            None => Some(format!("`crate::{target}` is no module of src/lib.rs")),
            Some(_) if target == module => None,
            Some(layer) if layer < own => None,
            Some(layer) if layer == own => Some(format!(
                "`{module}` and `{target}` are of one layer and may not know each other"
            )),
            Some(_) => Some(format!("`{target}` is above `{module}`, which may not import it")),
        }
    }
}

/// Every place that names a module at the root of the crate, by `crate::` or by enough `super::`.
fn root_modules(source: &Source) -> Vec<Token<'_>> {
    let tokens = tokens(&source.text);
    let mut found = Vec::new();
    // For each open brace, whether it is the body of a module.
    let mut braces = Vec::new();
    for at in 0..tokens.len() {
        match word(&tokens, at) {
            "{" => braces.push(at > 1 && word(&tokens, at - 2) == "mod"),
            "}" => drop(braces.pop()),
            "crate" if word(&tokens, at + 1) == "::" => {
                below(&tokens, at + 2, 0, &mut found);
            }
            "super" if !continues_supers(&tokens, at) => {
                let depth = source.depth() + braces.iter().filter(|is_module| **is_module).count();
                below(&tokens, at, depth, &mut found);
            }
            _ => {}
        }
    }
    found
}

fn word<'t>(tokens: &[Token<'t>], at: usize) -> &'t str {
    tokens.get(at).map_or("", |token| token.text)
}

fn continues_supers(tokens: &[Token], at: usize) -> bool {
    at > 1 && word(tokens, at - 1) == "::" && word(tokens, at - 2) == "super"
}

/// Follows a path or a group of paths from `at`, where `depth` more `super`s lead to the root, and
/// collects what it names there.
fn below<'t>(tokens: &[Token<'t>], at: usize, depth: usize, found: &mut Vec<Token<'t>>) {
    match (word(tokens, at), word(tokens, at + 1)) {
        ("{", _) => {
            group(tokens, at).into_iter().for_each(|path| below(tokens, path, depth, found))
        }
        ("super", "::") if depth > 0 => below(tokens, at + 2, depth - 1, found),
        ("self", "::") => below(tokens, at + 2, depth, found),
        ("self", _) => {}
        _ if depth == 0 => found.extend(tokens.get(at)),
        _ => {}
    }
}

/// Where the paths of the group that opens at `at` begin.
fn group(tokens: &[Token], at: usize) -> Vec<usize> {
    let (mut depth, mut starts) = (0, vec![at + 1]);
    for next in at..tokens.len() {
        match word(tokens, next) {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 1 => starts.push(next + 1),
            _ => {}
        }
        if depth == 0 {
            starts.retain(|start| *start < next);
            break;
        }
    }
    starts
}

/// Everything in which the sources do not keep to the shape, one line each.
fn faults(lib: &str, sources: &[Source], unsafe_files: &[(&str, &str)]) -> Vec<String> {
    let layers = match Layers::read(lib) {
        Ok(layers) => layers,
        Err(fault) => return vec![fault],
    };
    let mut faults = Vec::new();
    for source in sources {
        let mut fault = |line: usize, text: String| {
            faults.push(format!("src/{}:{line}: {text}", source.path));
        };
        if !source.text.starts_with("//!") {
            fault(1, "the file does not open with `//!`".to_owned());
        }
        for name in source.path.trim_end_matches(".rs").split('/') {
            if EMPTY_NAMES.contains(&name) {
                fault(1, format!("`{name}` says nothing of what is inside"));
            }
        }
        for target in root_modules(source) {
            if let Some(text) = layers.fault(source.module(), target.text) {
                fault(target.line, text);
            }
        }
        if !unsafe_files.iter().any(|(path, _)| *path == source.path)
            && let Some(token) =
                tokens(&source.text).iter().find(|t| matches!(t.text, "unsafe" | "unsafe_code"))
        {
            fault(token.line, "`unsafe` outside the files named for it".to_owned());
        }
    }
    faults.extend(stale(sources, unsafe_files));
    faults
}

/// Files named for `unsafe` that have none any more.
fn stale(sources: &[Source], unsafe_files: &[(&str, &str)]) -> Vec<String> {
    let has_unsafe = |path: &str| {
        let source = sources.iter().find(|s| s.path == path);
        source.is_some_and(|s| tokens(&s.text).iter().any(|t| t.text == "unsafe"))
    };
    let named = unsafe_files.iter().filter(|(path, _)| !has_unsafe(path));
    named.map(|(path, _)| format!("src/{path}: named for `unsafe`, but has none")).collect()
}

/// The files below `folder`, by path.
fn read_sources(folder: &Path, prefix: &str, sources: &mut Vec<Source>) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            read_sources(&entry.path(), &format!("{path}/"), sources)?;
        } else if path.ends_with(".rs") && !matches!(path.as_str(), "lib.rs" | "main.rs") {
            sources.push(Source { path, text: fs::read_to_string(entry.path())? });
        }
    }
    Ok(())
}

#[test]
fn the_sources_keep_to_their_shape() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = fs::read_to_string(folder.join("lib.rs"))?;
    let mut sources = Vec::new();
    read_sources(&folder, "", &mut sources)?;
    assert!(sources.len() > 10, "only {} sources found", sources.len());
    let faults = faults(&lib, &sources, &UNSAFE_FILES);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    Ok(())
}

#[cfg(test)]
mod proof {
    //! The test above can fail: each fault is made once in sources that exist here only.

    use super::*;

    const LIB: &str =
        "//! A program.\n\npub mod model;\n\npub mod names;\npub mod zone;\n\npub mod cli;\n";

    fn faults_of(path: &str, code: &str) -> Vec<String> {
        let source = Source { path: path.to_owned(), text: format!("//! Purpose.\n{code}\n") };
        faults(LIB, &[source], &[])
    }

    #[track_caller]
    fn refuses(path: &str, code: &str, fault: &str) {
        assert_eq!(faults_of(path, code), [format!("src/{path}:2: {fault}")]);
    }

    #[track_caller]
    fn accepts(path: &str, code: &str) {
        assert_eq!(faults_of(path, code), [""; 0]);
    }

    const UPWARD: &str = "`cli` is above `zone`, which may not import it";

    #[test]
    fn imports_of_lower_layers_and_of_oneself_are_accepted() {
        accepts("zone/mod.rs", "use crate::model::{Name, rule::Rule}; mod soa; use soa::Soa;");
        accepts("zone/soa.rs", "use super::Zone; use super::super::model::Name;");
        accepts("zone/soa.rs", "use crate::zone::Zone; pub(in crate::zone) fn f() {}");
        accepts("cli/mod.rs", "use crate::{model, names::Table, zone::{self, Zone}};");
    }

    #[test]
    fn an_upward_import_is_refused_however_it_is_written() {
        for code in [
            "use crate::cli;",
            "pub use crate::cli::main;",
            "use crate::{model::Name, cli::main};",
            "use crate::{\n    model, cli};",
            "fn f() { crate::cli::main() }",
            "fn f() -> Vec<crate::cli::Command> { Vec::new() }",
            "use super::cli::main;",
            "use super::{model::Name, cli};",
            "mod inner { use super::super::cli::main; }",
            "mod inner { use super::{super::cli::main, Zone}; }",
            "fn f() { { use super::cli; } }",
            "macro_rules! m { () => { $crate::cli::main() } }",
            "#[cfg(test)] mod tests { use super::*; use crate::cli::main; }",
        ] {
            let faults = faults_of("zone/mod.rs", code);
            assert_eq!(faults.len(), 1, "{code}: {faults:?}");
            assert!(faults[0].ends_with(UPWARD), "{code}: {faults:?}");
        }
        refuses("zone/soa.rs", "use super::super::cli;", UPWARD);
        refuses("zone.rs", "use super::cli;", UPWARD);
    }

    #[test]
    fn modules_of_one_layer_do_not_know_each_other() {
        let fault = "`zone` and `names` are of one layer and may not know each other";
        refuses("zone/mod.rs", "use crate::names::Table;", fault);
    }

    #[test]
    fn the_whole_crate_and_unknown_modules_cannot_be_imported() {
        refuses("zone/mod.rs", "use crate::*;", "`crate::*` is no module of src/lib.rs");
        refuses("zone/mod.rs", "use super::*;", "`crate::*` is no module of src/lib.rs");
        refuses("zone/mod.rs", "use crate::rumour;", "`crate::rumour` is no module of src/lib.rs");
        refuses("stray.rs", "use crate::model;", "`stray` does not stand in src/lib.rs");
    }

    #[test]
    fn a_word_in_a_comment_or_a_string_is_no_import() {
        accepts("zone/mod.rs", "// crate::cli\n/* super::cli */ const A: &str = \"crate::cli\";");
        accepts("zone/mod.rs", "fn f(s: &str) -> bool { s.contains('\"') } // crate::cli");
    }

    #[test]
    fn unsafe_code_stands_in_named_files_only() {
        let fault = "`unsafe` outside the files named for it";
        refuses("zone/mod.rs", "fn f() { unsafe { g() } }", fault);
        refuses("zone/mod.rs", "#![allow(unsafe_code)]", fault);
        let source = || Source {
            path: "zone/map.rs".to_owned(),
            text: "//! Maps.\nfn f() { unsafe { g() } }".to_owned(),
        };
        assert_eq!(faults(LIB, &[source()], &[("zone/map.rs", "mmap")]), [""; 0]);
        let stale = faults(LIB, &[source()], &[("zone/map.rs", "mmap"), ("zone/soa.rs", "none")]);
        assert_eq!(stale, ["src/zone/soa.rs: named for `unsafe`, but has none"]);
    }

    #[test]
    fn a_file_says_first_what_it_is_for() {
        let source = Source { path: "zone/mod.rs".to_owned(), text: "use std::fmt;".to_owned() };
        let faults = faults(LIB, &[source], &[]);
        assert_eq!(faults, ["src/zone/mod.rs:1: the file does not open with `//!`"]);
    }

    #[test]
    fn no_module_is_named_for_being_left_over() {
        let faults = faults_of("zone/utils.rs", "");
        assert_eq!(faults, ["src/zone/utils.rs:1: `utils` says nothing of what is inside"]);
    }

    #[test]
    fn the_list_of_layers_holds_nothing_but_modules() {
        let faults = faults("//! A program.\n\npub mod model;\npub use model::Name;\n", &[], &[]);
        assert_eq!(faults, ["src/lib.rs holds only modules, not `pub use model::Name;`"]);
    }
}
