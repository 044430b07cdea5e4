//! The outline of a function: attributes, visibility, name, result, body.

use std::fmt;
use std::iter::Peekable;

use proc_macro::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

use crate::error::{Error, Result};

/// The attribute that is expanded. It displays as users write it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attribute {
    Main,
    Test,
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "#[greenthread::main]",
            Self::Test => "#[greenthread::test]",
        })
    }
}

impl Attribute {
    /// Returns an error of the form "`#[attribute]` expected something: do this".
    fn expected(self, span: Span, what: impl fmt::Display) -> Error {
        Error::new(span, format!("`{self}` expected {what}"))
    }

    fn expected_function(self, span: Span) -> Error {
        self.expected(
            span,
            match self {
                Self::Main => "a function: write it in front of `fn main`",
                Self::Test => "a function: write it in front of the `fn` of a test",
            },
        )
    }
}

/// A plain function: no arguments, no generics, and only attributes and visibility in front of
/// `fn`.
pub(crate) struct Function {
    /// `#[..]`, each as two tokens.
    pub(crate) attributes: TokenStream,
    pub(crate) visibility: TokenStream,
    pub(crate) name: Ident,
    /// The type after `->`; empty if there is none, or if it is `()`.
    pub(crate) result: TokenStream,
    pub(crate) body: Group,
}

type Tokens = Peekable<std::vec::IntoIter<TokenTree>>;

/// Removes the invisible brackets that `macro_rules!` puts around what it has matched.
pub(crate) fn flatten(tokens: TokenStream) -> Vec<TokenTree> {
    let mut flat = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => flat.extend(flatten(group.stream())),
            token => flat.push(token),
        }
    }
    flat
}

impl Function {
    /// Reads the item after `attribute`.
    pub(crate) fn parse(attribute: Attribute, item: TokenStream) -> Result<Self> {
        let mut tokens = flatten(item).into_iter().peekable();
        let attributes = attributes(attribute, &mut tokens)?;
        let visibility = visibility(&mut tokens);
        let fn_keyword = fn_keyword(attribute, &mut tokens)?;
        let Some(TokenTree::Ident(name)) = tokens.next() else {
            return Err(attribute.expected_function(fn_keyword));
        };
        if attribute == Attribute::Main && name.to_string() != "main" {
            let text = format!("`fn main`, found `fn {name}`: rename it, or call it from `main`");
            return Err(attribute.expected(name.span(), text));
        }
        arguments(attribute, name.span(), &mut tokens)?;
        let (result, body) = result_and_body(attribute, name.span(), &mut tokens)?;
        Ok(Self { attributes, visibility, name, result, body })
    }
}

fn attributes(attribute: Attribute, tokens: &mut Tokens) -> Result<TokenStream> {
    let mut attributes = TokenStream::new();
    while let Some(hash) = tokens.next_if(|token| is_punct(token, '#')) {
        let inside = tokens.next();
        if let Some(TokenTree::Group(other)) = &inside
            && let Some(name) = last_of_path(other)
            && ["main", "test"].contains(&name.to_string().as_str())
        {
            let text = format!("no other `main` or `test` attribute: remove `#{other}`");
            return Err(attribute.expected(name.span(), text));
        }
        attributes.extend([hash]);
        attributes.extend(inside);
    }
    Ok(attributes)
}

/// Returns the last name in the path of an attribute, such as `test` in `[tokio::test(..)]`.
fn last_of_path(attribute: &Group) -> Option<Ident> {
    let path = attribute.stream().into_iter().take_while(|token| !matches!(token, TokenTree::Group(_)));
    match path.last() {
        Some(TokenTree::Ident(name)) => Some(name),
        _ => None,
    }
}

fn visibility(tokens: &mut Tokens) -> TokenStream {
    let mut visibility = TokenStream::new();
    if let Some(keyword) = tokens.next_if(|token| is_ident(token, "pub")) {
        visibility.extend([keyword]);
        visibility.extend(tokens.next_if(|token| is_group(token, Delimiter::Parenthesis)));
    }
    visibility
}

/// Returns the span of `fn`. Rejects any other token before it.
fn fn_keyword(attribute: Attribute, tokens: &mut Tokens) -> Result<Span> {
    let token = tokens.next().ok_or_else(|| attribute.expected_function(Span::call_site()))?;
    let (span, keyword) = (token.span(), token.to_string());
    match keyword.as_str() {
        "fn" => Ok(span),
        "async" => {
            let text = "a plain function: remove `async`, and wait for futures with `greenthread::block_on`";
            Err(attribute.expected(span, text))
        }
        "const" | "unsafe" | "extern" | "safe" if may_precede_fn(tokens.peek()) => {
            Err(attribute.expected(span, format!("a plain function: remove `{keyword}`")))
        }
        _ => Err(attribute.expected_function(span)),
    }
}

/// Returns `true` if a keyword such as `const` begins a function here and not a constant.
fn may_precede_fn(next: Option<&TokenTree>) -> bool {
    match next {
        Some(TokenTree::Ident(next)) => ["fn", "async", "unsafe", "extern"].contains(&&*next.to_string()),
        Some(TokenTree::Literal(_)) => true,
        _ => false,
    }
}

fn arguments(attribute: Attribute, name: Span, tokens: &mut Tokens) -> Result<()> {
    match tokens.next() {
        Some(token) if is_punct(&token, '<') => {
            Err(attribute.expected(token.span(), "a function that is not generic: remove `<..>`"))
        }
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
            if group.stream().is_empty() {
                return Ok(());
            }
            let text = match attribute {
                Attribute::Main => "a function without arguments: those of the program are in `std::env::args()`",
                Attribute::Test => "a function without arguments: remove them, and loop over the cases inside",
            };
            Err(attribute.expected(group.span(), text))
        }
        other => Err(attribute.expected_function(other.map_or(name, |token| token.span()))),
    }
}

fn result_and_body(attribute: Attribute, name: Span, tokens: &mut Tokens) -> Result<(TokenStream, Group)> {
    let mut rest: Vec<TokenTree> = tokens.collect();
    let body = match rest.pop() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => group,
        other => {
            let span = other.map_or(name, |token| token.span());
            return Err(attribute.expected(span, "a function with a body: add one in braces"));
        }
    };
    if let Some(token) = rest.iter().find(|token| is_ident(token, "where")) {
        return Err(attribute.expected(token.span(), "a function that is not generic: remove `where`"));
    }
    // The remaining tokens are empty or `-> R`; the arrow is two tokens.
    let result: Vec<TokenTree> = rest.into_iter().skip(2).collect();
    if let [TokenTree::Group(unit)] = &result[..]
        && unit.delimiter() == Delimiter::Parenthesis
        && unit.stream().is_empty()
    {
        return Ok((TokenStream::new(), body));
    }
    Ok((result.into_iter().collect(), body))
}

pub(crate) fn is_punct(token: &TokenTree, c: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == c)
}

fn is_ident(token: &TokenTree, name: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident.to_string() == name)
}

pub(crate) fn is_group(token: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == delimiter)
}
