#[greenthread::test]
#[test]
fn twice() {}

fn main() {}
