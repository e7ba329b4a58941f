//! A network cable between two machines that is slow and loses packets.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::machine::Machine;

const PROGRAM: &str = include_str!("slow_cable.py");

/// Such a cable, until it is dropped.
#[derive(Debug)]
pub struct SlowCable(Child);

impl Machine {
    /// Connects this machine and `other` by a cable called `name`, on which each packet takes `delay` milliseconds and `loss` of
    /// a hundred are lost, in both directions; `here` and `there` are the addresses of its two ends, with the length of
    /// their prefix.
    ///
    /// # Panics
    ///
    /// If the kernel has no such cables (tun).
    pub fn connect_slowly(
        &self,
        other: &Self,
        name: &str,
        [delay, loss]: [u32; 2],
        here: &str,
        there: &str,
    ) -> SlowCable {
        let [own, others] = [self, other].map(|machine| machine.namespaces().init().to_string());
        let mut program = Command::new("python3");
        program
            .args(["-c", PROGRAM, &own, &others, name])
            .args([delay.to_string(), loss.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut cable = program.spawn().expect("python3 is installed");
        let mut said = String::new();
        BufReader::new(cable.stdout.take().expect("a pipe"))
            .read_line(&mut said)
            .expect("it says that it is ready");
        assert_eq!(said, "ready\n", "no slow cable");
        for (machine, address) in [(self, here), (other, there)] {
            let set = format!("ip addr add {address} dev {name} && ip link set {name} up");
            machine.run(&set).ok();
        }
        SlowCable(cable)
    }
}

impl Drop for SlowCable {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
