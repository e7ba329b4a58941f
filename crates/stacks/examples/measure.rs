//! How long the prover takes for a desktop's services: those of this machine, again and again under other names until
//! there are sixty.
//!
//! `cargo run --release -p twofa-stacks --example measure`

#![allow(clippy::print_stdout)] // what it is for

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use twofa_stacks::{File, Host, LineReading, Program, Service};

const SERVICES: usize = 60;

struct Files(BTreeMap<String, String>);

impl Host for Files {
    fn read(&self, path: &str) -> File {
        let text = self.0.get(path).cloned();
        text.map_or(File::Missing, File::Text)
    }

    fn debian(&self) -> bool {
        true
    }

    fn line_reading(&self) -> LineReading {
        LineReading::UpTo15
    }
}

fn main() -> std::io::Result<()> {
    let mut files = BTreeMap::from([("/etc/pam.d".to_owned(), String::new())]);
    let mut names = Vec::new();
    for entry in fs::read_dir("/etc/pam.d")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        files.insert(
            format!("/etc/pam.d/{name}"),
            fs::read_to_string(entry.path())?,
        );
        names.push(name);
    }
    let (host, begin) = (Files(files), Instant::now());
    let mut ways = 0;
    for name in names.iter().cycle().take(SERVICES) {
        let Ok(service) = Service::read(name, &host) else {
            continue;
        };
        let proof = service.prove(Program::Other, &|_| None);
        ways += proof.map_or(0, |proof| proof.ways.len());
        // What the doctor asks as well.
        let _ = service.answers();
    }
    let spent = begin.elapsed().as_secs_f64() * 1000.0;
    println!("{SERVICES} services, {ways} routes: {spent:.1} ms");
    Ok(())
}
