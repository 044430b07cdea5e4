//! How numbers are written in the report and in the charts.

use std::fmt::Write as _;

/// The width of prose in the report.
const COLUMNS: usize = 100;

/// Formats a figure with three significant digits, or with all digits before the decimal point.
pub(crate) fn figure(value: f64) -> String {
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.decimals$}")
}

/// Formats a ratio as in the tables.
pub(crate) fn ratio_text(ratio: f64) -> String {
    if ratio.is_finite() { format!("{ratio:.2}") } else { "∞".to_owned() }
}

pub(crate) fn workers_text(workers: usize) -> String {
    format!("{workers} {}", if workers == 1 { "worker" } else { "workers" })
}

/// Appends a line.
pub(crate) fn push(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("writing to a string cannot fail");
}

/// Appends a paragraph or a list item, wrapped at 100 columns. Later lines begin with `indent`.
pub(crate) fn push_wrapped(text: &mut String, prose: &str, indent: &str) {
    let mut words = prose.split(' ');
    let mut line = words.next().unwrap_or_default().to_owned();
    for word in words {
        if line.chars().count() + 1 + word.chars().count() > COLUMNS {
            push(text, &line);
            line = format!("{indent}{word}");
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    push(text, &line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        assert_eq!([4.083, 35.8, 225.84, 15530.2].map(figure), ["4.08", "35.8", "226", "15530"]);
    }

    #[test]
    fn prose_is_wrapped_between_words() {
        let mut text = String::new();
        let word = "x".repeat(48);
        push_wrapped(&mut text, &format!("* {word} {word} {word}"), "  ");
        assert_eq!(text, format!("* {word} {word}\n  {word}\n"));
    }

    #[test]
    fn ratios_have_two_decimals_or_are_infinite() {
        assert_eq!([f64::INFINITY, 0.5].map(ratio_text), ["∞", "0.50"]);
    }
}
