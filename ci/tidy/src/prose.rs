//! The prose rules for comments, documentation and Markdown.

use crate::source::is_word;

/// The maximum width of a comment line and of a line of Markdown prose.
const COLUMNS: usize = 100;

/// A form that our texts must not contain.
///
/// `unless` lists the words that may follow it.
struct Banned {
    words: &'static str,
    unless: &'static [&'static str],
}

const fn banned(words: &'static str) -> Banned {
    Banned { words, unless: &[] }
}

/// The banned forms.
///
/// A form matches whole words, except at an end with `~`. ` .. ` stands for any text between two
/// parts. The match is case-sensitive if a form begins with a capital letter.
const BANNED: &[Banned] = &[
    banned("be it"),
    banned("see to it"),
    banned("sees to it"),
    banned("for ever"),
    Banned { words: "for nothing", unless: &["but", "else"] },
    banned("anew"),
    banned("so many .. one"),
    Banned { words: "it is no", unless: &["longer", "more", "less", "better"] },
    Banned { words: "which is no", unless: &["longer", "more", "less", "better"] },
    Banned { words: "that is no", unless: &["longer", "more", "less", "better"] },
    banned("has come to"),
    banned("have come to"),
    banned("the own"),
    banned("its own one"),
    banned("~. who"),
    banned("~; who"),
    banned("~, who"),
    banned("~: who"),
    banned("~( who"),
    banned("of who"),
    banned("for who"),
    banned("by who"),
    banned("to who"),
    banned("as who"),
    banned("from who"),
    banned("than who"),
    banned("Who"),
    banned("whom"),
    banned("is had"),
    banned("to be had"),
    banned("monitor"),
    banned("engine room"),
    banned("at rest"),
    banned("as well be"),
    banned("~colour~"),
    banned("~behaviour~"),
    banned("cancelled"),
    banned("cancelling"),
    banned("licence"),
    banned("~honour~"),
    banned("~favour~"),
    banned("~neighbour~"),
    banned("~optimis~"),
    banned("~initialis~"),
    banned("~synchronis~"),
    banned("~serialis~"),
    banned("~recognis~"),
    banned("~organis~"),
    banned("~realise~"),
    banned("somebody"),
    banned("nobody"),
    Banned { words: "one must", unless: &["come"] },
    banned("he gets"),
    banned("he waits"),
    banned("he wants"),
    banned("he has"),
    banned("he is"),
    banned("he runs"),
    banned("he can"),
    banned("he will"),
    banned("he must"),
    banned("letting the .. have"),
    banned("the like"),
    banned("thereof"),
    banned("whereof"),
    banned("therein"),
    banned("tell of"),
    banned("tells of"),
    banned("told of"),
];

/// The words that must not begin the summary of a function, since the summary begins with a verb.
const NO_VERBS: &[&str] = &["As", "Whether", "How", "What", "Who", "If", "When", "The", "A", "An", "Of", "To", "Like"];

/// The phrases that do not suffice as a safety comment, which must name an invariant.
const NO_INVARIANTS: &[&str] = &["as above", "see above", "the same", "caller's contract", "the caller's contract"];

/// Returns the line and the complaint for each violation in a Rust file.
pub(crate) fn check_rust(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut paragraph = Paragraph::default();
    let mut documentation = Paragraph::default();
    let mut fenced = false;
    for (n, line) in text.lines().enumerate() {
        let n = n + 1;
        let Some(comment) = comment_of(line) else {
            paragraph.end(&mut found);
            check_item(line, &mut documentation, &mut found);
            continue;
        };
        let is_long = line.chars().count() > COLUMNS && line.trim_start().starts_with("//");
        if is_long && !line.contains("http") {
            found.push((n, format!("a comment over {COLUMNS} columns")));
        }
        if let Some(invariant) = comment.strip_prefix("SAFETY:") {
            let invariant = invariant.trim().trim_end_matches('.').to_lowercase();
            if NO_INVARIANTS.contains(&&*invariant) {
                found.push((n, "a safety comment that names no invariant".to_owned()));
            }
        }
        if line.trim_start().starts_with("///") {
            documentation.push(n, comment);
        }
        if comment.starts_with("```") {
            fenced = !fenced;
        }
        if fenced || comment.is_empty() || comment.starts_with(['`', '|', '#', '*', '-']) {
            paragraph.end(&mut found);
        }
        // A heading may ask a question.
        if !fenced && !comment.starts_with("# ") {
            paragraph.push(n, comment);
        }
    }
    paragraph.end(&mut found);
    found
}

