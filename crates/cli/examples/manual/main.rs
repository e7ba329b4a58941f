//! Writes twofa(1) and twofa-policy(5) into the folder that is given.
//!
//! One page for all commands: people search in a page, and none is long. What a command is and takes comes
//! from [`twofa_cli::arguments`], the settings from [`twofa_core::policy::KEYS`]; only what neither knows is
//! written here. The test of the same name looks at [`page`] and [`policy::page`].

pub mod policy;

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command, CommandFactory};
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use jiff::Timestamp;
use twofa_cli::arguments::Arguments;

/// The date of a page whose build does not set one.
const UNDATED: &str = "2026-11-21";

#[allow(dead_code, reason = "the test takes this file in as a module")]
fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os()
        .nth(1)
        .ok_or("name the folder to write into")?;
    let date = match env::var("SOURCE_DATE_EPOCH") {
        Ok(epoch) => Timestamp::from_second(epoch.parse()?)?
            .strftime("%Y-%m-%d")
            .to_string(),
        Err(_) => UNDATED.to_owned(),
    };
    let folder = Path::new(&folder);
    fs::write(folder.join("twofa.1"), page(&date))?;
    Ok(fs::write(
        folder.join("twofa-policy.5"),
        policy::page(&date, &source()),
    )?)
}

/// The page, dated `date` (`YYYY-MM-DD`).
pub fn page(date: &str) -> String {
    let mut twofa = Arguments::command();
    twofa.build();
    let mut roff = Roff::new();
    roff.control("TH", ["TWOFA", "1", date, &source(), "User Commands"]);
    let about = lower(&text(twofa.get_about()));
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("twofa - {about}"))]);
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([
        bold("twofa"),
        roman(" ["),
        bold("--json"),
        roman("] "),
        italic("command"),
        roman(" ..."),
    ]);
    description(&mut roff, &twofa);
    roff.control("SH", ["OPTIONS"]);
    roff.text([roman("All commands take these options.")]);
    twofa
        .get_arguments()
        .for_each(|option| describe(&mut roff, option));
    roff.control("SH", ["COMMANDS"]);
    commands(&mut roff, &twofa, &[]);
    files(&mut roff);
    exit_status(&mut roff);
    roff.control("SH", ["EXAMPLES"]);
    roff.text([roman("Common tasks:")]);
    examples(&mut roff, &twofa);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([
        bold("twofa-policy"),
        roman("(5), "),
        bold("twofa-sms"),
        roman("(5), "),
        bold("twofa-admin"),
        roman("(7), "),
        bold("sudo"),
        roman("(8), "),
        bold("pam_twofa"),
        roman("(8), "),
        bold("twofad"),
        roman("(8)"),
    ]);
    render(&roff)
}

fn source() -> String {
    format!("twofa {}", env!("CARGO_PKG_VERSION"))
}

