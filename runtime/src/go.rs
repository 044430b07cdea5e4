//! `go!`.

/// Starts a goroutine without waiting for its result, like Go's `go` statement.
///
/// * `go!(move || ..)` calls a closure in a new goroutine. Its captures must be `Send` and
///   `'static`.
/// * `go!(f(a, b))` evaluates the arguments **now**, on the caller, and calls `f` with them in a
///   new goroutine, as in Go. `f` may be any path, such as `S::<u8>::f`, or an expression whose
///   value is called, such as `(s.callback)(a)`.
/// * `go!(s.run(a))` evaluates the receiver now, then the arguments, and calls the method in a new
///   goroutine. The receiver may be any expression, such as `s.field` or `Arc::clone(&s)`. If it is
///   a variable or a field, it moves into the goroutine.
/// * `go!(value)` calls any other value that is a closure, such as a variable or the result of a
///   block.
///
/// `go!` does not block. When the goroutine ends, its result is dropped; use
/// [`spawn`](crate::spawn) to wait for it. A panic is reported with the goroutine's id and ends
/// only that goroutine.
///
/// The captures are moved through several frames of the caller and of the goroutine, and a
/// goroutine's stack reserves only 384 KiB. So put values of more than 4 KiB into a `Box` or a
/// `Vec`. (Optimized builds allow several times that size.)
///
/// # Examples
/// ```
/// use greenthread::{channel, go};
/// use std::sync::Arc;
///
/// struct Greeter {
///     to: channel::Sender<String>,
/// }
///
/// impl Greeter {
///     fn greet(&self, name: &str) {
///         self.to.send(format!("hello, {name}")).unwrap();
///     }
/// }
///
/// let (to, greetings) = channel::bounded(0);
/// let greeter = Arc::new(Greeter { to });
/// go!(Arc::clone(&greeter).greet("Gopher"));
/// assert_eq!(greetings.recv().unwrap(), "hello, Gopher");
/// go!(move || greeter.greet("Ferris"));
/// assert_eq!(greetings.recv().unwrap(), "hello, Ferris");
/// ```
///
/// A goroutine may outlive the function that starts it, so it cannot borrow from that function. To
/// borrow, use [`scope`](fn@crate::scope).
///
/// ```compile_fail,E0597
/// let text = String::from("here");
/// let borrowed: &str = &text;
/// greenthread::go!(move || println!("{borrowed}"));
/// ```
#[macro_export]
macro_rules! go {
    ($($call:tt)*) => { $crate::__private::go_macro! { $crate; $($call)* } };
}

/// Evaluates a callee and its arguments, in this order, and starts the call.
///
/// Each step has its own macro hygiene, so the variables of all arguments can have the same name.
#[doc(hidden)]
#[macro_export]
macro_rules! __go_call {
    (@callee [$callee:expr] [$($method:tt)*] $arguments:tt) => {
        $crate::__go_call! {
            @arguments [#[allow(unused_mut, unused_parens)] let mut callee = $callee;] [callee $($method)*] [] $arguments
        }
    };
    (@arguments [$($before:tt)*] [$($callee:tt)*] [$($argument:ident)*] ()) => {{
        $($before)*
        $crate::__private::go(move || $($callee)*($($argument),*))
    }};
    (@arguments [$($before:tt)*] $callee:tt [$($argument:ident)*] ($value:expr $(, $($rest:tt)*)?)) => {
        $crate::__go_call! {
            @arguments [$($before)* let argument = $value;] $callee [$($argument)* argument] ($($($rest)*)?)
        }
    };
    (@arguments $before:tt $callee:tt $argument:tt $wrong:tt) => {
        ::core::compile_error!("go! expected arguments separated by commas, as in `go!(f(a, b))`")
    };
}
