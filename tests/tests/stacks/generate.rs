//! Stacks from a generator of pseudorandom numbers: sound ones, and all that can be wrong with one.

use std::collections::BTreeMap;
use std::fmt;

use twofa_stacks::Call;

use crate::libpam::{HALF, STUB};

/// A service's files, and what a program calls.
#[derive(Clone)]
pub struct Stack {
    /// By path.
    pub files: BTreeMap<String, String>,
    pub service: String,
    pub calls: Vec<Call>,
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "service {}: {:?}", self.service, self.calls)?;
        for (path, text) in &self.files {
            writeln!(f, "==> {path}")?;
            for line in text.split_inclusive('\n') {
                writeln!(f, "    {} bytes: {line:?}", line.len())?;
            }
        }
        Ok(())
    }
}

/// Pseudorandom numbers, the same in each run (xorshift64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    fn one_of<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

const CODES: [&str; 14] = [
    "success",
    "success",
    "success",
    "success",
    "success",
    "success",
    "success",
    "auth_err",
    "ignore",
    "ignore",
    "user_unknown",
    "new_authtok_reqd",
    "perm_denied",
    "cred_err",
];
const RARE_CODES: [&str; 6] = ["acct_expired", "abort", "incomplete", "32", "99", "-1"];
const ACTIONS: [&str; 12] = [
    "ok", "ok", "done", "bad", "die", "ignore", "ignore", "reset", "1", "2", "3", "01",
];

impl Stack {
    /// The next stack.
    pub fn generate(numbers: &mut Numbers) -> Self {
        let mut files = BTreeMap::new();
        let mut names: Vec<&str> = Vec::new();
        let directory = |numbers: &mut Numbers| {
            if numbers.once_in(12) {
                "/usr/lib/pam.d"
            } else {
                "/etc/pam.d"
            }
        };
        for name in ["c", "b", "a", "other", "s"] {
            let is_there = match name {
                "s" => !numbers.once_in(40),
                "other" => numbers.once_in(3),
                _ => !numbers.once_in(4),
            };
            if is_there {
                // A file that includes itself, or one above it.
                if numbers.once_in(40) {
                    names.push("s");
                }
                let path = format!("{}/{name}", directory(numbers));
                files.insert(path, file(numbers, &names));
            }
            names.push(name);
        }
        let service = numbers.one_of(&["s", "s", "s", "s", "s", "s", "S", "x/s", "other", "none"]);
        Self {
            files,
            service: service.to_owned(),
            calls: calls(numbers),
        }
    }
}

/// The files of a distribution, by name: each module is the stub and returns something.
pub fn stubbed(files: &[(String, String)], service: &str, numbers: &mut Numbers) -> Stack {
    let stub_in = |line: &str, numbers: &mut Numbers| -> String {
        let at = line
            .split_once(" pam_")
            .or_else(|| line.split_once("\tpam_"));
        at.map_or_else(
            || line.to_owned(),
            |(head, _)| format!("{head} {}", module(numbers)),
        )
    };
    let files = files.iter().map(|(name, text)| {
        let lines: Vec<_> = text.lines().map(|line| stub_in(line, numbers)).collect();
        (format!("/etc/pam.d/{name}"), lines.join("\n") + "\n")
    });
    Stack {
        files: files.collect(),
        service: service.to_owned(),
        calls: calls(numbers),
    }
}

fn calls(numbers: &mut Numbers) -> Vec<Call> {
    use Call::{
        Account, Authenticate, ChangeToken, CheckToken, CloseSession, OpenSession, SetCredentials,
    };
    let usual: [&[Call]; 6] = [
        &[
            Authenticate,
            SetCredentials,
            Account,
            OpenSession,
            CloseSession,
        ],
        &[Authenticate, Account, SetCredentials],
        &[Account, SetCredentials, OpenSession],
        &[SetCredentials, Authenticate, SetCredentials],
        &[Authenticate, Authenticate, SetCredentials, SetCredentials],
        &[CloseSession, CheckToken, ChangeToken, Account],
    ];
    usual[numbers.below(usual.len())].to_vec()
}

fn file(numbers: &mut Numbers, included: &[&str]) -> String {
    let mut text = String::new();
    if numbers.once_in(60) {
        text.push('\u{feff}');
    }
    for _ in 0..=numbers.below(8) {
        let line = line(numbers, included);
        text.push_str(&line);
        text.push_str(match numbers.below(150) {
            0 => "\r\n",
            1 => "\0 and more\n",
            2 => " # note\n",
            3 => " # note \\\n",
            4 => " \\\n",
            5 => "\n\\\n",
            _ => "\n",
        });
    }
    if numbers.once_in(50) {
        text.pop();
    }
    text
}

