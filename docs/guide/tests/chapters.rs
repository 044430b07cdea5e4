//! Checks that the book is complete: `SUMMARY.md`, the files, and the tested chapters agree, and
//! every link between chapters has a target.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn guide() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the paths of all chapters.
fn chapters() -> Vec<PathBuf> {
    let entries = fs::read_dir(guide().join("src")).expect("docs/guide/src exists");
    let paths = entries.map(|entry| entry.expect("docs/guide/src can be read").path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "md") && !path.ends_with("SUMMARY.md")).collect()
}

fn stem(path: &Path) -> String {
    path.file_stem().and_then(|stem| stem.to_str()).expect("chapters have names").to_owned()
}

/// Returns the targets of the links in a text, outside of its code.
fn links(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let prose: Vec<&str> = line.split('`').step_by(2).collect();
            found.extend(prose.iter().flat_map(|prose| prose.split("](").skip(1)).map(target));
        }
    }
    found
}

/// Returns the text up to the closing parenthesis.
fn target(rest: &str) -> &str {
    rest.split(')').next().unwrap_or(rest)
}

/// Returns the name of a heading in a link, as mdBook derives it.
fn anchor(heading: &str) -> String {
    let plain = heading.trim().to_lowercase().replace(' ', "-");
    plain.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
}

#[test]
fn every_file_is_in_the_summary() {
    let summary = read(&guide().join("src/SUMMARY.md"));
    let listed: BTreeSet<String> = links(&summary).iter().map(|link| stem(Path::new(link))).collect();
    let files: BTreeSet<String> = chapters().iter().map(|path| stem(path)).collect();
    assert_eq!(listed, files, "left: in SUMMARY.md; right: files");
}

#[test]
fn every_chapter_is_in_the_library() {
    let library = read(&guide().join("lib.rs"));
    let (_, list) = library.split_once("\nchapters! {").expect("lib.rs lists the chapters");
    let list = list.split('}').next().expect("the list ends");
    let tested: BTreeSet<String> = list.split_whitespace().map(str::to_owned).collect();
    let files: BTreeSet<String> = chapters().iter().map(|path| stem(path)).collect();
    assert_eq!(tested, files, "left: in lib.rs; right: files");
}

#[test]
fn links_have_targets() {
    let mut dead = Vec::new();
    for path in chapters() {
        for link in links(&read(&path)).into_iter().filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { guide().join("src").join(file) };
            let found = target.is_file()
                && (heading.is_empty()
                    || read(&target)
                        .lines()
                        .any(|line| line.starts_with('#') && anchor(line.trim_start_matches('#')) == heading));
            if !found {
                dead.push(format!("{}: {link}", stem(&path)));
            }
        }
    }
    assert!(dead.is_empty(), "links without a target: {dead:#?}");
}

#[test]
fn every_code_block_has_a_language_and_is_tested() {
    let mut unclear = Vec::new();
    for path in chapters() {
        let text = read(&path);
        let mut fences = text.lines().filter(|line| line.starts_with("```"));
        while let Some(opening) = fences.next() {
            if opening.len() == 3 || opening.contains("ignore") {
                unclear.push(format!("{}: {opening}", stem(&path)));
            }
            fences.next();
        }
    }
    assert!(unclear.is_empty(), "code blocks without a language or with `ignore`: {unclear:#?}");
}
