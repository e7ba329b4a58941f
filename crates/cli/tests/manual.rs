//! Nothing that can be typed is missing from the manuals, and what is installed fits the code.

use clap::{Arg, Command, CommandFactory};
use twofa_broker::admin::document;
use twofa_broker::admin::log::EVENT_NAMES;
use twofa_cli::arguments::Arguments;
use twofa_core::policy::KEYS;

#[path = "../examples/manual/main.rs"]
mod manual;

const TWOFAD: &str = include_str!("../../../man/twofad.8");
const PAM_TWOFA: &str = include_str!("../../../man/pam_twofa.8");
const PAM_OPTIONS: &str = include_str!("../../../pam/src/options.rs");
const SERVICE: &str = include_str!("../../../packaging/systemd/twofad.service");
const SOCKET: &str = include_str!("../../../packaging/systemd/twofad.socket");
const SYSUSERS: &str = include_str!("../../../packaging/sysusers.d/twofa.conf");

#[test]
fn every_command_has_its_part_with_all_it_takes() {
    let page = twofa();
    for (path, command) in leaves(&arguments(), "twofa") {
        let own = part(&page, &format!(".SS \"{path}\""));
        assert!(!own.is_empty(), "there is no part on '{path}'");
        assert!(
            own.contains(&text(command.get_about())),
            "'{path}' lacks what it does"
        );
        let of_root = path.starts_with("twofa policy") || path.starts_with("twofa user");
        assert!(
            !of_root || own.lines().any(|line| line == "For root."),
            "'{path}' does not say that it is for root"
        );
        // What is hidden is for this program alone.
        let shown = |argument: &&Arg| !argument.is_hide_set();
        for argument in command.get_arguments().filter(shown) {
            let everywhere = argument.is_global_set() || is_of_clap(argument);
            let place = if everywhere {
                part(&page, ".SH OPTIONS")
            } else {
                own
            };
            let name = name(argument);
            assert!(
                heads(place).any(|head| says(head, &name)),
                "'{path}' lacks {name}"
            );
            let help = text(argument.get_help());
            assert!(
                is_of_clap(argument) || place.contains(&help),
                "'{path}' does not say of {name}: {help}"
            );
        }
    }
}

#[test]
fn every_alias_is_documented() {
    let page = twofa();
    let twofa = arguments();
    let aliases: Vec<_> = twofa
        .get_subcommands()
        .flat_map(Command::get_visible_aliases)
        .collect();
    assert_eq!(aliases, ["enroll"]);
    assert!(says(&page, "enrol is also spelled enroll"));
}

#[test]
fn every_policy_setting_is_explained() {
    let page = policy();
    let settings = part(&page, ".SH SETTINGS");
    for key in &KEYS {
        let (_, rest) = settings
            .split_once(&format!(".TP\n{} (", key.name))
            .unwrap_or_else(|| panic!("twofa-policy.5 lacks {}", key.name));
        let own = rest.split("\n.TP").next().unwrap_or(rest);
        for text in [
            key.help.to_owned(),
            key.values(),
            key.default(),
            key.stricter.to_owned(),
        ] {
            assert!(own.contains(&text), "{} lacks: {text}", key.name);
        }
        assert_eq!(own.contains("Per class: yes."), key.per_class, "{own}");
        let may_differ = own.contains("On a host of a fleet: the fleet's value or a stricter one.");
        assert_eq!(may_differ, key.may_differ_on_host(), "{own}");
    }
    assert_eq!(heads(settings).count(), KEYS.len());
}

#[test]
fn the_document_in_the_manual_is_a_policy() {
    let read = document::read(manual::policy::DOCUMENT);
    assert!(read.is_ok(), "{read:?}");
}

#[test]
fn every_event_is_in_the_table_of_the_system_log_with_its_keys() {
    let table = part(TWOFAD, ".SH \"THE SYSTEM LOG\"").replace("\\-", "-");
    for event in &EVENT_NAMES {
        let mut entry = format!("\n.B {}\n{}.\n", event.name, event.help);
        if !event.keys.is_empty() {
            entry += &format!(".br\n.I {}\n", event.keys);
        }
        assert!(table.contains(&entry), "{entry}");
    }
}

#[test]
fn every_example_of_the_help_is_in_the_manual() {
    let page = twofa();
    let twofa = arguments();
    let all = leaves(&twofa, "twofa")
        .into_iter()
        .map(|(_, command)| command)
        .chain([&twofa]);
    let mut examples = 0;
    for help in all.map(|command| text(command.get_after_help())) {
        for example in help
            .lines()
            .filter(|line| line.starts_with("  twofa") || line.starts_with("  sudo"))
        {
            assert!(page.contains(example), "{example}");
            examples += 1;
        }
    }
    assert!(examples > 10);
}

#[test]
fn the_page_says_what_it_is_and_ends_no_line_with_a_blank() {
    let page = twofa();
    let title = format!(
        ".TH TWOFA 1 2000-02-29 \"twofa {}\" \"User Commands\"",
        env!("CARGO_PKG_VERSION")
    );
    assert!(page.contains(&title), "{page}");
    assert!(page.lines().all(|line| line == line.trim_end()));
}