fn render(roff: &Roff) -> String {
    let text = roff.render();
    let lines = text.lines().map(str::trim_end);
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn paragraphs(roff: &mut Roff, paragraphs: &[&str]) {
    for (number, paragraph) in paragraphs.iter().enumerate() {
        if number > 0 {
            roff.control("PP", []);
        }
        roff.text([roman(*paragraph)]);
    }
}

fn description(roff: &mut Roff, twofa: &Command) {
    roff.control("SH", ["DESCRIPTION"]);
    // After the first line, which is under NAME.
    for line in text(twofa.get_long_about())
        .lines()
        .skip(1)
        .filter(|line| !line.is_empty())
    {
        roff.text([roman(sentence(line))]);
    }
    roff.control("PP", []);
    paragraphs(
        roff,
        &[
            "Users' commands are carried out by twofad(8). Root's commands open the store themselves.",
            "On a terminal, tables fit its width, or that in COLUMNS, and colours are left out as NO_COLOR, CLICOLOR and \
         TERM=dumb say. In a pipe they are a line of headings and one line for each record, with tabs between the values.",
            "Files that are named on the command line are opened with the rights of the user who called sudo(8), run0(1), \
         pkexec(1) or doas(1), so that a rule of sudo for one command is none for reading files. In a shell that sudo \
         started they are opened as root.",
        ],
    );
}

/// A part for each command below `parent` that has no commands of its own.
fn commands(roff: &mut Roff, parent: &Command, path: &[&str]) {
    for command in parent
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
    {
        let path = [path, &[command.get_name()]].concat();
        if command.is_subcommand_required_set() {
            commands(roff, command, &path);
            continue;
        }
        roff.control("SS", [format!("twofa {}", path.join(" ")).as_str()]);
        roff.text(usage(command, &path));
        roff.control("PP", []);
        for paragraph in text(command.get_long_about().or(command.get_about())).split("\n\n") {
            roff.text([roman(sentence(paragraph))]);
        }
        if text(parent.get_about()).ends_with("(root)")
            && !text(command.get_about()).ends_with("(everybody)")
        {
            roff.text([roman("For root.")]);
        }
        for command in [parent, command] {
            for alias in command.get_visible_aliases() {
                roff.text([
                    bold(command.get_name()),
                    roman(" is also spelled "),
                    bold(alias),
                    roman("."),
                ]);
            }
        }
        own_arguments(command).for_each(|argument| describe(roff, argument));
        examples(roff, command);
        // Those of a command that also does something by itself.
        commands(roff, command, &path);
    }
}

/// What a command takes that not every command takes.
fn own_arguments(command: &Command) -> impl Iterator<Item = &Arg> {
    let everywhere = |argument: &Arg| {
        argument.is_global_set() || ["help", "version"].contains(&argument.get_id().as_str())
    };
    command
        .get_arguments()
        .filter(move |argument| !argument.is_hide_set() && !everywhere(argument))
}

fn usage(command: &Command, path: &[&str]) -> Vec<Inline> {
    let mut line = vec![bold(format!("twofa {}", path.join(" ")))];
    for argument in own_arguments(command) {
        let (open, close) = if argument.is_required_set() {
            (" ", "")
        } else {
            (" [", "]")
        };
        line.push(roman(open));
        line.extend(name(argument));
        line.push(roman(close));
    }
    line
}

/// `--option VALUE`, or `VALUE` alone.
fn name(argument: &Arg) -> Vec<Inline> {
    let mut name = Vec::new();
    if let Some(short) = argument.get_short() {
        name.extend([bold(format!("-{short}")), roman(", ")]);
    }
    if let Some(long) = argument.get_long() {
        name.push(bold(format!("--{long}")));
    }
    if argument.is_positional() || argument.get_action().takes_values() {
        if argument.get_long().is_some() {
            name.push(roman(" "));
        }
        let value = argument
            .get_value_names()
            .map(|names| names.join(" "))
            .unwrap_or_default();
        name.push(italic(value));
        if matches!(argument.get_action(), ArgAction::Append) {
            name.push(roman(" ..."));
        }
    }
    name
}

fn describe(roff: &mut Roff, argument: &Arg) {
    roff.control("TP", []);
    roff.text(name(argument));
    let help = text(argument.get_long_help().or(argument.get_help()));
    // Of --help itself, clap says where there is less of it.
    roff.text([roman(sentence(help.split(" (see").next().unwrap_or(&help)))]);
    if !argument.get_action().takes_values() {
        return;
    }
    let values: Vec<_> = argument
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| {
            let help = value
                .get_help()
                .map(|help| format!(" ({})", lower(&help.to_string())));
            format!("{}{}", value.get_name(), help.unwrap_or_default())
        })
        .collect();
    if !values.is_empty() {
        roff.text([roman(format!("One of {}.", values.join(", ")))]);
    }
    if let [default, ..] = argument.get_default_values() {
        roff.text([
            roman("Default: "),
            bold(default.to_string_lossy()),
            roman("."),
        ]);
    }
}

/// The examples at the end of a command's help.
fn examples(roff: &mut Roff, command: &Command) {
    let help = text(command.get_after_long_help().or(command.get_after_help()));
    let examples = help
        .lines()
        .skip_while(|line| !line.starts_with("Example"))
        .skip(1);
    let examples: Vec<_> = examples.take_while(|line| line.starts_with(' ')).collect();
    if examples.is_empty() {
        return;
    }
    roff.control("PP", []);
    roff.control("EX", []);
    for line in examples {
        roff.text([roman(line)]);
    }
    roff.control("EE", []);
}

fn files(roff: &mut Roff) {
    roff.control("SH", ["FILES"]);
    for (path, what) in [
        (twofa_broker::SOCKET, "socket of twofad(8)"),
        ("/var/lib/twofa/twofa.db", "store: policy, users, log"),
        (
            "/etc/twofa/secret.key",
            "key that seals secrets in the store",
        ),
        (
            "/etc/twofa/sms.d/*.toml",
            "data files of SMS providers that are not built in, see twofa-sms(5)",
        ),
        (
            "/etc/twofa/templates/",
            "texts of messages that replace the built-in ones, see twofa-admin(7)",
        ),
    ] {
        roff.control("TP", []);
        roff.text([italic(path)]);
        roff.text([roman(what)]);
    }
}

fn exit_status(roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]);
    for (status, meaning) in [
        ("0", "Done."),
        ("1", "Failed."),
        ("2", "Wrong usage, or an invalid value."),
        (
            "3",
            "Not permitted: only root can do it, or the policy forbids it.",
        ),
        ("4", "Not found: no such account or method."),
        ("5", "Denied: a wrong code, or the account is locked."),
        (
            "6",
            "The broker, the store or the name service is unavailable.",
        ),
    ] {
        roff.control("TP", []);
        roff.text([bold(status)]);
        roff.text([roman(meaning)]);
    }
}

fn text(help: Option<&StyledStr>) -> String {
    help.map(ToString::to_string).unwrap_or_default()
}

/// Help has no full stop, a manual does.
fn sentence(help: &str) -> String {
    format!("{}.", help.trim_end_matches('.'))
}

fn lower(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(characters).collect()
    })
}