/// Returns the line and the complaint for each violation in a Markdown file.
pub(crate) fn check_markdown(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut paragraph = Paragraph::default();
    let mut fenced = false;
    for (n, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.starts_with("```") {
            fenced = !fenced;
        }
        if fenced || trimmed.is_empty() || trimmed.starts_with(['`', '|', '#', '*', '-']) {
            paragraph.end(&mut found);
        }
        if fenced {
            continue;
        }
        let may_be_long = trimmed.starts_with(['|', '#', '[']) || trimmed.starts_with("![") || !trimmed.contains(' ');
        if line.chars().count() > COLUMNS && !may_be_long {
            found.push((n + 1, format!("a line over {COLUMNS} columns")));
        }
        // A heading may ask a question.
        if !trimmed.starts_with('#') {
            paragraph.push(n + 1, trimmed);
        }
    }
    paragraph.end(&mut found);
    found
}

/// Returns the line and the complaint for each violation in a script or a manifest.
pub(crate) fn check_script(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut paragraph = Paragraph::default();
    for (n, line) in text.lines().enumerate() {
        match line.trim_start().strip_prefix('#') {
            Some(comment) if n > 0 => {
                if line.chars().count() > COLUMNS {
                    found.push((n + 1, format!("a comment over {COLUMNS} columns")));
                }
                paragraph.push(n + 1, comment.trim());
            }
            _ => paragraph.end(&mut found),
        }
    }
    paragraph.end(&mut found);
    found
}

/// A paragraph of several lines, in which a form is found even across line ends.
#[derive(Default)]
struct Paragraph {
    lines: Vec<(usize, String)>,
}

impl Paragraph {
    fn push(&mut self, line: usize, text: &str) {
        self.lines.push((line, without_code(text)));
    }

    /// Reports the banned forms in the paragraph, and begins a new one.
    fn end(&mut self, found: &mut Vec<(usize, String)>) {
        let text: Vec<&str> = self.lines.iter().map(|(_, text)| &**text).collect();
        let text = text.join(" ");
        for form in BANNED {
            for at in occurrences(&text, form) {
                let mut end = 0;
                let line = self.lines.iter().find(|(_, text)| {
                    end += text.len() + 1;
                    at < end
                });
                let line = line.map_or(0, |(line, _)| *line);
                found.push((line, format!("{:?}", form.words.replace('~', ""))));
            }
        }
        self.lines.clear();
    }
}

/// Returns the comment in a line of code, without its slashes.
fn comment_of(line: &str) -> Option<&str> {
    let trimmed = line.trim_start();
    if trimmed.starts_with("//") {
        return Some(trimmed.trim_start_matches(['/', '!']).trim());
    }
    let at = line.find(" // ")?;
    line[..at].matches('"').count().is_multiple_of(2).then(|| line[at + 4..].trim())
}

/// Replaces each back-quoted text with an `x`.
fn without_code(text: &str) -> String {
    let mut parts = text.split('`');
    let mut prose = parts.next().unwrap_or_default().to_owned();
    while let Some(_code) = parts.next() {
        prose.push_str("`x`");
        prose.push_str(parts.next().unwrap_or_default());
    }
    prose
}

