#[greenthread::main]
#[test]
fn main() {}
