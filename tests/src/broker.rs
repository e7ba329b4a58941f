//! The broker of a machine, and what can happen to it from outside.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use crate::machine::{Machine, quote};
use crate::wait;

pub(crate) const LOG: &str = "/var/log/twofad.log";

const SOCKET: &str = "/run/twofa/twofad.sock";

/// Read by libfaketime whenever the broker asks for the time.
const CLOCK: &str = "/run/twofad.clock";

const TRACE: &str = "/var/log/strace.log";

const DEADLINE: Duration = Duration::from_secs(20);

/// How the broker was last started.
#[derive(Debug, Default)]
pub(crate) struct BrokerState {
    /// Its process id inside the machine.
    pid: Option<u32>,
    own_clock: bool,
}

/// The broker of a machine: `/usr/sbin/twofad`, run as user `twofa`.
#[derive(Clone, Copy, Debug)]
pub struct Broker<'a> {
    machine: &'a Machine,
}

impl<'a> Broker<'a> {
    pub(crate) fn new(machine: &'a Machine) -> Self {
        Self { machine }
    }

    /// Its process id inside the machine.
    ///
    /// # Panics
    ///
    /// If it has never been started.
    pub fn pid(self) -> u32 {
        self.machine
            .broker
            .lock()
            .unwrap()
            .pid
            .expect("a broker that was started")
    }

    /// Whether its process exists, even if it is stopped by a signal.
    pub fn is_running(self) -> bool {
        state(self.machine, self.pid()).is_some()
    }

    /// Starts it and waits until it listens.
    ///
    /// # Panics
    ///
    /// If it exits, or does not listen within 20 seconds; the message contains its output.
    pub fn start(self) {
        let mut settings = String::new();
        if self.machine.broker.lock().unwrap().own_clock {
            let _ = write!(
                settings,
                "LD_PRELOAD=$(echo /usr/lib/*/faketime/libfaketimeMT.so.1) FAKETIME_TIMESTAMP_FILE={CLOCK} \
                 FAKETIME_NO_CACHE=1 DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_FAKE_MONOTONIC=1"
            );
        }
        // The shell's child keeps its number through setsid, setpriv and env.
        let started = self.machine.run(&format!(
            "setsid setpriv --reuid twofa --regid twofa --init-groups --inh-caps=-all --reset-env \
             env {settings} /usr/sbin/twofad </dev/null >>{LOG} 2>&1 & echo $!"
        ));
        let pid = started
            .ok()
            .stdout
            .trim()
            .parse()
            .expect("the shell says the number");
        self.machine.broker.lock().unwrap().pid = Some(pid);
        let listening = wait::within(DEADLINE, || {
            let ended = state(self.machine, pid).is_none();
            (ended || self.machine.namespaces().listens_at(SOCKET)).then_some(!ended)
        });
        assert!(
            listening == Some(true),
            "the broker does not listen\n--- its log\n{}\n---",
            self.machine.broker_log()
        );
    }

    /// Ends it without warning, with SIGKILL.
    pub fn kill(self) {
        self.signal("KILL");
        self.wait_for_end();
    }

    /// Ends it as a service manager does, with SIGTERM.
    pub fn terminate(self) {
        self.signal("TERM");
        self.wait_for_end();
    }

    /// Ends it with SIGTERM and starts it again.
    pub fn restart(self) {
        if self.is_running() {
            self.terminate();
        }
        self.start();
    }

    /// Makes it hang: it no longer runs, but its socket stays open.
    pub fn stop(self) {
        self.signal("STOP");
        let pid = self.pid();
        wait::until("the broker to stop", DEADLINE, || {
            (state(self.machine, pid)? == 'T').then_some(())
        });
    }

    /// Lets it run again.
    pub fn cont(self) {
        self.signal("CONT");
    }

    /// Sets its clock to a different time from the machine's, in libfaketime's notation: `+10m`, `-90s`, `+0`. The first
    /// call restarts it; later calls change its time while it runs.
    pub fn set_clock(self, offset: &str) {
        self.machine.write_file(CLOCK, &format!("{offset}\n"));
        let known = std::mem::replace(&mut self.machine.broker.lock().unwrap().own_clock, true);
        if !known {
            self.restart();
        }
    }

    /// Makes system calls fail from now on, in strace(1)'s notation: `fdatasync:error=EIO:when=2+` or
    /// `sendto:signal=KILL`. Counting begins now, separately for each thread of the broker.
    pub fn inject(self, fault: &str) -> Trace<'a> {
        let calls = fault.split(':').next().unwrap_or(fault);
        self.trace(&format!(
            "-e trace={} -e inject={}",
            quote(calls),
            quote(fault)
        ))
    }

    /// Records these system calls from now on, such as `pwrite64` or `%network`, without changing them.
    pub fn watch(self, calls: &str) -> Trace<'a> {
        self.trace(&format!("-e trace={}", quote(calls)))
    }

    fn trace(self, options: &str) -> Trace<'a> {
        let pid = self.pid();
        let started = self.machine.run(&format!(
            "setsid strace -f -q -xx -p {pid} {options} -o {TRACE} </dev/null >/dev/null 2>&1 & echo $!"
        ));
        let trace = Trace {
            machine: self.machine,
            strace: started.ok().stdout.trim().parse().unwrap(),
        };
        wait::until("strace to attach", DEADLINE, || {
            traced(self.machine, pid).then_some(())
        });
        trace
    }

    fn signal(self, signal: &str) {
        self.machine
            .run(&format!("kill -{signal} {}", self.pid()))
            .ok();
    }

    fn wait_for_end(self) {
        let pid = self.pid();
        wait::until("the broker to end", DEADLINE, || {
            state(self.machine, pid).is_none().then_some(())
        });
    }
}

/// A trace of the broker's system calls, perhaps with faults injected. Dropping it ends both.
#[derive(Debug)]
pub struct Trace<'a> {
    machine: &'a Machine,
    strace: u32,
}

impl Trace<'_> {
    /// The calls recorded so far, as strace prints them, with data in hexadecimal.
    pub fn calls(&self) -> String {
        self.machine.file(TRACE)
    }
}

impl Drop for Trace<'_> {
    fn drop(&mut self) {
        // strace detaches on SIGINT; if the broker has exited, so has strace.
        let _ = self.machine.run(&format!("kill -INT {}", self.strace));
        wait::within(DEADLINE, || {
            state(self.machine, self.strace).is_none().then_some(())
        });
    }
}

/// The state of a process, a letter of proc(5), and `None` when it has ended: a zombie with other threads still holds its
/// files, a socket that it listens at among them.
fn state(machine: &Machine, pid: u32) -> Option<char> {
    let status = fs::read_to_string(machine.host_path(&format!("/proc/{pid}/stat"))).ok()?;
    let state = status.rsplit_once(") ")?.1.chars().next()?;
    let threads = fs::read_dir(machine.host_path(&format!("/proc/{pid}/task")));
    let has_ended = matches!(state, 'Z' | 'X') && threads.map_or(0, Iterator::count) <= 1;
    (!has_ended).then_some(state)
}

/// Whether every thread of a process is traced.
fn traced(machine: &Machine, pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(machine.host_path(&format!("/proc/{pid}/task"))) else {
        return false;
    };
    threads.flatten().all(|thread| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        status.lines().any(|line| {
            line.strip_prefix("TracerPid:")
                .is_some_and(|tracer| tracer.trim() != "0")
        })
    })
}
