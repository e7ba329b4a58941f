//! The command line, as administrators and users use it.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Authenticator, Machine, Terminal, Theme, oathtool, save_backup_codes};

fn machine() -> Machine {
    Machine::new()
        .policy("optional")
        .user("alice")
        .user("mallory")
        .build()
}

/// What `alice` sees of `twofa enrol app` up to the prompt, and the key.
fn enrolling(machine: &Machine, options: &str) -> (Terminal, String) {
    let mut terminal = machine.terminal_as("alice", &format!("twofa enrol app {options}"));
    terminal.expect("Key:");
    let key = terminal.expect("\n").replace(' ', "").trim().to_owned();
    terminal.expect("code it shows: ");
    (terminal, key)
}

#[test]
fn the_key_and_the_link_are_the_same_key_and_its_codes_enrol() {
    let machine = machine();
    let (mut terminal, key) = enrolling(&machine, "--label phone");

    let link = format!("otpauth://totp/vm:alice@vm%20(phone)?secret={key}");
    assert!(terminal.screen().contains(&format!("  Link: {link}\n")));
    terminal.type_line(&oathtool(&key, None, &[]));
    save_backup_codes(&mut terminal);
    terminal.expect("enrolled as 'phone'");

    assert!(terminal.expect_end().success());
    let status = machine.run_as("alice", "twofa status").ok().stdout;
    assert!(
        status.contains("Second factor of alice: enabled") && status.contains("phone"),
        "{status}"
    );
    assert!(status.contains("Backup codes left: 5"), "{status}");
}

#[test]
fn every_kind_of_app_can_be_enrolled_and_logs_in() {
    let kinds: [(&str, &[&str], &str); 4] = [
        ("--algorithm SHA256", &["--totp=sha256"], "digits=6"),
        (
            "--algorithm sha512 --digits 8",
            &["--totp=sha512", "--digits=8"],
            "algorithm=SHA512&digits=8",
        ),
        (
            "--period 60",
            &["--totp", "--time-step-size=60s"],
            "period=60",
        ),
        ("--type hotp", &["--hotp", "--counter=0"], "counter=0"),
    ];
    for (options, oath, in_link) in kinds {
        let machine = Machine::new()
            .policy("optional")
            .user("alice")
            .pam(
                "testapp",
                "auth requisite pam_fprintd.so\nauth required pam_twofa.so\n",
            )
            .build();
        let (mut terminal, key) = enrolling(&machine, options);
        let link = terminal.read_qr_of(120, 60, Theme::Dark).unwrap();
        assert!(in_link == "digits=6" || link.contains(in_link), "{link}");
        let code = |at: Option<&str>, oath: &[&str]| {
            let oath = oath.join(" ");
            let at = at.map_or(String::new(), |at| format!("--now '{at}'"));
            machine
                .run(&format!("oathtool {oath} {at} --base32 {key}"))
                .ok()
                .stdout
                .trim()
                .to_owned()
        };
        terminal.type_line(&code(None, oath));
        save_backup_codes(&mut terminal);
        terminal.expect("is enrolled as");
        assert!(terminal.expect_end().success(), "{options}");

        let mut login = machine.terminal("pamtester testapp alice authenticate");
        login.expect("Verification code");
        if options == "--type hotp" {
            login.type_line(&code(None, &["--hotp", "--counter=3"]));
        } else {
            let ahead = if options.contains("60") {
                "now + 60 seconds"
            } else {
                "now + 30 seconds"
            };
            login.type_line(&code(Some(ahead), oath));
        }
        login.expect("successfully authenticated");
    }
}

#[test]
fn a_token_that_ran_far_ahead_is_found_again_by_two_codes_in_a_row() {
    let machine = Machine::new()
        .policy("optional")
        .user("alice")
        .pam(
            "testapp",
            "auth requisite pam_fprintd.so\nauth required pam_twofa.so\n",
        )
        .build();
    let (mut terminal, key) = enrolling(&machine, "--type hotp");
    let code = |count: u32| {
        machine
            .run(&format!("oathtool --hotp --counter={count} --base32 {key}"))
            .ok()
            .stdout
            .trim()
            .to_owned()
    };
    terminal.type_line(&code(0));
    save_backup_codes(&mut terminal);
    terminal.expect("is enrolled");
    terminal.expect_end();

    let mut login = machine.terminal("pamtester testapp alice authenticate");
    login.expect("Verification code");
    login.type_line(&code(40));
    login.expect("With a hardware token, press its button and type the next one.");
    login.type_line(&code(41));
    login.expect("successfully authenticated");
}

