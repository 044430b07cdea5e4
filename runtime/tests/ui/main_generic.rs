#[greenthread::main]
fn main<T>() {}
