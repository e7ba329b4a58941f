//! Logins over ssh that prove a change: with a key that is made for it, and with the person's password.
//!
//! The client is ssh(1), whose questions come to us through `SSH_ASKPASS` and two pipes with names, and which knows the host
//! by the keys of sshd. A login with a password goes to the sshd that runs. No key of the person's is here, as a rule; so a
//! login with a key goes to an sshd of our own (`sshd -i`), which reads the same files but accepts that one key, from one
//! connection of which we hold both ends.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::daemon::{CLIENT, PROGRAM, ask_for, clean, refused, run, ways_now};
use super::ways::{Settings, Way};
use crate::error::CommandError;
use crate::pam_change::files;
use crate::pam_change::login::{
    Terminal, Trial, failed, gets_in, refuses_wrong_code, refuses_wrong_password, say,
};
use crate::pam_change::pam_sys::Conversation;

/// What ssh(1) ends with if the login failed; anything else is what the command on the other side ended with.
const FAILED: i32 = 255;
/// How often to look whether the client has ended, in milliseconds.
const GLANCE: u16 = 50;
/// How long the client may take to connect, in milliseconds.
const CONNECT: u16 = 10_000;

/// How to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Key,
    Password,
}

/// Logs somebody in over ssh by each way that is there for them. If a code is to be asked for, a wrong one must be refused at
/// each, and a right one let in at the first; if not, no code may be asked for, and a wrong password must be refused.
pub(in crate::pam_change) fn prove(trial: &Trial) -> Result<(), CommandError> {
    let name = &trial.person;
    let (settings, ways) = ways_now(name)?;
    let ways = usable(trial, &ways)?;
    say(&format!(
        "The change is in place, but not final: log in over ssh as {name} to prove it."
    ))?;
    let place = Place::make().map_err(|error| files::failed("/run", &error))?;
    let mut terminal = Terminal::default();
    let mut is_let_in = false;
    for by in ways {
        let mut log_in = |terminal: &mut Terminal| place.log_in(name, by, &settings, terminal);
        let with = match by {
            By::Key => "a key made for this",
            By::Password => "the password",
        };
        if trial.asks {
            say(&format!(
                "With {with}, a wrong code is tried, which must be refused."
            ))?;
            refuses_wrong_code(trial, &mut terminal, &mut log_in)?;
            if is_let_in {
                continue;
            }
        } else if by == By::Password {
            say("A wrong password is tried, which must be refused.")?;
            refuses_wrong_password(trial, &mut log_in)?;
        }
        say(&format!("Now the login with {with}:"))?;
        gets_in(trial, &mut terminal, &mut log_in)?;
        is_let_in = true;
    }
    Ok(())
}

/// The ways that can be tried here.
fn usable(trial: &Trial, ways: &[Way]) -> Result<Vec<By>, CommandError> {
    let name = &trial.person;
    let by_key = |way: &Way| way.has_key() && way.asks() == trial.asks && way.0.len() <= 2;
    let has_password = ways.iter().any(|way| !way.has_key());
    let mut usable = Vec::new();
    if ways.iter().any(by_key) {
        usable.push(By::Key);
    }
    if has_password && may_have_password(name) {
        usable.push(By::Password);
    } else if has_password {
        say(&format!(
            "{name} has no password, so a login with one is not tried."
        ))?;
    }
    if usable.is_empty() {
        let message = format!("sshd has no way in for {name} from this machine");
        return Err(failed(trial, &message).hinted(
            "name a user who can log in over ssh with --login-as USER, or skip the login with --no-login",
        ));
    }
    Ok(usable)
}

/// Whether `/etc/shadow` does not say that no password is right.
fn may_have_password(name: &str) -> bool {
    let shadow = fs::read_to_string("/etc/shadow").unwrap_or_default();
    let mut lines = shadow.lines().filter_map(|line| line.split_once(':'));
    lines
        .find(|(known, _)| *known == name)
        .is_none_or(|(_, rest)| !rest.starts_with(['!', '*', ':']))
}

/// A directory with what the client and sshd need, removed at the end.
struct Place {
    /// Root's alone: the key, the pipes and the script.
    own: PathBuf,
    /// Read by sshd with the rights of the person: the public key.
    public: PathBuf,
}

