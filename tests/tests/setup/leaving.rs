//! Setup is left at each of its questions: by Ctrl-C, at the end of input, and because the terminal went away.

use twofa_e2e::{Machine, Terminal};

use super::{DOWN, machine, next};

/// The step that asks, in the order of their list, the question, and whether a line is typed as the answer. `None`: the list
/// of steps itself.
const QUESTIONS: [(Option<usize>, &str, bool); 8] = [
    (None, "Leave", false),
    (Some(0), "Name [Example]:", true),
    (Some(1), "Add an SMS service", false),
    (Some(2), "code it shows: ", true),
    (Some(3), "Leave it as it is", false),
    (Some(4), "Services [all]:", true),
    (Some(5), "PAM services (all, or names) [all]:", true),
    (Some(6), "Waiting for that login", true),
];

/// A machine on which the second step is offered first.
fn prepared() -> Machine {
    let machine = machine();
    machine
        .run("twofa policy set application-name=Example")
        .ok();
    machine
}

/// Setup at a question, in a shell of root's, which then says how the terminal is.
fn setup(machine: &Machine, step: Option<usize>, question: &str) -> Terminal {
    let mut terminal = machine.terminal(
        "trap : INT; SUDO_UID=$(id -u alice) LANG=C.UTF-8 twofa setup; echo \"status $?\"; stty -a; echo end",
    );
    terminal.expect("Leave");
    if let Some(step) = step {
        // The list goes around, with its last item after the seven steps.
        terminal.type_line(&DOWN.repeat((8 + step - 1) % 8));
        terminal.expect(question);
    }
    terminal
}

fn everything(machine: &Machine) -> String {
    let commands = "twofa policy export; twofa provider list; \
                    twofa user list | grep -c app; cat /etc/pam.d/* | sha256sum";
    machine.run(commands).ok().stdout
}

fn is_over(machine: &Machine) {
    machine.wait_until("! pgrep -x twofa");
}

#[test]
fn ctrl_c_leaves_setup_at_each_question_with_the_terminal_as_it_was() {
    let machine = prepared();
    let before = everything(&machine);
    for (step, question, _) in QUESTIONS {
        let mut terminal = setup(&machine, step, question);
        terminal.press_ctrl('c');
        terminal.expect("setup was left");
        terminal.expect("'sudo twofa setup' goes on from there");
        terminal.expect("status 1\n");
        let modes = terminal.expect("end\n");
        let modes: Vec<_> = modes.split_whitespace().collect();
        for mode in ["isig", "icanon", "echo"] {
            assert!(modes.contains(&mode), "{question}: {modes:?}");
        }
        assert!(terminal.output().ends_with(b"end\r\n"));
        let hidden = String::from_utf8_lossy(&terminal.output())
            .rfind("\x1b[?25l")
            .unwrap_or(0);
        let shown = String::from_utf8_lossy(&terminal.output())
            .rfind("\x1b[?25h")
            .unwrap_or(0);
        assert!(shown >= hidden, "{question}: the cursor is hidden");
        assert_eq!(everything(&machine), before, "{question}");
    }
    is_over(&machine);
}

#[test]
fn the_end_of_input_is_an_answer_to_no_question() {
    let machine = prepared();
    let before = everything(&machine);
    for (step, question, is_line) in QUESTIONS {
        let mut terminal = setup(&machine, step, question);
        terminal.press_ctrl('d');
        match question {
            // It ends the command that asks, or the wait; then setup asks again.
            "code it shows: " => {
                terminal.expect("Leave");
                terminal.press_ctrl('c');
            }
            "Waiting for that login" => {
                terminal.expect("No login was seen");
                terminal.press_ctrl('c');
            }
            _ if is_line => {}
            // A list has no end of input.
            _ => terminal.press_ctrl('c'),
        }
        terminal.expect("setup was left");
        terminal.expect("status 1\n");
        assert_eq!(everything(&machine), before, "{question}");
    }
    is_over(&machine);
}

#[test]
fn a_terminal_that_goes_away_ends_setup_at_each_question() {
    let machine = prepared();
    let before = everything(&machine);
    for (step, question, _) in QUESTIONS {
        let mut terminal = setup(&machine, step, question);
        terminal.hang_up();
        is_over(&machine);
        assert_eq!(everything(&machine), before, "{question}");
    }
}

#[test]
fn a_change_of_pam_files_that_is_left_is_taken_back() {
    let machine = machine();
    machine.enrol("alice");
    machine.run("twofa policy set mode=optional").ok();
    let before = everything(&machine);
    for leave in [
        |terminal: &mut Terminal| {
            // A secret is asked for by single keys: Ctrl-C ends the command.
            terminal.press_ctrl('c');
            terminal.expect("it was left");
            terminal.expect("the files are as they were before");
            super::menu(terminal);
            terminal.press_ctrl('c');
            terminal.expect("setup was left");
        },
        Terminal::hang_up,
    ] {
        let mut terminal = super::setup(&machine);
        terminal.type_keys(DOWN);
        next(&mut terminal, "PAM services");
        next(&mut terminal, "Logins with an ssh key");
        terminal.type_line("");
        terminal.expect("Password");
        assert_ne!(everything(&machine), before);
        leave(&mut terminal);
        machine.wait_until("[ ! -e /var/backups/twofa-pam/pending ]");
        is_over(&machine);
        assert_eq!(everything(&machine), before);
    }
}
