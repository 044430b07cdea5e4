//! The parser of `go!(f(x))`: finds the callee and the expressions to evaluate first, and rejects
//! input that is neither a call nor a closure.

use proc_macro::{Delimiter, Ident, Spacing, Span, TokenStream, TokenTree};

use crate::error::{Error, Result};
use crate::expand::{group, tokens};
use crate::parse::{is_group, is_punct};

/// The expectation that all error messages state.
const EXPECTED: &str = "go! expected a call, as in `go!(f(x))`, or a closure, as in `go!(move || f(x))`";

/// Expands the tokens that follow the path of the facade and a semicolon.
pub(crate) fn go(input: TokenStream) -> TokenStream {
    let mut input = input.into_iter();
    let facade: TokenStream = input.by_ref().take_while(|token| !is_punct(token, ';')).collect();
    let mut expression = unwrap(input.collect());
    // A comma after the expression is allowed, as in a call.
    if expression.len() > 1 {
        expression.pop_if(|token| is_punct(token, ','));
    }
    Form::of(&expression).map(|form| form.expand(facade, &expression)).unwrap_or_else(Error::into_compile_error)
}

/// Removes parentheses, and the invisible ones of `macro_rules!`, from around the whole expression.
fn unwrap(tokens: Vec<TokenTree>) -> Vec<TokenTree> {
    match &tokens[..] {
        [TokenTree::Group(all)] if matches!(all.delimiter(), Delimiter::None | Delimiter::Parenthesis) => {
            let inside: Vec<TokenTree> = all.stream().into_iter().collect();
            // `()` and `(a, b)` are values, not an expression in parentheses.
            if inside.is_empty() || inside.iter().any(|token| is_punct(token, ',')) { tokens } else { unwrap(inside) }
        }
        _ => tokens,
    }
}

/// The form of an expression, as `go!` sees it.
enum Form {
    /// Anything that begins like a closure.
    Closure,
    /// `callee(..)` or `callee.method(..)`.
    Call { callee: Head },
    /// Any other expression: its value has to be a closure.
    Value,
}

impl Form {
    /// Returns the form of an expression. Rejects input for which the compiler's own error would be
    /// less helpful.
    fn of(expression: &[TokenTree]) -> Result<Self> {
        let Some(first) = expression.first() else { return Err(Error::new(Span::call_site(), EXPECTED)) };
        let error = |token: &TokenTree, text: &str| Err(Error::new(token.span(), text));
        if let TokenTree::Ident(keyword) = first {
            match keyword.to_string().as_str() {
                "move" => return Ok(Self::Closure),
                "async" => {
                    return error(
                        first,
                        "go! runs plain code: to run a future, write `go!(move || greenthread::block_on(future))`",
                    );
                }
                "let" | "return" | "break" | "continue" | "for" | "while" | "loop" => {
                    return error(first, &format!("{EXPECTED}; to run statements, write `go!(move || {{ .. }})`"));
                }
                _ => {}
            }
        }
        if is_punct(first, '|') {
            return Ok(Self::Closure);
        }
        let chain = Chain::parse(expression);
        match (expression.get(chain.len), chain.last) {
            (None, Last::Call { callee }) => Ok(Self::Call { callee }),
            (None, Last::Try | Last::Await) => error(
                &expression[expression.len() - 1],
                "go! expected a call, whose result the caller cannot see: handle it inside, as in \
                 `go!(move || ..)`, or use `greenthread::spawn`",
            ),
            (Some(end), _) if is_punct(end, ',') || is_punct(end, ';') => {
                if chain.len == 0 {
                    return error(end, EXPECTED);
                }
                error(end, &format!("go! starts one call: remove everything from this `{end}` on"))
            }
            _ => Ok(Self::Value),
        }
    }

    fn expand(self, mut facade: TokenStream, expression: &[TokenTree]) -> TokenStream {
        let callee = match self {
            Self::Call { callee } => callee,
            Self::Closure | Self::Value => {
                let is_closure = matches!(self, Self::Closure);
                facade.extend(tokens(if is_closure { "::__private::go" } else { "::__private::go_value" }));
                facade.extend([group(Delimiter::Parenthesis, expression.iter().cloned().collect())]);
                return facade;
            }
        };
        let bracket = |tokens: &[TokenTree]| group(Delimiter::Bracket, tokens.iter().cloned().collect());
        let (call, arguments) = expression.split_at(expression.len() - 1);
        let (head, method) = call.split_at(callee.end);
        let mut inputs = TokenStream::new();
        if callee.is_place {
            inputs.extend(tokens("@arguments []"));
            inputs.extend([bracket(call)]);
            inputs.extend(tokens("[]"));
        } else {
            inputs.extend(tokens("@callee"));
            inputs.extend([bracket(head), bracket(method)]);
        }
        inputs.extend(arguments.iter().cloned());
        facade.extend(tokens("::__go_call!"));
        facade.extend([group(Delimiter::Brace, inputs)]);
        facade
    }
}

/// The part of a chain before its last call.
#[derive(Clone, Copy)]
struct Head {
    /// The number of its tokens.
    end: usize,
    /// `true` for a path or a field of a path: evaluating it has no effect.
    is_place: bool,
}

/// The last part of a chain.
#[derive(Clone, Copy)]
enum Last {
    /// `callee(..)` or `callee.method(..)`.
    Call {
        callee: Head,
    },
    Try,
    Await,
    Other,
}