impl Place {
    fn make() -> io::Result<Self> {
        let name = format!("/run/twofa-pam-{}", std::process::id());
        let place = Self {
            own: Path::new(&name).join("own"),
            public: PathBuf::from(name),
        };
        // One that was killed may have had the same process id.
        let _ = fs::remove_dir_all(&place.public);
        fs::DirBuilder::new().mode(0o755).create(&place.public)?;
        fs::set_permissions(&place.public, fs::Permissions::from_mode(0o755))?;
        fs::DirBuilder::new().mode(0o700).create(&place.own)?;
        place.write_script()?;
        Ok(place)
    }

    /// New ones for each login: a script of the last may still wait for an answer.
    fn make_pipes(&self) -> io::Result<()> {
        for name in ["question", "answer"] {
            let pipe = self.own.join(name);
            if pipe.exists() {
                fs::remove_file(&pipe)?;
            }
            mkfifo(&pipe, Mode::S_IRUSR | Mode::S_IWUSR)?;
        }
        Ok(())
    }

    /// The program that ssh(1) starts with a question: it hands it over, and the answer back.
    fn write_script(&self) -> io::Result<()> {
        let own = self.own.display();
        let script = format!(
            "#!/bin/sh\nprintf '%s\\0' \"$1\" >'{own}/question' && IFS= read -r answer <'{own}/answer' && \
             printf '%s\\n' \"$answer\"\n"
        );
        let path = self.own.join("ask");
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o700)
            .open(path)?;
        file.write_all(script.as_bytes())
    }

    /// One login.
    fn log_in(
        &self,
        name: &str,
        by: By,
        settings: &Settings,
        terminal: &mut Terminal,
    ) -> Result<(), String> {
        self.try_login(name, by, settings, terminal)
            .unwrap_or_else(|error| Err(error.to_string()))
    }

    fn try_login(
        &self,
        name: &str,
        by: By,
        settings: &Settings,
        terminal: &mut Terminal,
    ) -> Result<Result<(), String>, CommandError> {
        self.write_known_hosts()?;
        let io_failed = |error: io::Error| files::failed(CLIENT, &error);
        self.make_pipes().map_err(io_failed)?;
        let running = (by == By::Password)
            .then(|| running_sshd(settings))
            .flatten();
        let mut client = self.client(name, by);
        let log = self.own.join("log");
        client.stderr(File::create(&log).map_err(io_failed)?);
        let mut sshd = None;
        let mut child = if let Some((address, port)) = running {
            client.args(["-p", &port, "--", &address, "true"]);
            client.spawn().map_err(io_failed)?
        } else {
            let listener = TcpListener::bind("127.0.0.1:0").map_err(io_failed)?;
            let port = listener.local_addr().map_err(io_failed)?.port().to_string();
            client.args(["-p", &port, "--", "127.0.0.1", "true"]);
            let child = client.spawn().map_err(io_failed)?;
            let mut events = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
            poll(&mut events, CONNECT).map_err(|error| io_failed(error.into()))?;
            listener.set_nonblocking(true).map_err(io_failed)?;
            let (stream, _) = listener.accept().map_err(io_failed)?;
            stream.set_nonblocking(false).map_err(io_failed)?;
            sshd = Some(
                self.sshd(stream)
                    .map_err(|error| files::failed(PROGRAM, &error))?,
            );
            child
        };
        let ended = self.converse(&mut child, terminal);
        if let Some(mut sshd) = sshd {
            let _ = sshd.wait();
        }
        let status = ended.map_err(io_failed)?;
        Ok(match status {
            // One that a signal ended has no code, and proves nothing.
            Some(status) if status.code().is_some_and(|code| code != FAILED) => Ok(()),
            _ => {
                let said = fs::read_to_string(&log).unwrap_or_default();
                let last = said.lines().last().unwrap_or("it was refused").trim();
                Err(last.to_owned())
            }
        })
    }

    /// An sshd with the files of the real one, for this one connection, that accepts our key.
    fn sshd(&self, stream: TcpStream) -> io::Result<Child> {
        let own_key = format!("AuthorizedKeysFile={}/key.pub", self.public.display());
        let other = stream.try_clone()?;
        clean(PROGRAM)
            .args(["-i", "-o", &own_key])
            .stdin(OwnedFd::from(stream))
            .stdout(OwnedFd::from(other))
            .stderr(Stdio::null())
            .spawn()
    }

    fn client(&self, name: &str, by: By) -> Command {
        let own = self.own.display();
        let mut client = clean(CLIENT);
        let option = |name: &str, value: &str| ["-o".to_owned(), format!("{name}={value}")];
        client
            .env("LANG", "C.UTF-8")
            .env("DISPLAY", "none")
            .env("SSH_ASKPASS", self.own.join("ask"))
            .env("SSH_ASKPASS_REQUIRE", "force")
            .args(["-F", "none", "-l", name])
            .args(option("UserKnownHostsFile", &format!("{own}/known_hosts")))
            .args(option("GlobalKnownHostsFile", "none"))
            .args(option("HostKeyAlias", "twofa"))
            .args(option("StrictHostKeyChecking", "yes"))
            .args(option("NumberOfPasswordPrompts", "1"))
            .args(option("IdentitiesOnly", "yes"))
            .args(option("ControlPath", "none"))
            .args(option("ConnectTimeout", "10"));
        match by {
            By::Key => client
                .args(option("IdentityFile", &format!("{own}/key")))
                .args(option(
                    "PreferredAuthentications",
                    "publickey,keyboard-interactive",
                )),
            By::Password => client
                .args(option("PubkeyAuthentication", "no"))
                .args(option(
                    "PreferredAuthentications",
                    "keyboard-interactive,password",
                )),
        };
        client.stdin(Stdio::null()).stdout(Stdio::null());
        client
    }

    /// Makes the key, and a file of the host's public keys.
    fn write_known_hosts(&self) -> Result<(), CommandError> {
        let key = self.own.join("key");
        let io_failed = |error: io::Error| files::failed(&key.display().to_string(), &error);
        if !key.exists() {
            let path = key.display().to_string();
            run(
                "ssh-keygen",
                &["-q", "-t", "ed25519", "-N", "", "-C", "twofa", "-f", &path],
            )?;
            fs::copy(key.with_extension("pub"), self.public.join("key.pub")).map_err(io_failed)?;
            let public = fs::Permissions::from_mode(0o644);
            fs::set_permissions(self.public.join("key.pub"), public).map_err(io_failed)?;
        }
        let text = ask_for("root").map_err(|said| refused(&said))?;
        let mut known = String::new();
        for path in text
            .lines()
            .filter_map(|line| line.strip_prefix("hostkey "))
        {
            let shown = run("ssh-keygen", &["-y", "-f", path])?;
            if shown.status.success() {
                known.push_str(&format!("twofa {}", String::from_utf8_lossy(&shown.stdout)));
            }
        }
        fs::write(self.own.join("known_hosts"), known).map_err(io_failed)
    }

    /// Answers the client's questions until it ends; `None`: a question had no answer, and it was ended.
    fn converse(
        &self,
        child: &mut Child,
        terminal: &mut Terminal,
    ) -> io::Result<Option<ExitStatus>> {
        // Opened for both, a pipe with a name never waits for its other end.
        let open = |name: &str| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(self.own.join(name))
        };
        let (mut questions, mut answers) = (open("question")?, open("answer")?);
        let mut question = Vec::new();
        loop {
            let mut events = [PollFd::new(questions.as_fd(), PollFlags::POLLIN)];
            if poll(&mut events, PollTimeout::from(GLANCE))? == 0 {
                if let Some(status) = child.try_wait()? {
                    return Ok(Some(status));
                }
                continue;
            }
            let mut part = [0; 4096];
            let length = questions.read(&mut part)?;
            question.extend_from_slice(&part[..length]);
            if question.last() != Some(&0) {
                continue;
            }
            question.pop();
            let text = String::from_utf8_lossy(&question).into_owned();
            question.clear();
            let Some(answer) = terminal.answer(&text, Terminal::is_for_code(&text)) else {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            };
            answers.write_all(answer.as_bytes())?;
            answers.write_all(b"\n")?;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.public);
    }
}

/// Where the sshd that runs listens on this machine, if it does.
fn running_sshd(settings: &Settings) -> Option<(String, String)> {
    let port = settings.value("port").to_owned();
    let listens = settings.value("listenaddress");
    let address = listens.rsplit_once(':').map_or(listens, |(host, _)| host);
    let address = address.trim_matches(['[', ']']);
    let address = if matches!(address, "0.0.0.0" | "::" | "") {
        "127.0.0.1"
    } else {
        address
    };
    let number: u16 = port.parse().ok()?;
    TcpStream::connect((address, number)).ok()?;
    Some((address.to_owned(), port))
}
