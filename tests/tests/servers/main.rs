//! A fleet of two servers over one PostgreSQL database. [`failures`] is what becomes of logins when one of them fails,
//! [`rotation`] when the sealing key is replaced, [`authorities`] when the certificate authority is, and [`booted`] when systemd
//! runs the server. [`upgrade`] takes them from one build to the next.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

mod authorities;
mod booted;
mod failures;
mod rotation;
mod upgrade;

use twofa_e2e::{
    Authenticator, Builder, Cable, FIRST_FACTOR, Machine, Output, Terminal, password_of,
};

const CODE_PROMPT: &str = "Verification code for vm";
const PORT: u16 = 6238;
/// Debian's PostgreSQL with a database for a store, which proves that it is srv1.example.com.
const DATABASE: &str = "install -d -o postgres /run/db && cd /run/db &&
    as='setpriv --reuid=postgres --regid=postgres --clear-groups --' && bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1) &&
    new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes' &&
    openssl req -x509 $new -keyout ca.key -out ca.crt -subj /CN=ca -days 10 2>&1 &&
    openssl req $new -keyout server.key -out server.csr -subj /CN=db 2>&1 &&
    echo subjectAltName=DNS:srv1.example.com >names && install -m 644 ca.crt /etc/twofa/db.crt &&
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 10 -extfile names -out server.crt 2>&1 &&
    chown postgres server.key && chmod 600 server.key &&
    $as $bin/initdb --auth=trust --no-sync --locale=C --encoding=UTF8 --username=twofa /run/db/data >/dev/null &&
    echo 'hostssl all all 10.78.0.0/24 trust' >>/run/db/data/pg_hba.conf &&
    $as $bin/pg_ctl -D /run/db/data -l /run/db/log -w start -o \"-k /run/db -c listen_addresses=* -c ssl=on \\
        -c ssl_cert_file=/run/db/server.crt -c ssl_key_file=/run/db/server.key\" >/dev/null &&
    $bin/createdb -h /run/db -U twofa twofa &&
    twofa store move --to 'postgres://twofa@srv1.example.com/twofa?ca=/etc/twofa/db.crt'";

/// Two machines that can be servers, of which the first is one, has the database, and alice enrolled in it.
fn servers() -> (Machine, Machine, Authenticator) {
    let (first, second) = machines();
    let phone = first.enrol("alice");
    serve(&first);
    (first, second, phone)
}

/// Two machines that can be servers, of which the first has the database.
fn machines() -> (Machine, Machine) {
    connected(future_server)
}

/// A machine that can be a server.
fn future_server() -> Builder {
    Machine::new()
        .policy("mandatory")
        .user("alice")
        .user("bob")
        .command("twofa policy set fleet.accounts=alice,bob")
        .without_broker()
}

/// Two of `machine`, of which the first has the database.
fn connected(machine: impl Fn() -> Builder) -> (Machine, Machine) {
    let first = machine().build();
    let second = machine().build();
    first.connect(&second, "db", "10.78.0.1/24", "10.78.0.2/24");
    name(&first, "10.78.0.1 srv1.example.com");
    name(&second, "10.78.0.1 srv1.example.com");
    first.run(DATABASE).ok();
    (first, second)
}

/// Makes the first machine a server of a new fleet.
fn serve(first: &Machine) {
    first
        .run("twofa fleet init --address srv1.example.com")
        .ok();
    start(first);
}

fn name(machine: &Machine, line: &str) {
    machine.run(&format!("echo '{line}' >>/etc/hosts")).ok();
}

/// Starts `twofad --server`, as its unit does.
fn start(server: &Machine) {
    start_with(server, "");
}

/// The same with an environment that `env` describes.
fn start_with(server: &Machine, env: &str) {
    server
        .run(&format!(
            "setsid setpriv --reuid twofa --regid twofa --init-groups --inh-caps=-all --reset-env \
             env {env} /usr/sbin/twofad --server </dev/null >>/var/log/twofad-server.log 2>&1 & echo $! >/run/server.pid"
        ))
        .ok();
    server.wait_for_port(PORT);
}

/// What `command` on `machine` prints as a token.
fn token(machine: &Machine, command: &str) -> String {
    let added = machine.run(command).ok();
    let line = |line: &&str| line.starts_with("twofa1/");
    added.stdout.lines().find(line).unwrap().to_owned()
}

/// Gives `second` the address of the database of `first`.
fn share_database(first: &Machine, second: &Machine) {
    for file in ["/etc/twofa/database", "/etc/twofa/db.crt"] {
        second.write_file(file, &first.file(file));
    }
}

fn join_as_server(second: &Machine, token: &str) -> Output {
    second.run_with_input("twofa server join --token-file -", token)
}

/// Makes `second` a server of the fleet of `first`.
fn add_second(first: &Machine, second: &Machine) {
    share_database(first, second);
    let token = token(first, "twofa server add srv2.example.com");
    join_as_server(second, &token).ok();
    start(second);
}

/// A machine that can be a host.
fn future_host() -> Builder {
    let stack = format!("{FIRST_FACTOR}auth required pam_twofa.so\n");
    Machine::new()
        .policy("optional")
        .user("alice")
        .user("bob")
        .pam("testapp", &stack)
        .with_sshd()
}

