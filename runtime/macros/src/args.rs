//! What stands in the parentheses of the attribute.

use proc_macro::{Delimiter, Group, Span, TokenStream, TokenTree};

use crate::error::{Error, Result};
use crate::parse::{flatten, is_punct};

/// `crate = ".."` and `procs = [..]`.
pub(crate) struct Args {
    /// The path of the facade.
    pub(crate) facade: TokenStream,
    /// The bracketed list of numbers; empty if there is none.
    pub(crate) procs: Group,
}

impl Args {
    /// Reads the arguments of `attribute`; `procs` only if it takes it.
    pub(crate) fn parse(attribute: &str, takes_procs: bool, args: TokenStream) -> Result<Self> {
        let mut facade = None;
        let mut procs = None;
        let mut tokens = flatten(args).into_iter();
        while let Some(key) = tokens.next() {
            let place = key.span();
            let (name, value) = (key.to_string(), value(&key, tokens.next(), tokens.next())?);
            let twice = match name.as_str() {
                "crate" => facade.replace(path(value)?).is_some(),
                "procs" if takes_procs => procs.replace(numbers(value)?).is_some(),
                _ => {
                    let known = if takes_procs { "`procs = [..]` and `crate = \"..\"`" } else { "`crate = \"..\"`" };
                    return Err(Error::new(place, format!("`#[{attribute}]` has no argument `{name}`, only {known}")));
                }
            };
            if twice {
                return Err(Error::new(place, format!("`{name}` is given twice")));
            }
            match tokens.next() {
                Some(comma) if !is_punct(&comma, ',') => return Err(Error::new(comma.span(), "expected `,`")),
                _ => {}
            }
        }
        Ok(Self {
            facade: facade.unwrap_or_else(|| "::greenthread".parse().expect("a path is tokens")),
            procs: procs.unwrap_or_else(|| Group::new(Delimiter::Bracket, TokenStream::new())),
        })
    }
}

/// The value in `key = value`.
fn value(key: &TokenTree, equals: Option<TokenTree>, value: Option<TokenTree>) -> Result<TokenTree> {
    match (equals, value) {
        (Some(equals), Some(value)) if is_punct(&equals, '=') => Ok(value),
        (equals, _) => {
            let place = equals.map_or(key.span(), |token| token.span());
            Err(Error::new(place, format!("expected `{key} = ..`")))
        }
    }
}

/// The tokens of a path that is written as a string.
fn path(value: TokenTree) -> Result<TokenStream> {
    let wrong = || Error::new(value.span(), "expected a path in quotes, as in `crate = \"my::greenthread\"`");
    let text = value.to_string();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).ok_or_else(wrong)?;
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    let parts = text.strip_prefix("::").unwrap_or(text);
    if !parts.split("::").all(is_name) {
        return Err(wrong());
    }
    let path: TokenStream = text.parse().map_err(|_| wrong())?;
    Ok(at(path, value.span()))
}

/// The same tokens, standing at `span`: an unknown path is then reported where it is written.
fn at(tokens: TokenStream, span: Span) -> TokenStream {
    let at_span = |mut token: TokenTree| {
        token.set_span(span);
        token
    };
    tokens.into_iter().map(at_span).collect()
}

/// A list of numbers from 1 up, not empty.
fn numbers(value: TokenTree) -> Result<Group> {
    let text = "expected numbers of Ps from 1 up, as in `procs = [1, 2, 4]`";
    let list = match value {
        TokenTree::Group(list) if list.delimiter() == Delimiter::Bracket => list,
        other => return Err(Error::new(other.span(), text)),
    };
    if list.stream().is_empty() {
        return Err(Error::new(list.span(), text));
    }
    for (n, token) in flatten(list.stream()).into_iter().enumerate() {
        let right = match &token {
            TokenTree::Literal(number) => n % 2 == 0 && number.to_string().parse().is_ok_and(|n: usize| n > 0),
            comma => n % 2 == 1 && is_punct(comma, ','),
        };
        if !right {
            return Err(Error::new(token.span(), text));
        }
    }
    Ok(list)
}
