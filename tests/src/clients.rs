//! ssh clients other than OpenSSH's. Each runs on a terminal, and shows what its user would see.

use crate::builder::password_of;
use crate::machine::Machine;
use crate::terminal::Terminal;

/// Paramiko is a library; this is a typical program that uses it.
const PARAMIKO: &str = include_str!("paramiko_login.py");
const PARAMIKO_PATH: &str = "/usr/local/bin/paramiko-login";

/// The command that each client runs, and its output.
const COMMAND: &str = "echo logged in as $(id -un)";
const LOGGED_IN: &str = "logged in as ";

/// A client that is not OpenSSH's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// `PuTTY`'s, without its window.
    Plink,
    /// Dropbear's, which routers and rescue systems have.
    Dbclient,
    /// Python's.
    Paramiko,
}

impl Client {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Plink, Self::Dbclient, Self::Paramiko];

    /// Connects to the machine's sshd as `user`, accepts the host key and types the password. The next prompt is ours.
    pub fn connect(self, machine: &Machine, user: &str) -> Terminal {
        let mut terminal = match self {
            Self::Plink => {
                let mut terminal = machine.terminal(&format!("plink {user}@vm '{COMMAND}'"));
                terminal.expect("Store key in cache? (y/n");
                terminal.expect(") ");
                terminal.type_line("y");
                terminal
            }
            Self::Dbclient => {
                let mut terminal = machine.terminal(&format!("dbclient {user}@vm '{COMMAND}'"));
                terminal.expect("Do you want to continue connecting? (y/n) ");
                terminal.type_line("y");
                terminal
            }
            Self::Paramiko => {
                machine.write_file(PARAMIKO_PATH, PARAMIKO);
                machine.terminal(&format!(
                    "/usr/bin/python3 {PARAMIKO_PATH} {user} vm '{COMMAND}'"
                ))
            }
        };
        terminal.expect("Password: ");
        terminal.type_line(&password_of(user));
        terminal
    }

    /// Waits until `user` is logged in, after the last answer.
    #[track_caller]
    pub fn expect_login(self, terminal: &mut Terminal, user: &str) {
        if self == Self::Plink {
            // PuTTY waits for Enter here, so that a server cannot go on with prompts that look like PuTTY's own.
            terminal.expect("Press Return to begin session.");
            terminal.type_line("");
        }
        terminal.expect(&format!("{LOGGED_IN}{user}"));
        assert!(
            terminal.expect_end().success(),
            "{self:?}: {}",
            terminal.screen()
        );
    }

    /// Waits until the client has given up, and checks that nobody is logged in.
    #[track_caller]
    pub fn expect_refusal(self, terminal: &mut Terminal) {
        let status = terminal.expect_end();
        let screen = terminal.screen();
        assert!(
            !status.success() && !screen.contains(LOGGED_IN),
            "{self:?} ({status}): {screen}"
        );
    }
}
