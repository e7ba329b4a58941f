//! The thread that, on a host, tells the servers what has become of sessions, and has those ended that they want ended.
//!
//! It keeps one connection open to whichever server answers. This process may end no session: root's `twofa session sweep`
//! does, which systemd starts when the file [`trigger`] is written (`twofad-sessions.path`).

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use twofa_fleet::client::watch::{News, NotTaken, Watch};
use twofa_fleet::wire::WatchReport;
use twofa_store::{OrderForHost, RefusedReport, SessionWork};

use super::Failure;
use super::lazy_store::LazyStore;
use crate::admin::sessions::trigger;
use crate::fleet::membership::Watching;
use crate::process::log;
use crate::requests::broker::Broker;
use crate::sending::notices::Wakeup;
use crate::text::messages::log_lines;

/// How often this host looks at its sessions.
const INTERVAL: Duration = Duration::from_millis(500);
/// How soon it looks again while sessions are being ended.
const SHORT_INTERVAL: Duration = Duration::from_millis(100);
/// How often root is asked again while there are sessions to end.
const TRIGGER_INTERVAL: Duration = Duration::from_secs(2);
/// How long nothing is tried after no server was reached, and on a machine that is in no fleet.
const PAUSE: Duration = Duration::from_secs(3);

/// Starts the thread. It ends with `wakeup`, and wakes `policy` when the rules of the fleet have changed.
pub(super) fn start(
    store: Arc<LazyStore>,
    wakeup: Arc<Wakeup>,
    policy: Arc<Wakeup>,
) -> io::Result<()> {
    let keeper = thread::Builder::new().name("sessions".to_owned());
    keeper
        .spawn(move || {
            let mut keeper = Keeper {
                policy,
                triggered_at: None,
                closing: HashSet::new(),
                policy_told: 0,
                said: None,
            };
            while wakeup.wait(PAUSE) {
                if let Some(broker) = store.if_open() {
                    let ended = keeper.keep(&broker, &wakeup);
                    keeper.say(ended);
                }
            }
        })
        .map(drop)
}

struct Keeper {
    policy: Arc<Wakeup>,
    /// When root was last asked to look.
    triggered_at: Option<Instant>,
    /// The closed sessions for which it was.
    closing: HashSet<i64>,
    /// The version of the rules of which a server has told.
    policy_told: i64,
    /// What was wrong the last time, which is not said again.
    said: Option<String>,
}

impl Keeper {
    fn say(&mut self, ended: Result<(), Failure>) {
        let Err(error) = ended else { return };
        let why = error.to_string();
        if self.said.as_ref() != Some(&why) {
            log::warn(&log_lines::not_watching(&why));
            self.said = Some(why);
        }
    }

    /// Connects to a server, and serves it until the connection ends, or this process.
    fn keep(&mut self, broker: &Broker, wakeup: &Wakeup) -> Result<(), Failure> {
        let services = broker.services();
        let store = services.store;
        let joined = store.rules_in_force()?.fleet.clone();
        let watching = services.fleet.watching(joined.as_ref(), store)?;
        let Some(Watching { servers, config }) = watching else {
            self.said = None;
            return Ok(());
        };
        // Orders that it has already are carried out without a server.
        self.have_done(&store.session_work()?);
        let mut watch = servers.watch(&config)?;
        if self.said.take().is_some() {
            log::warn(&log_lines::watching(&watch.server));
        }
        let mut nap = Duration::ZERO;
        while wakeup.wait(nap) {
            let is_any_to_end = self.serve(broker, &mut watch)?;
            // Another certificate, other servers, or another fleet.
            let joined = store.rules_in_force()?.fleet.clone();
            let now = services.fleet.watching(joined.as_ref(), store)?;
            if now.is_none_or(|now| !Arc::ptr_eq(&now.servers, &servers)) {
                return Ok(());
            }
            nap = if is_any_to_end {
                SHORT_INTERVAL
            } else {
                Duration::ZERO
            };
        }
        Ok(())
    }

    /// Reports what is to be reported, and waits a moment for news. Says whether sessions are to be ended.
    fn serve(&mut self, broker: &Broker, watch: &mut Watch) -> Result<bool, Failure> {
        let services = broker.services();
        let store = services.store;
        let work = store.session_work()?;
        self.have_done(&work);
        if !work.report.is_empty() {
            let report = work.report.clone();
            let NotTaken { sessions, orders } = watch.report(&WatchReport {
                begun: report.begun,
                ended: report.ended,
                done: report.done,
            })?;
            let refused = RefusedReport { sessions, orders };
            store.report_was_taken(&work.report, &refused)?;
        }
        let rules = store.rules_in_force()?;
        let policy = rules.fleet_policy.as_ref().map_or(0, |it| it.version);
        let time = if work.is_any_to_end {
            SHORT_INTERVAL
        } else {
            INTERVAL
        };
        // That which a server has told of, the thread that keeps the rules fetches, or says why it cannot.
        let known = policy.max(self.policy_told);
        let news = watch.wait(known, env!("CARGO_PKG_VERSION"), time)?;
        let Some(news) = news else {
            return Ok(work.is_any_to_end);
        };
        if news.policy > known {
            self.policy_told = news.policy;
            self.policy.wake();
        }
        let orders = orders(news);
        if orders.is_empty() {
            return Ok(work.is_any_to_end);
        }
        store.take_orders(&orders, services.now())?;
        self.have_done(&store.session_work()?);
        Ok(true)
    }

    /// Has root look at the sessions if there are some to end, or some that were closed.
    fn have_done(&mut self, work: &SessionWork) {
        let closing: HashSet<_> = work.closing.iter().copied().collect();
        let is_new = !closing.is_subset(&self.closing);
        let is_due = self
            .triggered_at
            .is_none_or(|at| at.elapsed() >= TRIGGER_INTERVAL);
        if !is_due || !(work.is_any_to_end || is_new) {
            return;
        }
        self.triggered_at = Some(Instant::now());
        self.closing = closing;
        if let Err(error) = touch(&trigger()) {
            log::warn(&log_lines::sessions_not_ended(&error));
        }
    }
}

fn orders(news: News) -> Vec<OrderForHost> {
    let orders = news.orders.into_iter().map(|order| OrderForHost {
        id: order.id,
        conversations: order.conversations,
    });
    orders.collect()
}

/// Writes the file, so that its time changes and who watches it is told.
fn touch(path: &Path) -> io::Result<()> {
    fs::write(path, b"\n")
}
