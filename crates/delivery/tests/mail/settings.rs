//! The settings of e-mail providers.

use twofa_core::Channel;
use twofa_delivery::{Catalogue, ConfigDirs};

use super::{provider, try_provider};

const HOST: (&str, &str) = ("host", "smtp.example.org");
const FROM: (&str, &str) = ("from", "login@example.org");

#[test]
fn the_kinds_describe_their_settings() {
    let (catalogue, _) = Catalogue::load(ConfigDirs {
        sms: "/nowhere".into(),
        templates: "/nowhere".into(),
    });
    let channels = [
        ("smtp", Channel::Email),
        ("sendmail", Channel::Email),
        ("email-gateway", Channel::Sms),
    ];
    for (name, channel) in channels {
        let kind = catalogue.find(name).unwrap();
        assert_eq!(kind.channel, channel);
        for setting in &kind.settings {
            assert!(
                !setting.help.is_empty() && !setting.help.ends_with('.'),
                "{setting:?}"
            );
            assert_eq!(
                setting.secret,
                [
                    "password",
                    "refresh-token",
                    "client-secret",
                    "proxy-password"
                ]
                .contains(&&*setting.name),
                "{setting:?}"
            );
        }
    }
}

#[test]
fn valid_combinations_of_settings_are_accepted() {
    // A path that does not exist: the sendmail of this machine may need rights of its own.
    let command = ("command", "/nowhere/sendmail");
    let number = ("address", "{number}@sms.example.org");
    for (kind, settings) in [
        ("smtp", vec![HOST, FROM]),
        (
            "smtp",
            vec![
                HOST,
                FROM,
                ("password", "x"),
                ("username", "login"),
                ("auth", "login"),
            ],
        ),
        (
            "smtp",
            vec![
                HOST,
                FROM,
                ("tls", "starttls"),
                ("port", "2525"),
                ("hello", "login.example.org"),
            ],
        ),
        (
            "smtp",
            vec![
                HOST,
                FROM,
                ("token-command", "/usr/bin/token --for mail"),
                ("auth", "xoauth2"),
            ],
        ),
        (
            "smtp",
            vec![
                HOST,
                FROM,
                ("refresh-token", "x"),
                ("token-url", "https://accounts.example.org/token"),
            ],
        ),
        ("sendmail", vec![FROM, command]),
        ("email-gateway", vec![HOST, FROM, number]),
        (
            "email-gateway",
            vec![FROM, number, command, ("transport", "sendmail")],
        ),
    ] {
        try_provider(kind, &settings).unwrap();
    }
}

#[test]
fn invalid_settings_of_a_server_are_refused_by_name() {
    for (kind, settings, setting) in [
        ("smtp", vec![FROM], "host"),
        ("smtp", vec![HOST], "from"),
        (
            "smtp",
            vec![("host", "smtps://smtp.example.org"), FROM],
            "host",
        ),
        ("smtp", vec![HOST, ("from", "nobody")], "from"),
        ("smtp", vec![HOST, FROM, ("reply-to", "nobody")], "reply-to"),
        ("smtp", vec![HOST, FROM, ("tls", "opportunistic")], "tls"),
        ("smtp", vec![HOST, FROM, ("port", "0")], "port"),
        ("smtp", vec![HOST, FROM, ("port", "65536")], "port"),
        ("smtp", vec![HOST, FROM, ("auth", "cram-md5")], "auth"),
        ("smtp", vec![HOST, FROM, ("hello", "a b")], "hello"),
        ("smtp", vec![HOST, FROM, ("ca-file", "ca.pem")], "ca-file"),
        (
            "smtp",
            vec![HOST, FROM, ("connections", "0")],
            "connections",
        ),
        ("smtp", vec![HOST, FROM, ("colour", "red")], "colour"),
    ] {
        assert_refused(kind, &settings, setting);
    }
}

#[test]
fn contradictory_or_incomplete_logins_are_refused_by_name_without_revealing_a_secret() {
    for (kind, settings, setting) in [
        ("smtp", vec![HOST, FROM, ("auth", "plain")], "password"),
        ("smtp", vec![HOST, FROM, ("username", "login")], "password"),
        (
            "smtp",
            vec![HOST, FROM, ("auth", "xoauth2"), ("password", "hunter2")],
            "token-command",
        ),
        (
            "smtp",
            vec![
                HOST,
                FROM,
                ("token-command", "/bin/t"),
                ("password", "hunter2"),
            ],
            "password",
        ),
        (
            "smtp",
            vec![
                HOST,
                FROM,
                ("token-command", "/bin/t"),
                ("refresh-token", "hunter2"),
            ],
            "token-command",
        ),
        (
            "smtp",
            vec![HOST, FROM, ("token-command", "token")],
            "token-command",
        ),
        (
            "smtp",
            vec![HOST, FROM, ("refresh-token", "hunter2")],
            "token-url",
        ),
        (
            "smtp",
            vec![
                HOST,
                FROM,
                ("refresh-token", "hunter2"),
                ("token-url", "http://x.example"),
            ],
            "token-url",
        ),
        // It would not be used.
        (
            "smtp",
            vec![HOST, FROM, ("proxy", "http://x.example")],
            "proxy",
        ),
    ] {
        assert_refused(kind, &settings, setting);
    }
}

#[test]
fn invalid_settings_of_sendmail_and_gateways_are_refused_by_name() {
    let number = ("address", "{number}@sms.example.org");
    for (kind, settings, setting) in [
        ("sendmail", vec![FROM, ("command", "sendmail")], "command"),
        ("email-gateway", vec![HOST, FROM], "address"),
        (
            "email-gateway",
            vec![HOST, FROM, ("address", "sms@example.org")],
            "address",
        ),
        ("email-gateway", vec![FROM, number], "host"),
        (
            "email-gateway",
            vec![HOST, FROM, number, ("transport", "pigeon")],
            "transport",
        ),
    ] {
        assert_refused(kind, &settings, setting);
    }
}

/// Checks that a provider with these settings is refused because of `setting`.
#[track_caller]
fn assert_refused(kind: &str, settings: &[(&str, &str)], setting: &str) {
    let error = try_provider(kind, settings).expect_err(setting).to_string();
    assert!(
        error.contains(&format!("'{setting}'")),
        "{setting}: {error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn a_test_message_is_sent_to_the_address_it_comes_from() {
    let own = provider("smtp", &[HOST, ("from", "Login <login@bücher.example>")]);
    assert_eq!(own.sender_address(), Some("login@xn--bcher-kva.example"));
    let gateway = provider(
        "email-gateway",
        &[HOST, FROM, ("address", "{number}@sms.example.org")],
    );
    assert_eq!(gateway.sender_address(), None);
}
