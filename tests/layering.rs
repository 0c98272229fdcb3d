//! Holds every path in `src` against the order of the rooms in `src/layers.txt`, the page that the crate doc shows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::buffer::{Cursor, TokenBuffer};
use syn::visit::{self, Visit};

const PAGE: &str = include_str!("../src/layers.txt");

/// Rooms that the page already names and that are still to be built.
const PLANNED: [&str; 0] = [];

/// For each room the rooms that it may import from, itself not among them.
#[derive(Debug)]
struct Layers {
    may_use: BTreeMap<String, BTreeSet<String>>,
}

impl Layers {
    fn parse(page: &str) -> Self {
        let block = page.split("```text\n").nth(1).and_then(|rest| rest.split("```").next());
        let mut may_use = BTreeMap::new();
        let mut above = BTreeSet::new();
        for line in block.expect("the page shows the order in a text block").lines() {
            let (chain, without) = line.split_once("without").unwrap_or((line, ""));
            let without: BTreeSet<String> = names(without).collect();
            let mut known: BTreeSet<String> = above.difference(&without).cloned().collect();
            for level in chain.split("->") {
                for room in names(level) {
                    assert!(may_use.insert(room, known.clone()).is_none(), "a room stands twice in `{line}`");
                }
                known.extend(names(level));
                above.extend(names(level));
            }
        }
        Self { may_use }
    }

    fn has(&self, room: &str) -> bool {
        self.may_use.contains_key(room)
    }

    fn allows(&self, room: &str, other: &str) -> bool {
        room == other || self.may_use.get(room).is_some_and(|rooms| rooms.contains(other))
    }
}

fn names(list: &str) -> impl Iterator<Item = String> {
    list.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// Walks one file, knowing in which module it stands, and gathers what breaks the order.
struct Checker<'a> {
    layers: &'a Layers,
    file: &'a str,
    module: Vec<String>,
    violations: Vec<String>,
}

impl Checker<'_> {
    fn report(&mut self, path: &[String], reason: &str) {
        let room = self.module.first().map_or("the crate root", String::as_str);
        self.violations.push(format!("{}: `{}` in {room}: {reason}", self.file, path.join("::")));
    }

    /// The path from the crate root, or `None` where it starts neither at the root nor at a parent module.
    fn resolve(&self, path: &[String]) -> Option<Vec<String>> {
        let mut at = match path.first()?.as_str() {
            "crate" | "$crate" => Vec::new(),
            "super" | "self" => self.module.clone(),
            _ => return None,
        };
        for segment in path {
            match segment.as_str() {
                "crate" | "$crate" | "self" => {}
                "super" => drop(at.pop()),
                name => at.push(name.to_owned()),
            }
        }
        Some(at)
    }

    fn check(&mut self, path: &[String]) {
        let (Some(room), Some(target)) = (self.module.first().cloned(), self.resolve(path)) else { return };
        match target.first() {
            None => self.report(path, "names the crate root, which hides the room that is used"),
            Some(other) if !self.layers.has(other) => self.report(path, "does not lead into a room of the order"),
            Some(other) if !self.layers.allows(&room, other) => {
                self.report(path, &format!("{room} must not know {other}"));
            }
            Some(_) => {}
        }
    }

    fn check_use(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.check_use(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.check(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.check(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.check(prefix),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.check_use(prefix, tree)),
        }
    }

    /// Paths among tokens that no one has parsed: what stands in the brackets of a macro or an attribute.
    fn check_tokens(&mut self, mut at: Cursor) {
        while !at.eof() {
            let (path, after_path) = leading_path(at);
            if !path.is_empty() {
                self.check_token_path(&path);
                at = after_path;
            } else if let Some((inner, _, _, after)) = at.any_group() {
                self.check_tokens(inner);
                at = after;
            } else if let Some((literal, after)) = at.literal() {
                self.check_literal(&literal.to_string());
                at = after;
            } else {
                at = at.token_tree().expect("not at the end").1;
            }
        }
    }

    /// A string such as serde's `with = "crate::units"`; any other string is no path.
    fn check_literal(&mut self, literal: &str) {
        if let Ok(path) = syn::parse_str::<syn::LitStr>(literal).and_then(|string| string.parse::<syn::Path>()) {
            self.check_token_path(&segments(&path));
        }
    }

    /// A word alone is no use of a room here: `self` as a value, `pub(crate)` handed to a macro, a message.
    fn check_token_path(&mut self, path: &[String]) {
        if path.len() > 1 {
            self.check(path);
        }
    }
}

