//! Every mail we send, from a real login through a real mail server, in the programs people read mail with: mutt, as
//! text and through w3m; Python's parser; and Chromium, where it is installed (`make pictures` installs it and keeps
//! the pictures).

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing
#![allow(clippy::print_stderr)] // a test that is skipped says so

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};
use twofa_e2e::{
    Machine, MailServer, Terminal, carry_mail, code_in, password_of, save_backup_codes,
};

const ADDRESS: &str = "alice@example.org";

/// A sentence of each mail.
const MAILS: [&str; 7] = [
    "This is a test message from vm.",
    "Use it to confirm that this address is yours.",
    "Use it to log in with sshd.",
    "A backup code was used to log in.",
    "An authenticator app called",
    "New backup codes were made.",
    "An administrator reset your second factor.",
];

/// WCAG 2.2, success criterion 1.4.3.
const MIN_CONTRAST: f64 = 4.5;

fn machine() -> Machine {
    Machine::new()
        .policy("mandatory")
        .user("alice")
        .with_sshd()
        .build()
}

/// All that happens to alice, and the mails about it, parsed by Python, in the order of [`MAILS`]; sent once for all
/// tests.
fn mails() -> &'static [(String, Value)] {
    static SENT: OnceLock<Vec<(String, Value)>> = OnceLock::new();
    SENT.get_or_init(|| {
        let machine = machine();
        let server = carry_mail(&machine, &["alice"]);
        sent(&machine, &server)
    })
}

fn sent(machine: &Machine, server: &MailServer<&Machine>) -> Vec<(String, Value)> {
    let backup_code = enrol(machine, server);
    let mut terminal = ssh(machine);
    answer(&mut terminal, "Verification code", &backup_code);
    terminal.expect("alice@vm:~$ ");
    let mut root = machine.terminal("twofa codes --new --user alice");
    save_backup_codes(&mut root);
    root.expect_end();
    for command in [
        "provider test mail --to alice@example.org",
        "user reset alice",
        "user set alice email=alice@example.org --verified",
    ] {
        machine.run(&format!("twofa {command}")).ok();
    }
    machine.enrol("alice");
    // The broker looks only once a minute for notices that other programs have queued.
    machine
        .run("runuser -u twofa -- /usr/sbin/twofad --notices")
        .ok();
    let mut count = MAILS.len();
    loop {
        let received = server.wait_for_mail("alice", count);
        let read: Vec<_> = received
            .into_iter()
            .map(|mail| (mail.clone(), parsed(&mail)))
            .collect();
        let with = |sentence: &&str| read.iter().find(|(_, it)| text(it).contains(*sentence));
        let found: Option<Vec<_>> = MAILS.iter().map(|it| with(it).cloned()).collect();
        if let Some(found) = found {
            return found;
        }
        count = read.len() + 1;
    }
}

/// Alice chooses e-mail at her first login, and is sent her first mail; returns one of her backup codes.
fn enrol(machine: &Machine, server: &MailServer<&Machine>) -> String {
    let mut terminal = ssh(machine);
    answer(&mut terminal, "2  a code by e-mail", "2");
    answer(&mut terminal, "Your e-mail address", ADDRESS);
    terminal.expect("Type it here");
    terminal.expect(": ");
    let mails = server.wait_for_mail("alice", 1);
    terminal.type_line(&code_in(text(&parsed(&mails[0]))));
    let backup_codes = save_backup_codes(&mut terminal);
    terminal.expect("alice@vm:~$ ");
    backup_codes[0].clone()
}

fn ssh(machine: &Machine) -> Terminal {
    let mut terminal = machine.terminal("LC_ALL=C.UTF-8 ssh -o NumberOfPasswordPrompts=1 alice@vm");
    answer(&mut terminal, "Password", &password_of("alice"));
    terminal
}

fn answer(terminal: &mut Terminal, question: &str, answer: &str) {
    terminal.expect(question);
    terminal.expect(":");
    terminal.type_line(answer);
}

fn text(mail: &Value) -> &str {
    mail["text"].as_str().unwrap()
}

fn source(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file)
}

fn parsed(mail: &str) -> Value {
    let output = with_input(Command::new("python3").arg(source("read_mail.py")), mail);
    serde_json::from_str(&output).unwrap()
}

