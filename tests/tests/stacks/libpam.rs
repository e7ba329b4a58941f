//! A system's libpam, run on stacks of a module that returns what it is told.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use twofa_stacks::{Call, File, Handle, Host, LineReading, Rule, RuleKind, Service, Unusable};

use crate::generate::Stack;

/// The stub, by the name that the model knows as a module that returns what it is told.
pub const STUB: &str = "/mnt/pam_debug.so";
/// The stub without any function but `pam_sm_authenticate`.
pub const HALF: &str = "/mnt/pam_half.so";

/// The stub, by the name of twofa's module, whose lines the model says are reached or not.
pub const OWN: &str = "/mnt/pam_twofa.so";

/// `PAM_INCOMPLETE`, after which only the same call makes sense.
const INCOMPLETE: i32 = 31;

/// A system with its libpam.
pub struct Libpam {
    driver: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    reading: LineReading,
    root: PathBuf,
    _folder: tempfile::TempDir,
}

impl Libpam {
    /// The libpam of the system in a directory. It runs in a mount namespace of its own, with empty directories of
    /// services.
    pub fn of(root: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("stub.c");
        std::fs::write(&source, include_str!("stub.c")).unwrap();
        for (name, flags) in [
            ("driver", &["-l:libpam.so.0"][..]),
            ("pam_debug.so", &["-shared", "-fPIC", "-DMODULE"]),
            ("pam_twofa.so", &["-shared", "-fPIC", "-DMODULE"]),
            ("pam_half.so", &["-shared", "-fPIC", "-DMODULE", "-DHALF"]),
        ] {
            let mut compile = Command::new("cc");
            compile
                .args(["-O1", "-Wall", "-o"])
                .arg(folder.path().join(name));
            let compiled = compile.arg(&source).args(flags).status().unwrap();
            assert!(compiled.success(), "{name}");
        }
        let script = "set -e; cd \"$1\"; mkdir -p usr/lib/pam.d; mount --bind \"$2\" mnt
             mount -t tmpfs tmpfs run; mount -t tmpfs tmpfs etc/pam.d; mount -t tmpfs tmpfs usr/lib/pam.d
             exec chroot . /mnt/driver \"$3\" \"$4\"";
        let mut driver = Command::new("unshare")
            .args([
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                script,
                "sh",
            ])
            .args([root, folder.path()])
            .args([STUB, HALF])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            requests: driver.stdin.take().unwrap(),
            answers: BufReader::new(driver.stdout.take().unwrap()),
            driver,
            reading: reading(root),
            root: root.to_owned(),
            _folder: folder,
        }
    }

    /// What libpam calls and returns; `None` where the model says that no program would survive that, or that what it
    /// does is chance.
    pub fn run(&mut self, stack: &Stack) -> Option<(String, String)> {
        let expected = self.expect(stack)?;
        Some((self.send(stack, String::new()), expected))
    }

    /// What libpam calls and returns for a user who answers every prompt with the same; "-" is an empty answer.
    pub fn answer(&mut self, stack: &Stack, user: &str, answer: &str) -> String {
        self.send(stack, format!("U {user} {answer}\n"))
    }

    fn send(&mut self, stack: &Stack, before: String) -> String {
        let mut requests = before.into_bytes();
        for (path, text) in &stack.files {
            requests.extend(format!("F {path} {}\n{text}", text.len()).into_bytes());
        }
        let calls: Vec<_> = stack.calls.iter().map(|call| name(*call)).collect();
        let run = format!("R {} {}\nC\n", stack.service, calls.join(" "));
        requests.extend(run.replace("prechauthtok ", "").into_bytes());
        self.requests.write_all(&requests).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert!(!answer.is_empty(), "{:?}\n{stack}", self.driver.wait());
        answer.trim().to_owned()
    }

    /// The names of the modules that are installed, without ".so".
    pub fn modules(&self) -> Vec<String> {
        let folder = self.root.join("usr/lib/x86_64-linux-gnu/security");
        let names = std::fs::read_dir(folder).unwrap().flatten();
        let names = names.filter_map(|file| file.file_name().into_string().ok());
        let mut names: Vec<_> = names
            .filter_map(|name| Some(name.strip_suffix(".so")?.to_owned()))
            .collect();
        names.sort();
        names
    }

    /// What the model expects.
    fn expect(&self, stack: &Stack) -> Option<String> {
        let host = Files {
            stack,
            reading: self.reading,
        };
        let service = match Service::read(&stack.service, &host) {
            Ok(service) => service,
            Err(Unusable::NoName { .. } | Unusable::Loop { .. } | Unusable::Endless { .. }) => {
                return None;
            }
            Err(_) => return Some("start 26".to_owned()),
        };
        let is_chance =
            |doubt: &twofa_stacks::Doubt| !matches!(doubt, twofa_stacks::Doubt::Loop { .. });
        if service.doubts.iter().any(is_chance) {
            return None;
        }
        let mut handle = Handle::new(&service);
        let mut said = String::new();
        let mut calls = stack.calls.iter().copied();
        while let Some(call) = calls.next() {
            let mut code = handle.call(call, |rule| stub(rule, call, &mut said));
            // pam_chauthtok is both.
            if call == Call::CheckToken {
                let change = calls.next();
                if let (0, Some(change)) = (code, change) {
                    code = handle.call(change, |rule| stub(rule, change, &mut said));
                }
            }
            let _ = write!(said, "-> {code} | ");
            if code == INCOMPLETE {
                break;
            }
        }
        Some(said.trim().to_owned())
    }

    /// The model's view of a stack.
    pub fn service(&self, stack: &Stack) -> Option<Service> {
        let reading = self.reading;
        Service::read(&stack.service, &Files { stack, reading }).ok()
    }
}

