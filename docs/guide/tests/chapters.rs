//! That the book is whole: `SUMMARY.md`, the files and the tested chapters are the same, and links between chapters lead somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn guide() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The chapters' files.
fn chapters() -> Vec<PathBuf> {
    let entries = fs::read_dir(guide().join("src")).expect("the book has a source");
    let paths = entries.map(|entry| entry.expect("a folder that can be opened can be read").path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "md") && !path.ends_with("SUMMARY.md")).collect()
}

fn stem(path: &Path) -> String {
    path.file_stem().and_then(|stem| stem.to_str()).expect("chapters have names").to_owned()
}

/// Where the links of a text lead, outside of its code.
fn links(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let prose: Vec<&str> = line.split('`').step_by(2).collect();
            found.extend(prose.iter().flat_map(|prose| prose.split("](").skip(1)).map(link));
        }
    }
    found
}

/// What stands before the closing bracket.
fn link(rest: &str) -> &str {
    rest.split(')').next().unwrap_or(rest)
}

/// What a heading is called in a link, as mdBook makes it.
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
fn every_chapter_is_tested() {
    let library = read(&guide().join("lib.rs"));
    let (_, list) = library.split_once("\nchapters! {").expect("lib.rs lists the chapters");
    let list = list.split('}').next().expect("the list ends");
    let tested: BTreeSet<String> = list.split_whitespace().map(str::to_owned).collect();
    let files: BTreeSet<String> = chapters().iter().map(|path| stem(path)).collect();
    assert_eq!(tested, files, "left: in lib.rs; right: files");
}

#[test]
fn links_lead_somewhere() {
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
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn code_says_what_is_done_with_it() {
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
    assert!(unclear.is_empty(), "a language for each block, and no code that is passed over: {unclear:#?}");
}
