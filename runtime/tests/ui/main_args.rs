#[greenthread::main]
fn main(args: Vec<String>) {}
