//! twofa-policy(5): what can be set, from [`twofa_core::policy::KEYS`].

use clap_mangen::roff::{Roff, bold, italic, roman};
use twofa_core::lockout::MAX_FAILURES;
use twofa_core::policy::{KEYS, PolicyKey, ValueForm};

use super::{paragraphs, render, sentence};

/// A policy as a document, which a test reads.
pub const DOCUMENT: &str = "\
mode = \"optional\"
methods = [\"app\", \"backup\"]
lockout.after = 5
trust.remote = \"12h\"

[[class]]
name = \"admins\"
group = \"sudo\"
mode = \"mandatory\"
trust.remote = \"0\"
";

/// What the table of keys has no room for: the key, and sentences about it.
const REMARKS: [(&str, &str); 9] = [
    (
        "mode",
        "'twofa user require' makes a second factor mandatory for one user or group while the mode is optional.",
    ),
    (
        "services",
        "ssh: sshd. console: login and display managers. elevation: su, sudo, sudo-i, doas, polkit-1, run0 and their like. \
         unlock: screen lockers. other: every other service. Jobs of cron and at and the user manager of systemd are \
         never asked. GNOME unlocks its screen through gdm-password, which is a console.",
    ),
    (
        "methods",
        "Backup codes and security keys cannot be the only ones. Users who have only enrolled a method that was removed \
         from the list are asked for it one last time and then enrol another.",
    ),
    (
        "trust.remote",
        "TRUSTED DEVICES in pam_twofa(8) says what a device is.",
    ),
    (
        "session.lifetime",
        "LOGIN SESSIONS in twofad(8) says which sessions end, and how.",
    ),
    (
        "send.user-hourly",
        "A code counts towards the send.* limits as soon as it is sent, whether or not it arrives.",
    ),
    (
        "phone.country",
        "While phone.countries is empty, users may enrol numbers of this country, and none if both are empty.",
    ),
    ("notices", "Notices do not count towards the send.* limits."),
    (
        "log.keep",
        "If one user has very many events, the oldest are summed up sooner: see THE SYSTEM LOG in twofad(8).",
    ),
];

/// The page, dated `date` (`YYYY-MM-DD`), of the version `source`.
pub fn page(date: &str, source: &str) -> String {
    let mut roff = Roff::new();
    roff.control("TH", ["TWOFA-POLICY", "5", date, source, "File Formats"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("twofa-policy - settings of the policy of twofa")]);
    description(&mut roff);
    values(&mut roff);
    roff.control("SH", ["SETTINGS"]);
    for key in &KEYS {
        setting(&mut roff, key);
    }
    classes(&mut roff);
    document(&mut roff);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([
        bold("twofa"),
        roman("(1), "),
        bold("twofa-admin"),
        roman("(7), "),
        bold("pam_twofa"),
        roman("(8), "),
        bold("twofad"),
        roman("(8)"),
    ]);
    render(&roff)
}

fn description(roff: &mut Roff) {
    roff.control("SH", ["DESCRIPTION"]);
    paragraphs(
        roff,
        &[
            "The policy decides who is asked for a second factor, where, how, and how often. It is in the store \
             of twofa, not in a file to be edited: 'twofa policy set' changes it, 'twofa policy show' shows it. \
             A change takes all of its settings or none, applies at once, and is logged.",
            "A key that is not known, or a value that is not valid, is refused when it is set. If the stored \
             policy cannot be read, every login that needs it is refused.",
        ],
    );
}

fn values(roff: &mut Roff) {
    roff.control("SH", ["VALUES"]);
    for (form, meaning) in [
        (
            "text",
            "A word, or a duration: a whole number and one of s (seconds), m (minutes), h (hours) or d (days of \
             24 hours), such as 90m. 0 needs no unit.",
        ),
        ("number", "A whole number, without a unit."),
        ("switch", "on or off."),
        ("list", "Words with commas between them, such as app,sms."),
    ] {
        roff.control("TP", []);
        roff.text([italic(form)]);
        roff.text([roman(meaning)]);
    }
}

fn setting(roff: &mut Roff, key: &PolicyKey) {
    roff.control("TP", []);
    roff.text([
        bold(key.name),
        roman(" ("),
        italic(form(key.form)),
        roman(")"),
    ]);
    roff.text([roman(sentence(key.help))]);
    for (_, remark) in REMARKS.iter().filter(|(name, _)| *name == key.name) {
        roff.text([roman(*remark)]);
    }
    if key.name == "lockout.after" {
        let most =
            format!("After {MAX_FAILURES} wrong codes in a row an account stays locked until ");
        roff.text([roman(most), bold("twofa user unlock"), roman(".")]);
    }
    let default = key.default();
    let default = if default.is_empty() {
        "empty"
    } else {
        &default
    };
    for (what, text) in [
        ("Values", key.values().as_str()),
        ("Default", default),
        ("Stricter", key.stricter),
        ("Per class", if key.per_class { "yes" } else { "no" }),
        ("On a host of a fleet", on_host(key)),
    ] {
        if !text.is_empty() {
            roff.control("br", []);
            roff.text([roman(format!("{what}: {text}."))]);
        }
    }
}

const fn on_host(key: &PolicyKey) -> &'static str {
    if key.may_differ_on_host() {
        "the fleet's value or a stricter one"
    } else {
        "the fleet's value"
    }
}

fn form(form: ValueForm) -> &'static str {
    match form {
        ValueForm::Text => "text",
        ValueForm::Number => "number",
        ValueForm::Switch => "switch",
        ValueForm::List => "list",
    }
}

fn classes(roff: &mut Roff) {
    roff.control("SH", ["CLASSES"]);
    paragraphs(
        roff,
        &[
            "A class has settings of its own for the members of a Unix group ('twofa class set'). The first class whose \
             group a user belongs to applies; for settings that it does not have, and for users in no class, the policy of \
             the machine does.",
            "If the name service cannot say whether a user belongs to a group, the strictest of the policies that could \
             apply does. Policies that are equally strict apply together: a code is asked for at every service where one \
             of them asks, and only the methods that all of them allow are accepted if that leaves one; trust and \
             sessions last for the shortest of their times. GROUPS AND DIRECTORIES in twofad(8) says when that is so.",
            "'twofa class test' shows which policy applies to a user, and why.",
        ],
    );
}

fn document(roff: &mut Roff) {
    roff.control("SH", ["AS A DOCUMENT"]);
    paragraphs(
        roff,
        &[
            "'twofa policy export' prints policy and classes as TOML, to be kept under version control or carried to \
             another machine, and 'twofa policy apply' replaces both by those of a document. Settings that a document \
             leaves out have their defaults, except mode, without which it is refused. Exemptions, users and providers \
             are not part of it.",
        ],
    );
    roff.control("PP", []);
    roff.control("EX", []);
    for line in DOCUMENT.lines() {
        roff.text([roman(format!("    {line}").trim_end())]);
    }
    roff.control("EE", []);
}
