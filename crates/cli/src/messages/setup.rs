//! Sentences of the first set-up.

use twofa_broker::admin::log::ReportedOutcome;

use super::events;

pub(crate) const WELCOME: &str = "\
Setting up a second factor for the logins of this machine. Nobody is asked for a code before you say so. You can leave \
at any time, with Ctrl-C too: what is done is kept, and 'sudo twofa setup' goes on from there. Keep a root shell open in \
another terminal until the end.\n\n";
pub(crate) const WHICH_STEP: &str = "Next step";
pub(crate) const LEAVE: &str = "Leave";
pub(crate) const LEFT: &str = "\nNot finished yet. 'sudo twofa setup' goes on from here.\n";
pub(crate) const WHO_ARE_YOU: &str = "Your login name";
pub(crate) const GO_ON: &str = "what was done is kept; 'sudo twofa setup' goes on from there";

pub(crate) const NAME: &str = "\
The name that users see in their authenticator app, in mails and at the prompt: your organisation's, say. Without one, it \
is the host name. (twofa policy set application-name=NAME)\n";
pub(crate) const WHICH_NAME: &str = "Name";

pub(crate) const PROVIDERS: &str = "\
Authenticator apps need nothing else. To send codes by e-mail or text message, this machine needs a mail server or an SMS \
service. (twofa provider add, twofa provider test)\n";
pub(crate) const WHICH_PROVIDER: &str = "What sends codes";
pub(crate) const PROVIDER_CHOICES: [&str; 3] =
    ["Nothing more", "Add a mail server", "Add an SMS service"];
pub(crate) const WHICH_SMS: &str = "SMS service";
pub(crate) const NO_SMS: &str = "None of them";
pub(crate) const MORE_SETTINGS: &str = "More settings (Enter for none)";
pub(crate) const WHERE_TO: &str = "Send a test message to (Enter for none)";
pub(crate) const DID_IT_ARRIVE: &str = "Did the message arrive?";

pub(crate) const YOURSELF: &str = "\
You go first, so that no rule can lock you out: scan a QR code with your app, type a code, and save the backup codes, \
which let you in without the phone. (twofa enrol app, twofa codes --new)\n";
pub(crate) const ENROL_AGAIN: &str = "You have an app and backup codes. Set up another app?";

pub(crate) const WHO: &str = "\
Who must have a second factor? Users who must and have none set one up at their next login. Before anything changes, you \
see whom it concerns. (twofa policy set mode=…, twofa class set administrators)\n";
pub(crate) const WHICH_PEOPLE: &str = "Who must have one";
pub(crate) const WHO_CHOICES: [&str; 5] = [
    "Nobody yet, and nobody is asked: the log says what would happen",
    "Nobody yet: those who set one up are asked for it",
    "Administrators; others are asked if they set one up",
    "Everybody",
    "Leave it as it is",
];
pub(crate) const WHICH_GROUP: &str = "Unix group of the administrators";
pub(crate) const ALL_HAVE_ONE: &str = "Everyone whom this affects already has a second factor.\n";
pub(crate) const MAKE_THE_CHANGE: &str = "Make this change?";

pub(crate) const SERVICES: &str = "\
At which services is a code asked for? 'all', or a list of kinds and of names of PAM services, separated by commas: ssh, \
console (logins at the machine itself), elevation (sudo, su, polkit), unlock (screen lockers), other. (twofa policy set \
services=…)\n";
pub(crate) const WHICH_SERVICES: &str = "Services";

pub(crate) const PAM: &str = "\
PAM must load twofa's module at these services, and sshd must let PAM ask. You see the change first; it is tested with a \
login, and undone if that login fails. (twofa pam list, twofa pam enable)\n";
pub(crate) const ENABLE_MORE: &str = "The module is loaded already. Add services?";
pub(crate) const ENABLE_WHERE: &str = "PAM services (all, or names)";
pub(crate) const SSH_KEYS: &str = "Logins with an ssh key";
/// What may become of ssh keys: the value of `--ssh-keys`, and how it reads in a list.
pub(crate) const SSH_KEY_CHOICES: [(&str, &str); 3] = [
    ("trust", "A key is enough, without a code"),
    ("ask", "Ask for a code after the key"),
    ("require", "Require a key, then ask for a code"),
];
/// The answer that means every service.
pub(crate) const ALL: &str = "all";

pub(crate) const LOGIN: &str = "\
Prove that you get in before you close this terminal. (twofa log --follow)\n";
pub(crate) const NO_LOGIN: &str = "No login was seen";
pub(crate) const LOGIN_CHOICES: [&str; 3] = [
    "Wait for it again",
    "Skip this step",
    "Roll back: rules and PAM as they were before this set-up",
];

