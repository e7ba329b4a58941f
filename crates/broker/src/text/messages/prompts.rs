//! What people are asked. All that must be read before answering is in the prompt itself: some clients show what
//! is sent separately late or not at all. A prompt for a code begins with "Verification code", which clients look for.

use std::fmt::Write as _;

use twofa_core::app::IgnoredSetting;
use twofa_core::channel::AddressKind;
use twofa_core::text::printable;
use twofa_core::{App, BackupCode, Channel, Device, Duration, Method, Timestamp};
use twofa_store::event::RefusalReason;
use zeroize::Zeroizing;

use super::{moment, span, tries_left};
use crate::text::qr::{self, Drawn, QrPicture};

/// The first prompt of a challenge that sends no code, for somebody with these methods at hand.
/// `trust_hint`: what a `+` at the code does.
pub fn code_prompt(
    application: &str,
    trust_hint: Option<&str>,
    at_hand: &[Method],
    is_only: bool,
) -> String {
    let nouns: Vec<_> = at_hand.iter().map(|method| method.info().noun).collect();
    let methods = nouns.join(" or ");
    let others = if is_only { "" } else { "; m: other methods" };
    let trust = trust_hint.map_or(String::new(), |hint| format!("{}; ", plus(hint)));
    format!("Verification code for {application} ({trust}{methods}{others}): ")
}

/// What a `+` does, for the parenthesis of the prompt.
fn plus(trust_hint: &str) -> String {
    format!("+ at its end: {trust_hint}")
}

/// The `intro` of an enrolment, followed by what a `+` at the end of its first code does.
pub fn with_trust_hint(intro: &str, trust_hint: &str) -> String {
    format!("{intro} A + at the end of its first code: {trust_hint}.")
}

/// What a `+` at the code does: `trust 192.0.2.7 for 12 hours`.
pub fn trust_hint(device: &Device, duration: Duration) -> String {
    let what = match device {
        Device::UserKey(_) => "this key".to_owned(),
        Device::ClientHost(_) => "this client machine".to_owned(),
        Device::Address(address) => address.to_string(),
        Device::Seat(_) => "this console".to_owned(),
        Device::Session(_) => "this session".to_owned(),
        Device::Terminal(_) => "this terminal".to_owned(),
    };
    format!("trust {what} for {}", span(duration))
}

/// A key that the user may choose, and the login that showed it.
pub fn key_to_choose(
    key: &str,
    place: Option<&str>,
    at: Option<Timestamp>,
    now: Timestamp,
) -> String {
    let place = place.map_or(String::new(), |place| format!(" from {}", printable(place)));
    let at = at.map_or(String::new(), |at| format!(" at {}", moment(at, now)));
    format!("{}, login{place}{at}", printable(key))
}

/// Asks which of the keys in `lines` to enrol.
pub fn which_key(lines: &[String]) -> String {
    let mut text = "Security keys in logins that are open:\n".to_owned();
    for (number, line) in (1..).zip(lines) {
        let _ = writeln!(text, "  {number}  {line}");
    }
    let last = lines.len();
    text + &format!("Which one is to be set up (1-{last}): ")
}

/// A further prompt, with `text` before it. It names the commands that do something.
pub fn prompt_again(
    text: &str,
    application: &str,
    trust_hint: Option<&str>,
    sends: bool,
    has_others: bool,
) -> String {
    let keys = match (sends, has_others) {
        (true, true) => Some("r: new code, m: other methods, ?: help"),
        (true, false) => Some("r: new code, ?: help"),
        (false, true) => Some("m: other methods, ?: help"),
        (false, false) => None,
    };
    let keys: Vec<_> = trust_hint
        .map(plus)
        .into_iter()
        .chain(keys.map(str::to_owned))
        .collect();
    let keys = match keys.join("; ") {
        none if none.is_empty() => none,
        keys => format!(" ({keys})"),
    };
    format!("{text}\nVerification code for {application}{keys}: ")
}

/// The one prompt for everybody where the password may be wrong. It tells nobody whether there is such an account, and
/// what it has.
pub fn uniform_prompt(application: &str) -> String {
    format!("Verification code for {application} (press Enter if you have none): ")
}

/// The prompt for password and code in one answer. It is the same for everybody: the password is not checked yet.
pub const PASSWORD_AND_CODE: &str =
    "Password, followed directly by the verification code if you have one: ";

/// The prompt before enrolment where the program may not answer any.
pub fn enrolment_probe(application: &str) -> String {
    format!("A second factor must be set up for {application}. Press Enter to begin: ")
}

