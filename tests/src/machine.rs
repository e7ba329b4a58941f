//! A running machine and what a test does with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use crate::artefacts;
use crate::broker::{self, Broker, BrokerState};
use crate::builder::Builder;
use crate::codes::Authenticator;
use crate::enrol;
use crate::log::Log;
use crate::namespaces::{Namespaces, Plan};
use crate::process::{Output, Process};
use crate::sshd;
use crate::terminal::Terminal;
use crate::wait;

/// How long something that should happen at once may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// A throwaway machine with the name `vm`. Everything in it ends when it is dropped.
#[derive(Debug)]
pub struct Machine {
    namespaces: Namespaces,
    log: Log,
    pub(crate) broker: Mutex<BrokerState>,
}

/// A line of the machine's `/etc/passwd`.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Machine {
    /// The description of a machine, to be completed and then built.
    #[expect(
        clippy::new_ret_no_self,
        reason = "a test begins with the machine it wants: Machine::new().user(..).build()"
    )]
    pub fn new() -> Builder {
        Builder::default()
    }

    pub(crate) fn start(plan: &Plan) -> Self {
        let namespaces = Namespaces::new(plan);
        let log = Log::bind(&namespaces.path("/dev/log")).expect("the machine's /dev/log");
        Self {
            namespaces,
            log,
            broker: Mutex::default(),
        }
    }

    /// Runs a shell command as root.
    #[must_use = "a command that failed is only noticed by ok()"]
    pub fn run(&self, command: &str) -> Output {
        self.spawn(command).wait()
    }

    /// Runs a shell command as `user`: real uid, own groups, own home, as after a login.
    #[must_use = "a command that failed is only noticed by ok()"]
    pub fn run_as(&self, user: &str, command: &str) -> Output {
        self.spawn_as(user, command).wait()
    }

    /// Runs a shell command as root with `input` on its standard input.
    #[must_use = "a command that failed is only noticed by ok()"]
    pub fn run_with_input(&self, command: &str, input: &str) -> Output {
        Process::piped(command, self.shell("root", command, &[]), input).wait()
    }

    /// Starts a shell command as root and does not wait for it.
    pub fn spawn(&self, command: &str) -> Process {
        self.spawn_as("root", command)
    }

    /// Starts a shell command as `user` and does not wait for it.
    pub fn spawn_as(&self, user: &str, command: &str) -> Process {
        Process::piped(command, self.shell(user, command, &[]), "")
    }

    /// A program of the machine for root to start, for exchanges over pipes. Killing it kills only nsenter: the program
    /// must exit by itself, for example at the end of its input.
    pub fn program(&self, program: &str) -> Command {
        self.namespaces.command(program)
    }

    /// Starts a shell command as root on a terminal of the machine.
    pub fn terminal(&self, command: &str) -> Terminal {
        self.terminal_as("root", command)
    }

    /// Starts a shell command as `user` on a terminal of the machine.
    pub fn terminal_as(&self, user: &str, command: &str) -> Terminal {
        let program = self.shell(user, command, &["setsid", "--ctty"]);
        let ptmx = self.namespaces.path("/dev/pts/ptmx");
        Terminal::open(&ptmx, &self.account(user), command, program)
    }

    /// Enrols an authenticator app for `user`, as an administrator does.
    pub fn enrol(&self, user: &str) -> Authenticator {
        enrol::app(self, user)
    }

    /// Gives `user` a token that counts, as an administrator does, and returns `number` of its codes, which need not wait for
    /// the clock.
    pub fn enrol_token(&self, user: &str, number: usize) -> Vec<String> {
        enrol::token(self, user, number)
    }

    /// The broker of this machine.
    pub fn broker(&self) -> Broker<'_> {
        Broker::new(self)
    }

    /// Everything that programs have sent to syslog so far.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// Waits until a line of the log contains `needle`, and returns that line.
    ///
    /// # Panics
    ///
    /// If there is none within 20 seconds; the message contains the whole log.
    #[track_caller]
    pub fn wait_for_log(&self, needle: &str) -> String {
        match self.log.wait_for(needle, DEADLINE) {
            Ok(line) => line,
            Err(log) => {
                panic!("waited {DEADLINE:?} in vain for {needle:?} in the log\n--- log\n{log}\n---")
            }
        }
    }

    /// Waits until a server of the machine accepts connections on this TCP port.
    ///
    /// # Panics
    ///
    /// If none does within 20 seconds.
    pub fn wait_for_port(&self, port: u16) {
        let listens = || self.namespaces.listens_on_port(port).then_some(());
        wait::until(&format!("port {port} of the machine"), DEADLINE, listens);
    }

    /// Waits until the shell command `condition` succeeds.
    ///
    /// # Panics
    ///
    /// If it does not within 20 seconds.
    pub fn wait_until(&self, condition: &str) {
        let holds = || self.run(condition).status.success().then_some(());
        wait::until(condition, DEADLINE, holds);
    }

    /// What the broker has written to standard error, in all its runs.
    pub fn broker_log(&self) -> String {
        self.run(&format!("cat {} 2>&1", broker::LOG)).stdout
    }

    /// What sshd has logged; PAM modules in it log to [`log`](Self::log).
    pub fn sshd_log(&self) -> String {
        self.run(&format!("cat {} 2>&1", sshd::LOG)).stdout
    }

    /// The content of a file of the machine.
    pub fn file(&self, path: &str) -> String {
        self.run(&format!("cat {}", quote(path))).ok().stdout
    }

    /// Writes a file of the machine, owned by root and readable by everyone, and creates the directories above it.
    pub fn write_file(&self, path: &str, content: &str) {
        let path = quote(path);
        self.run_with_input(
            &format!("mkdir -p \"$(dirname {path})\" && cat >{path}"),
            content,
        )
        .ok();
    }

    /// Starts the broker and waits until it listens; for machines built without one.
    pub fn start_broker(&self) {
        self.broker().start();
    }

    /// Installs our programs over those of another build. What runs goes on as it is.
    pub fn upgrade(&self) {
        for file in artefacts::installed() {
            let to = self.host_path(file.to.to_str().expect("a path of ours"));
            let fresh = to.with_extension("new");
            fs::copy(&file.from, &fresh).expect("the machine has room");
            fs::set_permissions(&fresh, fs::Permissions::from_mode(file.mode)).expect("it is ours");
            fs::rename(&fresh, &to).expect("it is in the same folder");
        }
    }

    /// The path by which the host reaches a path of the machine, for tests that must look without running a program in
    /// it. No part of `path` may be a symbolic link: it would be followed on the host.
    pub fn host_path(&self, path: &str) -> PathBuf {
        self.namespaces.path(path)
    }

    pub(crate) fn namespaces(&self) -> &Namespaces {
        &self.namespaces
    }

    /// A command that runs `command` in a shell as `user`, after the arguments in `first`.
    fn shell(&self, user: &str, command: &str, first: &[&str]) -> Command {
        // A shell that starts the tests in the background makes them, and what they start, ignore SIGINT.
        let mut words = vec!["env", "--default-signal=HUP,INT,QUIT"];
        words.extend(first);
        let account = self.account(user);
        let (uid, gid) = (account.uid.to_string(), account.gid.to_string());
        if user == "root" {
            words.extend(["sh", "-c", command]);
        } else {
            words.extend([
                "setpriv",
                "--reuid",
                &uid,
                "--regid",
                &gid,
                "--init-groups",
                "--inh-caps=-all",
            ]);
            words.extend([
                "--reset-env",
                "env",
                "LANG=C.UTF-8",
                "sh",
                "-c",
                "cd && exec sh -c \"$0\"",
                command,
            ]);
        }
        let mut program = self.namespaces.command(words[0]);
        program.args(&words[1..]);
        program
    }

    fn account(&self, user: &str) -> Account {
        if user == "root" {
            return Account { uid: 0, gid: 0 };
        }
        let accounts =
            fs::read_to_string(self.namespaces.path("/etc/passwd")).expect("/etc/passwd");
        let numbers = accounts.lines().find_map(|line| {
            let mut fields = line
                .strip_prefix(user)?
                .strip_prefix(':')?
                .split(':')
                .skip(1);
            Some(Account {
                uid: fields.next()?.parse().ok()?,
                gid: fields.next()?.parse().ok()?,
            })
        });
        numbers.unwrap_or_else(|| panic!("the machine has no user {user}"))
    }
}

/// `text` as one word of a shell.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
