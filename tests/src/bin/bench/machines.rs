//! The machines of the benchmark and the stacks in them.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use twofa_e2e::{FIRST_FACTOR, Machine};
use twofa_store::Location;

use crate::users::Users;
use crate::{concurrent, null_broker, stores};

/// A stack that is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// A copy of `pam_permit` alone, which every other stack has as well.
    Empty,
    /// pam_google_authenticator, which has a file for each user.
    Google,
    /// pam_oath with a file of so many users.
    Oath(usize),
    /// Our module with a broker that asks and then lets everybody in: no store, no sync. What is left is the module, the
    /// way to a broker and back, and the line in the log.
    NullBroker,
    /// Ours with so many users enrolled and a broker that runs.
    Warm(usize),
    /// Ours with so many users enrolled and no broker, so that the module starts one for the login.
    Spawned(usize),
}

/// How many users pam_oath's files have.
const OATH_SIZES: [usize; 2] = [60, 100_000];

/// All machines have these services and the same accounts.
#[derive(Debug)]
pub struct Machines {
    /// With our peers' files.
    peers: Machine,
    /// With [`Stack::NullBroker`]'s broker.
    null_broker: Machine,
    /// One for each size of our store, with a broker.
    warm: Vec<(usize, Machine)>,
    /// One for each size of our store, without a broker.
    spawned: Vec<(usize, Machine)>,
    /// Where many log in at once.
    pub concurrent: Machine,
}

impl Stack {
    /// The service that pamtester is told.
    pub fn service(self) -> String {
        match self {
            Self::Empty => "bench-empty".into(),
            Self::Google => "bench-google".into(),
            Self::Oath(size) => format!("bench-oath-{size}"),
            Self::NullBroker | Self::Warm(_) | Self::Spawned(_) => "bench-twofa".into(),
        }
    }

    fn module(self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Google => "auth required pam_google_authenticator.so\n".into(),
            Self::Oath(size) => {
                format!(
                    "auth required pam_oath.so usersfile={} window=5 digits=6\n",
                    oath_path(size)
                )
            }
            Self::NullBroker | Self::Warm(_) | Self::Spawned(_) => {
                "auth required pam_twofa.so\n".into()
            }
        }
    }

    /// The stack as it stands in `/etc/pam.d`.
    fn lines(self) -> String {
        FIRST_FACTOR.to_owned() + &self.module()
    }
}

impl std::fmt::Display for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => write!(f, "empty stack"),
            Self::Google => write!(f, "pam_google_authenticator"),
            Self::Oath(size) => write!(f, "pam_oath, {} users", grouped(*size)),
            Self::NullBroker => write!(f, "twofa's module, a broker that checks nothing"),
            Self::Warm(size) => write!(f, "twofa, {} users, broker warm", grouped(*size)),
            Self::Spawned(size) => write!(f, "twofa, {} users, broker spawned", grouped(*size)),
        }
    }
}

impl Machines {
    /// Makes all machines, their disks below `disk`.
    pub fn make(sizes: &[usize], disk: &Path, users: &Users, progress: &dyn Fn(&str)) -> Self {
        progress("building twofa and making a machine for its peers");
        let peers = machine(disk, users);
        install_peers(&peers, users);
        let null_broker = machine(disk, users);
        null_broker::start(&null_broker);
        let (mut warm, mut spawned) = (Vec::new(), Vec::new());
        for &size in sizes {
            progress(&format!("enrolling {} users", grouped(size)));
            let folder = tempfile::tempdir_in(disk).expect("a folder for a store");
            let warm_up_user = &users.concurrent[0];
            let store = stores::fill(folder.path(), size, &users.timed, warm_up_user);
            spawned.push((size, with_store(machine(disk, users), &store)));
            let running = with_store(machine(disk, users), &store);
            running.start_broker();
            concurrent::warm_up(&running, warm_up_user);
            warm.push((size, running));
        }
        let folder = tempfile::tempdir_in(disk).expect("a folder for a store");
        let store = stores::fill_with_crowd(folder.path(), &users.concurrent);
        let concurrent = with_store(machine(disk, users), &store);
        concurrent.start_broker();
        Self {
            peers,
            null_broker,
            warm,
            spawned,
            concurrent,
        }
    }

