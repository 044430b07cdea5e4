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
    ($($function:ident)::+ ($($arg:expr),* $(,)?)) => {
        $crate::__go_call!([$($function)::+] [] [a b c d e f g h i j k l] $($arg,)*)
    };
    ($receiver:ident . $method:ident ($($arg:expr),* $(,)?)) => {
        $crate::__go_call!([$receiver.$method] [] [a b c d e f g h i j k l] $($arg,)*)
    };
    ($closure:expr $(,)?) => { $crate::__private::go($closure) };
}

/// Binds the arguments to names one by one, then spawns the call.
#[doc(hidden)]
#[macro_export]
macro_rules! __go_call {
    ([$($call:tt)+] [$($name:ident = $value:expr,)*] [$($free:ident)*]) => {{
        $(let $name = $value;)*
        $crate::__private::go(move || $($call)+($($name),*))
    }};
    ([$($call:tt)+] [$($bound:tt)*] [$name:ident $($free:ident)*] $arg:expr, $($rest:expr,)*) => {
        $crate::__go_call!([$($call)+] [$($bound)* $name = $arg,] [$($free)*] $($rest,)*)
    };
    ([$($call:tt)+] [$($bound:tt)*] [] $($arg:expr,)+) => {
        ::core::compile_error!("go!: at most twelve arguments; use a closure")
    };
}
