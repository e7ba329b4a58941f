//! What the prover says of PAM services.

use twofa_broker::admin::doctor::Severity;
use twofa_broker::admin::pam::{CheckResult, Checked, Gives};
use twofa_stacks::{
    Case, Entry, Factor, MissingModule, Proof, Route, Step, Strangers, Verdict, Ways,
};

use super::enumerate;
use crate::output::Value;

/// That the services ask, or do not ask, already.
pub(crate) const NOTHING_TO_CHANGE: &str = "Nothing to change.";

/// Of a service whose program asks libpam for no login.
pub(crate) const NO_LOGIN: &str = "no logins here";

pub(crate) const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Problem => "problem",
        Severity::Notice => "notice",
    }
}

pub(crate) const fn gives(gives: Gives) -> &'static str {
    match gives {
        Gives::Login => "a login",
        Gives::Root => "root",
        Gives::Screen => "the screen back",
        Gives::Change => "a change",
        Gives::Jobs => "jobs",
    }
}

pub(crate) const fn route(route: Route) -> &'static str {
    match route {
        Route::Login => "login",
        Route::Unlock => "unlock",
        Route::Key => "ssh key",
        Route::Remembered => "no password",
        Route::Job => "job",
        Route::Root => "as root",
    }
}

pub(crate) const fn factor(factor: Factor) -> &'static str {
    match factor {
        Factor::Password => "password",
        Factor::Token => "token",
        Factor::Fingerprint => "fingerprint",
        Factor::Key => "key",
        Factor::Ticket => "ticket",
        Factor::Host => "trusted host",
        Factor::EarlierLogin => "earlier login",
        Factor::Root => "root",
        Factor::Code => "code",
    }
}

/// What each of the ways in needs: `password + code or fingerprint + code`.
pub(crate) fn needs(ways: &Ways) -> String {
    if ways.entries.is_empty() {
        return "nobody gets in".to_owned();
    }
    let mut all: Vec<String> = ways
        .entries
        .iter()
        .map(|entry| entry_needs(ways.route, entry))
        .collect();
    // Root who calls has shown that already.
    if ways.route == Route::Root && all.iter().any(|needs| needs == NOTHING) {
        all = vec![NOTHING.to_owned()];
    }
    all.join(" or ")
}

const NOTHING: &str = "nothing";

fn entry_needs(route: Route, entry: &Entry) -> String {
    let factors = entry.shown.factors();
    let factors = factors.filter(|shown| route != Route::Root || *shown != Factor::Root);
    // sshd has proved it.
    let before = (route == Route::Key).then_some("key".to_owned());
    let factors = factors.map(|shown| factor(shown).to_owned());
    let modules = entry
        .modules
        .iter()
        .map(|module| format!("{module}'s consent"));
    let all: Vec<_> = before.into_iter().chain(factors).chain(modules).collect();
    match (all.is_empty(), entry.way.opening_step()) {
        (false, _) => all.join(" + "),
        (true, Some(step)) if route.has_authentication() && name(step) != "pam_permit" => {
            format!("{NOTHING} ({})", name(step))
        }
        (true, _) => NOTHING.to_owned(),
    }
}

fn name(step: &Step) -> &str {
    let base = step.module.rsplit('/').next().unwrap_or_default();
    base.strip_suffix(".so").unwrap_or(base)
}

/// What somebody without the password meets, where logins ask for a code or not.
pub(crate) fn strangers(proof: &Proof, asks: bool) -> Value {
    let words = stranger_words(proof.strangers).to_owned();
    match proof.strangers {
        Strangers::AskedNothing | Strangers::AskedInVain => Value::Text(words),
        Strangers::GetIn if asks => Value::Bad(words),
        Strangers::UpToModule | Strangers::GetIn => Value::Warning(words),
    }
}

pub(crate) const fn stranger_words(strangers: Strangers) -> &'static str {
    match strangers {
        Strangers::AskedNothing => "kept out",
        Strangers::AskedInVain => "kept out after a code prompt",
        Strangers::UpToModule => "a module decides",
        Strangers::GetIn => "get in",
    }
}

pub(crate) const fn first_factor(case: Case) -> &'static str {
    if case.is_proved { "right" } else { "wrong" }
}

pub(crate) const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Right => "right",
        Verdict::NotAsked => "not required",
        Verdict::Wrong => "wrong, or account locked",
        Verdict::Unable => "cannot be asked or verified",
        Verdict::Missing => "pam_twofa.so is missing",
    }
}

/// Whether a login should succeed.
pub(crate) const fn should_get_in(case: Case) -> bool {
    case.is_proved && matches!(case.verdict, Verdict::Right | Verdict::NotAsked)
}

/// Why it is not known who gets in.
pub(crate) fn error(result: &CheckResult) -> Option<String> {
    match result {
        CheckResult::Proved(_) => None,
        CheckResult::Unsure(doubts) => {
            let doubts: Vec<_> = doubts.iter().map(ToString::to_string).collect();
            Some(format!("cannot tell who gets in: {}", doubts.join("; ")))
        }
        CheckResult::Unusable(error) => Some(format!("nobody gets in: {error}")),
    }
}

