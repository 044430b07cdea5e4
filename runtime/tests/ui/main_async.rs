#[greenthread::main]
async fn main() {}
