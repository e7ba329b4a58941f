//! A server and hosts of a fleet, each with a network of its own. Here are logins; [`policy`] is the rules, [`merging`] moving in,
//! [`rescue`] getting in without the network, [`sessions`] what becomes of logins, [`copies`] hosts that are cloned or set back,
//! [`enabling`] `twofa pam enable` on a host, [`openssl`] a company's certificate authority and older protocols, and [`trust`]
//! devices.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

mod copies;
mod enabling;
mod merging;
mod openssl;
mod policy;
mod rescue;
mod sessions;
mod trust;

use twofa_e2e::{Authenticator, Cable, Machine, Terminal, password_of};

const CODE_PROMPT: &str = "Verification code for vm";
const PORT: u16 = 6238;

/// A server on which alice is enrolled.
fn server() -> (Machine, Authenticator) {
    let server = Machine::new()
        .policy("optional")
        .command("twofa policy set fleet.accounts=alice,bob")
        .user("alice")
        .user("bob")
        .user("carol")
        .build();
    let phone = server.enrol("alice");
    server
        .run("twofa fleet init --address srv.example.com")
        .ok();
    start(&server);
    (server, phone)
}

/// Starts `twofad --server`, as its unit does.
fn start(server: &Machine) {
    server
        .run(
            "setsid setpriv --reuid twofa --regid twofa --init-groups --inh-caps=-all --reset-env \
             /usr/sbin/twofad --server </dev/null >>/var/log/twofad-server.log 2>&1 & echo $! >/run/server.pid",
        )
        .ok();
    server.wait_for_port(PORT);
}

/// A host whose accounts are those of the server, of which alice's and bob's are shared.
fn host() -> Machine {
    Machine::new()
        .policy("optional")
        .user("alice")
        .user("bob")
        .user("carol")
        .command("echo 'root:the password of root' | chpasswd")
        .with_sshd()
        .build()
}

/// Connects `host` as the fleet's host `name`, number `number`, and has it join.
fn join<'a>(
    server: &'a Machine,
    host: &Machine,
    name: &str,
    number: u8,
    options: &str,
) -> Cable<'a> {
    let here = format!("10.77.{number}.1");
    let cable = server.connect(
        host,
        name,
        &format!("{here}/24"),
        &format!("10.77.{number}.2/24"),
    );
    host.run(&format!("echo '{here} srv.example.com' >>/etc/hosts"))
        .ok();
    let token = add(server, name, options);
    host.run_with_input("twofa join --token-file -", &token)
        .ok();
    cable
}

/// Adds a host on the server, and returns its token.
fn add(server: &Machine, name: &str, options: &str) -> String {
    let added = server.run(&format!("twofa host add {name} {options}")).ok();
    let line = |line: &&str| line.starts_with("twofa1/");
    added.stdout.lines().find(line).unwrap().to_owned()
}

fn log_in(host: &Machine, user: &str) -> Terminal {
    let mut terminal = host.terminal(&format!("ssh -o NumberOfPasswordPrompts=1 {user}@vm"));
    terminal.expect("Password:");
    terminal.type_line(&password_of(user));
    terminal
}

fn at_the_code_prompt(host: &Machine) -> Terminal {
    let mut terminal = log_in(host, "alice");
    terminal.expect(CODE_PROMPT);
    terminal.expect(": ");
    terminal
}

fn assert_in(mut terminal: Terminal, user: &str) {
    terminal.expect(&format!("{user}@vm:~$ "));
    terminal.type_line("exit");
    assert!(terminal.expect_end().success());
}

fn assert_refused(mut terminal: Terminal, user: &str) -> String {
    let status = terminal.expect_end();
    let screen = terminal.screen();
    assert!(!status.success(), "{screen}");
    assert!(!screen.contains(&format!("{user}@vm:~$")), "{screen}");
    screen
}

