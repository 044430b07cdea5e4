//! Symbols in documents: a back-quoted `path/file.rs::symbol`, `module::symbol`, `Type::symbol`, or
//! a plain name with an underscore must exist in the sources.

use crate::source::{Source, has_word};

/// Names that are defined elsewhere: by the system, `std` or other crates, and environment
/// variables.
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

/// Returns the line and text of each name in `document` that no source contains.
///
/// A name is a code span such as `with_p`, `Stats::retakes` or `EXCLUDES`. In "`name` (`path`)" and
/// "`name` in `path`" the file at `path` must contain it.
pub(crate) fn missing(document: &str, sources: &[Source]) -> Vec<(usize, String)> {
    let is_part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words: HashSet<&str> = sources.iter().flat_map(|source| source.code.split(|c| !is_part_of_name(c))).collect();
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

/// Returns the name that a code span stands for, or `None` if it is not one of ours.
///
/// A name is an identifier that is not a plain English word, or the last part of a path.
fn symbol(span: &str) -> Option<&str> {
    let span = span.strip_suffix("()").unwrap_or(span);
    if !span.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':') || span.starts_with("std::") {
        return None;
    }
}

/// Returns the violations in the blocks of `document` that open with three back-quotes and `chain`.
///
/// Each line is a step: `path::symbol` and a description. The symbol must be a function or macro of
/// that file, and its body must name the symbol of the next step.
pub(crate) fn broken_chains(document: &str, sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    let mut steps: Option<Vec<(&str, &str)>> = None;
    for line in document.lines() {
        match &mut steps {
            None if line == "```chain" => steps = Some(Vec::new()),
            None => {}
            Some(chain) if line == "```" => {
                found.extend(check_chain(chain, sources));
                steps = None;
            }
            Some(chain) => match line.split_whitespace().next().and_then(|step| step.split_once("::")) {
                Some(step) => chain.push(step),
                None => found.push(format!("not `path::symbol`: {line}")),
            },
        }
    }
    let ours = || sources.iter().filter(|source| source.path.contains("/src/"));
    let mut owners = ours().filter(|source| is_module(source, owner) || source.implements(owner)).peekable();
    if owners.peek().is_none() {
        return Err(format!("there is no module or type {owner}"));
    }
    // A module may only export what another one defines.
    if owners.any(|source| has_word(&source.code, name)) { Ok(()) } else { Err(format!("{owner} has no {name}")) }
}

/// Returns the bodies of the functions and macros called `name`.
fn bodies<'a>(code: &'a str, name: &str) -> Vec<&'a str> {
    let heads = ["fn ", "macro_rules! "].into_iter().flat_map(|kind| {
        let head = format!("{kind}{name}");
        code.match_indices(&head).map(|(at, head)| at + head.len()).collect::<Vec<_>>()
    });
    let whole = heads.filter(|end| !code[*end..].starts_with(|c: char| c.is_alphanumeric() || c == '_'));
    whole.filter_map(|end| body(&code[end..])).collect()
}

/// Returns the text from the first brace to the one that closes it.
///
/// Returns `None` if a semicolon comes first, as in a trait.
fn body(rest: &str) -> Option<&str> {
    let open = rest.find(['{', ';']).filter(|at| rest[*at..].starts_with('{'))?;
    let mut depth = 0usize;
    for (at, c) in rest[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return Some(&rest[open..=open + at]),
            '}' => depth -= 1,
            _ => {}
        }
    }
}

fn is_known_name(sources: &[Source], name: &str) -> bool {
    // The tests of this package are full of names that do not exist.
    let mut others = sources.iter().filter(|source| !source.path.starts_with("ci/tidy/"));
    // Variables of the environment stand in strings.
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