/// A host with a cable to each server, which has joined.
fn host<'a>(first: &'a Machine, second: &'a Machine) -> (Machine, [Cable<'a>; 2]) {
    host_called("web1", [1, 2], first, second)
}

/// The same for one with another name, in the networks with these numbers.
fn host_called<'a>(
    called: &str,
    networks: [u8; 2],
    first: &'a Machine,
    second: &'a Machine,
) -> (Machine, [Cable<'a>; 2]) {
    let host = future_host().build();
    let cables = join(&host, called, networks, first, second);
    (host, cables)
}

/// Has `host` join, with a cable to each server.
fn join<'a>(
    host: &Machine,
    called: &str,
    networks: [u8; 2],
    first: &'a Machine,
    second: &'a Machine,
) -> [Cable<'a>; 2] {
    let cables = [
        (first, "srv1.example.com", networks[0]),
        (second, "srv2.example.com", networks[1]),
    ]
    .map(|(server, known_as, network)| {
        let here = format!("10.78.{network}.1");
        name(host, &format!("{here} {known_as}"));
        let (here, there) = (format!("{here}/24"), format!("10.78.{network}.2/24"));
        server.connect(host, &format!("net{network}"), &here, &there)
    });
    let token = token(first, &format!("twofa host add {called}"));
    host.run_with_input("twofa join --token-file -", &token)
        .ok();
    cables
}

fn at_the_code_prompt(host: &Machine) -> Terminal {
    let mut terminal = host.terminal("ssh -o NumberOfPasswordPrompts=1 alice@vm");
    terminal.expect("Password:");
    terminal.type_line(&password_of("alice"));
    terminal.expect(CODE_PROMPT);
    terminal.expect(": ");
    terminal
}

/// Types `code`, and is let in.
fn log_in(host: &Machine, code: &str) {
    let mut terminal = at_the_code_prompt(host);
    terminal.type_line(code);
    terminal.expect("alice@vm:~$ ");
    terminal.type_line("exit");
    assert!(terminal.expect_end().success());
}

#[test]
fn a_host_logs_people_in_through_the_second_server_when_the_first_is_gone_and_a_code_works_once() {
    let (first, second, phone) = servers();
    add_second(&first, &second);
    let (web1, cables) = host(&first, &second);
    let list = second.run("twofa server list").ok().stdout;
    assert!(list.contains("srv1.example.com\tjoined\t"), "{list}");
    assert!(list.contains("srv2.example.com\tjoined\t"), "{list}");

    let code = phone.next_code();
    log_in(&web1, &code);
    web1.wait_for_log("decided by srv1.example.com");

    first.run("kill -9 $(cat /run/server.pid)").ok();
    let mut again = at_the_code_prompt(&web1);
    again.type_line(&code);
    again.expect("2 tries are left");
    again.type_line(&phone.next_code());
    again.expect("alice@vm:~$ ");
    web1.wait_for_log("decided by srv2.example.com");
    drop(again);

    // The second does not answer at all, and the first is there again.
    start(&first);
    cables[1].pull();
    log_in(&web1, &phone.next_code());

    let log = second.run("twofa log --user alice --json").ok().stdout;
    assert_eq!(log.matches(r#""event":"passed""#).count(), 3, "{log}");
    second.run("twofa log verify").ok();
}

#[test]
fn a_machine_becomes_a_server_only_with_the_database_and_with_a_token_that_is_good() {
    let (first, second, _) = servers();
    let good = token(&first, "twofa server add srv2.example.com");
    let without = join_as_server(&second, &good).fails().stderr;
    assert!(without.contains("put /etc/twofa/database"), "{without}");

    share_database(&first, &second);
    let of_host = token(&first, "twofa host add web1");
    let refused = join_as_server(&second, &of_host).fails().stderr;
    assert!(refused.contains("is none for a server"), "{refused}");
    let as_host = second.run_with_input("twofa join --token-file -", &good);
    let refused = as_host.fails().stderr;
    assert!(refused.contains("has not issued that token"), "{refused}");

    let joined = join_as_server(&second, &good).ok().stdout;
    assert!(joined.contains("secret.key.before-joining"), "{joined}");
    let again = join_as_server(&second, &good).fails().stderr;
    assert!(again.contains("has been used"), "{again}");
    let taken = first.run("twofa server add srv2.example.com").fails();
    assert!(taken.stderr.contains("already a server"), "{taken:?}");
    // It renews its own certificate, with a key that its service cannot read.
    let keys = "cd /etc/twofa/fleet && stat -c '%n %U %a' servers.key hosts.key && ! ls root.key";
    let keys = second.run(keys).ok().stdout;
    assert_eq!(keys, "servers.key root 600\nhosts.key root 640\n");
    let renewed = second.run("twofa fleet renew").ok().stdout;
    assert!(renewed.contains("has a new certificate"), "{renewed}");

    start(&second);
    let removed = first.run("twofa server remove srv2.example.com").ok();
    assert!(removed.stdout.contains("stops serving"), "{removed:?}");
    second.wait_until("! kill -0 $(cat /run/server.pid)");
    let said = second.file("/var/log/twofad-server.log") + &second.log();
    assert!(said.contains("was removed from the fleet"), "{said}");
}
