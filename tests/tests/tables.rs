//! What commands print on a terminal of any width, and in a pipe.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::Machine;

/// Commands that print tables or lists, and the first heading of those that are tables in a pipe.
const LISTINGS: [(&str, Option<&str>); 15] = [
    ("user list", Some("USER\tUID\t")),
    ("user show alice", None),
    ("device list --user alice", Some("ID\tKIND\t")),
    ("device list --everybody", Some("ID\tUSER\t")),
    ("class list", Some("CLASS\tGROUP\t")),
    ("class test bob", None),
    ("exemption list", Some("NUMBER\tWHO\t")),
    ("provider list", Some("PROVIDER\tKIND\t")),
    ("provider kinds", Some("KIND\tCARRIES\t")),
    ("provider kinds smtp", Some("SETTING\tNEEDED\t")),
    ("provider show relay", Some("SETTING\tVALUE\n")),
    ("method list", Some("METHOD\tALLOWED\t")),
    ("policy show", None),
    ("log", Some("TIME\tEVENT\t")),
    ("doctor", None),
];

fn machine() -> Machine {
    let machine = Machine::new()
        .policy("optional")
        .user("alice")
        .user("bob")
        .user("carol")
        .build();
    machine.enrol("alice");
    trust_devices(&machine);
    for command in [
        "user add bob carol",
        "user exempt bob --reason 'nightly copies of the whole archive to the other building' --until 30d --from 192.0.2.0/24",
        "user exempt carol --reason '東京都庁の夜間バックアップ' --until never --service cron",
        "class set staff --group users mode=mandatory trust.remote=12h",
        "provider add relay smtp host=127.0.0.1 tls=none from=login@example.org --title '中央郵便局 (main post office)' --no-test",
    ] {
        machine.run(&format!("twofa {command}")).ok();
    }
    machine
}

/// Alice trusts a key by its certificate, and an address in a network. No login can show a certificate for so many years.
fn trust_devices(machine: &Machine) {
    let sql = "INSERT INTO device (user, kind, hash, label, service, generation, granted_at, until, used_at)
        SELECT id, kind, hash, label, 'sshd', generation, strftime('%s'), strftime('%s') + 864000, strftime('%s')
        FROM user, (SELECT 'key' AS kind, x'01' AS hash,
            'ssh-ed25519 SHA256:8ytkj8WZQ9xeRv56magk6X+kkr+q9QpuZK3LcDSKmxY (certificate alice)' AS label
            UNION SELECT 'address', x'02', '2001:db8:1:2345::/64')";
    machine
        .run("twofa policy set trust.remote=30d trust.address=12h")
        .ok();
    machine
        .run(&format!("sqlite3 /var/lib/twofa/twofa.db \"{sql}\""))
        .ok();
}

/// What `command` shows on a terminal of so many columns.
fn shown(machine: &Machine, columns: usize, command: &str) -> String {
    let mut terminal = machine.terminal(&format!(
        "stty cols {columns} rows 25; TERM=dumb twofa {command} 2>/dev/null"
    ));
    terminal.expect_end();
    terminal.screen().replace('\r', "")
}

/// Columns of `line`, in which every character of East Asia takes two.
fn width(line: &str) -> usize {
    let wide = |c: char| if c >= '\u{2e80}' { 2 } else { 1 };
    line.chars().map(wide).sum()
}

#[test]
fn every_table_fits_a_terminal_of_any_width_and_breaks_no_word() {
    let machine = machine();
    for (command, _) in LISTINGS {
        let words = shown(&machine, 1000, command);
        // A record has no heading over its first value.
        let is_heading = |word: &str| !word.contains(|c: char| c.is_lowercase() || c.is_numeric());
        let words: Vec<_> = words
            .split_whitespace()
            .filter(|word| !is_heading(word))
            .collect();
        for columns in [0, 20, 40, 80, 200] {
            let text = shown(&machine, columns, command);
            let columns = if columns == 0 { 80 } else { columns };
            for line in text.lines() {
                let is_one_word = line.split_whitespace().count() <= 2;
                assert!(
                    width(line) <= columns || is_one_word,
                    "{command} at {columns}: {line}\n{text}"
                );
            }
            let lower = text.to_lowercase();
            for word in &words {
                let parts = word.split_inclusive(',').filter(|part| *part != "-");
                for part in parts {
                    assert!(
                        lower.contains(&part.to_lowercase()),
                        "{command} at {columns} lacks {part}\n{text}"
                    );
                }
            }
        }
    }
}

#[test]
fn help_fits_the_terminal_and_one_without_a_size_has_80_columns() {
    let machine = Machine::new().build();
    for (size, columns) in [(0, 80), (40, 40), (80, 80)] {
        let text = shown(&machine, size, "policy set --help");
        let is_typed = |line: &str| line.contains("twofa ");
        assert!(
            text.lines()
                .all(|line| width(line) <= columns || is_typed(line)),
            "{size}: {text}"
        );
        assert!(
            text.contains("\n  send.address-daily\n      Send at most"),
            "{size}: {text}"
        );
    }
}

#[test]
fn the_environment_says_how_wide_a_terminal_is_and_whether_it_has_colours() {
    let machine = machine();
    let mut terminal = machine.terminal("stty cols 200; COLUMNS=40 twofa user list");
    terminal.expect_end();
    assert!(
        terminal.screen().contains("\n  uid: "),
        "{}",
        terminal.screen()
    );
    for (variable, coloured) in [
        ("TERM=xterm", true),
        ("TERM=xterm NO_COLOR=1", false),
        ("TERM=xterm CLICOLOR=0", false),
        ("TERM=dumb", false),
    ] {
        let mut terminal = machine.terminal(&format!(
            "script -qec 'stty cols 120; env {variable} twofa user list' /root/typescript >/dev/null"
        ));
        terminal.expect_end();
        let typescript = machine.file("/root/typescript");
        assert!(typescript.contains("alice"), "{typescript}");
        assert_eq!(
            typescript.contains('\u{1b}'),
            coloured,
            "{variable}: {typescript:?}"
        );
    }
}

#[test]
fn in_a_pipe_there_is_a_line_of_headings_and_then_one_for_each_record() {
    let machine = machine();
    for (command, headings) in LISTINGS {
        let output = machine.run(&format!("twofa {command} | cat")).ok();
        let Some(headings) = headings else {
            continue;
        };
        assert!(output.stdout.starts_with(headings), "{command}: {output}");
        let tabs = |line: &str| line.matches('\t').count();
        let columns = tabs(output.stdout.lines().next().unwrap());
        assert!(
            output.stdout.lines().all(|line| tabs(line) == columns),
            "{command}: {output}"
        );
        assert!(!output.stdout.contains('\u{1b}'), "{command}: {output}");
    }
    // Nothing at all is printed of an empty list.
    let empty = machine.run("twofa user list --status locked | cat").ok();
    assert_eq!(empty.stdout, "");
}
