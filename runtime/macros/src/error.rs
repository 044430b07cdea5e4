//! Errors that point to a place in the user's code.

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// What was expected, and where.
pub(crate) struct Error {
    span: Span,
    text: String,
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(span: Span, text: impl Into<String>) -> Self {
        Self { span, text: text.into() }
    }

    /// Returns `::core::compile_error! { "text" }` at the place of the error.
    pub(crate) fn into_compile_error(self) -> TokenStream {
        let punct = |c, spacing| TokenTree::from(Punct::new(c, spacing));
        let ident = |name| TokenTree::from(Ident::new(name, self.span));
        let text = TokenTree::from(Literal::string(&self.text));
        [
            punct(':', Spacing::Joint),
            punct(':', Spacing::Alone),
            ident("core"),
            punct(':', Spacing::Joint),
            punct(':', Spacing::Alone),
            ident("compile_error"),
            punct('!', Spacing::Alone),
            TokenTree::from(Group::new(Delimiter::Brace, text.into())),
        ]
        .into_iter()
        .map(|mut token| {
            token.set_span(self.span);
            token
        })
        .collect()
    }
}
