//! How `pam_twofa.so` is linked.

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
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
    link_unwinder_statically()
}

/// Puts the unwinder, by which a panic is caught, into the module. Finding, mapping and relocating
/// `libgcc_s.so.1`, which few programs have loaded, is more than half of what loading the module costs.
///
/// rustc asks the linker for `gcc_s` and has no switch for its static twin. So the linker finds a
/// `libgcc_s.so` of ours first, which is a script that names the twin. As the module exports its entry points
/// only, no program sees this unwinder, and one that has `libgcc_s.so.1` keeps it.
///
/// Without the twin (some distributions package it apart, LLVM's toolchains have none) the module is linked
/// with the shared one.
fn link_unwinder_statically() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    let compiler = env::var_os("RUSTC_LINKER").unwrap_or_else(|| OsString::from("cc"));
    let found = Command::new(compiler)
        .arg("-print-file-name=libgcc_eh.a")
        .output();
    // A compiler that has no such file answers with the bare name; a linker that is no compiler, with an error.
    let has_twin = found.is_ok_and(|found| {
        found.status.success()
            && std::str::from_utf8(&found.stdout)
                .is_ok_and(|path| Path::new(path.trim()).is_absolute())
    });
    if has_twin {
        let directory = env::var("OUT_DIR")?;
        fs::write(
            Path::new(&directory).join("libgcc_s.so"),
            "INPUT(-lgcc_eh -lgcc)\n",
        )?;
        println!("cargo::rustc-link-arg-cdylib=-L{directory}");
    }
    Ok(())
}
