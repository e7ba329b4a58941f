//! What was measured beside what is wanted.

use crate::confirmed::Shown;
use crate::footprint::{ALLOWED, Footprint};
use crate::report::{Report, mebibytes};
use crate::ssh_logins::SecondFactor;
use crate::stacks::Stack;
use crate::statistics::{grouped, median, percentile};
use crate::table::Table;
use crate::timing::Timings;

const SMALL: usize = 60;
const LARGE: usize = 100_000;
const HUGE: usize = 1_000_000;

/// All targets, each with what was measured.
pub fn table(report: &Report) -> Table {
    let mut targets = Targets(Table::new(&["target", "measured", "wanted", ""]));
    targets.add_ratios(&report.timings);
    targets.add_trusted(&report.confirmed);
    targets.add_spawned(&report.timings);
    targets.add_syncs(&report.timings);
    targets.add_ssh(report);
    targets.add_rates(report);
    targets.add_administration(report);
    targets.add_mail(report);
    targets.add_footprint(report);
    targets.0
}

struct Targets(Table);

impl Targets {
    fn add(&mut self, what: &str, measured: String, wanted: String, is_met: bool) {
        let met = if is_met { "PASS" } else { "MISS" };
        self.0
            .row(vec![what.to_owned(), measured, wanted, met.to_owned()]);
    }

    fn at_most(&mut self, what: &str, measured: f64, digits: usize, most: f64) {
        let is_met = measured <= most;
        self.add(
            what,
            format!("{measured:.digits$}"),
            format!("≤ {most}"),
            is_met,
        );
    }

    /// What our module adds to a login, to what others add.
    fn add_ratios(&mut self, timings: &Timings) {
        let warm = Stack::Warm(SMALL);
        let peers = [Stack::Google, Stack::Oath(SMALL)];
        let durable_peers = [Stack::GoogleDurable, Stack::OathDurable(SMALL)];
        let ratios = [
            (
                "added, warm, to the faster peer's",
                warm,
                peers.as_slice(),
                1.15,
            ),
            (
                "added, warm, to the faster peer's with the folder synced",
                warm,
                &durable_peers,
                0.95,
            ),
            (
                "added, warm, to pam_oath's at 100 000 users",
                Stack::Warm(LARGE),
                &[Stack::Oath(LARGE)],
                0.05,
            ),
            (
                "added, warm, at 1 000 000 users to at 60",
                Stack::Warm(HUGE),
                &[warm],
                1.1,
            ),
        ];
        for (what, of, to, most) in ratios {
            let fastest = to
                .iter()
                .filter_map(|stack| timings.added(*stack))
                .reduce(f64::min);
            if let (Some(of), Some(to)) = (timings.added(of), fastest) {
                self.at_most(what, of / to, 3, most);
            }
        }
    }

    /// What a login from a trusted device adds, to what one with a code adds.
    fn add_trusted(&mut self, timings: &Timings) {
        for size in [SMALL, LARGE, HUGE] {
            for shown in [Shown::Address, Shown::Key] {
                let added = |shown| timings.added(Stack::Confirmed(shown, size));
                if let (Some(of), Some(to)) = (added(shown), added(Shown::Code)) {
                    let (shown, size) = (shown.text(), grouped(size));
                    let what = format!("added by {shown} at {size} users, to a code's");
                    self.at_most(&what, of / to, 3, 1.0);
                }
            }
        }
    }

    fn add_administration(&mut self, report: &Report) {
        let rows = &report.administration.rows;
        let longest = rows.iter().map(|row| percentile(&row.logins, 100));
        let longest = longest.reduce(f64::max).unwrap_or(f64::INFINITY);
        self.at_most("longest login during a command, ms", longest, 0, 1000.0);
    }

    fn add_spawned(&mut self, timings: &Timings) {
        if let Some(added) = timings.added(Stack::Spawned(SMALL)) {
            self.at_most("added by a spawned broker, ms", added, 2, 2.5);
        }
    }

    /// A login is durable, and no disk is asked for more than that.
    fn add_syncs(&mut self, timings: &Timings) {
        for (what, stack) in [
            ("syncs of a login, broker warm", Stack::Warm(SMALL)),
            ("syncs of a login, broker spawned", Stack::Spawned(SMALL)),
        ] {
            if let Some(timing) = timings.find(stack) {
                self.add(
                    what,
                    timing.syncs.to_string(),
                    "1".into(),
                    timing.syncs == 1,
                );
            }
        }
    }

    fn add_ssh(&mut self, report: &Report) {
        let ours = report.ssh.ratio(SecondFactor::Twofa);
        let peers = report.ssh.best_peer();
        self.at_most("ssh login, to one by password alone", ours, 3, 1.05);
        self.at_most("ssh login, to the faster peer's", ours / peers, 3, 1.0);
    }

    fn add_rates(&mut self, report: &Report) {
        let rows = report.concurrent.rows.iter();
        for row in rows.filter(|row| row.at_once == 64) {
            let rate = median(&row.rates);
            let what = format!("verified logins a second, 64 at once, {}", row.codes);
            self.add(&what, format!("{rate:.0}"), "≥ 3300".into(), rate >= 3300.0);
        }
    }

    fn add_mail(&mut self, report: &Report) {
        let alone = median(&report.mail.alone);
        self.at_most("mailed to the prompt, median ms", alone, 1, 100.0);
        let all = percentile(&report.mail.all, 100);
        self.at_most("64 mailed at once, all prompted, ms", all, 0, 3000.0);
    }

    fn add_footprint(&mut self, report: &Report) {
        let Footprint {
            module,
            needed,
            resident,
            ..
        } = &report.footprint;
        self.at_most("module, stripped, KiB", *module, 0, 512.0);
        let are_allowed = needed
            .iter()
            .all(|library| ALLOWED.iter().any(|allowed| library.starts_with(allowed)));
        self.add(
            "libraries it links",
            needed.join(" "),
            "libpam, libc, libgcc_s".into(),
            are_allowed,
        );
        let logins = grouped(report.concurrent.logins);
        self.add(
            &format!("broker resident after {logins} logins"),
            mebibytes(*resident),
            "≤ 20 MiB".into(),
            *resident <= 20.0 * 1024.0,
        );
    }
}
