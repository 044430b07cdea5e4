//! Call chains in ARCHITECTURE.md: the path from one function to another, step by step.
//!
//! A chain is a block that opens with three back-quotes and `chain`, and has one step on each line:
//!
//! ```text
//! runtime/src/go.rs::spawn              starts a goroutine
//! scheduler/src/task/spawn.rs::spawn    makes its G
//! ```
//!
//! Each symbol must be defined in its file, and the body of its function or macro must name the
//! next step's symbol.

use crate::source::{Source, has_word};
use crate::symbols;

/// One step: its line in the document, its file and its symbol.
struct Step<'a> {
    line: usize,
    file: &'a str,
    symbol: &'a str,
}

impl Step<'_> {
    /// Returns the last part of the symbol: `method` of `Type::method`.
    fn name(&self) -> &str {
        self.symbol.rsplit("::").next().unwrap_or(self.symbol)
    }
}

/// Returns the errors in the chains in `document`, with their line numbers, and the number of
/// chains.
pub(crate) fn check(sources: &[Source], document: &str) -> (Vec<(usize, String)>, usize) {
    let mut found = Vec::new();
    let mut chains = 0;
    let mut lines = document.lines().enumerate();
    while let Some((_, line)) = lines.next() {
        if line.trim() != "```chain" {
            continue;
        }
        chains += 1;
        let mut steps: Vec<Step<'_>> = Vec::new();
        for (n, line) in lines.by_ref().take_while(|(_, line)| line.trim() != "```") {
            match line.split_whitespace().next().and_then(|step| step.split_once(".rs::").map(|(file, _)| (step, file)))
            {
                Some((step, file)) => {
                    let (file, symbol) = step.split_at(file.len() + ".rs".len());
                    steps.push(Step { line: n + 1, file, symbol: &symbol["::".len()..] });
                }
                None => found.push((n + 1, format!("not `path/file.rs::symbol`: {line}"))),
            }
        }
        for (n, step) in steps.iter().enumerate() {
            found.extend(check_step(sources, step, steps.get(n + 1)).err().map(|text| (step.line, text)));
        }
    }
    (found, chains)
}

fn check_step(sources: &[Source], step: &Step<'_>, next: Option<&Step<'_>>) -> Result<(), String> {
    let source = symbols::in_file(sources, step.file, step.symbol)?;
    let Some(next) = next else { return Ok(()) };
    let bodies = source.bodies(step.name());
    if bodies.is_empty() {
        return Err(format!("{} is no function and no macro", step.symbol));
    }
    if bodies.iter().any(|body| has_word(body, next.name())) {
        return Ok(());
    }
    Err(format!("{}::{} does not name {}", step.file, step.symbol, next.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(chain: &str) -> Vec<String> {
        let sources = [
            Source::new(
                "a/src/lib.rs",
                "macro_rules! go {\n ($f:expr) => { $crate::spawn($f) };\n}\nfn spawn() { make(1) }",
            ),
            Source::new(
                "a/src/task.rs",
                "impl Task {\n fn make(&self) -> u8 { /* start */ self.run() }\n}\nstruct Task;",
            ),
        ];
        let document = format!("text\n```chain\n{chain}```\n```sh\nnothing\n```\n");
        let (found, chains) = check(&sources, &document);
        assert_eq!(chains, 1);
        found.into_iter().map(|(line, text)| format!("{line} {text}")).collect()
    }

    #[test]
    fn a_chain_of_calls_passes() {
        let chain =
            "a/src/lib.rs::go            the macro\na/src/lib.rs::spawn\na/src/task.rs::Task::make  starts it\n";
        assert_eq!(checked(chain), [""; 0]);
    }

    #[test]
    fn a_broken_chain_is_found() {
        assert_eq!(checked("a/src/lib.rs::go\na/src/task.rs::Task::make\n"), ["3 a/src/lib.rs::go does not name make"]);
        assert_eq!(checked("a/src/lib.rs::gone\n"), ["3 a/src/lib.rs does not define gone"]);
        assert_eq!(checked("a/src/gone.rs::go\n"), ["3 there is no file a/src/gone.rs"]);
        assert_eq!(checked("spawn\n"), ["3 not `path/file.rs::symbol`: spawn"]);
        assert_eq!(checked("a/src/task.rs::Task\na/src/lib.rs::spawn\n"), ["3 Task is no function and no macro"]);
        // A comment does not call anything.
        assert_eq!(checked("a/src/task.rs::make\na/src/task.rs::start\n").len(), 2);
    }
}
