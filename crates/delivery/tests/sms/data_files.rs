//! Data files: built-in ones, custom ones, and mistakes in them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use twofa_core::{Channel, Timestamp};
use twofa_delivery::{BadProvider, Message, ProviderKind, sms};

use crate::server::Server;
use crate::support::{TO, catalogue, configuration, message, soon, text};
use crate::tools::skipped;

const CUSTOM: &str = r#"
name = "acme"
aliases = ["acme-sms"]
title = "Acme"
sources = ["https://acme.example/docs"]
base = "https://{{ region }}.acme.example"
id = "$.id"
account = ["api-key", "region"]

[[setting]]
name = "api-key"
help = "API key"
secret = true
required = true

[[setting]]
name = "region"
help = "region"
default = "eu"

[auth]
kind = "bearer"
token = "{{ api_key }}"

[send]
path = "/v1/{{ region }}/send"
json = { to = "{{ to }}", text = "{{ text }}" }
"#;

/// The providers that must stay, because administrators have configured them.
const BUILT_IN: [&str; 29] = [
    "twilio",
    "vonage",
    "clickatell",
    "eztexting",
    "seven",
    "smsbroadcast",
    "cdyne",
    "plivo",
    "messagebird",
    "telnyx",
    "clicksend",
    "sinch",
    "infobip",
    "textmagic",
    "smsapi",
    "46elks",
    "bulksms",
    "africastalking",
    "gatewayapi",
    "aws-sns",
    "aws-eum",
    "bandwidth",
    "bird",
    "brevo",
    "d7",
    "telesign",
    "unifonic",
    "signal",
    "gammu-smsd",
];

