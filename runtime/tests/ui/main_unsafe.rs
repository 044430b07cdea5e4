#[greenthread::main]
unsafe fn main() {}
