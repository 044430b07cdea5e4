use greenthread::go;

fn f(_: u8) -> Option<u8> {
    None
}

async fn future() {}

fn main() {}

fn shapes() -> Option<()> {
    go!();
    go!(,);
    go!(f(1););
    go!(f(1), f(2));
    go!(f(1); f(2));
    go!(f(1)?);
    go!(async { f(1) });
    go!(async move { f(1) });
    go!(let _ = f(1));
    go!(return f(1));
    go!(for n in 0..3 { f(n); });
    go!(f(1 2));
    go!(f(1,, 2));
    None
}

async fn awaits() {
    go!(future().await);
}