#[test]
fn every_option_of_the_broker_is_in_its_manual() {
    let mut twofad = twofa_broker::daemon::Arguments::command();
    twofad.build();
    let page = plain(TWOFAD);
    for argument in twofad.get_arguments() {
        let name = name(argument);
        assert!(
            heads(part(&page, ".SH OPTIONS")).any(|head| says(head, &name)),
            "twofad.8 lacks {name}"
        );
        assert!(
            is_of_clap(argument) || says(part(&page, ".SH SYNOPSIS"), &name),
            "its synopsis lacks {name}"
        );
    }
    assert!(heads(part(&page, ".SH FILES")).any(|head| says(head, twofa_broker::SOCKET)));
}

#[test]
fn every_option_of_the_module_is_in_its_manual() {
    // Each is explained in a comment of its own, as `name` or `name=value`.
    let names: Vec<_> = PAM_OPTIONS
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("/// `")?.split_once("`:"))
        .map(|(option, _)| option.split('=').next().unwrap_or(option))
        .collect();
    for known in [
        "debug",
        "socket",
        "forward_pass",
        "use_first_pass",
        "try_first_pass",
    ] {
        assert!(
            names.contains(&known),
            "{known} is no longer explained where this test looks: {names:?}"
        );
    }
    let page = plain(PAM_TWOFA);
    for name in names {
        assert!(
            heads(part(&page, ".SH OPTIONS")).any(|head| says(head, name)),
            "pam_twofa.8 lacks {name}"
        );
        assert!(
            says(part(&page, ".SH SYNOPSIS"), name),
            "the synopsis of pam_twofa.8 lacks {name}"
        );
    }
}

#[test]
fn the_units_are_for_the_socket_and_the_user_of_the_code() {
    assert!(SOCKET.contains(&format!("\nListenStream={}\n", twofa_broker::SOCKET)));
    assert!(SERVICE.contains(&format!(
        "\nUser={0}\nGroup={0}\n",
        twofa_broker::SERVICE_USER
    )));
    assert!(SYSUSERS.starts_with(&format!("u {} ", twofa_broker::SERVICE_USER)));
}

#[test]
fn starting_the_unit_never_makes_a_store() {
    let commands: Vec<_> = SERVICE
        .lines()
        .filter(|line| line.starts_with("Exec"))
        .collect();
    assert_eq!(commands, ["ExecStart=/usr/sbin/twofad"]);
}

#[test]
fn the_unit_sees_the_uids_of_its_peers() {
    assert!(
        !SERVICE
            .lines()
            .any(|line| line.starts_with("PrivateUsers="))
    );
}

fn arguments() -> Command {
    let mut twofa = Arguments::command();
    twofa.build();
    twofa
}

fn twofa() -> String {
    plain(&manual::page("2000-02-29"))
}

fn policy() -> String {
    plain(&manual::policy::page("2000-02-29", "twofa"))
}

/// Every command that does something, with its name in full.
fn leaves<'a>(command: &'a Command, path: &str) -> Vec<(String, &'a Command)> {
    let below = command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set())
        .flat_map(|sub| leaves(sub, &format!("{path} {}", sub.get_name())));
    let itself = (!command.is_subcommand_required_set()).then(|| (path.to_owned(), command));
    itself.into_iter().chain(below).collect()
}

fn is_of_clap(argument: &Arg) -> bool {
    ["help", "version"].contains(&argument.get_id().as_str())
}

fn name(argument: &Arg) -> String {
    match argument.get_long() {
        Some(long) => format!("--{long}"),
        None => argument
            .get_value_names()
            .map(|names| names.join(" "))
            .unwrap_or_default(),
    }
}

fn text(help: Option<&clap::builder::StyledStr>) -> String {
    help.map(ToString::to_string).unwrap_or_default()
}

/// From `heading` to the next one of its rank or above.
fn part<'a>(page: &'a str, heading: &str) -> &'a str {
    let Some((_, rest)) = page.split_once(&format!("\n{heading}\n")) else {
        return "";
    };
    let end = if heading.starts_with(".SS") {
        rest.find("\n.S")
    } else {
        rest.find("\n.SH")
    };
    &rest[..end.unwrap_or(rest.len())]
}

/// The lines that a paragraph hangs on.
fn heads(part: &str) -> impl Iterator<Item = &str> {
    part.lines()
        .zip(part.lines().skip(1))
        .filter(|(before, _)| *before == ".TP")
        .map(|(_, head)| head)
}

/// Without fonts, and without what roff needs to take a character for what it is.
fn plain(page: &str) -> String {
    [
        ("\\-", "-"),
        ("\\*(Aq", "'"),
        ("\\fB", ""),
        ("\\fI", ""),
        ("\\fR", ""),
    ]
    .iter()
    .fold(page.to_owned(), |page, (roff, text)| {
        page.replace(roff, text)
    })
}

/// Whether `word` is in `text`, and not as part of a longer word.
fn says(text: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
    })
}
