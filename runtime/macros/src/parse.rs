//! The outline of a function: attributes, visibility, name, result, body.

use std::iter::Peekable;

use proc_macro::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

use crate::error::{Error, Result};

/// A plain function: no arguments, no generics, nothing in front of `fn` but attributes and visibility.
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

/// The tokens without the invisible brackets that `macro_rules!` puts around what it matched.
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
    /// Reads the item behind `attribute`, which is how the messages name it.
    pub(crate) fn parse(attribute: &str, item: TokenStream) -> Result<Self> {
        let mut tokens = flatten(item).into_iter().peekable();
        let attributes = attributes(attribute, &mut tokens)?;
        let visibility = visibility(&mut tokens);
        let fn_keyword = fn_keyword(attribute, &mut tokens)?;
        let Some(TokenTree::Ident(name)) = tokens.next() else {
            return Err(not_a_function(attribute, fn_keyword));
        };
        arguments(attribute, name.span(), &mut tokens)?;
        let (result, body) = result_and_body(attribute, name.span(), &mut tokens)?;
        Ok(Self { attributes, visibility, name, result, body })
    }
}

fn not_a_function(attribute: &str, span: Span) -> Error {
    Error::new(span, format!("`#[{attribute}]` goes in front of a function"))
}

fn attributes(attribute: &str, tokens: &mut Tokens) -> Result<TokenStream> {
    let mut attributes = TokenStream::new();
    while let Some(hash) = tokens.next_if(|token| is_punct(token, '#')) {
        let inside = tokens.next();
        if let Some(TokenTree::Group(group)) = &inside {
            let mut inside = group.stream().into_iter();
            if let (Some(TokenTree::Ident(name)), None) = (inside.next(), inside.next())
                && name.to_string() == "test"
            {
                let text = format!("`#[{attribute}]` makes the function a test already, or is not for tests");
                return Err(Error::new(name.span(), text));
            }
        }
        attributes.extend([hash]);
        attributes.extend(inside);
    }
    Ok(attributes)
}

fn visibility(tokens: &mut Tokens) -> TokenStream {
    let mut visibility = TokenStream::new();
    if let Some(keyword) = tokens.next_if(|token| is_ident(token, "pub")) {
        visibility.extend([keyword]);
        visibility.extend(tokens.next_if(|token| is_group(token, Delimiter::Parenthesis)));
    }
    visibility
}

/// The place of `fn`; complains about what stands before it.
fn fn_keyword(attribute: &str, tokens: &mut Tokens) -> Result<Span> {
    let token = tokens.next().ok_or_else(|| not_a_function(attribute, Span::call_site()))?;
    let (span, keyword) = (token.span(), token.to_string());
    match keyword.as_str() {
        "fn" => Ok(span),
        "async" => {
            let text = format!(
                "`#[{attribute}]` runs a plain function, which may block: remove `async` (and use \
                 `greenthread::block_on` where a future has to be waited for)"
            );
            Err(Error::new(span, text))
        }
        "const" | "unsafe" | "extern" | "safe" if may_precede_fn(tokens.peek()) => {
            Err(Error::new(span, format!("a function with `#[{attribute}]` cannot be `{keyword}`")))
        }
        _ => Err(not_a_function(attribute, span)),
    }
}

/// Whether `const`, say, begins a function here and not a constant.
fn may_precede_fn(next: Option<&TokenTree>) -> bool {
    match next {
        Some(TokenTree::Ident(next)) => ["fn", "async", "unsafe", "extern"].contains(&&*next.to_string()),
        Some(TokenTree::Literal(_)) => true,
        _ => false,
    }
}

fn arguments(attribute: &str, name: Span, tokens: &mut Tokens) -> Result<()> {
    match tokens.next() {
        Some(token) if is_punct(&token, '<') => {
            Err(Error::new(token.span(), format!("a function with `#[{attribute}]` cannot be generic")))
        }
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
            match group.stream().into_iter().next() {
                None => Ok(()),
                Some(_) => {
                    let text = format!("a function with `#[{attribute}]` cannot have arguments");
                    Err(Error::new(group.span(), text))
                }
            }
        }
        other => Err(not_a_function(attribute, other.map_or(name, |token| token.span()))),
    }
}

fn result_and_body(attribute: &str, name: Span, tokens: &mut Tokens) -> Result<(TokenStream, Group)> {
    let mut rest: Vec<TokenTree> = tokens.collect();
    let body = match rest.pop() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => group,
        other => {
            let span = other.map_or(name, |token| token.span());
            return Err(Error::new(span, format!("a function with `#[{attribute}]` needs a body")));
        }
    };
    if let Some(token) = rest.iter().find(|token| is_ident(token, "where")) {
        return Err(Error::new(token.span(), format!("a function with `#[{attribute}]` cannot be generic")));
    }
    // What is left is empty or `-> R`; the arrow is two tokens.
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

fn is_group(token: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == delimiter)
}
