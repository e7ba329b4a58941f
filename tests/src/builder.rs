//! The description of a machine.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::artefacts;
use crate::machine::{Machine, quote};
use crate::namespaces::Plan;
use crate::sshd;

/// The directory of the store.
const STATE: &str = "/var/lib/twofa";

/// Describes a machine; [`build`](Self::build) makes it.
///
/// By default it has our programs installed, our module in `common-auth` (where a package's profile puts it) and in
/// sshd's account lines, a new key and store, a running broker, no users of its own and no sshd.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Builder {
    bare: bool,
    checkout: bool,
    without_broker: bool,
    on_disk: Option<PathBuf>,
    tiny_disks: Vec<(String, String)>,
    groups: Vec<String>,
    users: Vec<User>,
    files: Vec<(String, String)>,
    commands: Vec<String>,
    sshd: Option<String>,
    programs: Option<PathBuf>,
}

#[derive(Clone, Debug)]
struct User {
    name: String,
    groups: Vec<String>,
}

impl Builder {
    /// A Unix user with a home, a shell and [a known password](password_of).
    pub fn user(self, name: &str) -> Self {
        self.user_in(name, &[])
    }

    /// A user who may use sudo.
    pub fn administrator(self, name: &str) -> Self {
        self.user_in(name, &["sudo"])
    }

    /// A user who is also in these groups, which are created if they do not exist.
    pub fn user_in(mut self, name: &str, groups: &[&str]) -> Self {
        let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
        self.groups.extend(groups.iter().cloned());
        self.users.push(User {
            name: name.to_owned(),
            groups,
        });
        self
    }

    /// The machine's policy mode: `disabled`, `optional` or `mandatory`.
    pub fn policy(self, mode: &str) -> Self {
        self.command(&format!("twofa policy set mode={}", quote(mode)))
    }

    /// A command that root runs after everything is installed and before the broker starts. Commands run in order.
    pub fn command(mut self, command: &str) -> Self {
        self.commands.push(command.to_owned());
        self
    }

    /// The complete `/etc/pam.d/SERVICE`, replacing Debian's.
    pub fn pam(self, service: &str, stack: &str) -> Self {
        self.file(&format!("/etc/pam.d/{service}"), stack)
    }

    /// A file that exists before any of our programs run, owned by root, mode 0644.
    pub fn file(mut self, path: &str, content: &str) -> Self {
        self.files.push((path.to_owned(), content.to_owned()));
        self
    }

    /// A running sshd that asks by keyboard-interactive only, as an administrator sets it up for a second factor.
    pub fn with_sshd(self) -> Self {
        self.sshd("")
    }

    /// A running sshd with additional lines of `sshd_config`, which take precedence over ours.
    pub fn sshd(mut self, lines: &str) -> Self {
        self.sshd = Some(lines.to_owned());
        self
    }

    /// No sshd, which is the default.
    pub fn without_sshd(mut self) -> Self {
        self.sshd = None;
        self
    }

    /// Everything installed, but the broker does not run.
    pub fn without_broker(mut self) -> Self {
        self.without_broker = true;
        self
    }

    /// With the programs of another build, which are in `folder`: `twofa`, `twofad` and `libpam_twofa.so`.
    pub fn programs(mut self, folder: &Path) -> Self {
        // Ours are built now, and not while something waits for an upgrade.
        let _ = artefacts::installed();
        self.programs = Some(folder.to_owned());
        self
    }

    /// A machine without our programs: those of the host, its modules and its stacks, unchanged.
    pub fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// A machine without our programs, but with a [checkout](crate::CHECKOUT) in which `make build` has run.
    pub fn checkout(mut self) -> Self {
        self.checkout = true;
        self.bare()
    }

    /// Writes what the machine writes to a real disk below `folder`, for benchmarks. It is deleted at the end.
    pub fn on_disk(mut self, folder: impl AsRef<Path>) -> Self {
        self.on_disk = Some(folder.as_ref().to_owned());
        self
    }

    /// A separate file system of `size`, for instance `2M`, at `folder`, for a test to fill up.
    pub fn tiny_disk(mut self, folder: &str, size: &str) -> Self {
        self.tiny_disks.push((folder.to_owned(), size.to_owned()));
        self
    }

