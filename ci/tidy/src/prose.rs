//! The rules for words that a machine can check: `CONTRIBUTING.md` has all of them.

/// The maximum width of a comment line, and of a line of Markdown prose.
const WIDTH: usize = 100;

/// What must not appear, in lower case and with spaces for word boundaries. Code spans are exempt.
const BANNED: &[&str] = &[
    " be it ",
    " sees to it ",
    " for nothing ",
    " anew ",
    " has come to ",
    " have come to ",
    " the own ",
    " monitor ",
    " he waits ",
    " he gets ",
    " he wants ",
    " of who ",
    " for who ",
    " colour ",
    " behaviour ",
    " cancelled ",
    " licence ",
    " for ever ",
];

/// How a sentence must not go on, and how none may begin: the actor has a name.
const FREE_WHO: &[&str] = &[", who ", "; who ", ": who ", ". who "];

/// How the description of a function must not begin: it begins with a verb.
const NO_VERB: &[&str] = &["The ", "A ", "An ", "As ", "Whether ", "How ", "What ", "Who ", "If ", "Of ", "To "];

/// Returns the findings in a Rust file: line and text.
pub(crate) fn check_rust(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (n, line) in text.lines().enumerate() {
        let Some(comment) = comment(line) else {
            fenced = false;
            continue;
        };
        if line.trim_start().starts_with("//") && line.chars().count() > WIDTH && !line.contains("://") {
            found.push((n + 1, format!("over {WIDTH} columns")));
        }
        if comment.starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.extend(forms(comment).map(|form| (n + 1, form)));
        }
    }
    found
}

/// Returns the findings in a Markdown file: line and text.
pub(crate) fn check_markdown(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (n, line) in text.lines().enumerate() {
        let start = line.trim_start();
        if start.starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let is_prose = !start.starts_with(['|', '#', '!']) && start.contains(' ');
            if is_prose && line.chars().count() > WIDTH && !line.contains("](") {
                found.push((n + 1, format!("over {WIDTH} columns")));
            }
            found.extend(forms(line).map(|form| (n + 1, form)));
        }
    }
    found
}

/// Returns the findings in the summaries of a Rust file: line and text.
pub(crate) fn check_summaries(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut block: Vec<&str> = Vec::new();
    let mut begin = 0;
    for (n, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if let Some(doc) = line.strip_prefix("///") {
            if block.is_empty() {
                begin = n + 1;
            }
            block.push(doc.trim());
        } else if !line.starts_with("#[") || block.is_empty() {
            let summary = block.iter().take_while(|line| !line.is_empty()).copied().collect::<Vec<_>>().join(" ");
            if !summary.is_empty() && line.starts_with("pub ") {
                found.extend(summary_faults(&summary, is_function(line)).map(|fault| (begin, fault)));
            }
            block.clear();
        }
    }
    found
}

/// Returns what is wrong with a summary.
fn summary_faults(summary: &str, function: bool) -> impl Iterator<Item = String> {
    let plain = without_code(summary);
    let ends = plain.match_indices(['.', '!', '?']).filter(|(at, _)| {
        let rest = plain[at + 1..].strip_prefix(' ');
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_uppercase() || c == '`'))
    });
    let several = (ends.count() > 0).then(|| format!("a summary is one sentence: {summary}"));
    let open = (!plain.ends_with(['.', '!', '?'])).then(|| format!("a summary ends with a period: {summary}"));
    let noun = (function && NO_VERB.iter().any(|word| summary.starts_with(word)))
        .then(|| format!("a function's summary begins with a verb: {summary}"));
    several.into_iter().chain(open).chain(noun)
}

fn is_function(line: &str) -> bool {
    let modifiers = ["pub", "const", "unsafe", "async", "extern", "\"C\""];
    line.split_whitespace().find(|word| !modifiers.contains(word)) == Some("fn")
}

/// Returns the text of a comment line, or of the comment at the end of a line of code.
fn comment(line: &str) -> Option<&str> {
    let start = line.trim_start();
    if start.starts_with("//") {
        return Some(start.trim_start_matches(['/', '!']).trim());
    }
    let (code, comment) = line.split_once(" // ")?;
    (code.matches('"').count() % 2 == 0).then_some(comment.trim())
}

/// Returns the banned forms in a line.
fn forms(line: &str) -> impl Iterator<Item = String> {
    let plain = without_code(line).to_lowercase();
    let who = FREE_WHO.iter().filter(|form| plain.contains(**form)).map(|form| form.trim().to_owned());
    let mut words = String::from(" ");
    for c in plain.chars() {
        words.push(if c.is_alphanumeric() || c == '\'' { c } else { ' ' });
    }
    words.push(' ');
    let banned = BANNED.iter().filter(|form| words.contains(**form)).map(|form| form.trim().to_owned());
    let at_start = plain.starts_with("who ").then(|| "Who".to_owned());
    who.chain(banned).chain(at_start).map(|form| format!("\"{form}\"")).collect::<Vec<_>>().into_iter()
}

/// Returns `text` with an `x` for each code span.
fn without_code(text: &str) -> String {
    text.split('`').enumerate().map(|(n, part)| if n % 2 == 0 { part } else { "x" }).collect()
}

#[test]
fn banned_forms_are_found() {
    let found = check_rust("// It comes anew; who waits, waits for nothing.\nlet x = 1; // The own one.\n// `anew`\n");
    let texts: Vec<_> = found.iter().map(|(line, text)| (*line, text.as_str())).collect();
    assert_eq!(texts, [(1, "\"; who\""), (1, "\"for nothing\""), (1, "\"anew\""), (2, "\"the own\"")]);
    assert_eq!(check_rust(&format!("// {}\n", "a ".repeat(60))).len(), 1);
    assert_eq!(check_markdown(&format!("{}\n| {} |\n", "a ".repeat(60), "a ".repeat(60))).len(), 1);
}

#[test]
fn summaries_are_checked() {
    let fault = |text: &str| check_summaries(text).len();
    assert_eq!(fault("/// Returns it. Never blocks.\npub fn f() {}\n"), 1);
    assert_eq!(fault("/// Whether it is there.\n#[inline]\npub fn f() -> bool {}\n"), 1);
    assert_eq!(fault("/// No period\npub struct S;\n"), 1);
    assert_eq!(fault("/// Returns it, see `a. B`.\n///\n/// Never. Blocks.\npub fn f() {}\n"), 0);
    assert_eq!(fault("/// A private thing. Yes.\nfn f() {}\n"), 0);
    assert_eq!(fault("/// A type.\npub struct S<F = fn()>(F);\n"), 0);
}
