//! What hosts have sent and nobody has worked on yet, and the workers. Hosts take turns, and one has at most half of the
//! workers, so that no host keeps another waiting.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::STACK_BYTES;
use super::connection::HostConnection;
use crate::process::log;

/// Messages that are worked on at once. A worker may wait fifteen seconds for a provider of codes, and a host goes to another
/// server if none accepts its message within two.
const MAX_WORKERS: usize = 512;
/// Of those, of one host.
const MAX_OF_A_HOST: usize = MAX_WORKERS / 2;
/// How long a worker waits for work before it ends.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// What is to be done on a connection.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) connection: HostConnection,
    pub(super) task: Task,
    /// When it came. The time that a host gives for a reply is counted from then.
    pub(super) since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// A message has arrived, or its beginning.
    Message,
    /// The answer to a prompt has not come in time.
    TimeOut,
}

impl Job {
    pub(super) fn new(connection: HostConnection, task: Task) -> Self {
        Self {
            connection,
            task,
            since: Instant::now(),
        }
    }
}

/// The key of a host's certificate.
type HostKey = [u8; 32];

/// What is to be done, and who does it.
#[derive(Debug, Default)]
pub(super) struct WorkQueue {
    state: Mutex<QueueState<Job>>,
    changed: Condvar,
}

#[derive(Debug)]
struct QueueState<J> {
    hosts: HashMap<HostKey, HostQueue<J>>,
    /// The hosts whose turn it is, one after the other: each has jobs, and fewer workers than it may have.
    turns: VecDeque<HostKey>,
    workers: usize,
    idle: usize,
}

#[derive(Debug)]
struct HostQueue<J> {
    jobs: VecDeque<J>,
    active: usize,
    has_turn: bool,
}

impl<J> Default for QueueState<J> {
    fn default() -> Self {
        Self {
            hosts: HashMap::new(),
            turns: VecDeque::new(),
            workers: 0,
            idle: 0,
        }
    }
}

impl<J> Default for HostQueue<J> {
    fn default() -> Self {
        Self {
            jobs: VecDeque::new(),
            active: 0,
            has_turn: false,
        }
    }
}

impl<J> QueueState<J> {
    fn add(&mut self, key: HostKey, job: J) {
        self.hosts.entry(key).or_default().jobs.push_back(job);
        self.give_turn(key);
    }

    fn give_turn(&mut self, key: HostKey) {
        if let Some(host) = self.hosts.get_mut(&key)
            && !host.has_turn
            && !host.jobs.is_empty()
            && host.active < MAX_OF_A_HOST
        {
            host.has_turn = true;
            self.turns.push_back(key);
        }
    }

    fn next(&mut self) -> Option<J> {
        let key = self.turns.pop_front()?;
        let host = self.hosts.get_mut(&key)?;
        host.has_turn = false;
        let job = host.jobs.pop_front()?;
        host.active += 1;
        self.give_turn(key);
        Some(job)
    }

    fn finish(&mut self, key: HostKey) {
        let Some(host) = self.hosts.get_mut(&key) else {
            return;
        };
        host.active -= 1;
        if host.active == 0 && host.jobs.is_empty() {
            self.hosts.remove(&key);
        } else {
            self.give_turn(key);
        }
    }
}

/// Gives the host's worker back when it is dropped.
struct Finished<'a> {
    queue: &'a WorkQueue,
    key: HostKey,
}

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.finish(self.key);
        let is_more = !state.turns.is_empty();
        drop(state);
        if is_more {
            self.queue.changed.notify_one();
        }
    }
}

impl WorkQueue {
    pub(super) fn push(&self, job: Job) {
        let mut state = self.lock();
        let key = *job.connection.key();
        state.add(key, job);
        drop(state);
        self.changed.notify_one();
    }

    /// Starts workers that call `work` as they are needed, without end.
    pub(super) fn start(
        self: &Arc<Self>,
        work: impl Fn(Job) + Clone + Send + 'static,
    ) -> io::Result<()> {
        self.start_worker(work)
    }

    fn start_worker(
        self: &Arc<Self>,
        work: impl Fn(Job) + Clone + Send + 'static,
    ) -> io::Result<()> {
        self.lock().workers += 1;
        let queue = self.clone();
        let started = thread::Builder::new()
            .name("host".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || queue.run(&work));
        started.map(drop).inspect_err(|_| self.lock().workers -= 1)
    }

    /// One worker.
    fn run(self: Arc<Self>, work: &(impl Fn(Job) + Clone + Send + 'static)) {
        while let Some((job, is_last_idle)) = self.wait() {
            // One that is idle waits for the next message while this one is worked on.
            if is_last_idle && let Err(error) = self.start_worker(work.clone()) {
                log::warn(&format!("cannot start a thread for hosts: {error}"));
            }
            let _finished = Finished {
                queue: &self,
                key: *job.connection.key(),
            };
            work(job);
        }
    }

    /// The next job, and whether another worker is needed; `None`: this worker is not needed any longer.
    fn wait(&self) -> Option<(Job, bool)> {
        let mut state = self.lock();
        state.idle += 1;
        loop {
            if let Some(job) = state.next() {
                state.idle -= 1;
                let is_last_idle = state.idle == 0 && state.workers < MAX_WORKERS;
                return Some((job, is_last_idle));
            }
            let (back, waited) = self
                .changed
                .wait_timeout(state, IDLE_TIMEOUT)
                .unwrap_or_else(PoisonError::into_inner);
            state = back;
            if waited.timed_out() && state.idle > 1 && state.turns.is_empty() {
                state.idle -= 1;
                state.workers -= 1;
                return None;
            }
        }
    }

    /// The workers that there are.
    #[cfg(test)]
    pub(super) fn workers(&self) -> usize {
        self.lock().workers
    }

    fn lock(&self) -> MutexGuard<'_, QueueState<Job>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_take_turns_and_one_has_half_of_the_workers_at_most() {
        let (busy, other) = ([1; 32], [2; 32]);
        let mut queue = QueueState::default();
        for _ in 0..MAX_WORKERS {
            queue.add(busy, busy);
        }
        queue.add(other, other);
        assert_eq!((queue.next(), queue.next()), (Some(busy), Some(other)));
        let begun = std::iter::from_fn(|| queue.next()).count();
        assert_eq!(begun, MAX_OF_A_HOST - 1);
        queue.add(other, other);
        assert_eq!((queue.next(), queue.next()), (Some(other), None));
        queue.finish(busy);
        assert_eq!((queue.next(), queue.next()), (Some(busy), None));
        queue.finish(other);
        queue.finish(other);
        assert!(!queue.hosts.contains_key(&other));
    }
}
