//! The QR code that `twofa enrol app` draws on a terminal or writes to a file, and what an app does with its link.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Authenticator, Machine, Terminal, Theme, save_backup_codes};

fn machine() -> Machine {
    Machine::new().policy("optional").user("alice").build()
}

/// What alice's terminal shows of `twofa enrol app` up to the question, and the link.
fn enrolling(machine: &Machine, setup: &str, options: &str) -> (Terminal, String) {
    let command = format!("{setup}; twofa enrol app {options}");
    let mut terminal = machine.terminal_as("alice", &command);
    terminal.expect("  Link: ");
    let link = terminal.expect("\n").trim().to_owned();
    terminal.expect("code it shows: ");
    (terminal, link)
}

fn key_of(link: &str) -> String {
    let from_key = link.split_once("secret=").unwrap().1.trim();
    from_key.split('&').next().unwrap().to_owned()
}

/// Enters the first code and saves the backup codes.
fn finish(mut terminal: Terminal, link: &str) -> Terminal {
    terminal.type_line(&Authenticator::new(&key_of(link)).next_code());
    save_backup_codes(&mut terminal);
    terminal.expect("is enrolled as");
    terminal
}

#[test]
fn a_window_of_80_by_25_shows_a_code_that_is_read_whatever_its_colours() {
    let (host, user) = ("server-twenty-letter", "alice-adams-of-sales");
    let machine = Machine::new()
        .policy("optional")
        .user(user)
        .command(&format!("hostname {host}"))
        .build();
    let command = "stty cols 80 rows 25; LC_ALL=C.UTF-8 TERM=linux twofa enrol app";
    let mut terminal = machine.terminal_as(user, command);
    terminal.expect("  Link: ");
    let link = terminal.expect("\n").trim().to_owned();
    terminal.expect("code it shows: ");

    for theme in [Theme::Dark, Theme::Light] {
        assert_eq!(terminal.read_qr(theme), Some(link.clone()), "{theme:?}");
    }
    let window = terminal.window();
    assert!(window.trim_end().ends_with("code it shows:"), "{window}");
    assert!(finish(terminal, &link).expect_end().success());
}

#[test]
fn machines_of_one_application_and_apps_of_one_user_have_different_accounts() {
    let mut accounts = Vec::new();
    for host in ["web1", "web2"] {
        let machine = Machine::new()
            .policy("optional")
            .user("alice")
            .command(&format!(
                "hostname {host}; twofa policy set application-name=ACME"
            ))
            .build();
        for _ in 0..2 {
            let mut root = machine.terminal("twofa enrol app --user alice");
            root.expect("  Link: otpauth://totp/ACME:");
            let account = root.expect("?").replace('?', "");
            let link = root.expect("\n");
            root.expect("code it shows: ");
            root.type_line(&Authenticator::new(&key_of(&link)).next_code());
            if !accounts.contains(&format!("alice@{host}")) {
                save_backup_codes(&mut root);
            }
            root.expect("is enrolled as");
            accounts.push(account);
        }
    }
    let wanted = [
        "alice@web1",
        "alice@web1%20(app-2)",
        "alice@web2",
        "alice@web2%20(app-2)",
    ];
    assert_eq!(accounts, wanted);
}

#[test]
fn without_utf_8_the_code_is_drawn_in_coloured_spaces_where_it_fits() {
    let machine = machine();
    let setup = "export LC_ALL=C TERM=xterm; stty cols 100 rows 50";
    let (mut terminal, link) = enrolling(&machine, setup, "");
    assert!(terminal.screen().is_ascii(), "{}", terminal.screen());
    for theme in [Theme::Dark, Theme::Light] {
        assert_eq!(terminal.read_qr_of(100, 50, theme), Some(link.clone()));
    }
}

#[test]
fn where_the_code_does_not_fit_or_cannot_be_drawn_it_is_said_how_to_get_it() {
    let machine = machine();
    let of_utf8 = "export LC_ALL=C.UTF-8 TERM=xterm; stty cols";
    for (setup, said) in [
        (format!("{of_utf8} 40 rows 25"), "this one has 40 and 25"),
        (format!("{of_utf8} 80 rows 20"), "this one has 80 and 20"),
        (
            "export LC_ALL=C TERM=xterm; stty cols 80 rows 25".to_owned(),
            "needs a window of 82 columns and 42 lines",
        ),
        (
            "export TERM=dumb".to_owned(),
            "This terminal cannot show a QR code",
        ),
    ] {
        let (mut terminal, _) = enrolling(&machine, &setup, "");
        let screen = terminal.screen();
        assert!(screen.contains(said), "{setup}: {screen}");
        assert!(screen.contains("--qr-file FILE.png"), "{setup}: {screen}");
        assert!(screen.is_ascii(), "{setup}: {screen}");
    }
    // A serial line does not know its size.
    let (mut terminal, link) = enrolling(&machine, &format!("{of_utf8} 0 rows 0"), "");
    assert_eq!(terminal.read_qr(Theme::Dark), Some(link));
}

#[test]
fn in_a_pipe_there_are_key_and_link_and_no_picture() {
    let machine = machine();
    let shown = machine.run_as(
        "alice",
        "LC_ALL=C.UTF-8 TERM=xterm twofa enrol app </dev/null | cat",
    );
    assert!(shown.stdout.contains("  Link: otpauth://"), "{shown}");
    assert!(shown.stdout.is_ascii(), "{shown}");
    assert!(!shown.stdout.contains('\u{1b}'), "{shown}");
}