    /// All stacks with the machines they are in.
    pub fn stacks(&self) -> Vec<(Stack, &Machine)> {
        let mut stacks = vec![(Stack::Empty, &self.peers), (Stack::Google, &self.peers)];
        stacks.extend(OATH_SIZES.map(|size| (Stack::Oath(size), &self.peers)));
        stacks.push((Stack::NullBroker, &self.null_broker));
        stacks.extend(
            self.warm
                .iter()
                .map(|(size, machine)| (Stack::Warm(*size), machine)),
        );
        stacks.extend(
            self.spawned
                .iter()
                .map(|(size, machine)| (Stack::Spawned(*size), machine)),
        );
        stacks
    }
}

/// libpam reads this file for every service and loads what it names. Debian's names whatever is in the common stacks, our
/// module among it, so that the empty stack would be anything but empty.
const OTHER: &str = "\
auth required pam_deny.so
account required pam_deny.so
password required pam_deny.so
session required pam_deny.so
";

/// A machine without a broker, with everybody in it and every service.
fn machine(disk: &Path, users: &Users) -> Machine {
    let mut builder = Machine::new()
        .on_disk(disk)
        .without_broker()
        .pam("other", OTHER)
        .file("/etc/passwd.bench", &users.passwd())
        .command("cat /etc/passwd.bench >>/etc/passwd");
    let ours = Stack::Warm(0);
    for stack in [Stack::Empty, Stack::Google, ours]
        .into_iter()
        .chain(OATH_SIZES.map(Stack::Oath))
    {
        builder = builder.pam(&stack.service(), &stack.lines());
    }
    builder.build()
}

/// Puts a copy of `store` in the place of the machine's own, with the owner and mode that one has.
fn with_store(machine: Machine, store: &Location) -> Machine {
    let Location { database, key } = Location::default();
    for (from, to) in [(&store.database, database), (&store.key, key)] {
        let to = machine.host_path(to.to_str().expect("a path of ASCII"));
        let copied = fs::File::open(from).and_then(|mut from| {
            io::copy(
                &mut from,
                &mut fs::OpenOptions::new()
                    .write(true)
                    .truncate(true)
                    .open(&to)?,
            )
        });
        copied.expect("a store can be copied");
    }
    machine
}

/// What the users of our peers have: everybody in `timed`, and for pam_oath many more.
fn install_peers(machine: &Machine, users: &Users) {
    let mut script = String::from("set -eu; umask 077; mkdir -m 0755 -p /srv/bench /etc/oath\n");
    for user in &users.timed {
        // As google-authenticator(1) writes it with the answers its manual recommends; without its scratch codes.
        let lines =
            "\\n\" RATE_LIMIT 3 30\\n\" WINDOW_SIZE 3\\n\" DISALLOW_REUSE\\n\" TOTP_AUTH\\n";
        let (home, name, key) = (user.home(), &user.account.name, user.key.base32());
        script += &format!(
            "mkdir {home}; printf '%s{lines}' {} >{home}/.google_authenticator; ",
            &**key
        );
        script +=
            &format!("chmod 0400 {home}/.google_authenticator; chown -R {name}:users {home}\n");
    }
    machine.run_with_input("sh", &script).ok();
    for size in OATH_SIZES {
        let path = machine.host_path(&oath_path(size));
        let written = fs::write(&path, stores::oath_file(size, &users.timed))
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)));
        written.expect("pam_oath's file can be written");
    }
}

fn oath_path(size: usize) -> String {
    format!("/etc/oath/{size}.users")
}

/// A number with a space between thousands, as in `100 000`.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!([60, 1000, 100_000].map(grouped), ["60", "1 000", "100 000"]);
    }
}
