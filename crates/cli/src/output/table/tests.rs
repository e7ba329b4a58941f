use super::*;
use crate::output::wrap::{parts, words};

/// The widths that people have: a narrow phone, a split window, a serial console, a large screen.
const WIDTHS: [usize; 5] = [20, 40, 80, 120, 200];

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn user_list() -> Table {
    let users = |name: &str, status: Value| {
        vec![
            text(name),
            Value::Number(1000),
            status,
            text("everyone"),
            text("no"),
            text("app,email,sms"),
            Value::Number(5),
            Value::Number(0),
            text("2026-11-26 22:10:00"),
        ]
    };
    Table {
        headings: vec![
            "USER",
            "UID",
            "STATUS",
            "CLASS",
            "REQUIRED",
            "METHODS",
            "BACKUP CODES",
            "FAILURES",
            "LAST PASSED",
        ],
        rows: vec![
            users("alice", Value::Good("enabled".into())),
            users(
                "東京都庁東京都庁",
                Value::Bad("locked until 2026-11-26 22:10:00".into()),
            ),
            users(
                "e\u{301}milie",
                Value::Warning("pending setup at next login".into()),
            ),
        ],
    }
}

fn log() -> Table {
    Table {
        headings: vec!["TIME", "EVENT", "USER", "AT", "FROM", "BY", "DETAIL"],
        rows: vec![vec![
            text("2026-11-26 22:10:00"),
            Value::Bad("refused".into()),
            text("alice"),
            text("sshd"),
            text("2001:db8::1234:5678"),
            text("uid 0"),
            text("wrong code: 3 in a row, the account is locked until 2026-11-26 22:25:00"),
        ]],
    }
}

/// A table of every shape that the commands print.
fn tables() -> Vec<Table> {
    let mut policy = Table::new(&["SETTING", "VALUE", "MEANING"]);
    for key in &twofa_core::policy::KEYS {
        let meaning = format!("{} ({})", key.help, key.values());
        policy.push_texts(&[key.name, &key.default(), &meaning]);
    }
    let mut small = Table::new(&["METHOD", "ALLOWED", "PROVIDERS"]);
    small.push_texts(&["email", "yes; among classes, only in a and b", "-"]);
    let empty_heading = Table {
        headings: vec!["SETTING", ""],
        rows: vec![vec![text("a"), text("")]],
    };
    vec![
        user_list(),
        log(),
        policy,
        small,
        empty_heading,
        Table::new(&["A"]),
    ]
}

fn plain(table: &Table, columns: usize) -> String {
    let mut out = Vec::new();
    table.write(columns, &mut out).unwrap();
    anstream::adapter::strip_str(str::from_utf8(&out).unwrap()).to_string()
}

#[test]
fn no_line_is_wider_than_the_terminal_and_no_word_or_date_is_broken() {
    for table in tables() {
        for columns in WIDTHS {
            let shown = plain(&table, columns);
            for line in shown.lines() {
                let fits = width(line) <= columns;
                let is_one_word = words(line).len() <= 2;
                assert!(fits || is_one_word, "{columns}: {line:?}\n{shown}");
                assert_eq!(line, line.trim_end(), "{columns}");
            }
            for value in table.rows.iter().flatten().map(Value::text) {
                let words = words(&value).into_iter().flat_map(parts);
                for part in words.filter(|part| *part != "-") {
                    assert!(shown.contains(part), "{columns}: {part}\n{shown}");
                }
            }
        }
    }
}

#[test]
fn a_table_that_fits_has_columns_and_numbers_at_their_right() {
    let mut table = Table::new(&["USER", "UID", "CLASS"]);
    table.push(vec![text("東京"), Value::Number(7), text("a")]);
    table.push(vec![text("bob"), Value::Number(1000), text("b")]);
    assert_eq!(
        plain(&table, 80),
        "USER   UID  CLASS\n東京     7  a\nbob   1000  b\n"
    );
}

#[test]
fn a_column_that_is_too_wide_is_wrapped() {
    let mut table = Table::new(&["NAME", "MEANING"]);
    table.push_texts(&["mode", "one two three four five six"]);
    assert_eq!(
        plain(&table, 20),
        "NAME  MEANING\nmode  one two three\n      four five six\n"
    );
}

#[test]
fn a_table_that_does_not_fit_has_a_record_for_each_row() {
    let shown = plain(&user_list(), 60);
    assert!(
        shown.starts_with(
            "alice\n  uid: 1000   status: enabled   class: everyone\n  required: no   methods: app,email,sms   backup codes: 5\n  \
             failures: 0   last passed: 2026-11-26 22:10:00\n東京"
        ),
        "{shown}"
    );
}

#[test]
fn a_column_that_is_empty_in_all_rows_is_left_out() {
    let mut table = Table::new(&["ID", "UNTIL", "USER", "NOTE"]);
    table.push_texts(&["1", "", "alice", ""]);
    table.push_texts(&["2", "", "", ""]);
    table.drop_empty_columns();
    let mut out = Vec::new();
    table.write(80, &mut out).unwrap();
    let text = anstream::adapter::strip_str(std::str::from_utf8(&out).unwrap()).to_string();
    assert_eq!(text, "ID  USER\n1   alice\n2\n");
}
