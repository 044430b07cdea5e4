//! Redis's patterns: `*`, `?`, `[abc]`, `[^a-z]`, and a backslash before a literal character.

/// Returns `true` if all of `text` matches `pattern`.
///
/// Only the last star ever has to be retried with one more byte: whatever an earlier star took in
/// addition, the later star would have to take less. So the time is at most the product of the
/// lengths, whereas the obvious recursion would take exponential time for `a*a*a*a*a*b`.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (pattern, text);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = p {
            p = rest;
            retry = Some((p, t));
        } else if let Some((&byte, text_rest)) = t.split_first()
            && let Some(next) = step(p, byte)
        {
            (p, t) = (next, text_rest);
        } else if p.is_empty() && t.is_empty() {
            return true;
        } else if let Some((after_star, [_, fewer @ ..])) = retry {
            (p, t) = (after_star, fewer);
            retry = Some((after_star, fewer));
        } else {
            return false;
        }
    }
}

/// Returns the pattern without its first element, if that element matches `byte`.
fn step(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [] => None,
        [b'?', rest @ ..] => Some(rest),
        [b'[', rest @ ..] => class(rest, byte),
        [b'\\', literal, rest @ ..] => (*literal == byte).then_some(rest),
        [literal, rest @ ..] => (*literal == byte).then_some(rest),
    }
}

/// Returns the pattern after the class if `byte` is in the class. `inside` begins after the opening
/// bracket. A class without an end extends to the end of the pattern.
fn class(inside: &[u8], byte: u8) -> Option<&[u8]> {
    let (negated, mut rest) = match inside {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, inside),
    };
    let mut found = false;
    loop {
        let (low, high);
        (low, high, rest) = match rest {
            [] => break,
            [b']', after @ ..] => {
                rest = after;
                break;
            }
            [b'\\', literal, after @ ..] => (*literal, *literal, after),
            [low, b'-', high, after @ ..] => (*low.min(high), *high.max(low), after),
            [literal, after @ ..] => (*literal, *literal, after),
        };
        found |= (low..=high).contains(&byte);
    }
    (found != negated).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_redis() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("", &[""], &["a"]),
            ("*", &["", "a", "any\nthing"], &[]),
            ("h?llo", &["hello", "hallo"], &["hllo", "heello"]),
            ("h*llo", &["hllo", "heeeello", "hlllo"], &["hell", "hllox"]),
            ("h[ae]llo", &["hello", "hallo"], &["hillo", "hllo"]),
            ("h[^e]llo", &["hallo"], &["hello"]),
            ("h[a-c]llo", &["hallo", "hcllo"], &["hdllo"]),
            ("h[c-a]llo", &["hbllo"], &["hdllo"]),
            ("[a\\]]", &["a", "]"], &["\\", "b"]),
            ("[ab", &["a", "b"], &["c", "[ab"]),
            ("\\*", &["*"], &["a", "\\*"]),
            ("a\\", &["a\\"], &["a"]),
            ("*a*b*c", &["abc", "xaxbxc", "aabbcc", "abcabc"], &["acb", "abcx"]),
            ("**", &["", "a"], &[]),
        ];
        for (pattern, yes, no) in cases {
            for text in *yes {
                assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern:?} must match {text:?}");
            }
            for text in *no {
                assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern:?} must not match {text:?}");
            }
        }
    }

    #[test]
    fn many_stars_match_in_polynomial_time() {
        assert!(!matches(format!("{}b", "a*".repeat(50)).as_bytes(), "a".repeat(2000).as_bytes()));
    }
}
