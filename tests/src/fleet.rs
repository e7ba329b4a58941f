//! A server of a fleet, and machines that join it.

use crate::builder::password_of;
use crate::cable::Cable;
use crate::machine::Machine;

/// Where a server listens.
const PORT: u16 = 6238;
/// The name by which hosts reach it.
const NAME: &str = "srv.example.com";
const PID: &str = "/run/server.pid";

impl Machine {
    /// Logs root in at the console, whose password the machine must have been given.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[track_caller]
    pub fn assert_console_works(&self) {
        let mut console = self.terminal("login");
        console.expect("login:");
        console.type_line("root");
        console.expect("Password:");
        console.type_line(&password_of("root"));
        console.expect("root@vm:~# ");
        console.type_line("exit");
        console.expect_end();
    }

    /// Makes this machine a server of a new fleet, and starts it.
    pub fn become_fleet_server(&self) {
        self.run(&format!("twofa fleet init --address {NAME}")).ok();
        self.start_fleet_server();
    }

    /// Starts `twofad --server` as its unit does, and waits until it listens.
    pub fn start_fleet_server(&self) {
        self.run(&format!(
            "setsid setpriv --reuid twofa --regid twofa --init-groups --inh-caps=-all --reset-env \
             /usr/sbin/twofad --server </dev/null >>/var/log/twofad-server.log 2>&1 & echo $! >{PID}"
        ))
        .ok();
        self.wait_for_port(PORT);
    }

    /// Kills `twofad --server` without warning.
    pub fn kill_fleet_server(&self) {
        self.run(&format!("kill -9 $(cat {PID})")).ok();
        self.wait_until(&format!("! kill -0 $(cat {PID})"));
    }

    /// Adds a host on this server, and returns its token.
    pub fn add_host(&self, name: &str, options: &str) -> String {
        let added = self.run(&format!("twofa host add {name} {options}")).ok();
        let token = added
            .stdout
            .lines()
            .find(|line| line.starts_with("twofa1/"));
        token.expect("a token").to_owned()
    }

    /// Connects `host` to this server by a cable of its own, the network 10.77.`number`.0, and has it join as `name`.
    pub fn take_in<'a>(&'a self, host: &Self, name: &str, number: u8) -> Cable<'a> {
        let here = format!("10.77.{number}.1");
        let there = format!("10.77.{number}.2/24");
        let cable = self.connect(host, name, &format!("{here}/24"), &there);
        self.have_join(host, name, &here);
        cable
    }

    /// The same by an IPv6 network alone, fd77:`number`::.
    pub fn take_in_by_ipv6<'a>(&'a self, host: &Self, name: &str, number: u8) -> Cable<'a> {
        let here = format!("fd77:{number}::1");
        let there = format!("fd77:{number}::2/64");
        let cable = self.connect(host, name, &format!("{here}/64"), &there);
        self.have_join(host, name, &here);
        cable
    }

    /// Has `host`, which is connected, join as `name`. This server is at `here`.
    pub fn have_join(&self, host: &Self, name: &str, here: &str) {
        host.run(&format!("echo '{here} {NAME}' >>/etc/hosts")).ok();
        let token = self.add_host(name, "");
        host.run_with_input("twofa join --token-file -", &token)
            .ok();
    }
}