#[test]
fn nothing_is_enrolled_without_a_right_code() {
    let machine = machine();
    for leave in ["wrong", "empty"] {
        let (mut terminal, _) = enrolling(&machine, "");
        if leave == "wrong" {
            for _ in 0..4 {
                terminal.type_line("00000000");
                terminal.expect("The code your app shows now: ");
            }
            terminal.type_line("nonsense");
        } else {
            terminal.press_ctrl('d');
        }
        terminal.expect("nothing was enrolled");
        assert_eq!(terminal.expect_end().code(), Some(5));
        let status = machine.run_as("alice", "twofa status").ok().stdout;
        assert!(status.contains("Nothing is enrolled"), "{status}");
    }
}

#[test]
fn an_enrolment_cut_off_by_a_closed_terminal_enrols_nothing() {
    let machine = machine();
    let (mut terminal, _) = enrolling(&machine, "");
    terminal.hang_up();
    terminal.expect_end();
    assert!(
        machine
            .run("twofa user list --method app")
            .ok()
            .stdout
            .is_empty()
    );
}

/// An enrolled alice who must show a code before a change.
fn enrolled() -> (Machine, Authenticator) {
    let machine = machine();
    let phone = machine.enrol("alice");
    (machine, phone)
}

#[test]
fn a_change_takes_a_fresh_code_once_something_is_enrolled() {
    let (machine, phone) = enrolled();
    for change in [
        "twofa remove app",
        "twofa codes --new",
        "twofa enrol app",
        "twofa remove backup",
    ] {
        let mut terminal = machine.terminal_as("alice", change);
        terminal.expect("first prove it is you");
        terminal.expect(": ");
        terminal.type_line("");
        assert_eq!(
            terminal.expect_end().code(),
            Some(5),
            "{change}: {}",
            terminal.screen()
        );
    }
    assert!(
        machine
            .run_as("alice", "twofa status")
            .ok()
            .stdout
            .contains("Backup codes left: 5")
    );

    let mut terminal = machine.terminal_as("alice", "twofa codes --new");
    terminal.expect("first prove it is you");
    terminal.type_line(&phone.next_code());
    save_backup_codes(&mut terminal);
    terminal.expect("Earlier ones no longer work");
    assert!(terminal.expect_end().success());
    let mut terminal = machine.terminal_as("alice", "twofa remove app");
    terminal.expect("first prove it is you");
    terminal.type_line(&phone.backup_codes[0]);
    terminal.expect("not one of your unused backup codes");
}

#[test]
fn users_keep_their_last_method_while_a_second_factor_is_required() {
    let (machine, phone) = enrolled();
    machine.run("twofa user require alice").ok();
    let mut terminal = machine.terminal_as("alice", "twofa remove app");
    terminal.expect("first prove it is you");
    terminal.type_line(&phone.next_code());
    terminal.expect("this is your last method");
    assert_eq!(terminal.expect_end().code(), Some(3));

    machine
        .run("twofa user release alice && twofa remove app --user alice")
        .ok();
    assert!(
        machine
            .run_as("alice", "twofa status")
            .ok()
            .stdout
            .contains("Nothing is enrolled")
    );
}

#[test]
fn nobody_sees_or_touches_another_users_record() {
    let (machine, _) = enrolled();
    let tries = [
        "twofa status --user alice",
        "twofa codes --user alice",
        "twofa codes --new --user alice",
        "twofa enrol app --user alice",
        "twofa remove app --user alice",
        "twofa remove backup --user alice",
        "twofa policy show",
        "twofa policy set mode=disabled",
        "twofa user list",
        "twofa user show alice",
        "twofa user require mallory",
        "twofa user release alice",
        "twofa user unlock alice",
        "twofa user reset alice",
        "twofa user remove alice",
        "twofa log",
    ];
    for command in tries {
        let refused = machine.run_as("mallory", &format!("{command} </dev/null"));
        assert_eq!(refused.code(), 3, "{refused}");
        assert_eq!(refused.stdout, "", "{refused}");
    }
    machine
        .run_as(
            "mallory",
            "cat /var/lib/twofa/twofa.db /etc/twofa/secret.key",
        )
        .fails();
    assert!(
        machine
            .run("twofa status --user alice")
            .ok()
            .stdout
            .contains("enabled")
    );
}