/// A person's methods, each with the address that its codes are sent to, to be chosen by number.
pub fn method_list(
    methods: impl Iterator<Item = (Method, Option<String>)>,
    has_backup: bool,
) -> String {
    let mut text = String::from("Prove that it is you with one of these:\n");
    for (number, (method, destination)) in (1..).zip(methods) {
        let destination = destination.map_or(String::new(), |to| format!(" to {to}"));
        let phrase = method.info().phrase;
        text.push_str(&format!("  {number}  {phrase}{destination}\n"));
    }
    let or_backup = if has_backup { ", or a backup code" } else { "" };
    text.push_str(&format!("Type a number{or_backup}: "));
    text
}

/// The methods that can be set up, to be chosen by number.
pub fn which_method(methods: &[Method]) -> String {
    let mut text = String::from("What do you want to use as your second factor?\n");
    for (number, method) in (1..).zip(methods) {
        text.push_str(&format!("  {number}  {}\n", method.info().phrase));
    }
    text.push_str("Type a number [1]: ");
    text
}

/// The list once more, after a number that is not on it.
pub fn not_listed(list: &str) -> String {
    format!("That is not on the list.\n{list}")
}

/// The question for an address.
pub fn address_question(channel: Channel, can_text_us: bool) -> &'static str {
    match (channel.address_kind(), can_text_us) {
        (AddressKind::Email, _) => "Your e-mail address: ",
        (AddressKind::Phone, false) => {
            "Your phone number with its country code (+49 1512 3456789): "
        }
        (AddressKind::Phone, true) => {
            "Your phone number with its country code (+49 1512 3456789), or press Enter to verify it by sending us a \
             text message: "
        }
    }
}

/// A question once more, after an answer with this error.
pub fn ask_again(error: &impl std::fmt::Display, question: &str) -> String {
    format!("{error}.\n{question}")
}

/// How to send us a text message.
pub fn text_us(number: &str, code: &str) -> String {
    format!(
        "Send this code in a text message from your phone to {number}:\n\n    {code}\n\n\
         Then press Enter here, or type your number: "
    )
}

/// No text message has arrived.
pub fn nothing_came_in(number: &str) -> String {
    format!(
        "No text message has arrived at {number} yet. Press Enter to check again, or type your number: "
    )
}

/// The prompt for the code that confirms an address.
pub fn confirm_prompt(text: &str) -> String {
    format!("{text}\nType it here (r: new code): ")
}

/// An app's key and its link, and the prompt for its first code; `offers_picture`: a QR code is shown on request.
pub fn app_key(intro: &str, app: &App, url: &str, offers_picture: bool) -> Zeroizing<String> {
    let or_scan = if offers_picture {
        ", or type qr for a QR code to scan"
    } else {
        ""
    };
    let mut text = Zeroizing::new(format!(
        "{intro}Enter this key in your authenticator app{or_scan}.\n\n  Key:  "
    ));
    text.push_str(&app.key.grouped());
    text.push_str("\n  Link: ");
    text.push_str(url);
    let digits = app.parameters.digits();
    text.push_str(&format!("\n\nThen type the {digits}-digit code it shows: "));
    text
}

/// The key as a picture, and the prompt for its first code. The first line and the last are short: sshd puts names before
/// the first, and together with the picture they fit on a screen of 25 lines.
pub fn app_picture(picture: &QrPicture, drawn: Drawn, app: &App) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::from("Scan this with your app:\n"));
    text.push_str(&picture.half_blocks(drawn));
    let (lines, columns) = (picture.lines(), picture.side());
    if lines > qr::LINES_OF_SCREEN {
        text.push_str(&format!(
            "If you do not see all {lines} lines and {columns} columns of it, enlarge the window and type qr twice.\n"
        ));
    }
    let digits = app.parameters.digits();
    text.push_str(&format!(
        "Then type the {digits}-digit code it shows (qr: inverted): "
    ));
    text
}

/// The key is too long for a picture.
pub const NO_PICTURE: &str =
    "It is too long for a QR code: enter the key.\nThe code your app shows now: ";

/// What is wrong with an app's first code.
#[derive(Debug)]
pub enum WrongFirstCode {
    /// It is not a code of this key.
    Wrong,
    /// It is a code for another time.
    Drifted,
    /// It is the code of an app that ignores these settings.
    Ignored(Vec<IgnoredSetting>),
}

/// The prompt for an app's first code once more.
pub fn app_code_again(wrong: &WrongFirstCode, tries: u32) -> String {
    let wrong = match wrong {
        WrongFirstCode::Wrong => "That is not the code for this key.".to_owned(),
        WrongFirstCode::Drifted => {
            "That code is from the wrong time: correct the clock on your phone.".to_owned()
        }
        WrongFirstCode::Ignored(settings) => {
            let options = options(settings);
            format!(
                "Your app ignores {options}, so its codes cannot be accepted. Use another app, or press Enter to stop, \
                 delete this key from the app, and enrol without {options}."
            )
        }
    };
    let left = tries_left(tries);
    format!("{wrong} ({left})\nThe code your app shows now: ")
}

