//! What sshd does with keys and prompts, from the settings that `sshd -T` prints.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use twofa_delivery::subprocess;

/// Where the program is; it wants to be called by its whole path.
const PROGRAMS: [&str; 3] = ["/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd"];

/// sshd is asked about at most this many accounts: each takes a hundredth of a second.
const MOST_ACCOUNTS: usize = 500;
/// How long sshd may take to report its settings, and then those of all accounts. It asks the name service.
const TIMEOUT: Duration = Duration::from_secs(7);

/// sshd's settings, those outside of `Match` blocks.
#[derive(Debug, Default)]
pub(super) struct Sshd {
    settings: BTreeMap<String, String>,
    /// One runs, or starts with the machine.
    pub(super) is_in_use: bool,
    /// Root and the accounts of people, and what applies to each.
    pub(super) accounts: Vec<SshdAccount>,
    /// How many accounts are left out of these, and why.
    pub(super) unknown: Option<(usize, String)>,
}

/// What sshd demands of one account.
#[derive(Debug)]
pub(super) struct SshdAccount {
    pub(super) name: String,
    pub(super) key_alone_lets_in: bool,
}

impl Sshd {
    /// The settings, where there is an sshd. An error is what one in use says about them.
    pub(super) fn of_this_machine() -> Option<Result<Self, String>> {
        let program = PROGRAMS
            .iter()
            .find(|program| Path::new(program).exists())?;
        let is_in_use = runs() || starts_with_the_machine();
        let answer = settings(program, &[], Instant::now() + TIMEOUT);
        let error = match answer {
            Ok(sshd) => {
                let (accounts, unknown) = sshd.look_at_accounts(program);
                return Some(Ok(Self {
                    is_in_use,
                    accounts,
                    unknown,
                    ..sshd
                }));
            }
            Err(error) => error,
        };
        is_in_use.then_some(Err(error))
    }

    /// Reads what `sshd -T` prints: a setting and its value a line.
    pub(super) fn read(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        let settings = pairs
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Self {
            settings,
            is_in_use: true,
            accounts: Vec::new(),
            unknown: None,
        }
    }

    /// What applies to each account of `/etc/passwd`, where a `Match` block can make a difference.
    fn look_at_accounts(&self, program: &str) -> (Vec<SshdAccount>, Option<(usize, String)>) {
        let account = |name, settings: &Self| SshdAccount {
            name,
            key_alone_lets_in: settings.key_alone_lets_in(),
        };
        let names = accounts();
        if !has_matches() {
            let all = names.into_iter().map(|name| account(name, self));
            return (all.collect(), None);
        }
        let (count, deadline) = (names.len(), Instant::now() + TIMEOUT);
        let (mut found, mut error) = (Vec::new(), None);
        for name in names.into_iter().take(MOST_ACCOUNTS) {
            match settings_of(program, &name, deadline) {
                Ok(settings) => found.push(account(name, &settings)),
                Err(_) if deadline <= Instant::now() => {
                    error = Some(format!("sshd did not answer for all within {TIMEOUT:?}"));
                    break;
                }
                Err(why) => error = Some(why),
            }
        }
        let left = count - found.len();
        let why = error.unwrap_or_else(|| "there are too many".to_owned());
        (found, (left > 0).then_some((left, why)))
    }

    pub(super) fn is_on(&self, setting: &str) -> bool {
        self.settings
            .get(setting)
            .is_some_and(|value| value != "no")
    }

    /// `LoginGraceTime`, in seconds; 0 is no limit.
    pub(super) fn grace(&self) -> Option<u64> {
        self.settings.get("logingracetime")?.parse().ok()
    }

    /// The PAM service.
    pub(super) fn service(&self) -> &str {
        self.settings
            .get("pamservicename")
            .map_or("sshd", String::as_str)
    }

    /// `AuthenticationMethods`: any of these lists lets in. `None`: any single method does.
    fn lists(&self) -> Option<Vec<Vec<&str>>> {
        let value = self
            .settings
            .get("authenticationmethods")
            .map(String::as_str)
            .filter(|value| *value != "any")?;
        // A method may name a device: keyboard-interactive:pam.
        let end = |method: &str| method.find(':').unwrap_or(method.len());
        let lists = value.split_whitespace();
        Some(
            lists
                .map(|list| {
                    list.split(',')
                        .map(|method| &method[..end(method)])
                        .collect()
                })
                .collect(),
        )
    }

    /// Whether a key (or host, or ticket) lets in without PAM's `auth`.
    pub(super) fn key_alone_lets_in(&self) -> bool {
        let offered = |method: &str| match method {
            "publickey" => self.is_on("pubkeyauthentication"),
            "hostbased" => self.is_on("hostbasedauthentication"),
            "gssapi-with-mic" => self.is_on("gssapiauthentication"),
            _ => false,
        };
        match self.lists() {
            None => ["publickey", "hostbased", "gssapi-with-mic"]
                .into_iter()
                .any(offered),
            Some(lists) => lists
                .iter()
                .any(|list| list.iter().all(|method| offered(method))),
        }
    }

    /// Whether PAM's `auth` is called only once a key has been proved.
    pub(super) fn key_comes_first(&self) -> bool {
        let proved = |list: &Vec<&str>| {
            let asks = list
                .iter()
                .position(|method| ["keyboard-interactive", "password"].contains(method));
            asks.is_none_or(|at| at > 0)
        };
        self.lists().is_some_and(|lists| lists.iter().all(proved))
    }

