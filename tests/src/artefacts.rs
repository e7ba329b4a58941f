//! Our programs, built once and prepared for all machines.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::namespaces::Installed;

/// The files that our package installs.
pub(crate) fn installed() -> Vec<Installed> {
    static FILES: OnceLock<Vec<Installed>> = OnceLock::new();
    FILES.get_or_init(prepare).clone()
}

/// Our units, for a system with systemd.
pub(crate) fn units() -> Vec<Installed> {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd");
    let entries = fs::read_dir(units).expect("our units").flatten();
    let unit = |entry: fs::DirEntry| Installed {
        mode: 0o644,
        from: entry.path(),
        to: Path::new("/usr/lib/systemd/system").join(entry.file_name()),
    };
    entries.map(unit).collect()
}

/// The directory of the machine that [`checkout`] fills.
pub const CHECKOUT: &str = "/usr/src/twofa";

/// The files of a checkout in which `make build` has run, as far as `make install` needs them.
pub(crate) fn checkout() -> Vec<Installed> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are in a directory of the workspace");
    let there = Path::new(CHECKOUT);
    let mut files: Vec<_> = installed()
        .into_iter()
        .map(|program| {
            let name = program.from.file_name().expect("a program is a file");
            let to = there.join("target/release").join(name);
            Installed { to, ..program }
        })
        .collect();
    for name in ["Makefile", "man", "packaging"] {
        add_files(&here.join(name), here, &mut files);
    }
    files
}

/// The file `path`, or all files below the directory `path`.
fn add_files(path: &Path, here: &Path, files: &mut Vec<Installed>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a directory").flatten() {
            add_files(&entry.path(), here, files);
        }
        return;
    }
    let name = path.strip_prefix(here).expect("a file of the workspace");
    files.push(Installed {
        mode: 0o644,
        from: path.to_owned(),
        to: Path::new(CHECKOUT).join(name),
    });
}

fn prepare() -> Vec<Installed> {
    let built = profile_folder();
    build(&built);
    programs(|name| slim(&built, name))
}

/// The programs of another build, which are in `folder`.
pub(crate) fn installed_of(folder: &Path) -> Vec<Installed> {
    programs(|name| folder.join(name))
}

fn programs(from: impl Fn(&str) -> PathBuf) -> Vec<Installed> {
    let file = |mode, name: &str, to: PathBuf| Installed {
        mode,
        from: from(name),
        to,
    };
    vec![
        file(0o755, "twofa", "/usr/bin/twofa".into()),
        file(0o755, "twofad", "/usr/sbin/twofad".into()),
        file(0o644, "libpam_twofa.so", pam_folder().join("pam_twofa.so")),
    ]
}

/// The directory in which cargo put the programs of the profile that this runs in. A program is in it, a test in its
/// subdirectory `deps`.
fn profile_folder() -> PathBuf {
    let program = env::current_exe().expect("a test is a file");
    let folder = program.parent().expect("a test is in a folder");
    if folder.ends_with("deps") {
        folder.parent().expect("deps is in PROFILE")
    } else {
        folder
    }
    .to_owned()
}

/// Builds what cargo does not build for a test: the programs of other packages.
fn build(profile_folder: &Path) {
    let profile = match profile_folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--quiet",
        // Packages selected as the demo selects them, so that dependencies have the same features and are compiled once.
        "--workspace",
        "--lib",
        "--bin",
        "twofa",
        "--bin",
        "twofad",
        "--profile",
        profile,
    ]);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.arg("--target-dir").arg(
        profile_folder
            .parent()
            .expect("a profile is in the target folder"),
    );
    let output = command.output().expect("cargo starts");
    assert!(
        output.status.success(),
        "our programs do not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A copy without debug information, kept beside the original, because every machine holds the programs in memory.
fn slim(built: &Path, name: &str) -> PathBuf {
    let original = built.join(name);
    let folder = built.join("e2e");
    let copy = folder.join(name);
    let changed = |path: &Path| fs::metadata(path).and_then(|file| file.modified());
    let time = changed(&original).unwrap_or_else(|error| panic!("{}: {error}", original.display()));
    if changed(&copy).is_ok_and(|copied| copied > time) {
        return copy;
    }
    fs::create_dir_all(&folder).unwrap();
    // Renamed into place, because other tests may be doing the same.
    let fresh = tempfile::NamedTempFile::new_in(&folder).unwrap();
    let status = Command::new("strip")
        .arg("--strip-debug")
        .arg("-o")
        .arg(fresh.path())
        .arg(&original)
        .status();
    assert!(status.expect("strip is installed").success(), "strip fails");
    fresh.persist(&copy).unwrap();
    copy
}

/// The directory of the PAM modules, where `pam_unix.so` is.
fn pam_folder() -> PathBuf {
    let ours = format!("/usr/lib/{}-linux-gnu/security", env::consts::ARCH);
    let usual = [
        &ours,
        "/usr/lib64/security",
        "/usr/lib/security",
        "/lib64/security",
        "/lib/security",
    ];
    let found = usual
        .iter()
        .map(Path::new)
        .find(|folder| folder.join("pam_unix.so").exists());
    found.expect("pam_unix.so is installed").to_owned()
}
