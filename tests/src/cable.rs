//! A network cable between two machines.

use std::process::Command;

use crate::booted::Booted;
use crate::machine::Machine;

/// A cable, as the end in one machine sees it. The interface has the same name in both.
#[derive(Debug)]
pub struct Cable<'a> {
    machine: &'a Machine,
    name: String,
}

impl Machine {
    /// Connects this machine and `other` by a cable called `name`; `here` and `there` are the addresses of its two ends, with
    /// the length of their prefix.
    ///
    /// # Panics
    ///
    /// If the kernel has no such cables (veth).
    pub fn connect<'a>(&'a self, other: &Self, name: &str, here: &str, there: &str) -> Cable<'a> {
        let ends = [self, other].map(|machine| machine.namespaces().init());
        lay(name, ends);
        self.run(&plug(name, here)).ok();
        other.run(&plug(name, there)).ok();
        Cable {
            machine: self,
            name: name.to_owned(),
        }
    }
}

impl Booted {
    /// Connects this system and `other` in the same way. The cable stays.
    ///
    /// # Panics
    ///
    /// If the kernel has no such cables (veth).
    pub fn connect(&self, other: &Machine, name: &str, here: &str, there: &str) {
        lay(name, [self.init(), other.namespaces().init()]);
        self.run(&plug(name, here)).ok();
        other.run(&plug(name, there)).ok();
    }
}

/// Makes a cable between the network namespaces of two processes.
fn lay(name: &str, ends: [u32; 2]) {
    let [own, others] = ends.map(|process| process.to_string());
    let made = Command::new("nsenter")
        .args(["-t", &own, "-n", "ip", "link", "add", name, "type", "veth"])
        .args(["peer", "name", name, "netns", &others])
        .output()
        .expect("nsenter is installed");
    assert!(
        made.status.success(),
        "no cable: {}",
        String::from_utf8_lossy(&made.stderr)
    );
}

/// The command that gives the end `name` of a cable this address, with the length of its prefix.
fn plug(name: &str, address: &str) -> String {
    let nodad = if address.contains(':') { " nodad" } else { "" };
    format!("ip addr add {address} dev {name}{nodad} && ip link set {name} up")
}

impl Cable<'_> {
    /// Pulls it out.
    pub fn pull(&self) {
        self.set("down");
    }

    /// Plugs it in again.
    pub fn plug_in(&self) {
        self.set("up");
    }

    fn set(&self, state: &str) {
        let name = &self.name;
        self.machine
            .run(&format!("ip link set {name} {state}"))
            .ok();
    }
}
