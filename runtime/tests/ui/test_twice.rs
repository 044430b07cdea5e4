#[greenthread::test]
#[test]
fn twice() {}

#[greenthread::test]
#[greenthread::test(procs = [1, 2])]
fn own_twice() {}

fn main() {}
