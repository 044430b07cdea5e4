//! The code that the attributes expand to.

use proc_macro::{Delimiter, Group, Ident, Literal, Span, TokenStream, TokenTree};

use crate::args::Args;
use crate::error::{Error, Result};
use crate::parse::{Attribute, Function};

pub(crate) fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    try_main(args, item).unwrap_or_else(|error| {
        // Without a `main`, the compiler would report the missing function as a second error.
        let mut expansion = error.into_compile_error();
        expansion.extend(tokens("fn main() {}"));
        expansion
    })
}

fn try_main(args: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let args = Args::parse(Attribute::Main, args)?;
    let function = Function::parse(Attribute::Main, item)?;
    let name = TokenTree::from(function.name.clone());
    let call = call(&args.facade, "run_main", &function, name.into());
    Ok(wrap(function, TokenStream::new(), true, call))
}

pub(crate) fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    try_test(args, item).unwrap_or_else(Error::into_compile_error)
}

fn try_test(args: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let args = Args::parse(Attribute::Test, args)?;
    let function = Function::parse(Attribute::Test, item)?;
    let mut inputs = TokenStream::from(TokenTree::from(Literal::string(&function.name.to_string())));
    inputs.extend(tokens(", &"));
    inputs.extend([TokenTree::from(args.procs)]);
    inputs.extend(tokens(","));
    inputs.extend([TokenTree::from(function.name.clone())]);
    let mut call = call(&args.facade, "run_test", &function, inputs);
    let returns = !function.result.is_empty();
    if !returns {
        call.extend(tokens(";"));
    }
    Ok(wrap(function, tokens("#[::core::prelude::v1::test]"), returns, call))
}

/// Returns `facade::__private::name(inputs)`.
///
/// If the result does not implement `Termination`, the compiler's error points to the result's
/// type.
fn call(facade: &TokenStream, name: &str, function: &Function, inputs: TokenStream) -> TokenStream {
    let result = function.result.clone().into_iter().next();
    let place = result.map_or(Span::call_site(), |result| Span::call_site().located_at(result.span()));
    let mut call = facade.clone();
    call.extend(tokens("::__private::"));
    call.extend([TokenTree::from(Ident::new(name, place)), group(Delimiter::Parenthesis, inputs)]);
    call
}

/// Wraps `function` in a new function that ends with `call`. The new function has the same name,
/// and the same attributes plus those in `front`.
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

/// Parses Rust that is known to be correct.
pub(crate) fn tokens(text: &str) -> TokenStream {
    text.parse().expect("a constant is Rust")
}