/// What `program` writes when it reads `input`.
fn with_input(program: &mut Command, input: &str) -> String {
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{input}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_mail_is_well_formed_and_a_code_is_its_first_word() {
    for (raw, mail) in mails() {
        assert_eq!(mail["defects"], json!([]), "{raw}");
        assert_eq!(mail["type"], "multipart/alternative");
        assert_eq!(mail["parts"], json!(["text/plain", "text/html"]));
        assert_eq!(mail["charsets"], json!(["utf-8", "utf-8"]));
        for encoding in mail["encodings"].as_array().unwrap() {
            assert!(
                ["7bit", "quoted-printable"].contains(&encoding.as_str().unwrap()),
                "{encoding}"
            );
        }
        assert!(mail["longest_header"].as_u64().unwrap() <= 78, "{raw}");
        let headers = &mail["headers"];
        assert_eq!(headers["Auto-Submitted"], "auto-generated");
        assert_eq!(headers["To"], ADDRESS);
        assert!(
            headers["Message-ID"]
                .as_str()
                .unwrap()
                .ends_with("@example.org>")
        );
        if text(mail).contains("Use it to") {
            let code = code_in(text(mail));
            let beginning = format!("{code} is your code for vm.");
            assert!(text(mail).starts_with(&beginning), "{mail}");
            // The default of code.in-subject.
            assert!(!headers.to_string().contains(&code), "{headers}");
        }
    }
}

#[test]
fn the_policy_can_put_the_code_into_the_subject() {
    let machine = machine();
    let server = carry_mail(&machine, &["alice"]);
    machine.run("twofa policy set code.in-subject=on").ok();
    enrol(&machine, &server);
    let mail = parsed(&server.mails("alice")[0]);
    let code = code_in(text(&mail));
    assert_eq!(
        mail["headers"]["Subject"],
        format!("{code} is your code for vm")
    );
}

#[test]
fn mutt_shows_every_mail_as_text_and_through_w3m() {
    let machine = Machine::new().bare().build();
    machine.write_file(
        "/root/mailcap",
        "text/html; w3m -dump -T text/html -I %{charset} %s; copiousoutput\n",
    );
    for (raw, mail) in mails() {
        let plain = in_mutt(&machine, raw, "alternative_order text/plain");
        assert!(plain.contains(text(mail).trim_end()), "{plain}");
        let html = in_mutt(
            &machine,
            raw,
            "alternative_order text/html; auto_view text/html",
        );
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let sentence = text(mail).lines().next().unwrap();
        assert!(words(&html).contains(&words(sentence)), "{html}");
        assert!(html.contains("\nFrom: it@example.org\nSubject: "), "{html}");
        for trace in ["<", "{", "font-", "&"] {
            let body = html.split_once("--]").unwrap().1;
            assert!(!body.contains(trace), "{trace:?} in {body}");
        }
    }
}

/// What mutt hands to its pager when a mailbox with this one mail is opened in it.
fn in_mutt(machine: &Machine, mail: &str, command: &str) -> String {
    machine.write_file(
        "/root/mbox",
        &format!("From it@example.org Thu Jan  1 00:00:00 2026\n{mail}\n"),
    );
    let settings = "set pager='cp %s /root/shown' mailcap_path=/root/mailcap folder=/root; unset prompt_after wait_key; ignore *; unignore from subject";
    machine.write_file(
        "/root/muttrc",
        &format!("{settings}; {command}\n").replace("; ", "\n"),
    );
    let mut terminal = machine.terminal(
        "rm -f /root/shown; LC_ALL=C.UTF-8 TERM=xterm mutt -n -R -F /root/muttrc -f /root/mbox \
         -e 'push <display-message><exit>'",
    );
    let status = terminal.expect_end();
    assert!(status.success(), "{}", terminal.screen());
    machine.file("/root/shown")
}

#[test]
fn chromium_shows_every_mail_readably_on_narrow_and_wide_screens_in_light_and_in_dark() {
    let Some(chromium) = chromium() else {
        eprintln!("skipped: Chromium is not installed (make pictures installs it)");
        return;
    };
    let temporary = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("TWOFA_PICTURES").map(PathBuf::from);
    let folder = kept.as_deref().unwrap_or(temporary.path());
    let mut list = String::new();
    for (number, (_, mail)) in mails().iter().enumerate() {
        let file = temporary.path().join(format!("{number}.html"));
        fs::write(&file, mail["html"].as_str().unwrap()).unwrap();
        for (scheme, width) in [("light", 360), ("light", 800), ("dark", 360), ("dark", 800)] {
            let picture = folder.join(format!("mail-{number}-{scheme}-{width}.png"));
            let _ = writeln!(
                list,
                "{}\t{scheme}\t{width}\t{}",
                file.display(),
                picture.display()
            );
        }
    }
    let mut browser = Command::new("python3");
    browser
        .arg(source("browser.py"))
        .arg(chromium)
        .arg(temporary.path().join("profile"));
    let seen = with_input(&mut browser, &list);
    assert_eq!(seen.lines().count(), MAILS.len() * 4);
    for (line, seen) in list.lines().zip(seen.lines()) {
        assert_readable(line, &serde_json::from_str(seen).unwrap());
    }
}

fn assert_readable(line: &str, seen: &Value) {
    let [_, scheme, width, _] = line.split('\t').collect::<Vec<_>>()[..] else {
        panic!("{line}");
    };
    let context = format!("{line}: {seen}");
    assert!(
        seen["width"].as_u64() <= width.parse().ok(),
        "scrolls sideways: {context}"
    );
    assert_eq!(seen["beyond"], json!([]), "{context}");
    assert!(seen["contrast"].as_f64() >= Some(MIN_CONTRAST), "{context}");
    assert_eq!(seen["dark"], scheme == "dark", "{context}");
    assert_eq!(seen["fetched"], json!([]), "{context}");
    assert_eq!(seen["code_fits"], true, "{context}");
    let text = seen["text"].as_str().unwrap();
    if text.contains("is your code") {
        assert!(seen["code_size"].as_f64() >= Some(24.0), "{context}");
        // Copied without spaces, and the first thing to be read.
        let copied = seen["copied"].as_str().unwrap();
        assert!(
            copied == code_in(text) && text.starts_with(copied),
            "{context}"
        );
    }
}

fn chromium() -> Option<PathBuf> {
    let places = ["/usr/bin/chromium", "/usr/bin/google-chrome"].map(PathBuf::from);
    places.into_iter().find(|program| program.exists())
}
