//! The size of our files, and the memory of our broker.

use twofa_e2e::Machine;

/// Libraries that the module may need.
pub const ALLOWED: [&str; 4] = ["libpam.so.", "libc.so.", "libgcc_s.so.", "ld-linux"];

/// Sizes in KiB.
#[derive(Debug)]
pub struct Footprint {
    /// The module without symbols, as a package ships it.
    pub module: f64,
    /// The libraries that the module needs (`DT_NEEDED`).
    pub needed: Vec<String>,
    /// The broker's program without symbols.
    pub program: f64,
    /// Memory of the broker (`VmRSS`).
    pub resident: f64,
    /// The most that the broker ever had in memory (`VmHWM`).
    pub peak: f64,
    /// Memory of the broker that is no mapped file (`RssAnon`).
    pub own: f64,
}

/// Measures the module installed in `machine` and its broker.
pub fn measure(machine: &Machine) -> Footprint {
    let module = machine
        .run("find /usr/lib /usr/lib64 /lib64 -name pam_twofa.so -print -quit 2>/dev/null")
        .stdout;
    let module = module.trim();
    let dynamic = machine.run(&format!("readelf -d {module}")).ok().stdout;
    let needed = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    let status = machine.file(&format!("/proc/{}/status", machine.broker().pid()));
    let kibibytes = |field: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok())
            .expect("a field of proc(5)")
    };
    Footprint {
        module: stripped(machine, module),
        needed: needed
            .filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned()))
            .collect(),
        program: stripped(machine, "/usr/sbin/twofad"),
        resident: kibibytes("VmRSS"),
        peak: kibibytes("VmHWM"),
        own: kibibytes("RssAnon"),
    }
}

/// The size of `file` in KiB without its symbols.
fn stripped(machine: &Machine, file: &str) -> f64 {
    let command =
        format!("strip --strip-unneeded -o /run/stripped {file} && stat --format %s /run/stripped");
    let bytes: f64 = machine
        .run(&command)
        .ok()
        .stdout
        .trim()
        .parse()
        .expect("stat says a number");
    bytes / 1024.0
}
