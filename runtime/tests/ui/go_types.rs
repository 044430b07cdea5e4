use greenthread::go;

struct S {
    field: u8,
}

fn f(_: u8) {}

fn main() {
    go!(1 + 1);
    go!(());
    go!(println!("hello"));
    go!({
        f(1);
    });
    go!(if true { f(1) });
    go!(f(1) == f(2));
    let s = S { field: 1 };
    go!(s.field);
    go!((f, 1));
}