/// Returns the positions of `form` in `text`.
fn occurrences(text: &str, form: &Banned) -> Vec<usize> {
    let is_capital = form.words.starts_with(char::is_uppercase);
    let text = if is_capital { text.to_owned() } else { text.to_ascii_lowercase() };
    let (first, rest) = form.words.split_once(" .. ").map_or((form.words, None), |(first, rest)| (first, Some(rest)));
    let mut found = whole(&text, first);
    if let Some(rest) = rest {
        let sentence_end = |from: usize| text[from..].find(". ").map_or(text.len(), |end| from + end);
        found.retain(|&at| !whole(&text[at..sentence_end(at)], rest).is_empty());
    }
    found.retain(|&at| {
        let next = text[at + first.len()..].trim_start();
        let next = next.split(|c| !is_word(c)).next().unwrap_or_default();
        !form.unless.iter().any(|word| next.eq_ignore_ascii_case(word))
    });
    found
}

/// Returns the positions of `words` in `text`.
///
/// Only whole words match, except at an end with `~`.
fn whole(text: &str, words: &str) -> Vec<usize> {
    let plain = words.trim_matches('~');
    let at_start = |at: usize| words.starts_with('~') || !text[..at].ends_with(is_word);
    let at_end = |end: usize| words.ends_with('~') || !text[end..].starts_with(is_word);
    text.match_indices(plain).map(|(at, _)| at).filter(|&at| at_start(at) && at_end(at + plain.len())).collect()
}

/// Checks the documentation of the item that begins in `line`, if one does.
fn check_item(line: &str, documentation: &mut Paragraph, found: &mut Vec<(usize, String)>) {
    let trimmed = line.trim_start();
    if trimmed.starts_with("#[") && !documentation.lines.is_empty() {
        return;
    }
    let lines = std::mem::take(&mut documentation.lines);
    let Some((first, _)) = lines.first() else { return };
    let summary: Vec<&str> = lines.iter().map(|(_, text)| &**text).take_while(|text| !text.is_empty()).collect();
    let summary = summary.join(" ");
    let is_public = trimmed.starts_with("pub ") || trimmed.starts_with("macro_rules!");
    let Some(keyword) = keyword_of(trimmed) else { return };
    if is_public {
        if sentences(&summary) > 1 {
            found.push((*first, "a summary of several sentences".to_owned()));
        }
        if !summary.ends_with(['.', '!', '?']) {
            found.push((*first, "a summary without a full stop".to_owned()));
        }
    }
    if keyword == "fn" {
        let word = summary.split([' ', ',']).next().unwrap_or_default();
        if NO_VERBS.contains(&word) {
            found
                .push((*first, format!("a function begins with a verb, as in \"Returns ...\", and not with {word:?}")));
        } else if is_public && word.starts_with(char::is_uppercase) && word.chars().all(is_word) && !word.ends_with('s')
        {
            found.push((*first, format!("a function begins with a verb in the third person, and not with {word:?}")));
        }
    }
}

/// Returns the keyword of the item that begins in `line`.
fn keyword_of(line: &str) -> Option<&str> {
    const KEYWORDS: &[&str] =
        &["fn", "struct", "enum", "trait", "type", "mod", "const", "static", "union", "macro_rules!"];
    const BEFORE: &[&str] = &["pub", "default", "const", "async", "unsafe", "extern", "\"C\""];
    let mut words = line.split_whitespace().peekable();
    loop {
        let word = words.next()?;
        let is_qualified = word == "const" && words.peek().is_some_and(|next| ["fn", "unsafe", "async"].contains(next));
        if KEYWORDS.contains(&word) && !is_qualified {
            return Some(word);
        }
        if !BEFORE.contains(&word) && !word.starts_with("pub(") {
            return None;
        }
    }
}

