//! Empty on purpose: `links` in Cargo.toml, which forbids two schedulers in one program, asks for a build script.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
