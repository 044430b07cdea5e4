#[greenthread::main(crate = my::greenthread)]
fn main() {}