#[test]
fn messages_out_of_turn_and_oversized_ones_end_the_conversation() {
    let (machine, _) = enrolled();
    // Not our client: frames built here, a length in four bytes followed by postcard.
    let forger = r"
import socket, struct, sys
def talk(*frames):
    s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect('/run/twofa/twofad.sock')
    for frame in frames: s.sendall(frame)
    data = b''
    try:
        while chunk := s.recv(65536): data += chunk
    except ConnectionResetError: pass
    return data
frame = lambda body: struct.pack('>I', len(body)) + body
answer = frame(b'\x01\x01\x06123456')
status = frame(b'\x00VERSION\x02\x05alice\x00')
print(talk(answer))
print(talk(struct.pack('>I', 65537)))
print(talk(struct.pack('>I', 0xffffffff)))
print(talk(frame(b'\xff' * 40)))
print(talk(frame(b'\x00\x63\x02\x05alice')))
print(b'only alice and root' in talk(status))
print(talk(b'\x00'*3) if len(sys.argv) > 1 else b'')
";
    let version = format!(r"\x{:02x}", twofa_proto::VERSION);
    machine.write_file("/tmp/forger.py", &forger.replace("VERSION", &version));
    let said = machine
        .run_as("mallory", "python3 /tmp/forger.py")
        .ok()
        .stdout;
    assert_eq!(said, "b''\nb''\nb''\nb''\nb''\nTrue\nb''\n");
    assert!(
        machine
            .run_as("alice", "twofa status")
            .ok()
            .stdout
            .contains("enabled")
    );
}

#[test]
fn one_user_cannot_take_all_the_brokers_time() {
    let (machine, phone) = enrolled();
    let hoard = "import socket,time\nh=[]\nfor i in range(200):\n s=socket.socket(socket.AF_UNIX); s.connect('/run/twofa/twofad.sock'); h.append(s)\nprint('holding', flush=True)\ntime.sleep(60)";
    machine.write_file("/tmp/hoard.py", hoard);
    let _hoard = machine.spawn_as("mallory", "exec python3 /tmp/hoard.py");
    machine.wait_until("[ $(ss -Hx state established src /run/twofa/twofad.sock | wc -l) -ge 16 ]");

    let status = machine.run_as("alice", "twofa status").ok().stdout;
    assert!(status.contains("enabled"), "{status}");
    assert!(
        machine.broker_log().contains("too many connections"),
        "{}",
        machine.broker_log()
    );
    drop(phone);
}

#[test]
fn administrators_see_require_release_reset_and_remove() {
    let (machine, _) = enrolled();
    let said = |command: &str| machine.run(command).ok().stdout;
    assert_eq!(
        said("twofa user require mallory"),
        "A second factor is now required of mallory.\n"
    );
    assert_eq!(
        said("twofa user require mallory"),
        "A second factor was already required of mallory.\n"
    );
    let list = said("twofa user list");
    let rows: Vec<Vec<&str>> = list
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(
        rows[0][2..],
        ["enabled", "everyone", "no", "app", "5", "0", "never"]
    );
    assert_eq!(
        rows[1][2..],
        [
            "pending setup at next login",
            "everyone",
            "yes",
            "none",
            "0",
            "0",
            "never"
        ]
    );
    assert!(said("twofa user show alice").contains("TOTP SHA1, 6 digits, 30 s"));
    assert_eq!(
        said("twofa user release mallory"),
        "A second factor is no longer required of mallory.\n"
    );
    assert_eq!(
        said("twofa user reset alice"),
        "Removed all methods of alice; a new one is required.\n"
    );
    assert!(said("twofa status --user alice").contains("Nothing is enrolled"));
    machine.run("userdel mallory").ok();
    assert_eq!(machine.run("twofa user show mallory").code(), 4);
    assert!(
        said("twofa user remove mallory").contains("Removed everything on record about mallory")
    );
    assert_eq!(machine.run("twofa user remove mallory").code(), 4);
}

