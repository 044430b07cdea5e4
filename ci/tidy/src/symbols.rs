//! Symbols in documents: a back-quoted `path/file.rs::symbol`, `module::symbol`, `Type::symbol`, or
//! a plain name with an underscore must exist in the sources.

use crate::source::{Source, has_word};

/// Crates and types of other projects, which documents may name freely.
const FOREIGN: &[&str] = &[
    "std",
    "core",
    "io",
    "libc",
    "rand",
    "parking_lot",
    "tokio",
    "Handle",
    "LocalKey",
    "ReentrantMutex",
    "Span",
    "ThreadRng",
    "crate",
];

/// Plain names that are defined elsewhere.
const FOREIGN_NAMES: &[&str] = &["in_scope", "pthread_cancel", "pthread_exit", "with_borrow"];

/// Returns the line and text of every symbol in `document` that the sources do not define.
pub(crate) fn dead(sources: &[Source], document: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, text, file) in quoted(document) {
        if let Some(source) = file.and_then(|path| sources.iter().find(|source| source.path == path)) {
            let name = text.trim_end_matches("()").rsplit("::").next().unwrap_or(text);
            if is_identifier(name) && !has_word(&source.code, name) {
                found.push((line, format!("{text}: {} does not have it", source.path)));
            }
            continue;
        }
        let text = text.trim_end_matches("()").trim_end_matches('!');
        let complaint = match text.split_once(".rs::") {
            Some((file, symbol)) => in_file(sources, &format!("{file}.rs"), symbol).err(),
            None if !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':') => None,
            None if text.contains("::") => by_path(sources, text).err(),
            None if text.contains('_') && !is_known_name(sources, text) => Some("no source has this name".to_owned()),
            None => None,
        };
        found.extend(complaint.map(|complaint| (line, format!("{text}: {complaint}"))));
    }
    found
}

/// Returns the back-quoted texts outside of code blocks with their lines.
///
/// For each text it also returns the file that must define it, as named in "`name` (`path`)" and
/// "`name` in `path`".
fn quoted(document: &str) -> Vec<(usize, &str, Option<&str>)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (n, line) in document.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let parts: Vec<&str> = line.split('`').collect();
            for at in (1..parts.len()).step_by(2) {
                let is_followed = matches!(parts.get(at + 1), Some(&" (" | &" in "));
                found.push((n + 1, parts[at], parts.get(at + 2).copied().filter(|_| is_followed)));
            }
        }
    }
    found
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Checks that the file `path` defines `symbol`, which may itself be a path, such as
/// `Type::method`.
pub(crate) fn in_file<'a>(sources: &'a [Source], path: &str, symbol: &str) -> Result<&'a Source, String> {
    let source = sources.iter().find(|source| source.path == path).ok_or_else(|| format!("there is no file {path}"))?;
    match symbol.split("::").find(|part| !source.defines(part) && !source.implements(part)) {
        Some(missing) => Err(format!("{path} does not define {missing}")),
        None => Ok(source),
    }
}

/// Checks a path that names no file.
///
/// Its next-to-last segment must be a module, a package or a type.
fn by_path(sources: &[Source], path: &str) -> Result<(), String> {
    let segments: Vec<&str> = path.split("::").collect();
    let [.., owner, name] = segments[..] else { return Ok(()) };
    if FOREIGN.contains(&segments[0]) {
        return Ok(());
    }
    let ours = || sources.iter().filter(|source| source.path.contains("/src/"));
    let mut owners = ours().filter(|source| is_module(source, owner) || source.implements(owner)).peekable();
    if owners.peek().is_none() {
        return Err(format!("there is no module or type {owner}"));
    }
    // A module may also re-export a name that another module defines.
    if owners.any(|source| has_word(&source.code, name)) { Ok(()) } else { Err(format!("{owner} has no {name}")) }
}

/// Returns `true` if `source` is the module or the root of the package `name`.
fn is_module(source: &Source, name: &str) -> bool {
    let path = source.path.strip_suffix(".rs").unwrap_or(&source.path);
    match path.strip_suffix("/lib").and_then(|path| path.strip_suffix("/src")) {
        Some("runtime") => name == "greenthread",
        Some(package) => name == package || name == format!("greenthread_{package}"),
        None => path.strip_suffix("/mod").unwrap_or(path).ends_with(&format!("/{name}")),
    }
}

fn is_known_name(sources: &[Source], name: &str) -> bool {
    // The tests of this package contain many names that do not exist.
    let mut others = sources.iter().filter(|source| !source.path.starts_with("ci/tidy/"));
    // Environment variables appear in strings.
    let is_variable = !name.contains(|c: char| c.is_lowercase());
    FOREIGN_NAMES.contains(&name)
        || others.any(|source| has_word(if is_variable { &source.text } else { &source.code }, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_symbols_are_found() {
        let sources = [
            Source::new("scheduler/src/wait/park.rs", "pub fn park_it() {}\nstruct Parked { since: u64 }\n"),
            Source::new("scheduler/src/gmp/p.rs", "impl<T> Queue<T> { fn push_fresh(&self) {} }\nenum E { A, B(u8) }"),
            Source::new("runtime/src/lib.rs", "pub use greenthread_scheduler::scope;"),
        ];
        let document = "`scheduler/src/wait/park.rs::park_it`, `park::Parked`, `Parked::since`, `Queue::push_fresh()`\n\
            `greenthread::scope`, `std::nothing`, `E::B`, `park_it`, `lower case`, `a + b::c`\n\
            `scheduler/src/wait/park.rs::gone`, `scheduler/src/gone.rs::park_it`, `Queue::push_next`, `gone::park_it`\n\
            `push_next`, `greenthread::gone`\n`push_fresh` in `scheduler/src/wait/park.rs`, `park_it` (`scheduler/src/wait/park.rs`)\n\
            ```\n`push_next`\n```\n";
        let found: Vec<_> = dead(&sources, document).into_iter().map(|(line, text)| format!("{line} {text}")).collect();
        assert_eq!(
            found,
            [
                "3 scheduler/src/wait/park.rs::gone: scheduler/src/wait/park.rs does not define gone",
                "3 scheduler/src/gone.rs::park_it: there is no file scheduler/src/gone.rs",
                "3 Queue::push_next: Queue has no push_next",
                "3 gone::park_it: there is no module or type gone",
                "4 push_next: no source has this name",
                "4 greenthread::gone: greenthread has no gone",
                "5 push_fresh: scheduler/src/wait/park.rs does not have it",
            ]
        );
    }
}
