#[greenthread::main]
const N: u8 = 1;
