//! Sessions on hosts are listed and ended on a server.

use super::*;

/// As README has it, with the session line.
const STACK: &str = "\
auth requisite pam_unix.so
auth required pam_twofa.so
account required pam_twofa.so
account required pam_unix.so
session optional pam_twofa.so
session required pam_permit.so
";

/// A host with session lines, on which what systemd does with `twofad-sessions.path` is done by the command for systems without.
fn host_with_sessions() -> Machine {
    let host = Machine::new()
        .policy("optional")
        .user("alice")
        .user("bob")
        .user("carol")
        .pam("sshd", STACK)
        .with_sshd()
        .build();
    host.run("setsid twofa session sweep --watch </dev/null >/var/log/sweep.log 2>&1 &")
        .ok();
    host
}

#[test]
fn sessions_are_ended_from_a_server_and_a_host_that_is_cut_off_does_it_when_it_is_back() {
    let (server, phone) = server();
    let (web1, web2) = (host_with_sessions(), host_with_sessions());
    let cables = [
        join(&server, &web1, "web1", 1, ""),
        join(&server, &web2, "web2", 2, ""),
    ];
    let mut codes = phone.backup_codes.iter();
    let mut terminals = [&web1, &web2].map(|host| {
        let mut terminal = at_the_code_prompt(host);
        terminal.type_line(codes.next().unwrap());
        terminal.expect("alice@vm:~$ ");
        terminal
    });
    server.wait_until("[ $(twofa session list | grep -c 'web[12]$') = 2 ]");
    let listed = server.run("twofa session list --host web1").ok().stdout;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(
        listed.contains("\talice\t") && listed.contains("\tsshd\tbackup\t"),
        "{listed}"
    );
    let json = server.run("twofa session list --json").ok().stdout;
    assert!(
        json.contains(r#""host": "web2""#) || json.contains(r#""host":"web2""#),
        "{json}"
    );

    cables[1].pull();
    let ended = server.run("twofa session end --user alice");
    assert_eq!(ended.code(), 1, "{ended:?}");
    assert!(ended.stdout.contains("of alice on web1 (sshd"), "{ended:?}");
    let missing = "web2 has not confirmed: it was last seen";
    assert!(ended.stdout.contains(missing), "{ended:?}");
    assert!(ended.stderr.contains("web2 has not confirmed"), "{ended:?}");
    let [first, second] = &mut terminals;
    first.expect_end();
    web1.wait_for_log("session-ended");
    // Of the one that cannot be told yet the list says so.
    let listed = server.run("twofa session list").ok().stdout;
    assert!(
        listed.contains("\tending\t") && !listed.contains("web1"),
        "{listed}"
    );

    cables[1].plug_in();
    second.expect_end();
    server.wait_until("! twofa session list | grep web2");
    let log = server.run("twofa log --event session-ended").ok().stdout;
    assert!(log.contains("web1") && log.contains("web2"), "{log}");

    let none = server.run("twofa session end --user alice --json").ok();
    assert_eq!(none.stdout.trim(), "[]", "{none:?}");
    let unknown = server.run("twofa session end --all --host web9");
    assert!(
        unknown.stderr.contains("there is no host 'web9'"),
        "{unknown:?}"
    );
}
