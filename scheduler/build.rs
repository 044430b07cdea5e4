//! Tells the sources which sanitizer the program is built with: rustc's own `cfg(sanitize)` is not
//! stable, but cargo passes it on. (`links` in Cargo.toml, which forbids two schedulers in one
//! program, requires a build script anyway.)
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(greenthread_tsan, greenthread_asan)");
    let sanitizers = std::env::var("CARGO_CFG_SANITIZE").unwrap_or_default();
    for (sanitizer, cfg) in [("thread", "greenthread_tsan"), ("address", "greenthread_asan")] {
        if sanitizers.split(',').any(|name| name == sanitizer) {
            println!("cargo::rustc-cfg={cfg}");
        }
    }
}
