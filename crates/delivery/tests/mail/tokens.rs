//! Tokens for XOAUTH2: from a program, and for a refresh token.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use twofa_delivery::{Provider, SendError, Step};

use super::scripted::{Connection, Scripted, ca_file};
use super::{assert_clean, assert_error, message, provider, soon};

/// A program in `folder` that runs `script`; its path.
pub(super) fn printer(folder: &Path, script: &str) -> String {
    let path = folder.join("token");
    // Not written over: a program that runs cannot be.
    let _ = fs::remove_file(&path);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn through(server: &Scripted, more: &[(&str, &str)]) -> Box<dyn Provider> {
    let port = server.port.to_string();
    let mut settings = vec![
        ("host", "localhost"),
        ("port", &*port),
        ("tls", "implicit"),
        ("ca-file", ca_file()),
    ];
    settings.push(("from", "login@example.org"));
    settings.extend(more);
    provider("smtp", &settings)
}

/// A mail server that accepts these tokens, refuses others in a challenge, and counts both. Each connection takes one
/// mail.
fn checking(good: &'static [&'static str]) -> (Scripted, Arc<[AtomicUsize; 2]>) {
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let seen = Arc::clone(&counts);
    let server = Scripted::start_tls(move |connection| {
        connection.send("220 hello")?;
        loop {
            let command = connection.continue_until("AUTH")?;
            let response = command
                .strip_prefix("AUTH XOAUTH2 ")
                .expect("the mechanism");
            let response = BASE64.decode(response.as_bytes()).unwrap();
            let token = String::from_utf8(response).unwrap();
            let token = token
                .strip_prefix("user=login@example.org\x01auth=Bearer ")
                .expect("the form of it");
            let token = token.strip_suffix("\x01\x01").expect("the end of it");
            if good.contains(&token) {
                seen[0].fetch_add(1, Ordering::SeqCst);
                connection.send("235 2.7.0 welcome")?;
                connection.continue_until(".")?;
                return connection.send("250 2.0.0 Ok");
            }
            seen[1].fetch_add(1, Ordering::SeqCst);
            connection.send(&format!(
                "334 {}",
                BASE64.encode(br#"{"status":"401","schemes":"bearer"}"#)
            ))?;
            assert_eq!(connection.read_line()?, "", "the challenge is answered");
            connection.send(&format!("535 5.7.8 {token} is no good"))?;
        }
    });
    (server, counts)
}

fn send(provider: &dyn Provider) -> Result<(), SendError> {
    provider
        .send("alice@example.org", &message(), soon())
        .map(|_| ())
}

#[test]
fn a_token_that_a_command_printed_is_cached_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    let command = printer(
        folder.path(),
        &format!("echo run >>{}; echo \"$1-$#\"", count.display()),
    );
    let (server, counts) = checking(&["token-2"]);
    let provider = through(
        &server,
        &[("token-command", &format!("{command}  token  extra"))],
    );
    for _ in 0..3 {
        send(&*provider).unwrap();
    }
    assert_eq!(counts[0].load(Ordering::SeqCst), 3);
    assert_eq!(
        fs::read_to_string(count).unwrap(),
        "run\n",
        "without a shell in between, and once"
    );
}

#[test]
fn a_cached_token_that_was_revoked_is_replaced_once() {
    let folder = tempfile::tempdir().unwrap();
    // Each run prints another token. The first is refused.
    let count = folder.path().join("count");
    let command = printer(
        folder.path(),
        &format!("echo x >>{0}; echo token-$(wc -l <{0})", count.display()),
    );
    let (server, counts) = checking(&["token-2", "token-3"]);
    let provider = through(&server, &[("token-command", &*command)]);
    let error = send(&*provider).unwrap_err();
    assert_error(
        &error,
        Step::Login,
        "535 5.7.8 […] is no good (status 401)",
        "token was refused",
    );
    assert_clean(&*provider, &error);
    assert_eq!(
        counts[1].load(Ordering::SeqCst),
        1,
        "a fresh token is not tried twice"
    );
    send(&*provider).unwrap();
}

