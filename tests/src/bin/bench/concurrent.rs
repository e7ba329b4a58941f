//! How many logins a second one broker verifies, by one client and by many at once.

use std::time::Duration;

use twofa_e2e::Machine;

use crate::statistics::milliseconds;
use crate::stopwatch::copy_into;
use crate::users::User;

/// Clients at once, and codes of each user.
const LEVELS: [(usize, usize); 3] = [(1, 2), (8, 4), (64, 12)];

/// Logins after which a broker is called warm: by then SQLite's write-ahead log has grown to its full size, a thousand
/// pages of which a login takes six, and is written from its beginning again.
pub const WARM_UP: usize = 300;

/// What was measured with one number of clients.
#[derive(Debug)]
pub struct Row {
    /// Clients at once.
    pub at_once: usize,
    /// HOTP or TOTP.
    pub codes: &'static str,
    /// Verified logins a second, one number for each attempt.
    pub rates: Vec<f64>,
    /// The time of each login in milliseconds.
    pub times: Vec<f64>,
}

/// What was measured with all numbers of clients.
#[derive(Debug)]
pub struct Concurrent {
    /// One row for each number of clients.
    pub rows: Vec<Row>,
    /// All logins together.
    pub logins: usize,
}

/// Lets `users` log in through the broker of `machine` one by one, 8 at once and 64 at once, `rounds` times.
///
/// The first half have HOTP tokens, whose codes need not wait for the clock: so these few hundred users can log in ten
/// thousand times. The others have TOTP apps, to show what difference that makes.
pub fn measure(
    machine: &Machine,
    users: &[User],
    rounds: usize,
    progress: &dyn Fn(&str),
) -> Concurrent {
    let (tokens, apps) = users.split_at(users.len() / 2);
    let turns: usize = LEVELS.iter().map(|(_, turns)| turns).sum();
    let mut codes: Vec<_> = tokens
        .iter()
        .map(|user| user.codes(Some(0), turns * rounds).into_iter())
        .collect();
    let row = |at_once, codes| Row {
        at_once,
        codes,
        rates: Vec::new(),
        times: Vec::new(),
    };
    let mut rows: Vec<Row> = LEVELS
        .iter()
        .map(|(at_once, _)| row(*at_once, "HOTP"))
        .collect();
    for round in 1..=rounds {
        progress(&format!(
            "logging in {turns} times {} users at once, {round} of {rounds}",
            tokens.len()
        ));
        for (row, (_, turns)) in rows.iter_mut().zip(LEVELS) {
            let codes = codes.iter_mut().map(|codes| codes.take(turns).collect());
            row.attempt(machine, tokens.iter().zip(codes));
        }
    }
    // This step's code and the next one's are good for half a minute at least.
    let mut by_time = row(LEVELS[LEVELS.len() - 1].0, "TOTP");
    let codes: Vec<_> = apps.iter().map(|user| user.codes(None, 2)).collect();
    by_time.attempt(machine, apps.iter().zip(codes));
    rows.push(by_time);
    let logins = rows.iter().map(|row| row.times.len()).sum();
    Concurrent { rows, logins }
}

/// Lets `warm_up_user`, who has a HOTP token, log in until the broker of `machine` is warm.
pub fn warm_up(machine: &Machine, warm_up_user: &User) {
    log_in(
        machine,
        1,
        [(warm_up_user, warm_up_user.codes(Some(0), WARM_UP))].into_iter(),
    );
}

impl Row {
    fn attempt<'a>(
        &mut self,
        machine: &Machine,
        users: impl Iterator<Item = (&'a User, Vec<String>)>,
    ) {
        let (whole, times) = log_in(machine, self.at_once, users);
        let logins = u32::try_from(times.len()).expect("thousands");
        self.rates.push(f64::from(logins) / whole.as_secs_f64());
        self.times.extend(times.into_iter().map(milliseconds));
    }
}

/// Lets all users log in with each of their codes. Returns the time of all logins together and of each.
pub fn log_in<'a>(
    machine: &Machine,
    at_once: usize,
    users: impl Iterator<Item = (&'a User, Vec<String>)>,
) -> (Duration, Vec<Duration>) {
    let lines: Vec<_> = users
        .map(|(user, codes)| format!("{} {}", user.account.name, codes.join(" ")))
        .collect();
    let command = format!("{} --inside concurrent {at_once}", copy_into(machine));
    let output = machine.run_with_input(&command, &lines.join("\n")).ok();
    let mut times = output
        .stdout
        .lines()
        .map(|line| Duration::from_nanos(line.parse().expect("nanoseconds")));
    (times.next().expect("the time of all"), times.collect())
}
