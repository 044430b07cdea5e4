//! The arguments of an attribute.

use proc_macro::{Delimiter, Group, Span, TokenStream, TokenTree};

use crate::error::{Error, Result};
use crate::parse::{Attribute, flatten, is_punct};

/// `crate = ".."` and `procs = [..]`.
pub(crate) struct Args {
    /// The path of the facade.
    pub(crate) facade: TokenStream,
    /// The bracketed list of numbers; empty if there is none.
    pub(crate) procs: Group,
}

impl Args {
    /// Reads the arguments of `attribute`.
    pub(crate) fn parse(attribute: Attribute, args: TokenStream) -> Result<Self> {
        let mut facade = None;
        let mut procs = None;
        let mut tokens = flatten(args).into_iter();
        while let Some(key) = tokens.next() {
            let name = key.to_string();
            let mut value = || value(&key, tokens.next(), tokens.next());
            let is_second = match name.as_str() {
                "crate" => facade.replace(path(value()?)?).is_some(),
                "procs" if attribute == Attribute::Test => procs.replace(numbers(value()?)?).is_some(),
                _ => return Err(unknown(attribute, &key)),
            };
            if is_second {
                return Err(Error::new(key.span(), format!("expected `{name}` once: remove one of them")));
            }
            if let Some(comma) = tokens.next().filter(|token| !is_punct(token, ',')) {
                return Err(Error::new(comma.span(), "expected a comma between arguments"));
            }
        }
        Ok(Self {
            facade: facade.unwrap_or_else(|| "::greenthread".parse().expect("a path is tokens")),
            procs: procs.unwrap_or_else(|| Group::new(Delimiter::Bracket, TokenStream::new())),
        })
    }
}

/// Rejects an argument that `attribute` does not take.
fn unknown(attribute: Attribute, key: &TokenTree) -> Error {
    let (known, instead) = match attribute {
        Attribute::Main => (
            "`crate = \"..\"`",
            "; to configure the runtime, call `greenthread::config::Config::install` in a plain `main`",
        ),
        Attribute::Test => ("`procs = [..]` or `crate = \"..\"`", ""),
    };
    Error::new(key.span(), format!("`{attribute}` expected {known}, found `{key}`{instead}"))
}

/// Returns the value in `key = value`.
fn value(key: &TokenTree, equals: Option<TokenTree>, value: Option<TokenTree>) -> Result<TokenTree> {
    match (equals, value) {
        (Some(equals), Some(value)) if is_punct(&equals, '=') => Ok(value),
        (equals, _) => {
            let place = equals.map_or(key.span(), |token| token.span());
            Err(Error::new(place, format!("expected a value, as in `{key} = ..`")))
        }
    }
}

/// Returns the tokens of a path that is written as a string.
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

/// Moves the tokens to `span`, so that an unknown path is reported where it is written.
fn at(tokens: TokenStream, span: Span) -> TokenStream {
    let at_span = |mut token: TokenTree| {
        token.set_span(span);
        token
    };
    tokens.into_iter().map(at_span).collect()
}

/// Returns a non-empty list of positive numbers.
fn numbers(value: TokenTree) -> Result<Group> {
    let text = "expected numbers of Ps, each at least 1, as in `procs = [1, 2, 4]`";
    let list = match value {
        TokenTree::Group(list) if list.delimiter() == Delimiter::Bracket => list,
        other => return Err(Error::new(other.span(), text)),
    };
    if list.stream().is_empty() {
        return Err(Error::new(list.span(), text));
    }
    for (n, token) in flatten(list.stream()).into_iter().enumerate() {
        let is_right = match &token {
            TokenTree::Literal(number) => n % 2 == 0 && number.to_string().parse().is_ok_and(|n: usize| n > 0),
            comma => n % 2 == 1 && is_punct(comma, ','),
        };
        if !is_right {
            return Err(Error::new(token.span(), text));
        }
    }
    Ok(list)
}