#[test]
fn json_is_json_and_says_the_same() {
    let (machine, _) = enrolled();
    let reads = "python3 -c 'import json,sys; print(json.load(sys.stdin)%s)'";
    let read = |command: &str, path: &str| {
        machine
            .run(&format!("{command} --json | {}", reads.replace("%s", path)))
            .ok()
            .stdout
            .trim()
            .to_owned()
    };
    assert_eq!(read("twofa status --user alice", "[\"status\"]"), "enabled");
    assert_eq!(read("twofa user list", "[0][\"apps\"]"), "1");
    assert_eq!(read("twofa policy show", "[\"mode\"]"), "optional");
    assert_eq!(
        read("twofa codes --user alice", "[\"backup_codes_left\"]"),
        "5"
    );
    assert_eq!(read("twofa log", "[0][\"event\"]"), "policy-changed");
    assert_eq!(read("twofa log --user nobody", ""), "[]");
}

#[test]
fn a_policy_changes_as_a_whole_or_not_at_all() {
    let machine = machine();
    let refused = machine.run("twofa policy set mode=mandatory lockout.after=1000");
    assert_eq!(refused.code(), 2);
    assert!(
        refused
            .stderr
            .contains("lockout.after cannot be '1000': it must be a whole number from 3 to 100")
    );
    assert!(
        machine
            .run("twofa policy show")
            .ok()
            .stdout
            .contains("mode=optional")
    );
    assert_eq!(machine.run("twofa policy set nonsense=1").code(), 2);
    let said = machine
        .run("twofa policy set mode=mandatory lockout.after=5")
        .ok()
        .stdout;
    assert_eq!(
        said,
        "mode: 'optional' → 'mandatory'\nlockout.after: '10' → '5'\n"
    );
    // The output in a pipe can be used to set the policy.
    machine
        .run("twofa policy set $(twofa policy show | grep -v '=$')")
        .ok();
}

#[test]
fn exit_codes_tell_failures_apart() {
    let machine = machine();
    assert_eq!(machine.run("twofa status --user nobody-at-all").code(), 4);
    assert_eq!(machine.run("twofa frobnicate").code(), 2);
    assert_eq!(machine.run_as("alice", "twofa user list").code(), 3);
    machine.broker().terminate();
    let away = machine.run_as("alice", "twofa status");
    assert_eq!(away.code(), 6);
    assert!(away.stderr.contains("hint:"), "{away}");
    machine.run("mv /var/lib/twofa /var/lib/away").ok();
    let gone = machine.run("twofa user list");
    assert_eq!(gone.code(), 6);
    assert!(
        gone.stderr.contains("is missing") || gone.stderr.contains("exists without"),
        "{gone}"
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let (machine, _) = enrolled();
    machine
        .run("bash -o pipefail -c 'twofa log --json | head -c 1 >/dev/null'")
        .ok();
}

#[test]
fn completions_are_scripts_their_shells_take() {
    let machine = machine();
    machine.run("twofa completions bash | bash -n").ok();
    assert!(
        machine
            .run("twofa completions zsh")
            .ok()
            .stdout
            .starts_with("#compdef twofa")
    );
    assert!(
        machine
            .run("twofa completions fish")
            .ok()
            .stdout
            .contains("complete -c twofa")
    );
}

#[test]
fn no_secret_is_in_what_the_machine_wrote() {
    let (machine, phone) = enrolled();
    let code = phone.next_code();
    machine
        .run(&format!("su alice -c 'echo {code} | twofa remove backup'"))
        .ok();
    let mut secrets = vec![phone.key.clone(), code];
    secrets.extend(phone.backup_codes.iter().cloned());
    machine
        .run("cat /var/lib/twofa/* /run/twofa/* /var/log/* 2>/dev/null >/tmp/everything; true")
        .ok();
    for secret in secrets {
        let found = machine.run(&format!("grep -ac -- '{secret}' /tmp/everything"));
        assert_eq!(found.stdout.trim(), "0");
        assert!(!machine.log().contains(&secret) && !machine.broker_log().contains(&secret));
    }
}