    /// Starts the machine and waits until everything in it runs.
    ///
    /// # Panics
    ///
    /// If it cannot be started: without root, or if a command fails.
    pub fn build(self) -> Machine {
        let installed = if self.checkout {
            artefacts::checkout()
        } else if self.bare {
            Vec::new()
        } else {
            let programs = self.programs.as_deref();
            programs.map_or_else(artefacts::installed, artefacts::installed_of)
        };
        let plan = Plan {
            on_disk: self.on_disk.clone(),
            tiny_disks: self.tiny_disks.clone(),
            installed,
        };
        let machine = Machine::start(&plan);
        machine.run_with_input("bash -eux", &self.script()).ok();
        if !self.bare && !self.without_broker {
            machine.start_broker();
        }
        if let Some(lines) = &self.sshd {
            sshd::start(&machine, lines);
        }
        machine
    }

    /// Everything that root does to set up the machine, as one script.
    fn script(&self) -> String {
        let mut script = String::new();
        let mut line = |text: String| script.push_str(&(text + "\n"));

        line(WITHOUT_DOAS.into());
        if !self.bare {
            line(
                "useradd --system --user-group --home-dir /var/lib/twofa --shell /usr/sbin/nologin twofa"
                    .into(),
            );
            line(format!("mkdir -p {STATE} /run/twofa /etc/twofa"));
            line(format!("chown twofa:twofa {STATE} /run/twofa"));
            line(format!("chmod 0700 {STATE}"));
            line(STAND_IN.into());
            line(COMMON_AUTH.into());
            line(WITHOUT_ONE_FIELD.into());
            line(SSHD_ACCOUNT.into());
        }
        for (path, content) in &self.files {
            let path = quote(path);
            line(format!("mkdir -p \"$(dirname {path})\""));
            line(format!("printf %s {} >{path}", quote(content)));
        }
        for group in &self.groups {
            line(format!("groupadd --force {group}"));
        }
        let mut passwords = String::new();
        for User { name, groups } in &self.users {
            line(format!(
                "useradd --create-home --shell /bin/bash --groups '{}' {name}",
                groups.join(",")
            ));
            let _ = writeln!(passwords, "{name}:{}", password_of(name));
        }
        if !passwords.is_empty() {
            // Few rounds: the cost of password hashing is not what is tested.
            line(format!(
                "printf %s {} | chpasswd --crypt-method SHA512 --sha-rounds 1000",
                quote(&passwords)
            ));
        }
        if !self.bare {
            line("/usr/sbin/twofad --prepare".into());
        }
        for command in &self.commands {
            line(command.clone());
        }
        script
    }
}

/// A line for stacks in which the first factor is always right without a prompt, in place of a fingerprint reader. The
/// lines after it are reached only with the right first factor.
pub const FIRST_FACTOR: &str = "auth requisite pam_fprintd.so\n";

const STAND_IN: &str = "cd \"$(dirname \"$(find /usr/lib /lib -name pam_permit.so -print -quit)\")\" && \
     cp pam_permit.so pam_fprintd.so && cd /";

/// Debian's own stacks with our line at the end of `common-auth`, where pam-auth-update puts it.
const COMMON_AUTH: &str = "grep -q pam_twofa /etc/pam.d/common-auth || \
     echo 'auth required pam_twofa.so' >>/etc/pam.d/common-auth";

/// A way to root that few systems have, and that the tests of it set up themselves.
const WITHOUT_DOAS: &str = "rm -f /etc/pam.d/doas";

/// Servers of the host that can ask for a password alone, and whose stacks include `common-auth`.
const WITHOUT_ONE_FIELD: &str = "rm -f /etc/pam.d/dovecot /etc/pam.d/vsftpd";

/// With a key, sshd does not authenticate through PAM, but it does call the account phase. This line comes before the
/// other account lines, because Debian's `common-account` ends the stack if a password has expired; and it is for sshd
/// alone, because cron, su from root and sudo within its timestamp do not authenticate either.
const SSHD_ACCOUNT: &str = "[ ! -e /etc/pam.d/sshd ] || grep -q pam_twofa /etc/pam.d/sshd || \
     sed -i '0,/^account/s//account required pam_twofa.so\\n&/' /etc/pam.d/sshd";

/// The password of a user created with [`Builder::user`]; each user has a different one.
pub fn password_of(user: &str) -> String {
    format!("the password of {user}")
}
