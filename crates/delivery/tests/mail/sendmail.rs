//! The sendmail program of the machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use twofa_core::Channel;
use twofa_delivery::{BadProvider, Provider, Step};
use twofa_mailserver::{Listener, LocalHost, MailServer};

use super::{CODE, assert_error, is_root, message, provider, send_error, soon, try_provider};

/// A sendmail that runs `script` in a directory of its own.
fn sendmail(script: &str) -> (TempDir, Box<dyn Provider>) {
    sendmail_with(script, &[])
}

/// Like [`sendmail`], with more settings.
pub(super) fn sendmail_with(script: &str, more: &[(&str, &str)]) -> (TempDir, Box<dyn Provider>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sendmail");
    fs::write(
        &path,
        format!("#!/bin/sh\ncd {}\n{script}\n", folder.path().display()),
    )
    .unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let command = format!("{} -own argument", path.display());
    let mut settings = vec![
        ("command", &*command),
        ("from", "Login <login@example.org>"),
    ];
    settings.retain(|(name, _)| more.iter().all(|(other, _)| other != name));
    settings.extend(more);
    (folder, provider("sendmail", &settings))
}

/// Waits until the process `pid` does not exist, not even as a zombie.
pub(super) fn wait_until_gone(pid: &str) {
    let start = Instant::now();
    while is_alive(pid) {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{pid} still runs"
        );
        thread::sleep(Duration::from_millis(2));
    }
}

/// Whether the process `pid` exists. A zombie that only init has yet to reap does not count.
fn is_alive(pid: &str) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let mut fields = stat.rsplit_once(") ").unwrap().1.split(' ');
    let (state, parent) = (fields.next().unwrap(), fields.next().unwrap());
    !(state == "Z" && parent != std::process::id().to_string())
}

