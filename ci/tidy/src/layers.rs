//! The layer table: which module may import which.
//!
//! ARCHITECTURE.md holds the table in a block that opens with three back-quotes and `layers`:
//!
//! ```text
//! # scheduler
//! 0  primitive       std or loom         : -
//! 1  protocol::lock  a lock              : primitive
//! # channels (-> scheduler)
//! 0  error           errors              : -
//! ```
//!
//! A line with `#` opens a package and names the packages that it may use. A row has a level, a
//! module, and a description. After the last ` : ` it lists the modules that it may import, all of
//! lower levels. A module without a row belongs to the nearest module above it that has one.

use crate::source::Source;

pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) uses: Vec<String>,
    pub(crate) layers: Vec<Layer>,
}

pub(crate) struct Layer {
    pub(crate) level: u32,
    pub(crate) module: String,
    pub(crate) imports: Vec<String>,
}

/// Returns the name of a workspace package as it appears in a `use` line.
fn crate_name(package: &str) -> String {
    if package == "runtime" { "greenthread".to_owned() } else { format!("greenthread_{package}") }
}

/// All packages of the workspace, including those without a table.
const PACKAGES: &[&str] =
    &["scheduler", "channels", "ctx", "runtime", "macros", "examples", "benches", "models", "guide"];

pub(crate) fn parse(document: &str) -> Result<Vec<Package>, String> {
    let lines = document.lines().skip_while(|line| line.trim() != "```layers").skip(1);
    let mut packages: Vec<Package> = Vec::new();
    for line in lines.take_while(|line| line.trim() != "```").filter(|line| !line.trim().is_empty()) {
        if let Some(head) = line.strip_prefix('#') {
            packages.push(parse_package(head));
            continue;
        }
        let layer = parse_layer(line).ok_or_else(|| format!("not `level module description : imports`: {line}"))?;
        packages.last_mut().ok_or("the first line of the table names no package")?.layers.push(layer);
    }
    if packages.is_empty() { Err("no block opens with ```layers".to_owned()) } else { Ok(packages) }
}

fn parse_package(head: &str) -> Package {
    let (name, uses) = head.split_once('(').unwrap_or((head, ""));
    let uses = uses.split([')', ';']).next().unwrap_or("").replace("->", "");
    Package { name: name.trim().to_owned(), uses: names(&uses.replace(',', " ")), layers: Vec::new() }
}

fn parse_layer(line: &str) -> Option<Layer> {
    let (left, imports) = line.rsplit_once(" : ")?;
    let mut left = left.split_whitespace();
    let level = left.next()?.parse().ok()?;
    Some(Layer { level, module: left.next()?.to_owned(), imports: names(imports) })
}

fn names(list: &str) -> Vec<String> {
    list.split_whitespace().filter(|name| *name != "-").map(str::to_owned).collect()
}

