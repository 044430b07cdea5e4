//! What the attributes expand to.

use proc_macro::{Delimiter, Group, Ident, Literal, Span, TokenStream, TokenTree};

use crate::args::Args;
use crate::error::{Error, Result};
use crate::parse::Function;

pub(crate) fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    try_main(args, item).unwrap_or_else(|error| {
        // With a `main` in place the error above is the only one.
        let mut expansion = error.into_compile_error();
        expansion.extend(tokens("fn main() {}"));
        expansion
    })
}

fn try_main(args: TokenStream, item: TokenStream) -> Result<TokenStream> {
    const ATTRIBUTE: &str = "greenthread::main";
    let args = Args::parse(ATTRIBUTE, false, args)?;
    let function = Function::parse(ATTRIBUTE, item)?;
    if function.name.to_string() != "main" {
        return Err(Error::new(function.name.span(), format!("`#[{ATTRIBUTE}]` is for `fn main`")));
    }
    let name = TokenTree::from(function.name.clone());
    let call = call(&args.facade, "run_main", name.into());
    Ok(wrap(function, TokenStream::new(), true, call))
}

pub(crate) fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    try_test(args, item).unwrap_or_else(Error::into_compile_error)
}

fn try_test(args: TokenStream, item: TokenStream) -> Result<TokenStream> {
    const ATTRIBUTE: &str = "greenthread::test";
    let args = Args::parse(ATTRIBUTE, true, args)?;
    let function = Function::parse(ATTRIBUTE, item)?;
    let mut inputs = TokenStream::from(TokenTree::from(Literal::string(&function.name.to_string())));
    inputs.extend(tokens(", &"));
    inputs.extend([TokenTree::from(args.procs)]);
    inputs.extend(tokens(","));
    inputs.extend([TokenTree::from(function.name.clone())]);
    let mut call = call(&args.facade, "run_test", inputs);
    let returns = !function.result.is_empty();
    if !returns {
        call.extend(tokens(";"));
    }
    Ok(wrap(function, tokens("#[::core::prelude::v1::test]"), returns, call))
}

/// `facade::__private::name(inputs)`.
fn call(facade: &TokenStream, name: &str, inputs: TokenStream) -> TokenStream {
    let mut call = facade.clone();
    call.extend(tokens("::__private::"));
    call.extend([TokenTree::from(Ident::new(name, Span::call_site())), group(Delimiter::Parenthesis, inputs)]);
    call
}

/// A function of the same name and attributes, and with those in `front`, around `function`; it ends with `call`.
fn wrap(function: Function, front: TokenStream, returns: bool, call: TokenStream) -> TokenStream {
    let name = TokenTree::from(function.name);
    let no_arguments = group(Delimiter::Parenthesis, TokenStream::new());

    let mut inside = TokenStream::from_iter([fn_keyword(), name.clone(), no_arguments.clone()]);
    if !function.result.is_empty() {
        inside.extend(tokens("->"));
        inside.extend(function.result);
    }
    inside.extend([TokenTree::from(function.body)]);
    inside.extend(call);

    let mut outside = front;
    outside.extend(function.attributes);
    outside.extend(function.visibility);
    outside.extend([fn_keyword(), name, no_arguments]);
    if returns {
        outside.extend(tokens("-> ::std::process::ExitCode"));
    }
    outside.extend([group(Delimiter::Brace, inside)]);
    outside
}

fn fn_keyword() -> TokenTree {
    Ident::new("fn", Span::call_site()).into()
}

pub(crate) fn group(delimiter: Delimiter, stream: TokenStream) -> TokenTree {
    Group::new(delimiter, stream).into()
}

/// The tokens of a piece of Rust that is known to be right.
pub(crate) fn tokens(text: &str) -> TokenStream {
    text.parse().expect("macros: a constant is not Rust")
}