/// The options of `twofa enrol app` that ask for these settings.
fn options(settings: &[IgnoredSetting]) -> String {
    let options: Vec<_> = settings
        .iter()
        .map(|setting| match setting {
            IgnoredSetting::Counter => "--type hotp".to_owned(),
            IgnoredSetting::Algorithm(algorithm) => format!("--algorithm {}", algorithm.name()),
            IgnoredSetting::Digits(digits) => format!("--digits {digits}"),
            IgnoredSetting::Period(seconds) => format!("--period {seconds}"),
        })
        .collect();
    options.join(" and ")
}

/// The backup codes, and the question that shows that they were saved: the last group of the one at `asked`, counted from
/// zero.
pub fn backup_codes(codes: &[BackupCode], asked: usize) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::from(
        "Backup codes, for when you cannot get another code. Each works once.\n\
         Write them down or save them now: they are not shown again.\n",
    ));
    for (number, code) in (1..).zip(codes) {
        text.push_str(&format!("\n    {number}.  "));
        text.push_str(&code.grouped());
    }
    text.push_str("\n\n");
    text.push_str(&saved_question(asked));
    text
}

/// The question after a wrong answer to it.
pub fn saved_question_again(asked: usize) -> String {
    format!("That is not correct. {}", saved_question(asked))
}

fn saved_question(asked: usize) -> String {
    format!(
        "When you have saved them, type the last four characters of code {}: ",
        asked + 1
    )
}

/// Shown before the first enrolment at a login.
pub fn must_enrol(application: &str) -> String {
    format!("{application} requires a second factor, and you have not set one up yet.")
}

/// Asks for an invitation.
pub fn invitation(application: &str) -> String {
    format!(
        "{application} requires a second factor, and you have not set one up yet.\nInvitation, as your administrator gave \
         it to you: "
    )
}

/// Asks for a rescue code of `host`, after saying `why`.
pub fn rescue(why: &str, host: &str) -> String {
    format!(
        "{why}\nRescue code for {host} (\"twofa host rescue {host}\" on a server; press Enter if you have none): "
    )
}

/// Why a rescue code is asked for: no server decides about the login.
pub const RESCUE_NO_SERVER: &str =
    "No server of the fleet answers, but a rescue code for this host works.";

/// The same where this host would refuse one of its own accounts.
pub const RESCUE_NO_FACTOR: &str = "No other second factor of this account can be used now, but a rescue code for this host works.";

/// Why it is asked for once more.
pub const RESCUE_WRONG: &str =
    "This is not a rescue code for this host, or it has already been used.";

/// Asks for an invitation once more.
pub fn invitation_again(why: RefusalReason) -> String {
    format!("{}\nInvitation: ", invitation_refused(why))
}

/// Why a code is no invitation that counts.
pub const fn invitation_refused(why: RefusalReason) -> &'static str {
    match why {
        RefusalReason::UsedInvitation => {
            "This invitation has been used. Ask an administrator for another."
        }
        RefusalReason::ExpiredInvitation => {
            "This invitation has expired. Ask an administrator for another."
        }
        _ => "That is not your invitation.",
    }
}

/// Shown before the question for a code of a method that is to be replaced.
pub fn prove_first(application: &str) -> String {
    format!(
        "{application} no longer allows the second factor you have set up. Use it one last time, then set up another.\n"
    )
}

/// Shown before the enrolment of a method that replaces another.
pub const NOW_REPLACE: &str = "Now set up one that is allowed.";

/// Shown before the enrolment that follows a code to an address on file.
pub const NOW_SET_UP: &str = "Now set up a second factor.";

/// Shown before a code that permits a change.
pub const PROVE_TO_CHANGE: &str = "To change this, first prove it is you.\n";

/// Shown before a code to the address on file that permits a change.
pub const PROVE_BY_ADDRESS: &str =
    "To change this, first prove it is you, with a code to the address on file.";

/// Shown before the key of a further app.
pub fn new_app(user: &str, label: &str) -> String {
    format!("A new authenticator app for {user}, called '{label}'.\n")
}

/// What a code is for that permits a change.
pub const CHANGE_PURPOSE: &str = "change how you log in";

/// What a code is for that a change on the host `host` of the fleet takes.
pub fn change_purpose_on(host: &str) -> String {
    format!("{CHANGE_PURPOSE}, asked for on {host}")
}

/// What a code is for that confirms an address.
pub const CONFIRM_PURPOSE: &str = "confirm that this address is yours";

/// What a code is for that is sent at a login on the host `host` of the fleet.
pub fn login_purpose_on(service: Option<&str>, host: &str) -> String {
    format!("{} on {host}", login_purpose(service))
}

/// What a code is for that is sent at a login.
pub fn login_purpose(service: Option<&str>) -> String {
    service.map_or_else(
        || "log in".to_owned(),
        |service| format!("log in with {service}"),
    )
}