fn line(numbers: &mut Numbers, included: &[&str]) -> String {
    let kind = numbers.one_of(&[
        "auth", "auth", "auth", "auth", "auth", "account", "account", "session", "password",
        "AUTH", "-account", "-auth", "[auth]", "\tauth",
    ]);
    match numbers.below(60) {
        0..=5 if !included.is_empty() => {
            let name = included[numbers.below(included.len())];
            match numbers.one_of(&[
                "include",
                "substack",
                "substack",
                "[include]",
                "@include",
                "@INCLUDE",
                "include",
            ]) {
                at if at.starts_with('@') => format!("{at} {name}"),
                word if numbers.once_in(12) => format!("{kind} {word} /etc/pam.d/{name} extra"),
                word => format!("{kind} {word} {name}"),
            }
        }
        6 => broken(numbers, kind),
        7 => long(numbers, kind),
        8 => {
            let (control, module) = (control(numbers), module(numbers));
            let between =
                numbers.one_of(&["", "\n", "# note\n", " \n", "\t# auth required x \\\n"]);
            format!("{kind} {control} \\\n{between}  {module}")
        }
        _ => format!("{kind} {} {}", control(numbers), module(numbers)),
    }
}

fn broken(numbers: &mut Numbers, kind: &str) -> String {
    let module = module(numbers);
    match numbers.below(16) {
        0 => format!("atuh {} {module}", control(numbers)),
        1 => format!("- auth {} {module}", control(numbers)),
        2 => kind.to_owned(),
        3 => format!("{kind} {}", control(numbers)),
        4 => format!("{kind} {} gone.so", control(numbers)),
        5 => format!("{kind} {} {HALF} n=h auth=success", control(numbers)),
        6 => format!("{kind} include none"),
        7 => format!("{kind} substack none"),
        8 => "@include none".to_owned(),
        9 => format!("{kind} suficient {module}"),
        10 => format!("{kind} [success=ok default=bad {module}"),
        11 => format!("# {kind} required {module}"),
        12 => format!("{kind} required# {module}"),
        13 => format!("{kind} required {STUB}\t[n=b [r]  [auth=auth_err]"),
        14 => format!("{kind} [required] [{STUB}] n=q acct=auth_err"),
        _ => format!("session {} /mnt/../mnt/pam_half.so", control(numbers)),
    }
}

/// Lines about as long as the buffer of Linux-PAM up to 1.5, which end in what could be a line of its own.
fn long(numbers: &mut Numbers, kind: &str) -> String {
    let end = format!("{kind} {} {}", control(numbers), module(numbers));
    let length = 1023 - 40 + numbers.below(60);
    let filling = match numbers.below(4) {
        0 => "x".repeat(length),
        1 => " ".repeat(length),
        2 => format!("{}\\\n{}", "y".repeat(length / 2), "z".repeat(length / 2)),
        _ => format!("{end}\\\n ").repeat(length / end.len()),
    };
    match numbers.below(3) {
        0 => format!("#{filling}{end}"),
        1 => format!("{end} {filling} {end}"),
        _ => format!("{filling}{end}"),
    }
}

fn control(numbers: &mut Numbers) -> String {
    if numbers.below(3) > 0 {
        let words = [
            "required",
            "required",
            "requisite",
            "sufficient",
            "optional",
            "Required",
            "binding",
        ];
        return numbers.one_of(&words).to_owned();
    }
    let mut pairs = Vec::new();
    for _ in 0..=numbers.below(4) {
        let code = numbers.one_of(&[
            "success",
            "success",
            "auth_err",
            "ignore",
            "new_authtok_reqd",
            "user_unknown",
            "module_unknown",
            "perm_denied",
            "cred_err",
            "default",
            "default",
            "default",
        ]);
        pairs.push(format!("{code}={}", numbers.one_of(&ACTIONS)));
    }
    if numbers.once_in(25) {
        let odd = [
            "success=0",
            "success",
            "Success=ok",
            "success=1x",
            "foo=ok",
            "success=okay",
            "auth_err =  ok",
            "success=okdefault=ignore",
            "success=ok,default=bad",
        ];
        pairs.push(numbers.one_of(&odd).to_owned());
    }
    format!("[{}]", pairs.join(" "))
}

fn module(numbers: &mut Numbers) -> String {
    let name = numbers.below(1000);
    let codes = [(); 7].map(|()| {
        if numbers.once_in(30) {
            numbers.one_of(&RARE_CODES)
        } else {
            numbers.one_of(&CODES)
        }
    });
    let [auth, cred, acct, open, close, check, change] = codes;
    format!(
        "{STUB} n={name} auth={auth} cred={cred} acct={acct} open_session={open} close_session={close} \
         prechauthtok={check} chauthtok={change}"
    )
}