fn segments(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// The path `a::b::c` that starts here, and what follows it; empty where no identifier stands here.
fn leading_path(start: Cursor) -> (Vec<String>, Cursor) {
    let (mut path, mut at) = (Vec::new(), start);
    while let Some((ident, after)) = at.ident() {
        path.push(ident.to_string());
        at = after;
        let colon = |at: Cursor<'_>| at.punct().is_some_and(|(punct, _)| punct.as_char() == ':');
        let Some((_, second)) = at.punct().filter(|(punct, _)| punct.as_char() == ':') else { break };
        if !colon(second) {
            break;
        }
        let (_, after) = second.punct().expect("a colon stands here");
        if after.ident().is_none() {
            break;
        }
        at = after;
    }
    (path, at)
}

impl<'ast> Visit<'ast> for Checker<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.check_use(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.check(&segments(path));
        visit::visit_path(self, path);
    }

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.check(&segments(&call.path));
        self.check_tokens(TokenBuffer::new2(call.tokens.clone()).begin());
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("path") {
            self.report(&["#[path]".to_owned()], "a module must lie where its name says");
        } else if let syn::Meta::List(list) = &attribute.meta {
            self.check_tokens(TokenBuffer::new2(list.tokens.clone()).begin());
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        item.attrs.iter().for_each(|attribute| self.visit_attribute(attribute));
        self.module.push(item.ident.to_string());
        item.content.iter().flat_map(|(_, items)| items).for_each(|item| self.visit_item(item));
        self.module.pop();
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        if item.ident == "self" {
            self.report(&["extern crate self".to_owned()], "hides the room that is used");
        }
    }
}

/// What breaks the order in one file; `file` is its path below `src`.
fn violations(layers: &Layers, file: &str, source: &str) -> Vec<String> {
    let module = module_of(file);
    if module.first().is_some_and(|room| !layers.has(room)) {
        return vec![format!("{file}: {} is no room of the order", module[0])];
    }
    let parsed = syn::parse_file(source).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut checker = Checker { layers, file, module, violations: Vec::new() };
    checker.visit_file(&parsed);
    checker.violations
}

fn module_of(file: &str) -> Vec<String> {
    let mut module: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod" || last == "lib") {
        module.pop();
    }
    module
}

/// Every source file below `src` but the command's `main.rs`, which may use the whole library.
fn sources() -> BTreeMap<String, String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    let mut folders: Vec<PathBuf> = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("src is readable") {
            let path = entry.expect("src is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && path != src.join("main.rs") {
                let name = path.strip_prefix(&src).expect("below src").to_str().expect("UTF-8").to_owned();
                found.insert(name, fs::read_to_string(&path).expect("src is readable"));
            }
        }
    }
    found
}

#[test]
fn imports_in_src_point_one_way() {
    let layers = Layers::parse(PAGE);
    let found: Vec<String> = sources().iter().flat_map(|(file, source)| violations(&layers, file, source)).collect();
    assert!(found.is_empty(), "against src/layers.txt:\n{}", found.join("\n"));
}

#[test]
fn every_room_of_the_page_exists_or_is_planned() {
    let built: BTreeSet<String> = sources().keys().filter_map(|file| module_of(file).first().cloned()).collect();
    for room in Layers::parse(PAGE).may_use.keys() {
        let planned = PLANNED.contains(&room.as_str());
        assert!(built.contains(room) != planned, "{room}: built, or planned in tests/layering.rs, not both or neither");
    }
}