/// Returns the mistakes in the table itself.
pub(crate) fn check_table(packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    for (n, package) in packages.iter().enumerate() {
        for used in package.uses.iter().filter(|used| *used != "macros") {
            if !packages[..n].iter().any(|lower| lower.name == *used) {
                found.push(format!("{} uses {used}, which has no table above it", package.name));
            }
        }
        for (n, layer) in package.layers.iter().enumerate() {
            if package.layers[..n].iter().any(|other| other.module == layer.module) {
                found.push(format!("{}: {} has two rows", package.name, layer.module));
            }
            for import in &layer.imports {
                match package.layers.iter().find(|other| other.module == *import) {
                    None => {
                        found.push(format!("{}: {} imports {import}, which has no row", package.name, layer.module))
                    }
                    Some(other) if other.level >= layer.level => {
                        found.push(format!(
                            "{}: {} imports {import}, whose level is not lower",
                            package.name, layer.module
                        ));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    found
}

/// Returns the imports of `package` that its rows do not allow, and its rows without a file.
pub(crate) fn check_sources(package: &Package, sources: &[&Source]) -> Vec<String> {
    let mut found = Vec::new();
    let modules: Vec<String> = sources.iter().map(|source| module_of(&package.name, &source.path)).collect();
    for layer in &package.layers {
        if !modules.contains(&layer.module) {
            found.push(format!("{}: the row {} has no file", package.name, layer.module));
        }
    }
    for (source, module) in sources.iter().zip(&modules) {
        if module.ends_with("tests") {
            continue;
        }
        let code = source.code_without_tests();
        found.extend(foreign(package, &code).into_iter().map(|text| format!("{}: {text}", source.path)));
        let edges = edges(&code, module);
        let is_parent = package.layers.iter().any(|layer| layer.module.starts_with(&format!("{module}::")));
        let Some(layer) = row(package, module) else {
            if !is_parent || !edges.is_empty() {
                found.push(format!("{}: the module {module} has no row", source.path));
            }
            continue;
        };
        for target in edges {
            match row(package, &target) {
                Some(other) if other.module == layer.module || layer.imports.contains(&other.module) => {}
                Some(other) => {
                    found.push(format!("{}: {} may not import {}", source.path, layer.module, other.module));
                }
                // `lib` names its own children, and the names that its crates re-export.
                None if module == "lib" => {}
                None => found.push(format!("{}: {target} belongs to no row", source.path)),
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Returns the workspace packages that `code` names but the table does not list.
fn foreign(package: &Package, code: &str) -> Vec<String> {
    let listed = |name: &&&str| package.uses.iter().any(|used| used == *name) || package.name == **name;
    let named = |name: &&&str| {
        let import = format!("use {};", crate_name(name));
        crate::source::has_word(code, &format!("{}::", crate_name(name))) || crate::source::has_word(code, &import)
    };
    let found = PACKAGES.iter().filter(named).filter(|name| !listed(name));
    found.map(|name| format!("may not use {name}")).collect()
}

/// Returns the module of a file: `machine::sys::memory` for `scheduler/src/machine/sys/memory.rs`.
fn module_of(package: &str, path: &str) -> String {
    let inside = path.strip_prefix(&format!("{package}/src/")).unwrap_or(path);
    let inside = inside.strip_suffix(".rs").unwrap_or(inside);
    inside.strip_suffix("/mod").unwrap_or(inside).replace('/', "::")
}

/// Returns the row of a path.
///
/// It is the row of the longest module in the table with which the path begins.
fn row<'a>(package: &'a Package, path: &str) -> Option<&'a Layer> {
    let covers = |module: &str| path == module || path.strip_prefix(module).is_some_and(|rest| rest.starts_with("::"));
    package.layers.iter().filter(|layer| covers(&layer.module)).max_by_key(|layer| layer.module.len())
}

/// Returns the paths that the code of `module` names inside its own crate.
fn edges(code: &str, module: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, word) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        // `$crate` occurs in a macro and is resolved where the macro is used.
        if !before.is_some_and(|c| c == '$' || c == '_' || c.is_alphanumeric()) {
            found.extend(leaves("", &code[at + word.len()..]));
        }
    }
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    for (at, word) in code.match_indices("super::") {
        if !code[..at].ends_with("super::") && !parent.is_empty() {
            found.extend(leaves(parent, &code[at + word.len()..]));
        }
    }
    if module == "lib" {
        for (at, word) in code.match_indices("use ") {
            found.extend(leaves("", &code[at + word.len()..]));
        }
        found.retain(|path| path.contains("::") && !path.starts_with("crate::"));
    }
    found
}

/// Returns the paths in a tree of imports: `a::{b, c::d}` yields `a::b` and `a::c::d`.
fn leaves(prefix: &str, tree: &str) -> Vec<String> {
    let join = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}::{name}") };
    let tree = tree.trim_start();
    if let Some(group) = tree.strip_prefix('{') {
        return branches(group).iter().flat_map(|branch| leaves(prefix, branch)).collect();
    }
    let end = tree.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(tree.len());
    let (name, rest) = tree.split_at(end);
    match rest.strip_prefix("::") {
        Some(rest) if !name.is_empty() => leaves(&join(name), rest),
        _ if name.is_empty() || name == "self" => vec![prefix.to_owned()],
        _ => vec![join(name)],
    }
}

/// Splits a group at its commas, up to the brace that closes it.
fn branches(group: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut depth, mut begin) = (0, 0);
    for (n, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                found.push(&group[begin..n]);
                begin = n + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found.retain(|branch| !branch.trim().is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "text
```layers
# scheduler
0  primitive     std or loom : atomics     : -
1  machine::sys  the platform              : primitive
2  g             a goroutine               : primitive machine::sys
3  lib           doors                     : g
# channels (-> scheduler; no more)
0  error         errors                    : -
```
";

    fn check(files: &[(&str, &str)]) -> Vec<String> {
        let packages = parse(TABLE).unwrap();
        assert_eq!(check_table(&packages), [""; 0]);
        let rest = [
            ("scheduler/src/primitive.rs", ""),
            ("scheduler/src/machine/mod.rs", "pub mod sys;"),
            ("scheduler/src/machine/sys/mod.rs", ""),
            ("scheduler/src/g.rs", ""),
            ("scheduler/src/lib.rs", ""),
        ];
        let rest = rest.iter().filter(|(path, _)| files.iter().all(|(other, _)| path != other));
        let sources: Vec<Source> = files.iter().chain(rest).map(|(path, text)| Source::new(path, text)).collect();
        check_sources(&packages[0], &sources.iter().collect::<Vec<_>>())
    }

    #[test]
    fn allowed_imports_pass() {
        let files = [
            ("scheduler/src/g.rs", "use crate::{primitive::{A, B}, machine::sys::memory::C};\n// crate::lib\n"),
            ("scheduler/src/machine/sys/memory.rs", "use super::super::x; use crate::primitive::A; use super::y;"),
            ("scheduler/src/lib.rs", "mod g;\npub use g::G; use std::fmt;"),
        ];
        assert_eq!(check(&files), [""; 0]);
    }

    #[test]
    fn upward_and_unlisted_imports_fail() {
        let found = check(&[("scheduler/src/primitive.rs", "use crate::{machine::sys::{self, X}};")]);
        assert_eq!(found, ["scheduler/src/primitive.rs: primitive may not import machine::sys"]);
        let found = check(&[("scheduler/src/lib.rs", "use primitive::A;")]);
        assert_eq!(found, ["scheduler/src/lib.rs: lib may not import primitive"]);
        let found = check(&[("scheduler/src/g.rs", "fn f() { crate::Thing::new() }")]);
        assert_eq!(found, ["scheduler/src/g.rs: Thing::new belongs to no row"]);
        let found = check(&[("scheduler/src/g.rs", "use greenthread_channels::Sender;")]);
        assert_eq!(found, ["scheduler/src/g.rs: may not use channels"]);
        let found = check(&[("scheduler/src/new.rs", "")]);
        assert_eq!(found, ["scheduler/src/new.rs: the module new has no row"]);
    }

    #[test]
    fn mistakes_in_the_table_are_found() {
        assert!(parse("no table").is_err());
        assert!(parse("```layers\n# a\nnonsense\n```").is_err());
        let packages = parse("```layers\n# a (-> b)\n0 x text : y\n0 y text : z\n0 x text : -\n```").unwrap();
        assert_eq!(check_table(&packages).len(), 4);
    }
}
