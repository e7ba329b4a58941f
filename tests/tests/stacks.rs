//! The model of PAM stacks compared with libpam itself, on generated stacks of `pam_debug(8)`, which returns what its
//! arguments say.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use std::collections::BTreeMap;
use std::fmt::Write as _;

use twofa_e2e::Machine;
use twofa_stacks::{File, Host, Service};

const STACKS: usize = 400;

/// Pseudorandom numbers, the same in each run (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    fn one_of<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const CODES: [&str; 8] = [
    "success",
    "success",
    "success",
    "auth_err",
    "user_unknown",
    "new_authtok_reqd",
    "ignore",
    "perm_denied",
];
const ACTIONS: [&str; 9] = ["ok", "done", "bad", "die", "ignore", "reset", "1", "2", "3"];

fn control(numbers: &mut Numbers) -> String {
    if numbers.below(2) == 0 {
        return numbers
            .one_of(&[
                "required",
                "requisite",
                "sufficient",
                "optional",
                "Required",
                "suficient",
            ])
            .to_owned();
    }
    let mut pairs = Vec::new();
    for _ in 0..=numbers.below(4) {
        let code = numbers.one_of(&[
            "success",
            "auth_err",
            "ignore",
            "new_authtok_reqd",
            "default",
            "default",
        ]);
        pairs.push(format!("{code}={}", numbers.one_of(&ACTIONS)));
    }
    format!("[{}]", pairs.join(" "))
}

fn line(numbers: &mut Numbers, included: &[String]) -> String {
    let kind = numbers.one_of(&["auth", "auth", "account", "AUTH", "-account", "atuh"]);
    match (numbers.below(6), included) {
        (0, [_, ..]) => {
            let word = numbers.one_of(&["include", "substack", "@include"]);
            let file = &included[numbers.below(included.len())];
            if word == "@include" {
                format!("@include {file}")
            } else {
                format!("{kind} {word} {file}")
            }
        }
        (1, _) => numbers
            .one_of(&[
                "auth",
                "auth optional",
                "# auth required pam_deny.so",
                "auth required \\\n pam_permit.so",
                "account sufficient gone.so",
            ])
            .to_owned(),
        _ => {
            let (auth, account) = (numbers.one_of(&CODES), numbers.one_of(&CODES));
            format!(
                "{kind} {} pam_debug.so auth={auth} acct={account}",
                control(numbers)
            )
        }
    }
}

fn file(numbers: &mut Numbers, included: &[String]) -> String {
    let mut text = String::new();
    for _ in 0..=numbers.below(6) {
        let _ = writeln!(text, "{}", line(numbers, included));
    }
    text
}

/// The files that were written.
struct Files(BTreeMap<String, String>);

impl Host for Files {
    fn read(&self, path: &str) -> File {
        self.0
            .get(path)
            .map_or(File::Missing, |text| File::Text(text.clone()))
    }

    fn debian(&self) -> bool {
        true
    }
}

#[test]
fn whom_libpam_lets_in_is_whom_the_model_lets_in() {
    let machine = Machine::new().bare().user("alice").build();
    let mut numbers = Numbers(0x7077_6f66_6131_2026);
    let mut files = BTreeMap::new();
    for number in 0..STACKS {
        let (outer, inner) = (format!("s{number}-a"), format!("s{number}-b"));
        files.insert(inner.clone(), file(&mut numbers, &[]));
        files.insert(
            outer.clone(),
            file(&mut numbers, std::slice::from_ref(&inner)),
        );
        files.insert(format!("s{number}"), file(&mut numbers, &[outer, inner]));
    }
    let mut script = String::from("rm -f /etc/pam.d/other /usr/lib/pam.d/other\n");
    for (name, text) in &files {
        let _ = write!(script, "cat >/etc/pam.d/{name} <<'END'\n{text}END\n");
    }
    let _ = write!(
        script,
        "for n in $(seq 0 {}); do for phase in authenticate acct_mgmt; do
             pamtester s$n alice $phase >/dev/null 2>&1 </dev/null && echo yes || echo no; done; done",
        STACKS - 1
    );
    let said = machine.run_with_input("sh -s", &script).ok().stdout;
    let host = Files(
        files
            .into_iter()
            .map(|(name, text)| (format!("/etc/pam.d/{name}"), text))
            .collect(),
    );
    let mut answers = said.lines().map(|word| word == "yes");
    let mut let_in = 0;
    for number in 0..STACKS {
        let (auth, account) = (answers.next().unwrap(), answers.next().unwrap());
        let stacks = Service::read(&format!("s{number}"), &host);
        let model = stacks.ok().and_then(|service| service.answers());
        // pamtester treats an expired password as a failure, other programs have it changed.
        let model = model.map_or((false, false), |answers| {
            (answers.auth_succeeds, answers.account_succeeds)
        });
        let text = &host.0[&format!("/etc/pam.d/s{number}")];
        assert_eq!(model.0, auth, "auth of s{number}\n{text}");
        assert!(model.1 || !account, "account of s{number}\n{text}");
        let_in += usize::from(auth) + usize::from(account);
    }
    // If all generated stacks failed, this would prove nothing.
    assert!((STACKS / 5..STACKS * 9 / 5).contains(&let_in), "{let_in}");
}
