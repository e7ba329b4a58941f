//! The machines of the benchmark: the same users and services in all of them, and what each checks codes with.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use twofa_e2e::{Builder, Machine};
use twofa_store::Location;

use crate::confirmed::{self, Shown};
use crate::stacks::{OATH_SIZES, Stack, oath_path};
use crate::statistics::grouped;
use crate::users::{User, Users};
use crate::{concurrent, null_broker, stores, sync_renames};

/// The machines in which pamtester logs in.
#[derive(Debug)]
pub struct Machines {
    /// With the files of our peers.
    peers: Machine,
    /// The same, for logins whose renames are followed by a sync. No code may be used twice on one file.
    durable_peers: Machine,
    /// With the broker of [`Stack::NullBroker`].
    null_broker: Machine,
    /// One for each size of our store, with a broker.
    warm: Vec<(usize, Machine)>,
    /// One for each size of our store, without a broker.
    spawned: Vec<(usize, Machine)>,
    /// Where many log in at once.
    pub concurrent: Machine,
}

impl Machines {
    /// Makes all machines, their disks below `disk`.
    pub fn make(sizes: &[usize], disk: &Path, users: &Users, progress: &dyn Fn(&str)) -> Self {
        progress("building twofa and making machines for its peers");
        let peers = machine(disk, users);
        install_google(&peers, &users.timed);
        for size in OATH_SIZES {
            install_oath(&peers, size, &users.timed);
        }
        confirmed::install(&peers);
        let durable_peers = machine(disk, users);
        install_google(&durable_peers, &users.timed);
        install_oath(&durable_peers, OATH_SIZES[0], &users.timed);
        sync_renames::build(&durable_peers);
        let null_broker = machine(disk, users);
        null_broker::start(&null_broker);
        let (mut warm, mut spawned) = (Vec::new(), Vec::new());
        for &size in sizes {
            progress(&format!("enrolling {} users", grouped(size)));
            let folder = tempfile::tempdir_in(disk).expect("a folder for a store");
            let warm_up_user = &users.concurrent[0];
            let store = stores::fill(folder.path(), size, &users.timed, warm_up_user);
            spawned.push((size, machine_with_store(disk, users, &store)));
            let running = machine_with_store(disk, users, &store);
            confirmed::install(&running);
            running.start_broker();
            concurrent::warm_up(&running, warm_up_user);
            warm.push((size, running));
        }
        let folder = tempfile::tempdir_in(disk).expect("a folder for a store");
        let store = stores::fill_for_concurrent(folder.path(), &users.concurrent);
        let concurrent = machine_with_store(disk, users, &store);
        concurrent.start_broker();
        Self {
            peers,
            durable_peers,
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
        stacks.extend(
            [
                Stack::EmptyPreloaded,
                Stack::GoogleDurable,
                Stack::OathDurable(OATH_SIZES[0]),
            ]
            .map(|stack| (stack, &self.durable_peers)),
        );
        stacks.push((Stack::NullBroker, &self.null_broker));
        let (warm, spawned) = (self.warm.iter(), self.spawned.iter());
        stacks.extend(warm.map(|(size, machine)| (Stack::Warm(*size), machine)));
        stacks.extend(spawned.map(|(size, machine)| (Stack::Spawned(*size), machine)));
        stacks
    }

    /// The stacks with an account phase, with the machines they are in.
    pub fn confirmed_stacks(&self) -> Vec<(Stack, &Machine)> {
        let mut stacks = vec![(Stack::EmptyConfirmed, &self.peers)];
        for (size, machine) in &self.warm {
            let shown = [Shown::Code, Shown::Address, Shown::Key];
            stacks.extend(shown.map(|shown| (Stack::Confirmed(shown, *size), machine)));
        }
        let (smallest, machine) = &self.warm[0];
        stacks.push((Stack::Session(*smallest), machine));
        stacks
    }

    /// The size of the largest store, and the machine with a broker that has it.
    pub fn largest(&self) -> (usize, &Machine) {
        let (size, machine) = self.warm.last().expect("a size is measured");
        (*size, machine)
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

/// A machine without a broker, with every user and every service.
pub fn machine(disk: &Path, users: &Users) -> Machine {
    let builder = Machine::new().on_disk(disk).without_broker();
    add_services(add_users(builder, users))
        .pam("other", OTHER)
        .build()
}

/// The same with a copy of `store`.
pub fn machine_with_store(disk: &Path, users: &Users, store: &Location) -> Machine {
    let machine = machine(disk, users);
    copy_store(&machine, store);
    machine
}

/// Adds every user to `/etc/passwd` and `/etc/shadow`.
pub fn add_users(builder: Builder, users: &Users) -> Builder {
    builder
        .file("/etc/passwd.bench", &users.passwd())
        .command("cat /etc/passwd.bench >>/etc/passwd")
        .file("/etc/shadow.bench", &users.shadow())
        .command("cat /etc/shadow.bench >>/etc/shadow")
}

/// Adds a service for each stack.
pub fn add_services(builder: Builder) -> Builder {
    let stacks = [
        Stack::Empty,
        Stack::Google,
        Stack::Warm(0),
        Stack::EmptyConfirmed,
        Stack::Confirmed(Shown::Code, 0),
        Stack::Session(0),
    ];
    let stacks = stacks.into_iter().chain(OATH_SIZES.map(Stack::Oath));
    stacks.fold(builder, |builder, stack| {
        builder.pam(&stack.service(), &stack.lines())
    })
}

/// Puts a copy of `store` in the place of the machine's own, with the owner and mode that one has.
pub fn copy_store(machine: &Machine, store: &Location) {
    let Location { database, key, .. } = Location::default();
    for (from, to) in [(&store.database, database), (&store.key, key)] {
        let to = machine.host_path(to.to_str().expect("a path of ASCII"));
        let copied = fs::File::open(from).and_then(|mut from| {
            let mut to = fs::OpenOptions::new()
                .write(true)
                .truncate(true)
                .open(&to)?;
            io::copy(&mut from, &mut to)
        });
        copied.expect("a store can be copied");
    }
}

/// Gives each of `users` a file of pam_google_authenticator in their home.
pub fn install_google(machine: &Machine, users: &[User]) {
    let mut script = String::from("set -eu; umask 077; mkdir -m 0755 -p /srv/bench\n");
    for user in users {
        // As google-authenticator(1) writes it with the answers its manual recommends; without its scratch codes.
        let lines =
            "\\n\" RATE_LIMIT 3 30\\n\" WINDOW_SIZE 3\\n\" DISALLOW_REUSE\\n\" TOTP_AUTH\\n";
        let (home, name, key) = (user.home(), &user.account.name, user.key.base32());
        script += &format!(
            "mkdir -p {home}; printf '%s{lines}' {} >{home}/.google_authenticator; ",
            &**key
        );
        script +=
            &format!("chmod 0400 {home}/.google_authenticator; chown -R {name}:users {home}\n");
    }
    machine.run_with_input("sh", &script).ok();
}

/// Writes pam_oath's file of `size` users, `users` among them.
pub fn install_oath(machine: &Machine, size: usize, users: &[User]) {
    machine.run("mkdir -m 0755 -p /etc/oath").ok();
    let path = machine.host_path(&oath_path(size));
    let written = fs::write(&path, stores::oath_file(size, users))
        .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)));
    written.expect("pam_oath's file can be written");
}