#[test]
fn a_token_program_that_fails_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _) = checking(&[]);
    let error_of = |script: &str| {
        let command = printer(folder.path(), script);
        let provider = through(&server, &[("token-command", &*command)]);
        let error = provider.check(soon()).unwrap_err();
        assert_clean(&*provider, &error);
        error
    };
    assert_error(
        &error_of("echo 'consent is gone' >&2; exit 3"),
        Step::Login,
        "consent is gone",
        "as the user",
    );
    assert_error(
        &error_of("true"),
        Step::Login,
        "it printed no token",
        "access token",
    );
    assert_error(
        &error_of("printf 'two words'"),
        Step::Login,
        "it printed no token",
        "",
    );
    let leak = error_of("echo hunter2-token; echo 'cannot store hunter2-token' >&2; exit 1");
    assert_error(&leak, Step::Login, "cannot store […]", "");
    let missing = through(&server, &[("token-command", "/nowhere/token")])
        .check(soon())
        .unwrap_err();
    assert_error(&missing, Step::Login, "/nowhere/token", "");
}

#[test]
fn a_token_program_that_hangs_is_killed_at_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let script = format!("sleep 1000 & echo $$ $! >{}; wait", pids.display());
    let command = printer(folder.path(), &script);
    let (server, _) = checking(&[]);
    let provider = through(&server, &[("token-command", &*command)]);
    let start = Instant::now();
    let error = provider
        .check(start + Duration::from_millis(700))
        .unwrap_err();
    assert!(error.timed_out && error.step == Step::Login, "{error:?}");
    assert!(
        start.elapsed() < Duration::from_millis(1400),
        "{:?}",
        start.elapsed()
    );
    for pid in fs::read_to_string(pids).unwrap().split_whitespace() {
        super::sendmail::wait_until_gone(pid);
    }
}

/// The token endpoint of the account's provider: accepts one refresh token, and counts the requests.
fn token_url(answer: &'static str, hangs: bool) -> (Scripted, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    let server = Scripted::start_tls(move |connection: &mut Connection| {
        let request = connection.read_line()?;
        assert_eq!(request, "POST /token HTTP/1.1");
        let mut length = 0;
        loop {
            let header = connection.read_line()?.to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            if header.is_empty() {
                break;
            }
        }
        let form = connection.read_bytes(length)?;
        let expected = "grant_type=refresh_token&refresh_token=hunter2-refresh&client_id=our-client\
                        &client_secret=hunter2-client";
        assert_eq!(form, expected);
        count.fetch_add(1, Ordering::SeqCst);
        if hangs {
            return connection.hang();
        }
        let (status, body) = answer.split_once(' ').unwrap();
        connection.send_bytes(
            format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
            .as_bytes(),
        )
    });
    (server, requests)
}

fn refreshing(mail: &Scripted, account: &Scripted) -> Box<dyn Provider> {
    let url = format!("https://localhost:{}/token", account.port);
    through(
        mail,
        &[
            ("refresh-token", "hunter2-refresh"),
            ("client-id", "our-client"),
            ("client-secret", "hunter2-client"),
            ("token-url", &url),
        ],
    )
}

#[test]
fn a_refresh_token_is_exchanged_for_a_token_that_is_cached_until_it_expires() {
    let (mail, counts) = checking(&["hunter2-access"]);
    let answer = r#"200 {"access_token":"hunter2-access","expires_in":3600,"token_type":"Bearer"}"#;
    let (account, requests) = token_url(answer, false);
    let provider = refreshing(&mail, &account);
    for _ in 0..3 {
        send(&*provider).unwrap();
    }
    assert_eq!(
        (
            counts[0].load(Ordering::SeqCst),
            requests.load(Ordering::SeqCst)
        ),
        (3, 1)
    );

    // A token that is valid for less than a minute is not cached.
    let (account, requests) = token_url(
        r#"200 {"access_token":"hunter2-access","expires_in":"59"}"#,
        false,
    );
    let provider = refreshing(&mail, &account);
    for _ in 0..2 {
        send(&*provider).unwrap();
    }
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[test]
fn a_refresh_token_that_is_refused_is_reported() {
    let (mail, _) = checking(&[]);
    for (answer, reason, hint) in [
        (
            r#"400 {"error":"invalid_grant","error_description":"hunter2-refresh was revoked"}"#,
            "400 invalid_grant […] was revoked",
            "grant consent again",
        ),
        (
            r#"401 {"error":"invalid_client"}"#,
            "401 invalid_client",
            "client-secret",
        ),
        (r"200 <html>", "200", "check 'token-url'"),
        (
            r#"200 {"access_token":"two words"}"#,
            "200",
            "check 'token-url'",
        ),
    ] {
        let (account, _) = token_url(answer, false);
        let provider = refreshing(&mail, &account);
        let error = provider.check(soon()).unwrap_err();
        assert_error(&error, Step::Login, reason, hint);
        assert_clean(&*provider, &error);
    }
    let (account, _) = token_url("200 ", true);
    let start = Instant::now();
    let error = refreshing(&mail, &account)
        .check(start + Duration::from_millis(700))
        .unwrap_err();
    assert!(error.timed_out && error.step == Step::Login, "{error:?}");
    assert!(
        start.elapsed() < Duration::from_millis(1400),
        "{:?}",
        start.elapsed()
    );
}

/// Runs in an environment that names a proxy.
#[test]
#[ignore = "run by the_token_client_uses_no_proxy_from_the_environment"]
fn inside_an_environment_with_a_proxy() {
    let (mail, counts) = checking(&["hunter2-access"]);
    let answer = r#"200 {"access_token":"hunter2-access","expires_in":3600}"#;
    let (account, requests) = token_url(answer, false);
    send(&*refreshing(&mail, &account)).unwrap();
    assert_eq!(counts[0].load(Ordering::SeqCst), 1);
    assert_eq!(requests.load(Ordering::SeqCst), 1);
}

#[test]
fn the_token_client_uses_no_proxy_from_the_environment() {
    let proxy = Scripted::start(Connection::hang);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--ignored",
        "--exact",
        "tokens::inside_an_environment_with_a_proxy",
    ]);
    let url = format!("http://127.0.0.1:{}", proxy.port);
    for name in [
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
        "HTTP_PROXY",
    ] {
        command.env(name, &url);
    }
    let output = command
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
    assert_eq!(proxy.connections(), 0);
}