#[test]
fn a_file_of_either_kind_has_the_code_and_is_for_its_owner_alone() {
    let machine = machine();
    for name in ["key.png", "key.svg", "KEY.PNG"] {
        let (mut terminal, link) = enrolling(&machine, "umask 0", &format!("--qr-file {name}"));
        let screen = terminal.screen();
        assert!(
            screen.contains(&format!("The QR code is in '{name}'.")),
            "{screen}"
        );
        assert!(screen.is_ascii(), "{screen}");
        let stat = machine.run(&format!("stat -c '%a %U' /home/alice/{name}"));
        assert_eq!(stat.ok().stdout, "600 alice\n");

        let read = machine.run(&format!(
            "zbarimg --quiet --raw -Sdisable -Sqrcode.enable /home/alice/{name}"
        ));
        assert_eq!(read.ok().stdout.trim(), link);

        let mut terminal = finish(terminal, &link);
        terminal.expect(&format!("Remove '{name}' now"));
        assert!(terminal.expect_end().success());
        machine.run("twofa user reset alice").ok();
    }
}

#[test]
fn a_file_is_new_and_png_or_svg_and_nothing_is_left_of_one_without_a_code() {
    let machine = machine();
    let enrol = |file: &str| {
        machine.run_as(
            "alice",
            &format!("twofa enrol app --qr-file {file} </dev/null"),
        )
    };
    machine
        .run_as(
            "alice",
            "echo mine > old.png; ln -s old.png link.png; ln -s none.png dangling.png",
        )
        .ok();
    for file in ["old.png", "link.png", "dangling.png"] {
        let refused = enrol(file).fails();
        assert!(
            refused
                .stderr
                .contains(&format!("'{file}' exists and is left as it is")),
            "{refused}"
        );
        assert!(!refused.stdout.contains("Key:"), "{refused}");
    }
    assert_eq!(machine.run("cat /home/alice/old.png").ok().stdout, "mine\n");
    machine.run("test ! -e /home/alice/none.png").ok();
    for file in ["key.jpg", "key", ".png", "png"] {
        let refused = enrol(file).fails();
        assert!(
            refused.stderr.contains("the name must end in .png or .svg"),
            "{refused}"
        );
    }
    let refused = enrol("none/key.png").fails();
    assert!(
        refused.stderr.contains("cannot create 'none/key.png'"),
        "{refused}"
    );
    let refused = machine.run_as(
        "alice",
        "twofa enrol app --label '' --qr-file new.png </dev/null",
    );
    assert!(refused.fails().stderr.contains("a label has"));
    machine.run("test ! -e /home/alice/new.png").ok();
}

#[test]
fn a_file_of_root_is_roots_and_under_sudo_the_callers() {
    let machine = machine();
    // Its caller may not write where only root may.
    let sudo = "SUDO_UID=$(id -u alice) SUDO_USER=alice SUDO_COMMAND=/usr/bin/twofa \
                twofa enrol app --user alice --qr-file";
    let refused = machine.run(&format!("{sudo} /root/key.png </dev/null"));
    let refused = refused.fails();
    assert!(
        refused
            .stderr
            .contains("cannot create '/root/key.png': Permission denied"),
        "{refused}"
    );
    let made = machine.run(&format!(
        "{sudo} /tmp/sudo.png </dev/null; stat -c '%a %U' /tmp/sudo.png"
    ));
    assert!(made.stdout.ends_with("600 alice\n"), "{made}");
    let root = machine.run("cd /tmp && twofa enrol app --user alice --qr-file root.svg </dev/null; stat -c '%a %U' root.svg");
    assert!(root.stdout.ends_with("600 root\n"), "{root}");
}

#[test]
fn an_app_that_ignores_a_setting_is_named_as_the_reason_and_its_code_is_not_accepted() {
    let machine = machine();
    for (options, app, ignored) in [
        ("--algorithm SHA512", "--totp", "--algorithm SHA512"),
        ("--digits 8", "--totp", "--digits 8"),
        ("--period 60", "--totp", "--period 60"),
        ("--type hotp", "--totp", "--type hotp"),
        (
            "--algorithm SHA256 --digits 8 --period 60",
            "--totp",
            "--period 60 and --algorithm SHA256 and --digits 8",
        ),
        (
            "--algorithm SHA512 --period 60",
            "--totp=sha512",
            "--period 60",
        ),
    ] {
        let (mut terminal, link) = enrolling(&machine, "true", options);
        let code = machine.run(&format!("oathtool {app} --base32 {}", key_of(&link)));
        terminal.type_line(code.ok().stdout.trim());
        terminal.expect(&format!(
            "Your app ignores {ignored}, so its codes cannot be accepted."
        ));
        terminal.expect(&format!("enrol without {ignored}. (4 tries are left)"));
        terminal.expect("The code your app shows now: ");
        terminal.type_line("");
        assert!(!terminal.expect_end().success());
        let status = machine.run_as("alice", "twofa status").ok().stdout;
        assert!(!status.contains("enabled"), "{status}");
    }
}
