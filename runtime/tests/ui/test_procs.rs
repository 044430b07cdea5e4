#[greenthread::test(procs = [1, 0])]
fn zero() {}

#[greenthread::test(procs = [])]
fn none() {}

#[greenthread::test(procs = 4)]
fn no_list() {}

#[greenthread::test(procs)]
fn no_value() {}

#[greenthread::test(procs = [1], procs = [2])]
fn twice() {}

#[greenthread::test(workers = [1])]
fn unknown() {}

#[greenthread::test(procs = [1] crate = "greenthread")]
fn no_comma() {}

#[greenthread::test(crate)]
fn no_crate() {}

fn main() {}