    /// Whether PAM can ask questions of its own.
    pub(super) fn can_ask(&self) -> bool {
        let listed = self.lists().is_none_or(|lists| {
            lists
                .iter()
                .flatten()
                .any(|method| *method == "keyboard-interactive")
        });
        self.is_on("kbdinteractiveauthentication") && listed
    }

    /// Whether the method `password` alone lets in, which can ask nothing.
    pub(super) fn takes_passwords(&self) -> bool {
        let listed = self
            .lists()
            .is_none_or(|lists| lists.iter().flatten().any(|method| *method == "password"));
        self.is_on("passwordauthentication") && listed
    }
}

/// The settings for a login of this account from this machine.
fn settings_of(program: &str, account: &str, deadline: Instant) -> Result<Sshd, String> {
    let connection =
        format!("user={account},host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22");
    settings(program, &["-C", &connection], deadline)
}

/// The settings that sshd reports. The error is what it says instead.
fn settings(program: &str, arguments: &[&str], deadline: Instant) -> Result<Sshd, String> {
    let mut command = Command::new(program);
    command.arg("-T").args(arguments).env_clear();
    let output = subprocess::run(command, &[], deadline).map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(Sshd::read(&String::from_utf8_lossy(&output.stdout)))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// Root and the accounts of people, who have a uid from 1000 on.
fn accounts() -> Vec<String> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let account = |line: &str| {
        let mut fields = line.split(':');
        let (name, uid) = (fields.next()?, fields.nth(1)?.parse::<u32>().ok()?);
        let is_safe = !name.contains([',', '=']);
        (is_safe && (uid == 0 || (1000..65534).contains(&uid))).then(|| name.to_owned())
    };
    passwd.lines().filter_map(account).collect()
}

/// Whether there is a `Match` block in `sshd_config` or `sshd_config.d`.
fn has_matches() -> bool {
    let parts = fs::read_dir("/etc/ssh/sshd_config.d")
        .into_iter()
        .flatten()
        .flatten()
        .map(|file| file.path());
    let mut files = parts.chain(["/etc/ssh/sshd_config".into()]);
    files.any(|file| {
        let text = fs::read_to_string(file)
            .unwrap_or_default()
            .to_ascii_lowercase();
        text.lines()
            .any(|line| line.trim_start().starts_with("match"))
    })
}

/// Whether a process is an sshd.
fn runs() -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| fs::read_to_string(process.path().join("comm")).ok())
        .any(|name| name.trim_end() == "sshd")
}

/// Whether systemd starts one, by itself or when somebody connects.
fn starts_with_the_machine() -> bool {
    let wanted = [
        "multi-user.target.wants/ssh.service",
        "multi-user.target.wants/sshd.service",
    ];
    let sockets = [
        "sockets.target.wants/ssh.socket",
        "sockets.target.wants/sshd.socket",
    ];
    let enabled = |unit: &&str| Path::new("/etc/systemd/system").join(unit).is_symlink();
    let mut units = wanted.iter().chain(&sockets);
    Path::new("/run/systemd/system").exists() && units.any(enabled)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: &str = "usepam yes\npubkeyauthentication yes\nhostbasedauthentication no\ngssapiauthentication no\n\
        kbdinteractiveauthentication yes\npasswordauthentication no\n";

    fn with(methods: &str) -> Sshd {
        Sshd::read(&format!("{DEFAULTS}authenticationmethods {methods}\n"))
    }

    #[test]
    fn what_sshd_prints_is_read() {
        let sshd = Sshd::read(DEFAULTS);
        assert!(
            sshd.is_on("usepam")
                && !sshd.is_on("passwordauthentication")
                && !sshd.is_on("not-there")
        );
        assert_eq!(sshd.service(), "sshd");
        assert_eq!(sshd.grace(), None);
        assert_eq!(Sshd::read("logingracetime 30\n").grace(), Some(30));
        assert_eq!(
            Sshd::read("pamservicename ssh-inside\n").service(),
            "ssh-inside"
        );
        assert!(sshd.can_ask() && !sshd.takes_passwords());
    }

    #[test]
    fn a_key_alone_lets_in_where_some_list_asks_for_no_more() {
        for methods in [
            "any",
            "publickey",
            "keyboard-interactive publickey",
            "publickey,publickey",
        ] {
            assert!(with(methods).key_alone_lets_in(), "{methods}");
        }
        for methods in [
            "keyboard-interactive",
            "publickey,keyboard-interactive",
            "publickey,keyboard-interactive:pam keyboard-interactive",
            "hostbased",
        ] {
            assert!(!with(methods).key_alone_lets_in(), "{methods}");
        }
        let off = DEFAULTS.replace("pubkeyauthentication yes", "pubkeyauthentication no");
        assert!(!Sshd::read(&off).key_alone_lets_in());
    }

    #[test]
    fn a_key_comes_first_where_every_list_begins_with_one() {
        for methods in [
            "publickey,keyboard-interactive",
            "publickey,keyboard-interactive:pam publickey,password",
        ] {
            assert!(with(methods).key_comes_first(), "{methods}");
        }
        for methods in [
            "any",
            "keyboard-interactive",
            "publickey,keyboard-interactive keyboard-interactive",
            "password,publickey",
        ] {
            assert!(!with(methods).key_comes_first(), "{methods}");
        }
    }

    #[test]
    fn sshd_cannot_ask_where_keyboard_interactive_is_off_or_not_listed() {
        assert!(with("publickey,keyboard-interactive").can_ask());
        assert!(!with("publickey").can_ask());
        let off = DEFAULTS.replace(
            "kbdinteractiveauthentication yes",
            "kbdinteractiveauthentication no",
        );
        assert!(!Sshd::read(&off).can_ask());
    }
}
