//! Paths in documents: a back-quoted path must lead to a file or a folder.

use std::path::Path;

/// Endings that make a back-quoted word a file name.
const ENDINGS: &[&str] = &[".rs", ".md", ".toml", ".sh", ".lock"];

/// Returns the line and text of every back-quoted path in `document` that does not exist.
pub(crate) fn dead(root: &Path, document: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (n, line) in document.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let quoted = line.split('`').skip(1).step_by(2);
            let paths = quoted.filter(|text| is_path(root, text)).flat_map(alternatives);
            found.extend(paths.filter(|path| !root.join(path).exists()).map(|path| (n + 1, path)));
        }
    }
    found
}

/// Returns `true` if `text` names a file of the repository: it has one of the endings, or begins
/// with a folder of the repository.
fn is_path(root: &Path, text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./{},".contains(c);
    if text.is_empty() || text.starts_with(['/', '-']) || !text.chars().all(plain) {
        return false;
    }
    let below_a_folder = text.split_once('/').is_some_and(|(first, _)| !first.is_empty() && root.join(first).is_dir());
    below_a_folder || ENDINGS.iter().any(|ending| text.ends_with(ending) && text.len() > ending.len())
}

/// Expands braces: `a/{b,c}.rs` gives `a/b.rs` and `a/c.rs`.
fn alternatives(text: &str) -> Vec<String> {
    match text.split_once('{').and_then(|(front, rest)| Some((front, rest.split_once('}')?))) {
        Some((front, (names, back))) => names.split(',').map(|name| format!("{front}{name}{back}")).collect(),
        None => vec![text.to_owned()],
    }
}

#[test]
fn dead_paths_are_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = "`src/lib.rs` and `src/{lib,gone}.rs`, `and/or`, `a::b`, `.rs`\n```\n`no/file.rs`\n```\n`gone.md`";
    assert_eq!(dead(root, document), [(1, "src/gone.rs".to_owned()), (5, "gone.md".to_owned())]);
}
