//! What a person sees: on narrow terminals, without colours, and in a locale that has ASCII only.

use twofa_e2e::{Machine, Terminal};

use super::{DOWN, machine};

/// Setup by root for alice on a terminal of this width, in an environment.
fn setup(machine: &Machine, columns: usize, environment: &str) -> Terminal {
    let command =
        format!("stty cols {columns} rows 24; SUDO_UID=$(id -u alice) {environment} twofa setup");
    let mut terminal = machine.terminal(&command);
    terminal.expect("Leave");
    terminal
}

fn prepared() -> Machine {
    let machine = machine();
    machine.enrol("alice");
    machine
        .run("twofa policy set application-name='Société générale de démonstration'")
        .ok();
    machine
}

/// The list of steps by the width of the terminal.
const LISTS: [(usize, &str); 2] = [
    (
        80,
        "  ✓ Name                             Société générale de démonstration\n\
             \x20 · Codes by e-mail or text message  none: authenticator app only\n\
             \x20 ✓ Your own second factor           alice: app, 5 backup codes\n\
             ❯ · Who must have one                to do\n\
             \x20 · At which services                all\n\
             \x20 · Switch it on in PAM              to do\n\
             \x20 · A login that works               to do\n\
             \x20 Leave\n",
    ),
    (
        40,
        "  ✓ Name\n\
             \x20     Société générale de\n\
             \x20     démonstration\n\
             \x20 · Codes by e-mail or text message\n\
             \x20     none: authenticator app only\n\
             \x20 ✓ Your own second factor\n\
             \x20     alice: app, 5 backup codes\n\
             ❯ · Who must have one\n\
             \x20     to do\n\
             \x20 · At which services\n\
             \x20     all\n\
             \x20 · Switch it on in PAM\n\
             \x20     to do\n\
             \x20 · A login that works\n\
             \x20     to do\n\
             \x20 Leave\n",
    ),
];

#[test]
fn no_line_is_cut_and_a_list_is_drawn_over_itself() {
    let machine = prepared();
    for (columns, expected) in LISTS {
        let mut terminal = setup(&machine, columns, "LANG=C.UTF-8");
        let first = terminal.window_of(columns, 24);
        assert!(first.contains(expected), "{first}");
        // Down to the end, around, and back.
        for _ in 0..8 {
            terminal.type_keys(DOWN);
            terminal.expect("Leave");
        }
        assert_eq!(terminal.window_of(columns, 24), first);

        terminal.type_line("");
        terminal.expect("Leave it as it is");
        let window = terminal.window_of(columns, 24);
        for line in window
            .lines()
            .filter(|line| line.chars().count() == columns)
        {
            // A line that is full ends with a word.
            let rest = window.split_once(line).unwrap().1.trim_start_matches('\n');
            assert!(!rest.is_empty() && !line.ends_with('-'), "{window}");
        }
        let words: String = window.split_whitespace().collect();
        for choice in [
            "Nobodyyet,andnobodyisasked:thelogsayswhatwouldhappen",
            "Administrators;othersareaskediftheysetoneup",
        ] {
            assert!(words.contains(choice), "{window}");
        }
        terminal.press_ctrl('c');
        terminal.expect_end();
    }
}

#[test]
fn without_colours_and_without_utf8_the_same_is_said() {
    let machine = prepared();
    machine
        .run("twofa policy set application-name=Example")
        .ok();
    let mut terminal = setup(&machine, 80, "NO_COLOR=1 LC_ALL=C");
    let window = terminal.window_of(80, 24);
    assert!(
        window.contains("  * Name                             Example\n"),
        "{window}"
    );
    assert!(
        window.contains("> - Who must have one                to do\n"),
        "{window}"
    );
    terminal.type_line("");
    terminal.expect("Leave it as it is");
    terminal.type_line(DOWN);
    terminal.expect("* Who must have one - Administrators");
    terminal.expect("? Unix group of the administrators [sudo]: ");
    let output = terminal.output();
    assert!(output.is_ascii(), "{}", String::from_utf8_lossy(&output));
    let output = String::from_utf8_lossy(&output).into_owned();
    let coloured = output.split("\x1b[").skip(1).find(|rest| {
        let end = rest.find(|c: char| c.is_ascii_alphabetic());
        end.is_some_and(|end| rest[end..].starts_with('m'))
    });
    assert_eq!(coloured, None);
}

#[test]
fn a_terminal_that_cannot_draw_over_what_it_shows_has_numbered_lists() {
    let machine = prepared();
    let mut terminal = machine.terminal("SUDO_UID=$(id -u alice) TERM=dumb twofa setup");
    terminal.expect("Next step [4]:");
    terminal.type_line("9");
    terminal.expect("Next step [4]:");
    terminal.type_line("8");
    terminal.expect("Not finished yet.");
    assert!(terminal.expect_end().success());
    assert!(!terminal.output().contains(&0x1b));
}