#[test]
fn a_code_lets_in_on_one_host_and_is_refused_on_the_other_within_the_second() {
    let (server, phone) = server();
    let (web1, web2) = (host(), host());
    let _cables = [
        join(&server, &web1, "web1", 1, ""),
        join(&server, &web2, "web2", 2, ""),
    ];

    let (mut first, mut second) = (at_the_code_prompt(&web1), at_the_code_prompt(&web2));
    let code = phone.next_code();
    first.type_line(&code);
    first.expect("alice@vm:~$ ");
    for left in [
        "2 tries are left",
        "one try is left",
        "Too many wrong answers",
    ] {
        second.type_line(&code);
        second.expect(left);
    }
    assert_refused(second, "alice");
    first.type_line("exit");
    first.expect_end();

    let log = server.run("twofa log --user alice --json").ok().stdout;
    assert_eq!(log.matches(r#""event":"passed""#).count(), 1, "{log}");
    server.wait_for_log(r#"host="web1""#);
    server.wait_for_log(r#"host="web2""#);
    web1.wait_for_log("decided by srv.example.com");
    let hosts = server.run("twofa host list").ok().stdout;
    assert!(hosts.contains("web1\tjoined\tall\tall\toff\t"), "{hosts}");
    // Nothing of the person is on the host.
    let status = web1.run("twofa user list --json").ok().stdout;
    assert!(!status.contains("app"), "{status}");

    trust::a_device_is_trusted_on_one_host_until_a_server_revokes_it(
        &server,
        (&web1, &web2),
        &phone,
    );
}

#[test]
fn a_host_that_is_removed_while_a_code_is_typed_is_refused_and_so_is_its_next_login() {
    let (server, phone) = server();
    let web1 = host();
    let _cable = join(&server, &web1, "web1", 1, "");

    let mut terminal = at_the_code_prompt(&web1);
    server.run("twofa host remove web1").ok();
    terminal.type_line(&phone.next_code());
    let screen = assert_refused(terminal, "alice");
    assert!(screen.contains("not a member of the fleet"), "{screen}");

    let screen = assert_refused(log_in(&web1, "alice"), "alice");
    assert!(screen.contains("not a member of the fleet"), "{screen}");
    web1.assert_console_works();
}

#[test]
fn with_the_cable_pulled_shared_accounts_are_refused_in_words_and_others_are_the_hosts_own() {
    let (server, phone) = server();
    let web1 = host();
    let cable = join(&server, &web1, "web1", 1, "");
    cable.pull();

    let screen = assert_refused(log_in(&web1, "alice"), "alice");
    assert!(
        screen.contains("No server of the fleet can be reached"),
        "{screen}"
    );
    web1.assert_console_works();
    assert_in(log_in(&web1, "carol"), "carol");
    // An account of the host's own with the uid of a shared one would have its files.
    let password = password_of("twin");
    web1.run(&format!(
        "useradd -o -M -u $(id -u alice) twin && echo 'twin:{password}' | chpasswd"
    ))
    .ok();
    let screen = assert_refused(log_in(&web1, "twin"), "alice");
    assert!(!screen.contains("$ "), "{screen}");
    web1.wait_for_log("the local account twin has uid");

    cable.plug_in();
    let found = web1.run("twofa doctor").stdout;
    assert!(
        found.contains("twin here and alice, who is shared"),
        "{found}"
    );
    web1.run("userdel twin").ok();
    let mut terminal = at_the_code_prompt(&web1);
    terminal.type_line(&phone.next_code());
    assert_in(terminal, "alice");

    rescue::codes_let_in_once_without_the_network(&server, &web1, &cable);
    server.run("kill $(cat /run/server.pid)").ok();
    let screen = assert_refused(log_in(&web1, "alice"), "alice");
    assert!(
        screen.contains("No server of the fleet can be reached"),
        "{screen}"
    );
}

#[test]
fn who_has_nothing_enrolled_sets_it_up_on_a_host_only_with_the_right() {
    let (server, phone) = server();
    server.run("twofa policy set mode=mandatory --yes").ok();
    let (web1, laptop) = (host(), host());
    let _cables = [
        join(&server, &web1, "web1", 1, ""),
        join(&server, &laptop, "laptop7", 2, "--may-enrol on"),
    ];

    let screen = assert_refused(log_in(&web1, "bob"), "bob");
    assert!(screen.contains("none is set up for bob"), "{screen}");
    let refused = web1.run_as("bob", "twofa enrol app");
    assert!(
        !refused.status.success()
            && refused
                .stderr
                .contains("ask an administrator for an invitation"),
        "{refused:?}"
    );
    users_see_and_change_their_own_record_on_a_host(&server, &phone, &web1);

    let mut terminal = log_in(&laptop, "bob");
    terminal.expect("Key:");
    drop(terminal);
}

/// Alice, who is enrolled, at the host's command line.
fn users_see_and_change_their_own_record_on_a_host(
    server: &Machine,
    phone: &Authenticator,
    host: &Machine,
) {
    server
        .run("twofa set email=alice.of.example@example.org --verified --user alice")
        .ok();
    let status = host.run_as("alice", "twofa status --json").ok().stdout;
    assert!(status.contains("a***e@example.org"), "{status}");
    assert!(!status.contains("alice.of.example"), "{status}");

    let mut terminal = host.terminal("su alice -c 'twofa set verify=always'");
    terminal.expect("To change this, first prove it is you.");
    terminal.expect(": ");
    terminal.type_line("000000");
    terminal.expect("2 tries are left");
    terminal.type_line(&phone.next_code());
    assert!(terminal.expect_end().success());
    let status = server.run("twofa status --user alice --json").ok().stdout;
    assert!(status.contains("always"), "{status}");

    for command in ["twofa device list", "twofa device revoke --all"] {
        let refused = host.run_as("alice", command);
        assert!(
            refused.stderr.contains("run this on a fleet server"),
            "{refused:?}"
        );
    }
    let refused = host.run("twofa set verify=never --user alice");
    assert!(
        refused.stderr.contains("run this on a fleet server"),
        "{refused:?}"
    );
    let others = host.run_as("bob", "twofa status --user alice");
    assert!(!others.status.success(), "{others:?}");
    server
        .run("twofa policy set fleet.changes=servers-only")
        .ok();
    let refused = host.run_as("alice", "twofa codes --new");
    assert!(refused.stderr.contains("fleet.changes"), "{refused:?}");
    server.run("twofa policy set fleet.changes=everywhere").ok();
}

#[test]
fn an_invitation_sets_up_a_first_method_on_a_host_once() {
    let (server, _) = server();
    server.run("twofa policy set mode=mandatory --yes").ok();
    let web1 = host();
    let _cable = join(&server, &web1, "web1", 1, "");

    server.run("twofa user require bob").ok();
    let invited = server
        .run("twofa user invite bob carol --for 2d --json")
        .ok();
    let invited: serde_json::Value = serde_json::from_str(&invited.stdout).unwrap();
    let code = invited[0]["code"].as_str().unwrap().to_owned();
    let enrolled = server.run("twofa user invite alice");
    assert!(
        enrolled.stderr.contains("has a second factor already"),
        "{enrolled:?}"
    );

    let mut terminal = log_in(&web1, "bob");
    terminal.expect("Invitation, as your administrator gave it to you: ");
    // Somebody else's.
    terminal.type_line(invited[1]["code"].as_str().unwrap());
    terminal.expect("That is not your invitation.");
    terminal.expect("Invitation: ");
    terminal.type_line(&code.to_lowercase().replace('-', " "));
    terminal.expect("Key:");
    drop(terminal);

    server
        .run("twofa policy set fleet.changes=servers-only")
        .ok();
    let screen = assert_refused(log_in(&web1, "bob"), "bob");
    assert!(screen.contains("none is set up for bob"), "{screen}");
    let log = server
        .run("twofa log --host web1 --event refused")
        .ok()
        .stdout;
    assert!(log.contains("not the user's invitation"), "{log}");
    assert!(
        !server
            .run("cat /var/log/twofad-server.log")
            .ok()
            .stdout
            .contains(&code)
    );
}

#[test]
fn a_machine_that_is_half_a_host_lets_in_nobody_but_root_until_it_leaves() {
    let (server, _) = server();
    let web1 = host();
    let _cable = join(&server, &web1, "web1", 1, "");

    web1.run("mv /etc/twofa/fleet/host.toml /root").ok();
    for user in ["alice", "carol"] {
        let screen = assert_refused(log_in(&web1, user), user);
        assert!(
            screen.contains("membership of its fleet is damaged"),
            "{screen}"
        );
    }
    web1.assert_console_works();

    // Nothing is left of its configuration.
    web1.run("mv /etc/twofa/fleet /root").ok();
    assert_refused(log_in(&web1, "alice"), "alice");
    web1.run("mv /root/fleet /etc/twofa && mv /root/host.toml /etc/twofa/fleet")
        .ok();
    web1.run("echo 0123456789abcdef0123456789abcdef >/etc/machine-id")
        .ok();
    let restarted = web1.broker();
    restarted.restart();
    assert_refused(log_in(&web1, "alice"), "alice");
    web1.wait_for_log("machine-id(5) differs");
    let found = web1.run("twofa doctor").stdout;
    assert!(
        found.contains("a copy of the one that joined the fleet as web1"),
        "{found}"
    );

    let without = web1.run("twofa leave");
    assert!(
        !without.status.success()
            && without.stderr.contains("2 accounts here are shared")
            && without.stderr.contains("2 of them have no second factor"),
        "{without:?}"
    );
    let left = web1.run("twofa leave --image --yes").ok().stdout;
    assert!(
        left.contains("twofa host remove web1") && left.contains("/etc/machine-id"),
        "{left}"
    );
    let traces = web1.run("ls /etc/twofa/fleet/* /var/lib/twofa/fleet-*");
    assert_eq!(traces.stdout, "");
    // A machine that has not joined can become an image as well.
    web1.run("twofa leave --image --yes").ok();
    assert_in(log_in(&web1, "alice"), "alice");
}

#[test]
fn a_token_lets_one_host_join_once_and_says_what_is_wrong_with_another() {
    let (server, _) = server();
    let web1 = host();
    let _cable = join(&server, &web1, "web1", 1, "");
    web1.run("twofa leave --yes").ok();
    let joins = |token: &str| web1.run_with_input("twofa join --token-file -", token);

    let token = add(&server, "web2", "");
    joins(&token).ok();
    web1.run("twofa leave --yes").ok();
    let again = joins(&token);
    assert!(
        again
            .stderr
            .contains("has been used: web2 joined with it at")
            && again.stderr.contains("from 10.77.1.2"),
        "{again:?}"
    );
    let shown = server.run("twofa host show web2").ok().stdout;
    let key = shown
        .lines()
        .find_map(|line| line.strip_prefix("With key:"))
        .unwrap();
    assert!(again.stderr.contains(key.trim()), "{again:?} {shown}");

    let token = add(&server, "web3", "");
    let (before, secret) = token.rsplit_once('/').unwrap();
    let (servers, _) = before.rsplit_once('/').unwrap();
    let other_root = format!("{servers}/{}/{secret}", "0".repeat(64));
    let refused = joins(&other_root);
    assert!(
        refused
            .stderr
            .contains("not the server that issued the token"),
        "{refused:?}"
    );
    let cut = joins(&token[..token.len() - 1]);
    assert!(cut.stderr.contains("copy the whole line"), "{cut:?}");
    let status = web1.run("ls /etc/twofa/fleet/host.toml");
    assert!(!status.status.success());
    joins_with_a_key(&server, &web1);
}

/// Has `host` join the fleet with a join key that works once.
fn joins_with_a_key(server: &Machine, host: &Machine) {
    let joins = |token: &str| host.run_with_input("twofa join --token-file -", token);
    let made = server
        .run("twofa join-key add web --names 'web-*' --services sshd --uses 1 --host-lives 24h")
        .ok()
        .stdout;
    let token = made.lines().find(|line| line.starts_with("twofa1/"));
    let token = token.unwrap().to_owned();
    let other_name = joins(&token);
    assert!(
        other_name.stderr.contains("for hosts called web-*"),
        "{other_name:?}"
    );
    host.run("hostname Web-7").ok();
    joins(&token).ok();
    let shown = server.run("twofa host show web-7").ok().stdout;
    assert!(
        shown.contains("with the join key web") && shown.contains("Stays:        1d"),
        "{shown}"
    );
    host.run("twofa leave --yes").ok();
    let used_up = joins(&token);
    assert!(
        used_up.stderr.contains("the join key is used up"),
        "{used_up:?}"
    );
    let listed = server.run("twofa join-key list").ok().stdout;
    assert!(
        listed.contains("web\tused up\tweb-*\tsshd\t1 of 1\t"),
        "{listed}"
    );
    assert!(!listed.contains(&token) && !server.log().contains(&token));
    server.run("twofa join-key remove web").ok();
    let removed = joins(&token);
    assert!(removed.stderr.contains("has not issued"), "{removed:?}");
}
