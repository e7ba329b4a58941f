//! What sshd does with keys and prompts, from the settings that `sshd -T` prints: outside of `Match` blocks, for each account,
//! and for logins to which each block applies.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::time::{Duration, Instant};

use twofa_delivery::subprocess;

use super::finding::Part;
use crate::sshd::config::{Block, Config, ConfigError, Trial};
use crate::sshd::connection::Connection;
use crate::sshd::connections::applying;

/// Where the program is; it wants to be called by its whole path.
const PROGRAMS: [&str; 3] = ["/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd"];

/// sshd is asked about at most this many accounts: each takes a hundredth of a second.
const MOST_ACCOUNTS: usize = 500;
/// How long sshd may take to report its settings, and then those of all accounts. It asks the name service.
const TIMEOUT: Duration = Duration::from_secs(7);
/// How long it may take for one connection.
const ANSWER: Duration = Duration::from_secs(2);
/// So many accounts log in from this machine in the trials of a block.
const PEOPLE: usize = 3;

/// sshd's settings, those outside of `Match` blocks.
#[derive(Debug, Default)]
pub(super) struct Sshd {
    settings: BTreeMap<String, String>,
    /// One runs, or starts with the machine.
    pub(super) is_in_use: bool,
    /// Root and the accounts of people, and what applies to each.
    pub(super) accounts: Vec<SshdAccount>,
    /// The `Match` blocks that decide who gets in.
    pub(super) blocks: Vec<SshdBlock>,
    /// What of the accounts and blocks could not be looked at, and why.
    pub(super) unknown: Vec<(Part, String)>,
}

/// What sshd makes of logins to which a `Match` block applies.
#[derive(Debug)]
pub(super) struct SshdBlock {
    /// As `FILE:LINE`.
    pub(super) place: String,
    /// Users and the settings for a login of theirs; never empty.
    pub(super) logins: Vec<(String, Sshd)>,
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
        let answer = settings(program, &[], Instant::now() + TIMEOUT)
            .or_else(|error| outside_of_blocks().map_err(|_| error));
        let error = match answer {
            Ok(sshd) => {
                let mut sshd = Self { is_in_use, ..sshd };
                sshd.look_at_files(program);
                return Some(Ok(sshd));
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
            blocks: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// Looks at accounts and `Match` blocks.
    fn look_at_files(&mut self, program: &str) {
        let has_blocks = match Config::as_it_is() {
            Ok(config) => {
                self.look_at_blocks(&config);
                let doubts = config.doubts.iter().cloned();
                self.unknown
                    .extend(doubts.map(|doubt| (Part::SshdConfig, doubt)));
                !config.blocks.is_empty() || !config.doubts.is_empty()
            }
            Err(error) => {
                self.unknown.push((Part::SshdConfig, error.to_string()));
                true
            }
        };
        let (accounts, unknown) = self.look_at_accounts(program, has_blocks);
        self.accounts = accounts;
        let unknown = unknown.map(|(count, why)| (Part::SshdAccounts(count), why));
        self.unknown.extend(unknown);
    }

    /// Looks at the blocks that decide who gets in.
    fn look_at_blocks(&mut self, config: &Config) {
        let blocks = config.blocks.iter().enumerate();
        let mut blocks = blocks
            .filter(|(_, block)| block.deciding().is_some())
            .peekable();
        if blocks.peek().is_none() {
            return;
        }
        let trial = config.trial(folder(), ask);
        let deadline = Instant::now() + TIMEOUT;
        for (number, block) in blocks {
            let looked = match &trial {
                Ok(_) if deadline <= Instant::now() => {
                    Err(format!("sshd did not answer for all within {TIMEOUT:?}"))
                }
                Ok(trial) => self.look_at_block(trial, number, block),
                Err(error) => Err(error.to_string()),
            };
            match looked {
                Ok(block) => self.blocks.push(block),
                Err(error) => {
                    let part = Part::SshdBlock(block.place.clone());
                    self.unknown.push((part, error));
                }
            }
        }
    }

    fn look_at_block(
        &self,
        trial: &Trial,
        number: usize,
        block: &Block,
    ) -> Result<SshdBlock, String> {
        let port = self.settings.get("port").map_or("22", String::as_str);
        let people = accounts().into_iter().take(PEOPLE);
        let people: Vec<_> = people.map(|name| Connection::local(&name, port)).collect();
        let found = applying(trial, (number, block), &people);
        let found = found.map_err(|error: ConfigError| error.to_string())?;
        if found.is_empty() {
            return Err(format!(
                "no login was found to which 'Match {}' applies; look at it yourself",
                block.criteria
            ));
        }
        let logins = found
            .into_iter()
            .map(|(connection, settings)| (connection.user, Self::read(&settings)));
        Ok(SshdBlock {
            place: block.place.clone(),
            logins: logins.collect(),
        })
    }

    /// What applies to each account of `/etc/passwd`, where a `Match` block can make a difference.
    fn look_at_accounts(
        &self,
        program: &str,
        has_blocks: bool,
    ) -> (Vec<SshdAccount>, Option<(usize, String)>) {
        let account = |name, settings: &Self| SshdAccount {
            name,
            key_alone_lets_in: settings.key_alone_lets_in(),
        };
        let names = accounts();
        if !has_blocks {
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
    let arguments = [&["-T"], arguments].concat();
    run(program, &arguments, deadline).map(|text| Sshd::read(&text))
}

/// The settings outside of `Match` blocks, without which sshd reports none where a block names a port or an address of its
/// own.
fn outside_of_blocks() -> Result<Sshd, ConfigError> {
    let trial = Config::as_it_is()?.trial(folder(), ask)?;
    let (text, _) = trial.settings(None)?;
    Ok(Sshd::read(&text))
}

/// Where copies of sshd's files are made. Nobody but root makes files there.
fn folder() -> PathBuf {
    PathBuf::from(format!("/run/twofa-doctor-{}", process::id()))
}

/// What sshd prints, or what it complains of.
fn ask(arguments: &[&str]) -> Result<String, String> {
    let mut programs = PROGRAMS.iter();
    let program = programs.find(|program| Path::new(program).exists());
    let program = program.ok_or("there is no sshd any longer")?;
    run(program, arguments, Instant::now() + ANSWER)
}

fn run(program: &str, arguments: &[&str], deadline: Instant) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    let output = subprocess::run(command, &[], deadline).map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
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
