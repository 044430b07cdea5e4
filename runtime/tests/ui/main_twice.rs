#[greenthread::main]
#[greenthread::main]
fn main() {}