impl Drop for Libpam {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// What the stub does, and libpam with other modules.
fn stub(rule: &Rule, call: Call, said: &mut String) -> i32 {
    let RuleKind::Module { module, arguments } = &rule.kind else {
        unreachable!("only lines with a module are called");
    };
    let exists = module == STUB || (module == HALF && call == Call::Authenticate);
    if !exists {
        return 28;
    }
    let key = format!("{}=", name(call));
    let (mut who, mut code) = ("?", 0);
    for argument in arguments {
        if let Some(name) = argument.strip_prefix("n=") {
            who = name;
        } else if let Some(value) = argument.strip_prefix(key.as_str()) {
            let named = twofa_stacks::code::Code::named(value);
            code = named.map_or_else(|| leading_number(value), |code| code.number().into());
        }
    }
    let _ = write!(said, "{who}:{key}{code} ");
    code
}

/// atoi(3).
fn leading_number(text: &str) -> i32 {
    let digits = text.len()
        - text
            .trim_start_matches(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
            .len();
    text[..digits].parse().unwrap_or(0)
}

const fn name(call: Call) -> &'static str {
    match call {
        Call::Authenticate => "auth",
        Call::SetCredentials => "cred",
        Call::Account => "acct",
        Call::OpenSession => "open_session",
        Call::CloseSession => "close_session",
        Call::CheckToken => "prechauthtok",
        Call::ChangeToken => "chauthtok",
    }
}

/// How a system's libpam reads lines.
fn reading(root: &Path) -> LineReading {
    let library: PathBuf = root.join("usr/lib/x86_64-linux-gnu/libpam.so.0");
    LineReading::of_library(&std::fs::read(library).unwrap())
}

struct Files<'a> {
    stack: &'a Stack,
    reading: LineReading,
}

impl Host for Files<'_> {
    fn read(&self, path: &str) -> File {
        if path == "/etc/pam.d" {
            return File::Text(String::new());
        }
        let text = self.stack.files.get(path).cloned();
        text.map_or(File::Missing, File::Text)
    }

    fn debian(&self) -> bool {
        true
    }

    fn line_reading(&self) -> LineReading {
        self.reading
    }
}