pub(crate) const CHANGED_BY_OTHERS: &str = "\
Warning: rules or PAM files have been changed since, not by this set-up. Those changes would be taken back, too: look at \
each line below.\n";
pub(crate) const ROLL_BACK: &str = "Roll back?";
pub(crate) const NOTHING_TO_ROLL_BACK: &str = "\
Nothing to roll back: no step of this set-up has changed anything.\n";
pub(crate) const NOT_ROLLED_BACK: &str = "Nothing was rolled back.\n";
pub(crate) const RULES_DIFFER: &str =
    "the rules: 'twofa policy set mode=disabled' stops asking for codes";

/// What a roll-back does. `began`: when the set-up did; `stopping`: the services that ask now and did not then.
pub(crate) fn rolling_back(began: &str, stopping: &[String]) -> String {
    let services = match stopping {
        [] => String::new(),
        names => format!(
            " These services did not ask then, and ask no longer: {}.",
            names.join(", ")
        ),
    };
    format!(
        "The rules become what they were before this set-up, which began on {began}.{services}\n"
    )
}

/// That other services ask than before.
pub(crate) fn asking_differs(before: &[String], now: &[String]) -> String {
    let list = |names: &[String]| match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    format!(
        "the services that ask: {} before, {} now; see 'twofa pam disable'",
        list(before),
        list(now)
    )
}

/// What was rolled back, what was not, and what is kept.
pub(crate) fn rolled_back(
    differences: &[String],
    enrolled: Option<&str>,
    providers: &[String],
) -> String {
    let mut text = match differences {
        [] => "Rolled back: rules and PAM are as they were before this set-up.\n".to_owned(),
        differences => {
            let lines: Vec<_> = differences.iter().map(|it| format!("  - {it}\n")).collect();
            format!("Not as before this set-up:\n{}", lines.concat())
        }
    };
    if let Some(user) = enrolled {
        text.push_str(&format!(
            "Kept: {user}'s app and backup codes ('twofa user reset {user}' removes them).\n"
        ));
    }
    for name in providers {
        text.push_str(&format!(
            "Kept: the provider {name} ('twofa provider remove {name}' removes it).\n"
        ));
    }
    text
}

pub(crate) const GETTING_BACK_IN: &str = "
Done. If somebody cannot get in:
  - without the phone, a backup code works in place of a code;
  - 'sudo twofa user reset NAME' removes all methods of a user, who then sets up new ones;
  - 'sudo twofa user exempt NAME --reason … --until …' lets a user in without a code until a time;
  - 'sudo twofa policy set mode=disabled' stops asking for codes.
If root itself cannot log in, boot with init=/bin/bash, or from other media, and see GETTING BACK IN in twofa-admin(7).
'sudo twofa doctor' checks the machine now and after changes.
";

pub(crate) const NOTHING_TO_DO: &str = "Nothing to do: it is all set up that way.";
pub(crate) const CONCERNS_NEED_YES: &str =
    "nothing was changed; --yes makes the change anyway, and --dry-run shows all of them";
pub(crate) const NO_LOGIN_PROVES_IT: &str = "nobody is there to prove the change of PAM's files by a login: pam-no-login = true accepts that it rests on the \
     examination of the files alone";
pub(crate) const KEYS_WITHOUT_PAM: &str =
    "ssh-keys is used only with pam, and only if sshd is among its services";
pub(crate) const GROUP_WITHOUT_WHO: &str =
    "administrators is used only with who-must = \"administrators\"";
pub(crate) const NO_GROUP: &str =
    "there is no group sudo, wheel or admin: name the group with administrators = \"GROUP\"";
pub(crate) const NOT_A_VALUE: &str = "expected a string, a number, true or false";

/// Why the settings of a provider in a file of answers are wrong.
pub(crate) fn unknown_setting(kind: &str, name: &str) -> String {
    let name = name.escape_debug();
    format!("'{kind}' has no setting '{name}'; see 'twofa provider kinds {kind}'")
}

pub(crate) fn unknown_secret(kind: &str) -> String {
    format!("the file has a setting that '{kind}' does not have; see 'twofa provider kinds {kind}'")
}

pub(crate) fn secret_shown(name: &str) -> String {
    format!("'{name}' is a secret: put it into a file, and name that as secrets-file")
}

pub(crate) fn missing(kind: &str, name: &str) -> String {
    format!("'{kind}' needs the setting '{name}'")
}

pub(crate) fn other_kind(name: &str) -> String {
    format!("there is a provider '{name}' of another kind: remove it first, or use another name")
}

/// What a command said without its hint, and the hint.
pub(crate) fn split_hint(said: &str) -> (&str, Option<&str>) {
    match said.split_once("\nhint: ") {
        Some((why, hint)) => (why, Some(hint)),
        None => (said, None),
    }
}

