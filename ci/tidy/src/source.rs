//! A Rust file, read without a parser.

use std::fs;
use std::path::Path;

pub(crate) struct Source {
    /// The path from the repository root, with `/` as the separator.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and the contents of quotes replaced by blanks.
    ///
    /// Every line and column stays in place.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn read(root: &Path, path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let path = path.strip_prefix(root).expect("found below the root");
        Self::new(&path.to_string_lossy().replace('\\', "/"), &text)
    }

    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: blank(text) }
    }

    /// Returns the name, the first line and the number of lines of each function that has a body.
    pub(crate) fn functions(&self) -> Vec<(String, usize, usize)> {
        let ends: Vec<usize> = self.code.match_indices('\n').map(|(at, _)| at).collect();
        let line_of = |at: usize| ends.partition_point(|&end| end < at) + 1;
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices("fn ").filter(|&(at, _)| starts_word(&self.code, at)) {
            let rest = self.code[at + 3..].trim_start();
            let name: String = rest.chars().take_while(|&c| is_word(c)).collect();
            if let Some(end) = body_of(&self.code, at).filter(|_| !name.is_empty()) {
                found.push((name, line_of(at), line_of(end) - line_of(at) + 1));
            }
        }
        found
    }

    /// Returns the bodies of all functions and macros with this name.
    pub(crate) fn bodies(&self, name: &str) -> Vec<&str> {
        let named = |at: usize, keyword: &str| {
            let rest = self.code[at + keyword.len()..].trim_start();
            rest.starts_with(name) && !rest[name.len()..].starts_with(is_word) && starts_word(&self.code, at)
        };
        let functions = self.code.match_indices("fn ").filter(|&(at, _)| named(at, "fn "));
        let functions = functions.filter_map(|(at, _)| body_of(&self.code, at).map(|end| &self.code[at + 3..end]));
        let macros = self.code.match_indices("macro_rules!").filter(|&(at, _)| named(at, "macro_rules!"));
        let macros = macros.filter_map(|(at, keyword)| {
            let open = at + self.code[at..].find('{')?;
            Some(&self.code[at + keyword.len()..closing_brace(&self.code, open)?])
        });
        // The name of the function is left out, because it would count as a call to itself.
        let bodies = functions.chain(macros).map(|body| body.trim_start().get(name.len()..).unwrap_or_default());
        bodies.collect()
    }

    /// Returns `true` if the file defines `name` as an item, a macro, a field, or a variant.
    pub(crate) fn defines(&self, name: &str) -> bool {
        const KEYWORDS: &[&str] =
            &["fn", "struct", "enum", "trait", "type", "const", "static", "union", "mod", "macro_rules!"];
        self.code.match_indices(name).any(|(at, _)| {
            let (before, after) = (&self.code[..at], &self.code[at + name.len()..]);
            if !starts_word(&self.code, at) || after.starts_with(is_word) {
                return false;
            }
            let last = before.split_whitespace().next_back().unwrap_or_default();
            let is_item = before.ends_with(char::is_whitespace) && KEYWORDS.contains(&last);
            // A field or a variant follows a brace, the comma of another field or variant, or its
            // visibility.
            let is_member = last.ends_with(['{', ',', '(', ']']) || last == "pub" || last.ends_with(')');
            is_item || is_member && after.trim_start().starts_with([':', ',', '(', '{', '}', '='])
        })
    }

    /// Returns `true` if the file defines the type `name` or has an `impl` for it.
    pub(crate) fn implements(&self, name: &str) -> bool {
        let is_header = |line: &str| {
            let line = line.trim_start();
            line.starts_with("impl") || line.starts_with("unsafe impl")
        };
        let defined = ["struct", "enum", "trait", "union", "type"]
            .iter()
            .any(|keyword| has_word(&self.code, &format!("{keyword} {name}")));
        defined || self.code.lines().any(|line| is_header(line) && has_word(line, name))
    }

    /// Returns the code without its `#[cfg(test)] mod tests { .. }`.
    pub(crate) fn code_without_tests(&self) -> String {
        let mut code = self.code.clone();
        while let Some(at) = code.find("#[cfg(test)]\nmod ") {
            let end = code[at..].find('{').and_then(|brace| closing_brace(&code, at + brace)).unwrap_or(code.len() - 1);
            code.replace_range(at..=end, "");
        }
        code
    }
}

pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn starts_word(text: &str, at: usize) -> bool {
    !text[..at].chars().next_back().is_some_and(is_word)
}

/// Returns `true` if `text` contains `word` as a whole word.
///
/// The word may end in a character that belongs to no identifier.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let ends = |end: usize| !word.ends_with(is_word) || !text[end..].chars().next().is_some_and(is_word);
    text.match_indices(word).any(|(at, _)| starts_word(text, at) && ends(at + word.len()))
}

/// Returns the position of the closing brace of the function at `at`, or `None` if it has no body.
fn body_of(code: &str, at: usize) -> Option<usize> {
    let mut depth = 0;
    for (n, c) in code[at..].char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ';' if depth == 0 => return None,
            '{' if depth == 0 => return closing_brace(code, at + n),
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    None
}

fn closing_brace(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0;
    for (n, c) in code[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return Some(open + n),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Returns the text with comments and literals replaced by blanks.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skip = literal_or_comment(rest, code.chars().next_back().is_some_and(is_word));
        if skip == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.extend(rest[..skip].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skip..];
        }
    }
    code
}

/// Returns the length of the comment or literal at the start of `rest`, or 0 if there is none.
fn literal_or_comment(rest: &str, inside_word: bool) -> usize {
    let until = |from: usize, end: &str| rest[from..].find(end).map_or(rest.len(), |n| from + n + end.len());
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if !inside_word {
        let hashes = rest.trim_start_matches(['b', 'c']);
        if let Some(hashes) = hashes.strip_prefix('r')
            && rest.len() - hashes.len() <= 2
        {
            let quote = hashes.trim_start_matches('#');
            let n = hashes.len() - quote.len();
            if quote.starts_with('"') {
                let begin = rest.len() - quote.len() + 1;
                return until(begin, &format!("\"{}", "#".repeat(n)));
            }
        }
    }
    match rest.chars().next() {
        Some('"') => quoted(rest, '"'),
        // A lifetime has no second quote.
        Some('\'') if rest[1..].starts_with('\\') || rest[1..].chars().nth(1) == Some('\'') => quoted(rest, '\''),
        _ => 0,
    }
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let (step, change) = match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step;
        depth += change;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (n, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return n + 1,
            _ => {}
        }
    }
    rest.len()
}

#[test]
fn comments_and_literals_are_blank() {
    let text = "a /* b /* c */ d */ e // f\n\"g \\\" h\" i r#\"j \" k\"# l 'm' '\\'' n<'o> br\"p\" \u{e4}";
    let source = Source::new("x.rs", text);
    assert_eq!(source.code.split_whitespace().collect::<Vec<_>>(), ["a", "e", "i", "l", "n<'o>", "\u{e4}"]);
    assert_eq!(source.code.chars().count(), text.chars().count());
}

#[test]
fn words_are_whole() {
    assert!(has_word("an unsafe block", "unsafe"));
    assert!(!has_word("unsafe_code and notunsafe", "unsafe"));
    assert!(has_word("#[cfg(unix)]", "cfg("));
    assert!(!has_word("mycfg(unix)", "cfg("));
}

#[test]
fn functions_are_measured() {
    let text = "trait T {\n fn none(a: [u8; 2]);\n}\nfn one() {}\n\nfn four(\n    f: fn(u8),\n) {\n}\n";
    let found = Source::new("x.rs", text).functions();
    assert_eq!(found, [("one".to_owned(), 4, 1), ("four".to_owned(), 6, 4)]);
}

#[test]
fn test_modules_can_be_left_out() {
    let source = Source::new("x.rs", "use crate::a;\n#[cfg(test)]\nmod tests {\n use crate::b;\n}\nuse crate::c;\n");
    let code = source.code_without_tests();
    assert!(code.contains("crate::a") && code.contains("crate::c") && !code.contains("crate::b"));
}