/// Returns the number of sentences.
///
/// A full stop, a colon or a semicolon ends a sentence if a capital letter follows.
fn sentences(text: &str) -> usize {
    const ABBREVIATIONS: &[&str] = &["e.g.", "i.e.", "vs.", "etc.", "cf."];
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_end = |pair: &[&str]| {
        pair[0].ends_with(['.', '!', '?', ':', ';'])
            && !ABBREVIATIONS.contains(&pair[0])
            && pair[1].trim_start_matches('[').starts_with(|c: char| c.is_uppercase() || c == '`')
    };
    1 + words.windows(2).filter(|pair| is_end(pair)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rust(text: &str) -> Vec<String> {
        check_rust(text).into_iter().map(|(line, text)| format!("{line} {text}")).collect()
    }

    #[test]
    fn good_text_passes() {
        let text = "/// Returns the number of waiters, those in `who` included.\n///\n/// More. And more.\n\
            #[must_use]\npub const fn waiters() -> usize {\n    1 // There is no way to be late.\n}\n\
            // SAFETY: the list is locked (I1).\nlet a = \"some//body\";\n\
            /// A list.\npub struct List;\n";
        assert_eq!(rust(text), [""; 0]);
        assert_eq!(check_markdown("# A title\n\nText.\n\n```sh\nsomebody\n```\n| somewhat | wide |\n"), []);
        assert_eq!(check_script("#!/usr/bin/env bash\n# Builds it.\nsomebody=1\n"), []);
    }

    #[test]
    fn banned_forms_are_found() {
        assert_eq!(
            rust("// It sees\n// to it. He said: Who waits?\n"),
            ["1 \"sees to it\"", "2 \": who\"", "2 \"Who\""]
        );
        assert_eq!(rust("// of so many threads one\n// it is no handle, and reorganised\n").len(), 3);
        assert_eq!(rust("let a = 1; // at rest\n"), ["1 \"at rest\""]);
        assert_eq!(rust("/// ```\n/// // somebody\n/// ```\n"), [""; 0]);
        assert_eq!(check_markdown("It is known,\n`who` knows.\n"), []);
        assert_eq!(check_markdown("- of\n- who of who\n"), [(2, "\"of who\"".to_owned())]);
        assert_eq!(check_script("\n# Runs it anew.\n"), [(2, "\"anew\"".to_owned())]);
    }

    #[test]
    fn long_lines_are_found() {
        let long = "word ".repeat(20) + "words";
        assert_eq!(rust(&format!("    // {long}\n")), ["1 a comment over 100 columns"]);
        assert_eq!(rust(&format!("    // https://{long}\n    let a = \"{long}\";\n")), [""; 0]);
        assert_eq!(check_markdown(&format!("{long}\n")), [(1, "a line over 100 columns".to_owned())]);
        assert_eq!(check_script(&format!("\n# {long}\n")).len(), 1);
    }

    #[test]
    fn summaries_are_one_sentence() {
        assert_eq!(rust("/// A list. It is long.\npub struct List;\n"), ["1 a summary of several sentences"]);
        assert_eq!(rust("/// A list: One.\npub struct List;\n"), ["1 a summary of several sentences"]);
        assert_eq!(rust("/// A list. It is long.\nstruct List;\n"), [""; 0]);
        assert_eq!(rust("/// A list\npub struct List;\n"), ["1 a summary without a full stop"]);
        assert_eq!(rust("/// The end.\nfn end() {}\n").len(), 1);
        assert_eq!(rust("/// Return the end.\npub unsafe extern \"C\" fn end() {}\n").len(), 1);
        assert_eq!(rust("/// Return the end.\nfn end() {}\n"), [""; 0]);
        assert_eq!(rust("/// The limit.\npub const LIMIT: u8 = 1;\n/// A field.\npub field: u8,\n"), [""; 0]);
    }

    #[test]
    fn safety_comments_name_an_invariant() {
        assert_eq!(rust("// SAFETY: as above.\n"), ["1 a safety comment that names no invariant"]);
        assert_eq!(rust("// SAFETY: as above: the list is locked.\n"), [""; 0]);
    }
}