#[test]
fn the_mail_is_written_to_standard_input_and_the_code_nowhere_else() {
    let (folder, provider) =
        sendmail(r#"for a; do echo "$a"; done >arguments; env >environment; cat >mail"#);
    provider.check(soon()).unwrap();
    assert_eq!(provider.channel(), Channel::Email);
    assert_eq!(provider.sender_address(), Some("login@example.org"));
    provider
        .send("alice@example.org", &message(), soon())
        .unwrap();
    let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(
        read("arguments"),
        "-own\nargument\n-i\n-f\nlogin@example.org\n--\nalice@example.org\n"
    );
    let environment = read("environment");
    // The shell adds variables of its own.
    let is_shells = |line: &str| {
        ["PWD=", "OLDPWD=", "_="]
            .iter()
            .any(|name| line.starts_with(name))
    };
    let ours = environment.lines().filter(|line| !is_shells(line));
    assert_eq!(
        ours.collect::<Vec<_>>(),
        ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    );
    let mail = read("mail");
    assert!(
        mail.contains(CODE) && mail.contains("To: alice@example.org\n") && !mail.contains('\r'),
        "{mail}"
    );
}

/// Runs a command with the rights that programs have when the broker starts them.
const AS_THE_BROKER: &str =
    "/usr/bin/setpriv --no-new-privs --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all";

/// Hands its input to a mail server, as msmtp does.
const RELAY: &str = r#"#!/usr/bin/python3
import smtplib, sys
port, dash_i, dash_f, sender, dashes, to = sys.argv[1:]
assert (dash_i, dash_f, dashes) == ("-i", "-f", "--")
with smtplib.SMTP("localhost", int(port)) as server:
    server.sendmail(sender, [to], sys.stdin.buffer.read())
"#;

#[test]
fn a_sendmail_without_rights_of_its_own_accepts_a_mail() {
    if !is_root() {
        return;
    }
    let server = MailServer::start(LocalHost::new(), &["alice"]);
    let folder = tempfile::tempdir().unwrap();
    let relay = folder.path().join("relay");
    fs::write(&relay, RELAY).unwrap();
    for path in [folder.path(), &relay] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let command = format!(
        "{AS_THE_BROKER} {} {}",
        relay.display(),
        server.port_of(Listener::Plain)
    );
    let provider = provider(
        "sendmail",
        &[("command", &command), ("from", "login@example.org")],
    );
    provider.check(soon()).unwrap();
    provider
        .send("alice@example.org", &message(), soon())
        .unwrap();
    let mail = &server.wait_for_mail("alice", 1)[0];
    assert!(
        mail.starts_with("Return-Path: <login@example.org>\n"),
        "{mail}"
    );
    assert!(
        mail.contains(CODE) && mail.contains("\nContent-Type: multipart/alternative"),
        "{mail}"
    );
}

#[test]
fn postfixs_sendmail_cannot_accept_a_mail_from_the_broker_and_is_refused() {
    if !is_root() {
        return;
    }
    // The reason for the refusal: it retries to start its helper until the deadline.
    let command = "/usr/sbin/sendmail";
    let behind = format!("{AS_THE_BROKER} {command}");
    let behind = provider(
        "sendmail",
        &[("command", &behind), ("from", "login@example.org")],
    );
    let deadline = Instant::now() + Duration::from_secs(2);
    let error = behind
        .send("alice@example.org", &message(), deadline)
        .unwrap_err();
    assert!(error.timed_out, "{error:?}");

    for (kind, more) in [
        ("sendmail", None),
        ("email-gateway", Some(("address", "{number}@example.org"))),
    ] {
        let mut settings = vec![("command", command), ("from", "login@example.org")];
        settings.extend(more);
        settings.extend(more.map(|_| ("transport", "sendmail")));
        let BadProvider::Value { setting, why } = try_provider(kind, &settings).unwrap_err() else {
            panic!()
        };
        assert_eq!(setting, "command");
        assert!(
            why.contains("/usr/sbin/postdrop, which is set-group-ID"),
            "{why}"
        );
        assert!(why.contains("smtp with host=127.0.0.1 tls=none"), "{why}");
    }
}

#[test]
fn a_program_with_rights_of_its_own_is_refused() {
    for (mode, word) in [
        (0o4755, "set-user-ID"),
        (0o2755, "set-group-ID"),
        (0o6755, "set-user-ID"),
    ] {
        let (folder, provider) = sendmail("cat >/dev/null");
        provider.check(soon()).unwrap();
        // As when a package replaces the program.
        let path = folder.path().join("sendmail");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert_error(
            &provider.check(soon()).unwrap_err(),
            Step::Program,
            word,
            "host=127.0.0.1 tls=none",
        );
        let path = path.to_str().unwrap();
        let refused = try_provider(
            "sendmail",
            &[("command", path), ("from", "login@example.org")],
        );
        assert!(refused.unwrap_err().to_string().contains(word));
    }
}

#[test]
fn an_address_is_never_read_as_an_option() {
    let (folder, provider) = sendmail(r#"for a; do echo "$a"; done >arguments; cat >/dev/null"#);
    provider
        .send("-oQ/tmp@example.org", &message(), soon())
        .unwrap();
    let arguments = fs::read_to_string(folder.path().join("arguments")).unwrap();
    assert!(
        arguments.ends_with("\n--\n-oQ/tmp@example.org\n"),
        "{arguments}"
    );
}

#[test]
fn a_program_that_fails_is_reported_without_the_code() {
    let (_folder, provider) = sendmail(
        "echo; echo \"sendmail: $(tr -d '=\\n' | grep -o 918273 | head -1) is bad\" >&2; exit 77",
    );
    let error = send_error(&*provider, "alice@example.org");
    assert_error(
        &error,
        Step::Program,
        "exited with status 77: sendmail: […] is bad",
        "allowed to send mail",
    );
    let (_folder, provider) = sendmail("cat >/dev/null; exit 67");
    assert_error(
        &send_error(&*provider, "alice@example.org"),
        Step::Recipient,
        "67",
        "does not exist",
    );
    let (_folder, provider) = sendmail("cat >/dev/null; exit 75");
    assert_error(
        &send_error(&*provider, "alice@example.org"),
        Step::Program,
        "75",
        "right now",
    );
    let (_folder, provider) = sendmail("kill -TERM $$");
    assert_error(
        &send_error(&*provider, "alice@example.org"),
        Step::Program,
        "killed by signal 15",
        "",
    );
    // A program that exits successfully without reading the mail has accepted it.
    let (_folder, provider) = sendmail("exec <&-; exit 0");
    provider
        .send("alice@example.org", &message(), soon())
        .unwrap();
}

#[test]
fn a_program_that_is_not_there_is_reported() {
    for command in ["/nowhere/sendmail", "/etc/passwd", "/tmp"] {
        let provider = provider(
            "sendmail",
            &[("command", command), ("from", "login@example.org")],
        );
        assert_error(
            &provider.check(soon()).unwrap_err(),
            Step::Program,
            command,
            "kind smtp",
        );
        assert_error(
            &send_error(&*provider, "alice@example.org"),
            Step::Program,
            command,
            "kind smtp",
        );
    }
}

#[test]
fn a_program_that_hangs_is_killed_at_the_deadline_with_its_children() {
    for script in [
        "sleep 1000 & echo $$ $! >pids; wait",
        "trap '' TERM; echo $$ >pids; while :; do :; done",
    ] {
        let (folder, provider) = sendmail(script);
        let start = Instant::now();
        let deadline = start + Duration::from_millis(700);
        let error = provider
            .send("alice@example.org", &message(), deadline)
            .unwrap_err();
        assert!(error.timed_out && error.step == Step::Program, "{error:?}");
        assert!(error.may_have_arrived, "{error:?}");
        assert!(
            start.elapsed() < Duration::from_millis(1400),
            "{:?}",
            start.elapsed()
        );
        for pid in fs::read_to_string(folder.path().join("pids"))
            .unwrap()
            .split_whitespace()
        {
            wait_until_gone(pid);
        }
    }
}

#[test]
fn a_process_that_the_program_leaves_behind_is_not_waited_for() {
    let (folder, provider) = sendmail("cat >/dev/null; sleep 1000 & echo $! >pids");
    let start = Instant::now();
    provider
        .send("alice@example.org", &message(), soon())
        .unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
    let pid = fs::read_to_string(folder.path().join("pids")).unwrap();
    assert!(Path::new(&format!("/proc/{}", pid.trim())).exists());
    let killed = std::process::Command::new("kill")
        .arg(pid.trim())
        .status()
        .unwrap();
    assert!(killed.success());
}

#[test]
fn no_zombie_is_left() {
    let (folder, provider) = sendmail("cat >/dev/null; echo $$ >>pids");
    for _ in 0..5 {
        provider
            .send("alice@example.org", &message(), soon())
            .unwrap();
    }
    for pid in fs::read_to_string(folder.path().join("pids"))
        .unwrap()
        .split_whitespace()
    {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{pid}");
    }
}
