//! How `pam_twofa.so` is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for flag in [
        // All symbols are bound when the module is loaded, so that its tables can be read-only from then on,
        // and one that is missing shows in the build and not at somebody's login.
        "now", "relro", "defs",
        // Applications unload modules in pam_end(3). The standard library leaves destructors behind that
        // would then point nowhere; and a program that logs in many people maps the module once.
        "nodelete",
    ] {
        println!("cargo::rustc-link-arg-cdylib=-Wl,-z,{flag}");
    }
}