/// An HTTP proxy that answers CONNECT with `status` and, if that is 200, connects to the target.
fn proxy(status: &'static str) -> Scripted {
    Scripted::start(move |connection| {
        let request = connection.read_line()?;
        let target = request.split(' ').nth(1).unwrap().to_owned();
        assert!(request.starts_with("CONNECT "), "{request}");
        let mut login = String::new();
        loop {
            let header = connection.read_line()?;
            match header.split_once(": Basic ") {
                Some((name, value)) if name.eq_ignore_ascii_case("proxy-authorization") => {
                    value.clone_into(&mut login);
                }
                _ if header.is_empty() => break,
                _ => (),
            }
        }
        if BASE64.decode(login.as_bytes()).unwrap() != b"ann:hunter2-proxy" {
            return connection.send("HTTP/1.1 407 Who are you\r\n");
        }
        connection.send(&format!("HTTP/1.1 {status}\r\n"))?;
        if status.starts_with("200") {
            connection.relay(&target)?;
        }
        Ok(())
    })
}

#[test]
fn a_refresh_token_is_exchanged_through_a_proxy() {
    let (mail, counts) = checking(&["hunter2-access"]);
    let answer = r#"200 {"access_token":"hunter2-access","expires_in":3600}"#;
    let (account, requests) = token_url(answer, false);
    let url = format!("https://localhost:{}/token", account.port);
    let through = |proxy: &Scripted, password: &str| {
        let proxy = format!("http://ann@localhost:{}", proxy.port);
        through(
            &mail,
            &[
                ("refresh-token", "hunter2-refresh"),
                ("client-id", "our-client"),
                ("client-secret", "hunter2-client"),
                ("token-url", &url),
                ("proxy", &proxy),
                ("proxy-password", password),
            ],
        )
    };
    let good = proxy("200 Connected");
    send(&*through(&good, "hunter2-proxy")).unwrap();
    assert_eq!(
        (good.connections(), requests.load(Ordering::SeqCst)),
        (1, 1)
    );
    assert_eq!(counts[0].load(Ordering::SeqCst), 1);
    for (password, status, reason, hint) in [
        (
            "hunter2-proxy",
            "403 Forbidden",
            "403 Forbidden",
            "allow connections to localhost",
        ),
        (
            "hunter2-proxy",
            "502 Bad Gateway",
            "502 Bad Gateway",
            "host name in 'token-url'",
        ),
        (
            "hunter2-other",
            "200 X",
            "refuses the login",
            "proxy-password",
        ),
    ] {
        let provider = through(&proxy(status), password);
        let error = provider.check(soon()).unwrap_err();
        assert_error(&error, Step::Login, reason, hint);
        assert!(
            error.reason.starts_with("token-url: the proxy localhost:"),
            "{error:?}"
        );
        assert_clean(&*provider, &error);
    }
}