/// The hint of a command that was only tried.
pub(crate) fn nothing_changed(hint: &str) -> String {
    // Twice would be once too often.
    let hint = hint.trim_start_matches("nothing was changed; ");
    let hint = hint.replace(
        "--no-test saves it anyway",
        "test = false in the answers saves it anyway",
    );
    format!("nothing was changed; {hint}")
}

/// That a file of secrets cannot be read with the rights of `name`.
pub(crate) fn secrets_by(name: &str) -> String {
    format!(
        "nothing was changed; secrets-file is opened with the rights of {name}, who runs this as root, and so is the file of \
         answers"
    )
}

/// What became of the commands of a file of answers when the one at `failed` did not succeed.
pub(crate) fn halfway(commands: &[String], failed: usize) -> String {
    let list = |commands: &[String]| {
        let commands = commands.iter().map(|it| it.trim_start_matches("$ "));
        commands.collect::<Vec<_>>().join("', '")
    };
    let (done, open) = commands.split_at(failed.min(commands.len()));
    let done = match done {
        [] => "nothing was changed".to_owned(),
        done => format!("done, and kept: '{}'", list(done)),
    };
    format!(
        "{done}. Not done: '{}'. Run the same again when the reason is gone: it does what is left",
        list(open)
    )
}

/// Whether a step is done, with what was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    Done(String),
    /// It is not needed; what holds without it.
    Skippable(String),
    Open,
}

impl Progress {
    pub(crate) const fn is_settled(&self) -> bool {
        !matches!(self, Self::Open)
    }
}

/// The sign of a step in the list of them, and what has become of it.
pub(crate) fn progress(progress: &Progress) -> (&'static str, &str) {
    match progress {
        Progress::Done(what) => ("✓", what),
        Progress::Skippable(what) => ("·", what),
        Progress::Open => ("·", "to do"),
    }
}

/// The command that is about to run.
pub(crate) fn command(arguments: &[&str]) -> String {
    let quoted = arguments.iter().map(|argument| {
        let is_plain = |c: char| c.is_alphanumeric() || "-_=.,:/@+".contains(c);
        if argument.chars().all(is_plain) {
            (*argument).to_owned()
        } else {
            format!("'{}'", argument.replace('\'', r"'\''"))
        }
    });
    let quoted: Vec<_> = quoted.collect();
    format!("$ twofa {}", quoted.join(" "))
}

pub(crate) fn test(provider: &str) -> String {
    format!("Test '{provider}' with a message")
}

/// What a provider does not ask for by itself.
pub(crate) fn about_settings(kind: &str) -> String {
    format!(
        "You are asked for what it needs. Anything else, such as a port, is given as KEY=VALUE first: 'twofa provider kinds \
         {kind}' lists all settings.\n"
    )
}

pub(crate) fn remove(provider: &str) -> String {
    format!("Remove '{provider}', to add it with other settings?")
}

pub(crate) fn enrolled(user: &str, backup_codes: u64) -> String {
    match backup_codes {
        1 => format!("{user}: app, 1 backup code"),
        n => format!("{user}: app, {n} backup codes"),
    }
}

/// What the mode of the machine's policy means for people.
pub(crate) fn mode(mode: &str) -> &str {
    match mode {
        "mandatory" => "everybody",
        "optional" => "nobody yet; asked if enrolled",
        "report" => "nobody yet; only recorded",
        "disabled" => "nobody is asked",
        other => other,
    }
}

/// Who must have a second factor where a group has rules of its own.
pub(crate) fn group_and_others(group: &str, its_mode: &str, machine: &str) -> String {
    let others = match machine {
        "optional" => "others if enrolled",
        "report" => "others only recorded",
        "disabled" => "others are not asked",
        other => other,
    };
    match its_mode {
        "mandatory" => format!("group {group}; {others}"),
        mode => format!("group {group}: {mode}; {others}"),
    }
}

/// The first few of `names`.
pub(crate) fn some(names: &[String]) -> String {
    match names {
        [first, second, third, _, ..] => {
            format!("{first}, {second}, {third} and {} more", names.len() - 3)
        }
        few => few.join(", "),
    }
}

pub(crate) fn logged_in(user: &str, service: &str) -> String {
    format!("{user} logged in at {service}")
}

pub(crate) fn log_in_now(user: &str) -> String {
    format!(
        "Log in as {user} in a second terminal now, and leave this one open. Waiting for that login; press Enter to stop \
         waiting …\n"
    )
}

/// What would have come of a login that was only reported, if the mode were mandatory.
pub(crate) fn would_not(service: &str, outcome: ReportedOutcome) -> String {
    format!(
        "A login at {service} was let in because of mode=report: it {}. That proves nothing; see 'twofa stats --report'. \
         Still waiting …\n",
        events::reported(outcome)
    )
}

pub(crate) fn refused(service: &str) -> String {
    format!("A login at {service} was refused; see 'twofa log'. Still waiting …\n")
}
