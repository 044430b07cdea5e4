//! `go!`.

/// Starts a goroutine and forgets it: Go's `go` statement.
///
/// * `go!(closure)`: calls the closure on a new goroutine. What it captures must be `Send` and `'static`.
/// * `go!(f(a, b))`: evaluates the arguments **now**, on the caller, and calls `f` with them on a new goroutine, as in Go.
///   `f` may be a path; at most twelve arguments. A method call, `go!(x.f(a))`, moves `x` into the goroutine.
///
/// Does not block. A result is dropped when the goroutine ends; use [`spawn`](crate::spawn) to have it. A panic is
/// reported with the goroutine's id, and ends that goroutine alone.
///
/// What is captured is moved through several frames of the caller and of the goroutine, whose stacks reserve 256 KiB: put
/// values of more than 4 KiB into a `Box` or a `Vec`. (In optimised builds several times as much fits.)
///
/// ```
/// use greenthread::{channel, go};
///
/// fn greet(to: channel::Sender<String>, name: &str) {
///     to.send(format!("hello, {name}")).unwrap();
/// }
///
/// let (tx, rx) = channel::bounded(0);
/// let tx2 = tx.clone();
/// go!(move || tx2.send("hello".to_string()).unwrap());
/// assert_eq!(rx.recv().unwrap(), "hello");
/// go!(greet(tx, "Gopher"));
/// assert_eq!(rx.recv().unwrap(), "hello, Gopher");
/// ```
///
/// What borrows needs [`scope`](fn@crate::scope):
///
/// ```compile_fail,E0597
/// let text = String::from("here");
/// let borrowed: &str = &text;
/// greenthread::go!(move || println!("{borrowed}"));
/// ```
#[macro_export]
macro_rules! go {
    (move $($closure:tt)+) => { $crate::__private::go(move $($closure)+) };
    (| $($closure:tt)+) => { $crate::__private::go(| $($closure)+) };
    (|| $($closure:tt)+) => { $crate::__private::go(|| $($closure)+) };
    ($($call:tt)*) => { $crate::__private::go_macro! { $crate; $($call)* } };
}

/// Evaluates a callee and its arguments, in this order, then starts the call.
///
/// Each step has its own hygiene, so all arguments can have one name.
#[doc(hidden)]
#[macro_export]
macro_rules! __go_call {
    (@callee [$callee:expr] [$($method:tt)*] $arguments:tt) => {
        $crate::__go_call! {
            @arguments [#[allow(unused_mut)] let mut callee = $callee;] [callee $($method)*] [] $arguments
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
        ::core::compile_error!("go! expected arguments with commas between them, as in `go!(f(a, b))`")
    };
}