/// An administrator's directory. Its files must belong to root, so only root can run these tests.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        if chown(folder.path(), Some(0), Some(0)).is_err() {
            skipped("only root can create files that belong to root");
            return None;
        }
        Some(Self(folder))
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// What is wrong with the file `text`.
fn mistake(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    fs::write(&file, text).unwrap();
    match sms::check_file(&file) {
        Err(BadProvider::File { file: named, why }) => {
            assert_eq!(named, file.display().to_string());
            why
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_built_in_provider_has_disappeared() {
    let (catalogue, bad) = catalogue(Path::new("/nonexistent"));
    assert_eq!(bad, []);
    let kinds = || {
        let all = catalogue.kinds().iter();
        all.filter(|kind| kind.name != "email-gateway" && kind.channel == Channel::Sms)
    };
    let names: Vec<_> = kinds().map(|kind| kind.name.as_str()).collect();
    for name in BUILT_IN {
        assert!(names.contains(&name), "{name}");
    }
    for kind in kinds() {
        assert!(!kind.title.is_empty());
        for setting in &kind.settings {
            assert!(
                !setting.help.is_empty() && !setting.help.ends_with('.'),
                "{}: {setting:?}",
                kind.name
            );
            // What a provider cannot do without must be request for, and keys must be sealed.
            let is_key = ["key", "secret", "token", "password", "app-sid"]
                .iter()
                .any(|word| setting.name.contains(word));
            let is_public = setting.name.ends_with("-id")
                || (kind.name == "vonage" && setting.name == "api-key");
            assert_eq!(
                setting.secret,
                is_key && !is_public,
                "{}: {setting:?}",
                kind.name
            );
        }
    }
    let find = |name: &str| catalogue.find(name).unwrap().name.clone();
    assert_eq!(find("nexmo"), "vonage");
    assert_eq!(find("grouptexting"), "eztexting");
    assert_eq!(find("gammu"), "gammu-smsd");
    // Classic access keys and the keys of Bird's new interface do not work with each other's.
    assert_eq!(find("bird"), "bird");
    assert_eq!(find("sendinblue"), "brevo");
    assert_eq!(find("aws-end-user-messaging"), "aws-eum");
}

/// How the base of the built-in provider `kind` begins. Signal's is a program on this machine.
fn scheme(kind: &str) -> &'static str {
    match kind {
        "signal" => "http://127.0.0.1:",
        _ => "https://",
    }
}

#[test]
fn every_provider_has_a_base_and_a_ca_file() {
    let (catalogue, _) = catalogue(Path::new("/nonexistent"));
    let is_http = |kind: &&ProviderKind| {
        kind.channel == Channel::Sms && !["gammu-smsd", "email-gateway"].contains(&&*kind.name)
    };
    for kind in catalogue.kinds().iter().filter(is_http) {
        let base = kind.setting("base").unwrap();
        assert!(
            base.default
                .as_deref()
                .is_none_or(|base| base.starts_with(scheme(&kind.name))),
            "{}",
            kind.name
        );
        assert!(base.help.contains(scheme(&kind.name)), "{base:?}");
        assert!(kind.setting("ca-file").is_some());
    }
}

#[test]
fn a_custom_file_is_a_kind_like_any_other() {
    let Some(folder) = Folder::new() else { return };
    folder.put("acme.toml", CUSTOM);
    folder.put(".hidden.toml", "x");
    folder.put("notes.txt", "x");
    let (catalogue, bad) = catalogue(folder.path());
    assert_eq!(bad, []);
    assert_eq!(catalogue.find("acme-sms").unwrap().name, "acme");
    let server = Server::answering(200, r#"{"id":7}"#);
    let settings = [
        ("api-key", "hush"),
        ("region", "us"),
        ("base", &server.base()),
    ];
    let provider = catalogue
        .open(&configuration("acme-sms", &settings))
        .unwrap();
    assert_eq!(
        provider.send(TO, &message(), soon()).unwrap().id.as_deref(),
        Some("7")
    );
    let request = server.only_request();
    assert_eq!(
        (request.target.as_str(), request.header("authorization")),
        ("/v1/us/send", Some("Bearer hush"))
    );
    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(body, serde_json::json!({"to": TO, "text": text()}));
}

#[test]
fn a_file_can_say_when_the_code_expires_and_tell_one_message_from_another() {
    let Some(folder) = Folder::new() else { return };
    let json = "json = { until = \"{{ expires }}\", time = \"{{ expires_time }}\", \
                seconds = \"{{ lifetime }}\", key = \"{{ uuid }}\" }";
    let plain = "json = { to = \"{{ to }}\", text = \"{{ text }}\" }";
    folder.put("acme.toml", &CUSTOM.replace(plain, json));
    let (catalogue, bad) = catalogue(folder.path());
    assert_eq!(bad, []);
    let server = Server::answering(200, r#"{"id":7}"#);
    let settings = [("api-key", "hush"), ("base", &server.base())];
    let provider = catalogue.open(&configuration("acme", &settings)).unwrap();
    let test = Message::Test {
        application: "Acme".to_owned(),
        at: Timestamp::from_unix(1_790_000_000),
    };
    for message in [&message(), &message(), &test] {
        provider.send(TO, message, soon()).unwrap();
    }
    let bodies: Vec<serde_json::Value> = server
        .requests()
        .iter()
        .map(|request| serde_json::from_str(&request.body).unwrap())
        .collect();
    let [one, other, test] = bodies.as_slice() else {
        panic!("{bodies:?}");
    };
    let key = |body: &serde_json::Value| body["key"].as_str().unwrap().to_owned();
    let expected = serde_json::json!({
        "until": 1_790_000_600, "time": "2026-09-21T14:23:20Z", "seconds": 600, "key": key(one),
    });
    assert_eq!(*one, expected);
    // A message without a code does not expire.
    assert_eq!(*test, serde_json::json!({"key": key(test)}));
    assert!(key(one) != key(other) && key(other) != key(test));
    // RFC 9562 §5.4: version 4, variant 10.
    let key = key(one);
    let parts: Vec<_> = key.split('-').collect();
    assert_eq!(
        parts.iter().map(|part| part.len()).collect::<Vec<_>>(),
        [8, 4, 4, 4, 12]
    );
    assert!(
        parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']),
        "{key}"
    );
}

#[test]
fn a_custom_file_replaces_a_built_in_one() {
    let Some(folder) = Folder::new() else { return };
    folder.put("twilio.toml", &CUSTOM.replace("\"acme\"", "\"twilio\""));
    let (catalogue, bad) = catalogue(folder.path());
    assert_eq!(bad, []);
    assert_eq!(
        catalogue
            .kinds()
            .iter()
            .filter(|kind| kind.name == "twilio")
            .count(),
        1
    );
    assert_eq!(catalogue.find("twilio").unwrap().title, "Acme");
    let server = Server::answering(200, r#"{"id":7}"#);
    let settings = [("api-key", "hush"), ("base", &server.base())];
    catalogue
        .open(&configuration("twilio", &settings))
        .unwrap()
        .send(TO, &message(), soon())
        .unwrap();
    assert_eq!(server.only_request().path(), "/v1/eu/send");
}

#[test]
fn a_file_that_somebody_else_could_have_written_is_skipped() {
    let Some(folder) = Folder::new() else { return };
    let file = folder.put("acme.toml", CUSTOM);
    let why = || match catalogue(folder.path()).1.as_slice() {
        [BadProvider::File { why, .. }] => why.clone(),
        other => panic!("{other:?}"),
    };
    for mode in [0o664, 0o646, 0o666] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        assert!(why().contains("can write to it"), "{mode:o}: {}", why());
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    chown(&file, Some(65534), None).unwrap();
    assert!(why().contains("belongs to uid 65534"), "{}", why());
    // It can still be checked, and the check warns of it.
    let report = sms::check_file(&file).unwrap();
    assert!(
        report.warnings[0].contains("belongs to uid 65534"),
        "{report:?}"
    );
    chown(&file, Some(0), None).unwrap();
    assert_eq!(catalogue(folder.path()).1, []);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(why().contains("can write to it"), "{}", why());
}

#[test]
fn an_invalid_file_is_reported_and_the_others_still_work() {
    let Some(folder) = Folder::new() else { return };
    folder.put("a.toml", CUSTOM);
    folder.put("b.toml", "name = 1");
    folder.put("c.toml", CUSTOM);
    folder.put(
        "d.toml",
        &CUSTOM
            .replace("\"acme\"", "\"smtp\"")
            .replace("acme-sms", "d"),
    );
    let (catalogue, bad) = catalogue(folder.path());
    assert!(catalogue.find("acme").is_some());
    let bad: Vec<_> = bad.iter().map(ToString::to_string).collect();
    assert_eq!(bad.len(), 3, "{bad:?}");
    assert!(bad[0].contains("b.toml: line 1: "), "{bad:?}");
    assert!(
        bad[1].contains("c.toml: its name or an alias is also in") && bad[1].contains("a.toml"),
        "{bad:?}"
    );
    assert!(
        bad[2].contains("'smtp' is a kind of e-mail provider"),
        "{bad:?}"
    );
}

#[test]
fn a_check_shows_a_request_without_its_secrets() {
    let Some(folder) = Folder::new() else { return };
    let windows = format!("\u{feff}{}", CUSTOM.replace('\n', "\r\n"));
    sms::check_file(&folder.put("windows.toml", &windows)).unwrap();
    let report = sms::check_file(&folder.put("acme.toml", CUSTOM)).unwrap();
    assert_eq!(report.warnings, [""; 0]);
    assert_eq!(report.kind.name, "acme");
    let expected = "POST https://eu.acme.example/v1/eu/send\naccept: application/json\n\
                    content-type: application/json\nauthorization: Bearer ********\n\n\
                    {\"text\":\"Example: 123456 is your code.\",\"to\":\"+14155552671\"}";
    assert_eq!(report.sample, expected);
    let replacing = folder.put("twilio.toml", &CUSTOM.replace("\"acme\"", "\"twilio\""));
    let report = sms::check_file(&replacing).unwrap();
    assert!(
        report.warnings[0].contains("replaces the built-in 'twilio'"),
        "{report:?}"
    );
}

#[test]
fn every_file_of_the_providers_is_built_in_and_passes_the_check_for_custom_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sms/providers");
    let (catalogue, _) = catalogue(Path::new("/nonexistent"));
    for entry in fs::read_dir(folder).unwrap() {
        let report = sms::check_file(&entry.unwrap().path()).unwrap();
        assert!(
            report
                .sample
                .starts_with(&format!("POST {}", scheme(&report.kind.name))),
            "{}",
            report.sample
        );
        let name = &report.kind.name;
        assert!(catalogue.find(name).is_some(), "add {name} to built_in.rs");
    }
}

/// What is wrong with a valid file after `from` in it is replaced by `to`.
fn changed(from: &str, to: &str) -> String {
    assert!(CUSTOM.contains(from), "{from}");
    mistake(&CUSTOM.replace(from, to))
}

#[test]
fn mistakes_in_the_form_are_reported_with_their_line_and_what_was_expected() {
    let cases = [
        (
            mistake("name = \"x\"\nb"),
            "line 2: key with no value, expected `=`",
        ),
        (mistake(""), "missing field `name`"),
        (
            changed("id = \"$.id\"", "ide = \"$.id\""),
            "line 7: unknown field `ide`, expected one of `name`",
        ),
        (
            changed("id = \"$.id\"", "id = \"id\""),
            "line 7: 'id' is not a JSONPath",
        ),
        (
            changed("{{ api_key }}", "{{ api_kee }}"),
            "line 23: '{{ api_kee }}' is not a known placeholder: those known here are api_key, region",
        ),
        (
            changed("{{ text }}", "{{ message }}"),
            "line 27: '{{ message }}' is not a known placeholder: those known here are api_key, region, to, text",
        ),
        (
            changed("{{ text }}", "{{ text"),
            "line 27: '{{ text' is not a valid template",
        ),
        (
            changed("path = \"/v1", "path = \"v1"),
            "line 26: path: it must start with '/'",
        ),
    ];
    assert_mistakes(&cases);
}

#[test]
fn mistakes_in_the_content_are_reported_with_their_line_and_what_was_expected() {
    let cases = [
        (
            changed("kind = \"bearer\"", "kind = \"bear\""),
            "unknown variant `bear`, expected one of `none`, `basic`",
        ),
        (
            changed("json = {", "form = { a = \"b\" }\njson = {"),
            "either form or json, not both",
        ),
        (
            changed("[\"https://acme.example/docs\"]", "[]"),
            "line 5: sources: name the documents",
        ),
        (
            changed(
                "base = \"https://{{ region }}.acme.example\"",
                "base = \"acme.example\"",
            ),
            "line 6: base: a URL",
        ),
        (
            changed("{{ region }}.acme", "{{ to }}.acme"),
            "line 6: '{{ to }}' is not a known placeholder",
        ),
        (
            changed("\"api-key\", \"region\"", "\"api-key\", \"from\""),
            "line 8: account: there is no setting called 'from'",
        ),
        (
            changed("name = \"region\"", "name = \"api-key\""),
            "this name is taken",
        ),
        (
            changed("name = \"region\"", "name = \"base\""),
            "this name is taken",
        ),
        (
            changed("name = \"region\"", "name = \"account\""),
            "this name is taken",
        ),
        (
            changed("name = \"region\"", "name = \"text\""),
            "this name is taken",
        ),
        (
            changed("name = \"acme\"", "name = \"Acme SMS\""),
            "line 2: 'Acme SMS' is not a valid name",
        ),
    ];
    assert_mistakes(&cases);
}

#[test]
fn mistakes_in_optional_tables_are_reported_with_what_was_expected() {
    let cases = [
        (
            changed("[send]", "[number]\nform = \"roman\"\n[send]"),
            "unknown variant `roman`, expected one of `e164`, `digits`, `national`",
        ),
        (
            changed("[send]", "[number]\nform = \"national\"\n[send]"),
            "needs calling-codes",
        ),
        (
            changed("[send]", "[[errors.known]]\nstep = \"lunch\"\n[send]"),
            "unknown step \"lunch\", expected one of \"login\", \"sender\"",
        ),
        (
            changed("[send]", "[send]\nmethod = \"get\""),
            "unknown variant `get`, expected one of `GET`, `POST`, `PUT`",
        ),
        (
            changed("[send]", "[send]\nheaders = { \"X Y\" = \"z\" }"),
            "'X Y' is not a valid header name",
        ),
        (
            mistake(&format!(
                "{CUSTOM}\n[inbox]\nmessages = \"$\"\nfrom = \"$\"\ntext = \"$\"\nrequest = {{ path = \"/\" }}"
            )),
            "line 29: [inbox] needs a setting called 'from'",
        ),
    ];
    assert_mistakes(&cases);
}

/// Checks that each error contains the expected text.
#[track_caller]
fn assert_mistakes(cases: &[(String, &str)]) {
    for (why, expected) in cases {
        assert!(why.contains(expected), "{expected}\n{why}");
    }
}

#[test]
fn what_is_not_a_text_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let why = |path: &Path| sms::check_file(path).unwrap_err().to_string();
    assert!(why(&folder.path().join("none.toml")).contains("No such file"));
    assert!(why(folder.path()).contains("this is not a regular file"));
    let long = folder.path().join("long.toml");
    fs::write(&long, "#".repeat(70_000)).unwrap();
    assert!(why(&long).contains("larger than"));
    let binary = folder.path().join("binary.toml");
    fs::write(&binary, [0xff, 0xfe]).unwrap();
    assert!(why(&binary).contains("UTF-8"));
}

#[test]
fn account_strings_are_read_in_the_order_of_the_data_file() {
    let (catalogue, _) = catalogue(Path::new("/nonexistent"));
    let read = |kind: &str, text: &str| {
        let kind = catalogue.find(kind).unwrap();
        let settings = kind
            .parse_account(text)
            .map_err(|error| error.to_string())?;
        Ok::<_, String>(
            settings
                .iter()
                .map(|(name, value)| format!("{name}={}", value.as_str()))
                .collect::<Vec<_>>(),
        )
    };
    let expect = |kind: &str, text: &str, settings: &[&str]| {
        assert_eq!(read(kind, text).unwrap(), settings, "{kind}");
    };
    expect("clickatell", "k1", &["api-key=k1"]);
    expect("grouptexting", "ann;pw", &["password=pw", "username=ann"]);
    expect("seven", "k1", &["api-key=k1"]);
    expect("seven", "k1;+49151", &["api-key=k1", "from=+49151"]);
    expect("smsbroadcast", "ann; pw", &["password=pw", "username=ann"]);
    expect(
        "twilio",
        "AC1;tok;+1555",
        &["account-sid=AC1", "auth-token=tok", "from=+1555"],
    );
    expect(
        "nexmo",
        "k;s;1555",
        &["api-key=k", "api-secret=s", "from=1555"],
    );
    for (kind, text) in [
        ("twilio", "AC1;hush"),
        ("twilio", "AC1;hush;+1;x"),
        ("twilio", ";hush;+1"),
        ("clickatell", ""),
    ] {
        let error = read(kind, text).unwrap_err();
        assert!(
            error.contains("with semicolons between the fields") || kind == "clickatell",
            "{error}"
        );
        assert!(!error.contains("hush"), "{error}");
    }
    assert!(
        read("plivo", "a;b")
            .unwrap_err()
            .contains("no account strings")
    );
}

#[test]
fn the_example_in_the_manual_is_a_provider() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../man/twofa-sms.5");
    let manual = fs::read_to_string(manual).unwrap();
    let (_, examples) = manual.split_once(".SH EXAMPLES").unwrap();
    let (_, example) = examples.split_once(".EX\n").unwrap();
    let (example, _) = example.split_once(".EE").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("example.toml");
    fs::write(&file, example.replace("\\-", "-").replace("\\(aq", "'")).unwrap();
    let report = sms::check_file(&file).unwrap();
    assert_eq!(report.kind.name, "acme");
    assert!(
        report
            .sample
            .starts_with("POST https://eu.api.acme.example/v2/messages\n"),
        "{}",
        report.sample
    );
}

#[test]
fn every_key_of_a_data_file_is_in_the_manual() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../man/twofa-sms.5");
    let manual = fs::read_to_string(manual).unwrap().replace("\\-", "-");
    // The error for an unknown key lists all known ones.
    let wrong = |text: &str| {
        let why = mistake(text);
        let (_, known) = why
            .split_once("expected")
            .unwrap_or_else(|| panic!("{why}"));
        known
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut keys = wrong("wrong = 1");
    for place in [
        "setting",
        "number",
        "send",
        "send.success",
        "send.success.every",
        "errors",
        "errors.known",
        "inbox",
    ] {
        let is_list = ["setting", "send.success.every", "errors.known"].contains(&place);
        let table = if is_list {
            format!("[[{place}]]")
        } else {
            format!("[{place}]")
        };
        keys.extend(wrong(&format!("{table}\nwrong = 1")));
    }
    assert!(keys.len() > 40, "{keys:?}");
    for key in keys {
        let is_there = manual.lines().any(|line| {
            line.starts_with('.')
                && line
                    .split([' ', ',', '.', ']', '[', '\\'])
                    .any(|word| word == key)
        });
        assert!(is_there, "'{key}' is not in twofa-sms(5)");
    }
}