#[test]
fn the_page_is_read_as_it_says() {
    let layers = Layers::parse(PAGE);
    assert!(layers.allows("network", "units") && !layers.allows("units", "network"));
    assert!(!layers.allows("network", "accel") && !layers.allows("accel", "network"));
    assert!(layers.allows("nn", "search") && layers.allows("nn", "torch") && !layers.allows("nn", "data"));
    assert!(!layers.allows("train", "pareto") && !layers.allows("train", "plot") && !layers.allows("train", "report"));
    assert!(!layers.allows("search", "torch"));
    assert!(layers.allows("jobs", "export") && layers.allows("jobs", "report") && layers.allows("jobs", "train"));
    assert!(layers.may_use["cli"].len() == layers.may_use.len() - 1);
}

/// `accel` lies below `estimate`, `estimate` below `space`, and `network` beside `accel`.
fn in_estimate(source: &str) -> Vec<String> {
    violations(&Layers::parse(PAGE), "estimate/lower.rs", source)
}

#[test]
fn paths_to_the_left_and_within_a_room_are_allowed() {
    let fine = [
        "use crate::accel::{Accelerator, tiling::Tile}; use super::advice; use crate::estimate::Estimate;",
        "use std::fs; use serde::Serialize; mod inner { use super::super::advice; use crate::units::*; }",
        "pub(crate) fn f(x: crate::units::Cycles) -> Vec<super::Estimate> { vec![crate::network::f(x)] }",
        "#[cfg(test)] mod tests { use super::*; }",
        "#[serde(default = \"super::one\")] struct S { pub(in crate::estimate) a: u8 }",
        "/// Shown by [`crate::cli`].\nfn f() { println!(\"crate\"); }",
    ];
    for source in fine {
        assert_eq!(in_estimate(source), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn every_way_to_write_a_forbidden_path_is_found() {
    let forbidden = [
        "use crate::space::Space;",
        "use crate::{units::Cycles, space::{Space}};",
        "use crate::space as under_another_name;",
        "use super::super::space::Space;",
        "pub use self::super::super::cli::run;",
        "mod inner { use super::super::super::space::Space; }",
        "fn f() { use crate::space::Space; }",
        "fn f(x: &crate::space::Space) {}",
        "fn f() -> Option<Vec<crate::space::Space>> { None }",
        "fn f() { crate::space::derive(); }",
        "fn f() { <crate::space::Space as Default>::default(); }",
        "impl crate::space::Derive for X {}",
        "fn f() { assert_eq!(1, (crate::space::count)()); }",
        "fn f() { vec![vec![super::super::space::one()]]; }",
        "crate::space::declare!();",
        "#[derive(crate::space::Derive)] struct S;",
        "#[serde(with = \"crate::space\")] struct S;",
        "struct S { #[serde(default = \"crate::space::one\")] a: u8 }",
    ];
    for source in forbidden {
        let found = in_estimate(source);
        assert_eq!(found.len(), 1, "{source}: {found:?}");
        assert!(found[0].contains("estimate must not know"), "{found:?}");
    }
}

#[test]
fn rooms_on_one_level_do_not_know_each_other() {
    let found = violations(&Layers::parse(PAGE), "network/mod.rs", "use crate::accel::Accelerator;");
    assert_eq!(found, ["network/mod.rs: `crate::accel::Accelerator` in network: network must not know accel"]);
}

#[test]
fn what_hides_a_room_is_refused() {
    for source in ["use crate::*;", "use crate as systole;", "use super::super::*;", "extern crate self as systole;"] {
        let found = in_estimate(source);
        assert!(found.len() == 1 && found[0].contains("hides the room"), "{source}: {found:?}");
    }
    for source in ["use crate::Space;", "use crate::prelude::*;"] {
        let found = in_estimate(source);
        assert!(found.len() == 1 && found[0].contains("does not lead into a room"), "{source}: {found:?}");
    }
    assert_eq!(in_estimate("#[path = \"../space/mod.rs\"] mod other;").len(), 1);
}

#[test]
fn a_folder_that_is_no_room_is_refused() {
    let found = violations(&Layers::parse(PAGE), "helpers/mod.rs", "");
    assert_eq!(found, ["helpers/mod.rs: helpers is no room of the order"]);
}

#[test]
fn the_crate_root_may_name_every_room() {
    let source = "pub mod cli; pub use crate::cli::run; pub use self::units::Cycles;";
    assert_eq!(violations(&Layers::parse(PAGE), "lib.rs", source), Vec::<String>::new());
}
