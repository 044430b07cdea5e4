#[greenthread::main]
fn start() {}
