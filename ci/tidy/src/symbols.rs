//! Symbols in documents: names in the text, and chains of calls.

use std::collections::HashSet;

use crate::source::{Source, has_word};

/// Names of others: of the system, of `std`, of other crates, of environment variables.
const FOREIGN: &[&str] = &[
    "GREENTHREAD_CHAOS",
    "GREENTHREAD_MAXTHREADS",
    "GREENTHREAD_STACK",
    "O_NONBLOCK",
    "ReentrantMutex",
    "ThreadRng",
    "in_scope",
    "pthread_cancel",
    "pthread_exit",
    "with_borrow",
    "with_borrow_mut",
];

/// Returns line and text of each name in `document` that no source has.
///
/// A name is a code span such as `with_p`, `Stats::retakes` or `EXCLUDES`. In "`name` (`path`)" and
/// "`name` in `path`" that file must have it.
pub(crate) fn missing(document: &str, sources: &[Source]) -> Vec<(usize, String)> {
    let is_part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words: HashSet<&str> = sources.iter().flat_map(|source| source.code.split(|c| !is_part_of_name(c))).collect();
    let mut found = Vec::new();
    let mut fenced = false;
    for (n, line) in document.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let parts: Vec<&str> = line.split('`').collect();
        for at in (1..parts.len()).step_by(2) {
            let Some(name) = symbol(parts[at]) else { continue };
            let file = matches!(parts.get(at + 1), Some(&" (" | &" in ")).then(|| parts.get(at + 2)).flatten();
            let known = match file.and_then(|path| sources.iter().find(|source| source.path == **path)) {
                Some(source) => has_word(&source.code, name),
                None => words.contains(name) || FOREIGN.contains(&name),
            };
            if !known {
                found.push((n + 1, parts[at].to_owned()));
            }
        }
    }
    found
}

/// Returns the name that a code span means, if it is one of ours: an identifier that is not a plain
/// English word, or the last part of a path.
fn symbol(span: &str) -> Option<&str> {
    let span = span.strip_suffix("()").unwrap_or(span);
    if !span.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':') || span.starts_with("std::") {
        return None;
    }
    let name = span.rsplit("::").next()?;
    let telling = name.contains('_') || span.contains("::");
    (telling && name.len() > 2 && !name.starts_with(|c: char| c.is_ascii_digit())).then_some(name)
}

/// Returns what is wrong with the blocks of `document` that open with three back-quotes and `chain`.
///
/// Each line is a step, `path::symbol` and a description. The symbol must be a function or macro of
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
    found
}

fn check_chain(chain: &[(&str, &str)], sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for (n, (path, name)) in chain.iter().enumerate() {
        let source = sources.iter().find(|source| source.path == *path);
        let bodies = source.map(|source| bodies(&source.code, name)).unwrap_or_default();
        if bodies.is_empty() {
            found.push(format!("{path} has no function or macro {name}"));
        } else if let Some((_, next)) = chain.get(n + 1)
            && !bodies.iter().any(|body| has_word(body, next))
        {
            found.push(format!("{path}::{name} does not name {next}"));
        }
    }
    found
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

/// Returns what stands between the first brace and the one that closes it, unless there is a
/// semicolon first, as in a trait.
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
    None
}

#[test]
fn missing_symbols_are_found() {
    let sources = [Source::new("a.rs", "fn with_p() {}\n"), Source::new("b.rs", "struct S; fn push_fresh() {}\n")];
    let document =
        "`with_p` (`a.rs`), `push_fresh` in `a.rs`, `S::gone`, `word`\n```\n`no_such`\n```\n`Kind::push_fresh`";
    assert_eq!(missing(document, &sources), [(1, "push_fresh".to_owned()), (1, "S::gone".to_owned())]);
}

#[test]
fn broken_chains_are_found() {
    let sources =
        [Source::new("a.rs", "fn f() { if x { g() } }\nfn g();\nfn g() {}\n"), Source::new("b.rs", "fn h() {}\n")];
    let check = |chain: &str| broken_chains(&format!("```chain\n{chain}\n```\n"), &sources);
    assert!(check("a.rs::f  begins\na.rs::g  ends").is_empty());
    assert_eq!(check("a.rs::f\nb.rs::h"), ["a.rs::f does not name h"]);
    assert_eq!(check("b.rs::gone"), ["b.rs has no function or macro gone"]);
}