/// Something that only the prover says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    /// The stable name of its kind, as those of the doctor's findings.
    pub(crate) name: &'static str,
    pub(crate) severity: Severity,
    pub(crate) message: String,
}

/// What only the prover says of a service. `is_known`: the doctor has found something about it.
pub(crate) fn notes(checked: &Checked, is_known: bool) -> Vec<Note> {
    let service = &checked.service;
    let proof = match &checked.result {
        CheckResult::Proved(proof) => proof,
        _ if is_known => return Vec::new(),
        CheckResult::Unsure(_) | CheckResult::Unusable(_) => {
            let error = error(&checked.result).unwrap_or_default();
            return vec![Note {
                name: "pam-unsure",
                severity: Severity::Problem,
                message: format!("{service}: {error}"),
            }];
        }
    };
    let is_cut_off = proof.ways.iter().any(|ways| ways.entries.is_empty());
    let severity = |is_own| {
        if is_own || is_cut_off {
            Severity::Problem
        } else {
            // Others may not come by the line.
            Severity::Notice
        }
    };
    let missing = |missing: &MissingModule| {
        let MissingModule {
            file,
            line,
            module,
            is_own,
        } = missing;
        Note {
            name: "pam-module-not-installed",
            severity: severity(*is_own),
            message: format!("{file}:{line}: {module} is not installed, so the line fails"),
        }
    };
    let mut notes: Vec<_> = proof.missing.iter().map(missing).collect();
    notes.extend(ways_around(checked, proof));
    notes.extend(credentials(service, proof));
    notes
}

/// Ways in that rest on a module alone.
fn ways_around(checked: &Checked, proof: &Proof) -> Option<Note> {
    let service = &checked.service;
    let logins = proof
        .ways
        .iter()
        .filter(|ways| ways.route.has_authentication());
    let entries: Vec<&Entry> = logins.flat_map(|ways| &ways.entries).collect();
    let lacks_code = |entry: &&&Entry| !checked.asks.is_empty() && !entry.has_code();
    let unknown = entries
        .iter()
        .filter(|entry| !entry.modules.is_empty())
        .find(|entry| !entry.shown.has_first_factor() || lacks_code(entry));
    if let Some(entry) = unknown {
        let lacks = match (entry.shown.has_first_factor(), lacks_code(&entry)) {
            (false, true) => "a password or a code that twofa knows of",
            (false, false) => "a password that twofa knows of",
            (true, _) => "a code",
        };
        let modules = enumerate(&entry.modules);
        let message = format!(
            "{service}: anyone {modules} lets in gets in without {lacks}{}",
            place(entry)
        );
        return Some(Note {
            name: "pam-module-decides",
            severity: Severity::Notice,
            message,
        });
    }
    // Where people are asked for a code, the doctor says so.
    let open = entries
        .iter()
        .find(|entry| checked.asks.is_empty() && !entry.shown.has_first_factor())?;
    let message = format!("{service}: people get in without a password{}", place(open));
    Some(Note {
        name: "pam-without-password",
        severity: Severity::Notice,
        message,
    })
}

/// Where a service has a line that asks, and people log in without a code or it is unknown whether they do.
pub(crate) fn without_code(checked: &Checked) -> Option<String> {
    let service = &checked.service;
    let proof = match &checked.result {
        CheckResult::Proved(proof) => proof,
        CheckResult::Unsure(_) => {
            let error = error(&checked.result).unwrap_or_default();
            return Some(format!("{service}: {error}"));
        }
        CheckResult::Unusable(_) => return None,
    };
    if checked.asks.is_empty() {
        return None;
    }
    let ways = proof.ways.iter();
    let logins = ways.filter(|ways| ways.route.has_authentication());
    let mut entries = logins.flat_map(|ways| &ways.entries);
    let open = entries.find(|entry| !entry.has_code())?;
    Some(format!(
        "{service}: people get in without a code{}",
        place(open)
    ))
}

fn place(entry: &Entry) -> String {
    entry.way.opening_step().map_or_else(String::new, |step| {
        format!(
            ": {}:{} {} returns {}",
            step.file, step.line, step.module, step.code
        )
    })
}

/// What becomes of `pam_setcred`.
fn credentials(service: &str, proof: &Proof) -> Option<Note> {
    let logins = proof.ways.iter().find(|ways| ways.route == Route::Login)?;
    // Otherwise nobody comes to it.
    if logins.entries.is_empty() {
        return None;
    }
    let message = if !proof.credentials.after_login {
        format!(
            "{service}: pam_setcred fails after every login, with which su, login and others refuse"
        )
    } else if service == "sshd" && !proof.credentials.without_login {
        format!(
            "{service}: pam_setcred fails without a login before it, with which sshd refuses logins by \
             keyboard-interactive: a line that succeeds, such as 'auth optional pam_permit.so', must end the auth stack"
        )
    } else {
        return None;
    };
    Some(Note {
        name: "pam-setcred-fails",
        severity: Severity::Problem,
        message,
    })
}
