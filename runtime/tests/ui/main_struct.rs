#[greenthread::main]
struct Main;