/// The longest path, literal or group at the beginning of an expression, with all fields, calls,
/// methods, indices and question marks that follow.
struct Chain {
    /// The number of its tokens.
    len: usize,
    last: Last,
}

impl Chain {
    fn parse(tokens: &[TokenTree]) -> Self {
        let mut cursor = Cursor { tokens, at: 0 };
        let mut is_place = cursor.primary();
        let mut last = Last::Other;
        while cursor.at > 0 {
            let head = Head { end: cursor.at, is_place };
            let Some(suffix) = cursor.suffix(head) else { break };
            is_place &= matches!(suffix, Last::Other) && !is_group(&tokens[cursor.at - 1], Delimiter::Bracket);
            last = suffix;
        }
        Self { len: cursor.at, last }
    }
}

struct Cursor<'a> {
    tokens: &'a [TokenTree],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self, ahead: usize) -> Option<&TokenTree> {
        self.tokens.get(self.at + ahead)
    }

    fn skip_if(&mut self, is_it: impl FnOnce(&TokenTree) -> bool) -> bool {
        let skip = self.peek(0).is_some_and(is_it);
        self.at += usize::from(skip);
        skip
    }

    /// Skips the beginning of a chain. Returns `true` if that is a path.
    fn primary(&mut self) -> bool {
        let is_path = match self.peek(0) {
            Some(TokenTree::Group(inside)) if inside.delimiter() == Delimiter::None => {
                let inside: Vec<TokenTree> = inside.stream().into_iter().collect();
                let mut path = Cursor { tokens: &inside, at: 0 };
                self.at += 1;
                return path.path() && path.at == inside.len();
            }
            Some(TokenTree::Group(_) | TokenTree::Literal(_)) => {
                self.at += 1;
                return false;
            }
            _ => self.path(),
        };
        if !is_path {
            return false;
        }
        let is_macro =
            self.peek(0).is_some_and(|token| is_punct(token, '!')) && matches!(self.peek(1), Some(TokenTree::Group(_)));
        self.at += 2 * usize::from(is_macro);
        let is_literal = !is_macro && self.skip_if(|token| is_group(token, Delimiter::Brace));
        !is_macro && !is_literal
    }

    /// Skips a path with its generic arguments, if there is one.
    fn path(&mut self) -> bool {
        let begin = self.at;
        // `<T as Trait>::f` begins with generics, and `::std::f` with colons.
        let _ = self.generics();
        let _ = self.colons();
        if !self.name() {
            self.at = begin;
            return false;
        }
        loop {
            let end = self.at;
            if !(self.colons() && (self.name() || self.generics())) {
                self.at = end;
                return true;
            }
        }
    }

    /// Skips a name.
    fn name(&mut self) -> bool {
        self.skip_if(|token| matches!(token, TokenTree::Ident(name) if !is_keyword(name)))
    }

    /// Skips `::`.
    fn colons(&mut self) -> bool {
        let both =
            [self.peek(0), self.peek(1)].into_iter().all(|token| token.is_some_and(|token| is_punct(token, ':')));
        self.at += 2 * usize::from(both);
        both
    }

    /// Skips `<..>`.
    fn generics(&mut self) -> bool {
        let begin = self.at;
        let mut depth = 0;
        let mut is_arrow = false;
        while let Some(token) = self.peek(0) {
            if is_punct(token, '<') {
                depth += 1;
            } else if is_punct(token, '>') && !is_arrow {
                depth -= 1;
            }
            if depth == 0 {
                break;
            }
            is_arrow = matches!(token, TokenTree::Punct(p) if p.as_char() == '-' && p.spacing() == Spacing::Joint);
            self.at += 1;
        }
        if self.at > begin && self.skip_if(|token| is_punct(token, '>')) {
            return true;
        }
        self.at = begin;
        false
    }

    /// Skips one field, call, method call, index or question mark after `head`.
    fn suffix(&mut self, head: Head) -> Option<Last> {
        match self.peek(0)? {
            TokenTree::Group(group) => {
                let last = match group.delimiter() {
                    Delimiter::Parenthesis => Last::Call { callee: head },
                    Delimiter::Bracket => Last::Other,
                    _ => return None,
                };
                self.at += 1;
                Some(last)
            }
            mark if is_punct(mark, '?') => {
                self.at += 1;
                Some(Last::Try)
            }
            dot if is_punct(dot, '.') => {
                let name = match self.peek(1)? {
                    TokenTree::Ident(name) => Some(name.to_string()),
                    TokenTree::Literal(_) => None,
                    _ => return None,
                };
                self.at += 2;
                let after_name = self.at;
                if name.is_some() {
                    let _ = self.colons() && self.generics();
                    if self.skip_if(|token| is_group(token, Delimiter::Parenthesis)) {
                        return Some(Last::Call { callee: head });
                    }
                }
                self.at = after_name;
                Some(if name.as_deref() == Some("await") { Last::Await } else { Last::Other })
            }
            _ => None,
        }
    }
}

/// Returns `true` if an expression that begins with this word is not a path.
fn is_keyword(name: &Ident) -> bool {
    const KEYWORDS: &[&str] = &[
        "async", "break", "const", "continue", "do", "else", "fn", "for", "if", "let", "loop", "match", "move", "mut",
        "ref", "return", "static", "unsafe", "while", "yield",
    ];
    KEYWORDS.contains(&name.to_string().as_str())
}
