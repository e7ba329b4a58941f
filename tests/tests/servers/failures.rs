//! One of two servers is killed or frozen, loses the database, or has a wrong clock: no login is lost, and no code passes twice.
//! After yesterday's backup was restored nobody gets in until an administrator has resumed the fleet.

use std::cell::{Cell, RefCell};

use twofa_e2e::SmsProvider;

use super::*;

/// What a database administrator does on the first server.
const PSQL: &str = "psql -v ON_ERROR_STOP=1 -qAt -h /run/db -U twofa twofa";
/// Keeps the rows of all people locked.
const HOLD: &str = "exec psql -qAt -h /run/db -U twofa twofa -c \
    'BEGIN; SELECT id FROM \"user\" FOR UPDATE; SELECT pg_sleep(50)'";
const HOLDER: &str = "FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
/// Logins that wait for the row of a person.
const AT_THE_ROW: &str = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
/// Commits of logins that wait for a standby.
const AT_THE_STANDBY: &str = "SELECT count(*) FROM pg_stat_activity JOIN pg_locks USING (pid)
    WHERE wait_event = 'SyncRep' AND relation = '\"user\"'::regclass";
/// Codes of alice's token.
const CODES: usize = 12;

const LOG: &str = "/var/log/twofad-server.log";

/// Writes the database to the file /run/db/dump.
const DUMP: &str = "pg_dump -h /run/db -U twofa twofa >/run/db/dump";
/// Puts what is in the file /run/db/dump in the place of the database.
const RESTORE: &str = "bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1) && cd / &&
    $bin/dropdb --force -h /run/db -U twofa twofa && $bin/createdb -h /run/db -U twofa twofa &&
    $bin/psql -qX -v ON_ERROR_STOP=1 -h /run/db -U twofa twofa </run/db/dump >/dev/null";

/// Two servers, of which the host asks the first one first.
struct Fleet<'a> {
    first: &'a Machine,
    web1: &'a Machine,
    codes: RefCell<Box<dyn Iterator<Item = String>>>,
    /// Logins that were let in.
    passes: Cell<usize>,
}

impl Fleet<'_> {
    fn code(&self) -> String {
        self.codes.borrow_mut().next().unwrap()
    }

    fn query(&self, sql: &str) -> String {
        self.first
            .run_with_input(PSQL, sql)
            .ok()
            .stdout
            .trim()
            .to_owned()
    }

    /// Waits until `least` are counted.
    fn wait_for(&self, count: &str, least: usize) {
        let count = count.replace('"', "\\\"");
        let condition = format!("[ $({PSQL} -c \"{count}\") -ge {least} ]");
        self.first.wait_until(&condition);
    }

    /// A login that the first server has asked for a code.
    fn at_the_prompt_of_the_first(&self, user: &str) -> Terminal {
        // It has forgotten who failed.
        self.web1.broker().restart();
        self.at_the_prompt(user)
    }

    fn at_the_prompt(&self, user: &str) -> Terminal {
        let login = format!("pamtester testapp {user} authenticate");
        let mut terminal = self.web1.terminal(&login);
        terminal.expect("erification code");
        terminal.expect(": ");
        terminal
    }

    /// The login is let in.
    fn assert_in(&self, mut terminal: Terminal) {
        terminal.expect("successfully authenticated");
        terminal.expect_end();
        self.passes.set(self.passes.get() + 1);
    }

    fn kill_first(&self) {
        self.first.run("kill -9 $(cat /run/server.pid)").ok();
    }

    /// Logins that are on record as let in.
    fn logged(&self) -> usize {
        let log = self.first.run("twofa log --event passed --json").ok();
        log.stdout.matches(r#""event":"passed""#).count()
    }
}

fn killed_at_a_prompt(fleet: &Fleet<'_>) {
    let mut terminal = fleet.at_the_prompt_of_the_first("alice");
    fleet.kill_first();
    terminal.type_line(&fleet.code());
    fleet.assert_in(terminal);
    fleet.web1.wait_for_log("decided by srv2.example.com");
    start(fleet.first);
}

fn killed_after_a_code_was_sent(fleet: &Fleet<'_>, provider: &SmsProvider) {
    let mut terminal = fleet.at_the_prompt_of_the_first("bob");
    let text = provider.wait_for(1);
    fleet.kill_first();
    let code = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.starts_with("49"))
        .find(|digits| digits.len() >= 6);
    terminal.type_line(code.unwrap());
    fleet.assert_in(terminal);
    assert_eq!(provider.sent().len(), 1);
    start(fleet.first);
}

fn killed_while_it_verifies(fleet: &Fleet<'_>) {
    let mut terminal = fleet.at_the_prompt_of_the_first("alice");
    let mut holder = fleet.first.spawn(HOLD);
    fleet.wait_for(&format!("SELECT count(*) {HOLDER}"), 1);
    let code = fleet.code();
    terminal.type_line(&code);
    fleet.wait_for(AT_THE_ROW, 1);
    fleet.kill_first();
    // The connection of the killed one still waits, and now that of the other one does too.
    fleet.wait_for(AT_THE_ROW, 2);
    fleet.query(&format!("SELECT pg_terminate_backend(pid) {HOLDER}"));
    holder.kill();
    fleet.assert_in(terminal);
    let mut again = fleet.at_the_prompt("alice");
    again.type_line(&code);
    again.expect("2 tries are left");
    start(fleet.first);
}

fn killed_between_commit_and_answer(fleet: &Fleet<'_>) {
    let mut terminal = fleet.at_the_prompt_of_the_first("alice");
    fleet.query("ALTER SYSTEM SET synchronous_standby_names = 'absent'");
    fleet.query("SELECT pg_reload_conf()");
    terminal.type_line(&fleet.code());
    fleet.wait_for(AT_THE_STANDBY, 1);
    fleet.kill_first();
    fleet.wait_for(AT_THE_ROW, 1);
    fleet.query("ALTER SYSTEM RESET synchronous_standby_names");
    fleet.query("SELECT pg_reload_conf()");
    // What the first one committed is the verdict of the second.
    fleet.assert_in(terminal);
    start(fleet.first);
}

fn frozen_at_a_prompt(fleet: &Fleet<'_>) {
    let mut terminal = fleet.at_the_prompt_of_the_first("alice");
    fleet.first.run("kill -STOP $(cat /run/server.pid)").ok();
    terminal.type_line(&fleet.code());
    fleet.assert_in(terminal);
    fleet.first.run("kill -CONT $(cat /run/server.pid)").ok();
}

fn cut_off_from_the_database(fleet: &Fleet<'_>) {
    let mut terminal = fleet.at_the_prompt_of_the_first("alice");
    // Connections of this machine to itself, which are those of its server: the other one comes by a cable.
    let cut = "nft add table inet cut && nft add chain inet cut in '{ type filter hook input priority 0; }' &&
        nft add rule inet cut in iif lo tcp dport 5432 drop && nft add rule inet cut in iif lo tcp sport 5432 drop";
    fleet.first.run(cut).ok();
    terminal.type_line(&fleet.code());
    fleet.assert_in(terminal);
    let mut terminal = fleet.at_the_prompt_of_the_first("alice");
    terminal.type_line(&fleet.code());
    fleet.assert_in(terminal);
    fleet
        .first
        .wait_until(&format!("grep -q 'does not answer\\|no mark' {LOG}"));
    fleet.first.run("nft delete table inet cut").ok();
}

fn with_a_clock_a_minute_off(fleet: &Fleet<'_>) {
    fleet.kill_first();
    let env = "LD_PRELOAD=$(echo /usr/lib/*/faketime/libfaketimeMT.so.1) FAKETIME=+60";
    start_with(fleet.first, env);
    let mut terminal = fleet.at_the_prompt_of_the_first("alice");
    terminal.type_line(&fleet.code());
    fleet.assert_in(terminal);
    fleet
        .first
        .wait_until(&format!("grep -q 'the clock of the database' {LOG}"));
    fleet.kill_first();
    start(fleet.first);
    // That of a host does not matter.
    fleet.web1.broker().set_clock("+60s");
    let mut terminal = fleet.at_the_prompt("alice");
    terminal.type_line(&fleet.code());
    fleet.assert_in(terminal);
    fleet.web1.broker().set_clock("+0s");
}

fn yesterday_s_backup_is_restored(fleet: &Fleet<'_>) {
    let used = fleet.code();
    let mut terminal = fleet.at_the_prompt("alice");
    terminal.type_line(&used);
    fleet.assert_in(terminal);
    fleet.first.run(RESTORE).ok();

    let login = "pamtester testapp alice authenticate";
    let mut terminal = fleet.web1.terminal(login);
    terminal.expect("cannot be checked");
    assert!(!terminal.expect_end().success());
    fleet.first.run("twofa fleet resume --yes").ok();
    // The token may have been used in between, so it takes two codes that follow each other.
    let mut terminal = fleet.at_the_prompt("alice");
    terminal.type_line(&used);
    terminal.expect("2 tries are left");
    terminal.expect(": ");
    terminal.type_line(&fleet.code());
    terminal.expect(": ");
    terminal.type_line(&fleet.code());
    fleet.assert_in(terminal);
}

/// Has a provider send codes to bob's phone.
fn phone_of_bob(first: &Machine) -> SmsProvider {
    let provider = SmsProvider::start(first, 8801);
    let token = format!("auth-token={}\n", provider.token());
    first.run_with_input(&provider.add("texts"), &token).ok();
    let phone = "twofa policy set methods=app,sms,backup && twofa user set bob phone=+4930123456 --verified";
    first.run(phone).ok();
    provider
}

#[test]
fn no_login_is_lost_and_none_passes_twice_when_a_server_the_database_or_a_clock_fails() {
    let (first, second) = machines();
    let codes = first.enrol_token("alice", CODES);
    let provider = phone_of_bob(&first);
    serve(&first);
    add_second(&first, &second);
    let (web1, _cables) = host(&first, &second);
    let fleet = Fleet {
        first: &first,
        web1: &web1,
        codes: RefCell::new(Box::new(codes.into_iter())),
        passes: Cell::new(0),
    };
    first.run(DUMP).ok();
    killed_at_a_prompt(&fleet);
    killed_after_a_code_was_sent(&fleet, &provider);
    killed_while_it_verifies(&fleet);
    killed_between_commit_and_answer(&fleet);
    frozen_at_a_prompt(&fleet);
    cut_off_from_the_database(&fleet);
    with_a_clock_a_minute_off(&fleet);
    // Nobody got in who is not in the log, or twice.
    assert_eq!(fleet.logged(), fleet.passes.get());
    first.run("twofa log verify").ok();
    yesterday_s_backup_is_restored(&fleet);
}
