//! How the module stands in the PAM stacks: who gets in without a code, who is kept out, and who could ask for a code
//! without knowing the password.

use twofa_stacks::{
    Answers, File, Host, OwnLine, Phase, Rule, Service, Step, Unusable, Way, is_locker,
};

use super::Finding;
use crate::commands::doctor::complaints::{Complaints, enumerate};
use crate::commands::doctor::services::{
    ROOT_BY, has_one_field, is_service, is_shared, is_unattended,
};
use crate::commands::doctor::sshd::Sshd;

/// The line that asks wherever `auth` cannot.
const CHALLENGE: &str = "'account required pam_twofa.so challenge'";

/// What was found, and what other checks want to know of it.
pub(super) struct Stacks {
    pub(super) findings: Vec<Finding>,
    /// Services that call the module with the rights of the user.
    pub(super) lockers: Vec<String>,
    /// Whether any service calls the module at all.
    pub(super) used: bool,
}

/// A service that calls the module.
struct Judged<'a> {
    host: &'a dyn Host,
    service: Service,
    answers: Answers,
    own: Vec<OwnLine>,
}

/// Looks at every service of the machine.
pub(super) fn look(
    names: impl IntoIterator<Item = String>,
    host: &dyn Host,
    sshd: Option<&Sshd>,
    root_has_a_password: bool,
) -> Stacks {
    let mut complaints = Complaints::default();
    let (mut judged, mut others) = (Vec::new(), Vec::new());
    for name in names.into_iter().filter(|name| is_service(name)) {
        match Service::read(&name, host) {
            Ok(service) => match judge(service, host, &mut complaints) {
                Some(service) => judged.push(service),
                None => others.push(name),
            },
            Err(Unusable::NoFile) => {}
            Err(error) => complaints.about(&name, format!("nobody gets in: {error}")),
        }
    }
    for service in &judged {
        service.complain(sshd, &mut complaints);
    }
    let asking: Vec<_> = judged
        .iter()
        .filter(|service| service.asks())
        .map(Judged::name)
        .collect();
    ways_to_root(&asking, &others, root_has_a_password, &mut complaints);
    if asking.is_empty() {
        complaints.problem(
            "no PAM service has pam_twofa.so in its auth stack, or with 'challenge' in account: nobody is asked for \
             anything",
        );
    }
    let lockers = judged
        .iter()
        .map(Judged::name)
        .filter(|name| is_locker(name))
        .map(str::to_owned)
        .collect();
    Stacks {
        findings: complaints.findings().collect(),
        lockers,
        used: !judged.is_empty(),
    }
}

/// What there is to say of a service, if it calls the module and the model is sure of it.
fn judge<'a>(
    service: Service,
    host: &'a dyn Host,
    complaints: &mut Complaints,
) -> Option<Judged<'a>> {
    let own = service.own_lines();
    if own.is_empty() {
        return None;
    }
    let Some(answers) = service.answers() else {
        let why: Vec<_> = service.doubts.iter().map(ToString::to_string).collect();
        complaints.about(
            &service.name,
            format!("who gets in cannot be told: {}", why.join("; ")),
        );
        return None;
    };
    Some(Judged {
        host,
        service,
        answers,
        own,
    })
}

/// What becomes root must ask everywhere or nowhere.
fn ways_to_root(
    asking: &[&str],
    others: &[String],
    root_has_a_password: bool,
    complaints: &mut Complaints,
) {
    let leads_to_root =
        |name: &str| root_has_a_password || !name.starts_with("su") || name.starts_with("sudo");
    let asked: Vec<_> = ROOT_BY
        .iter()
        .filter(|(name, _)| asking.contains(name))
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let open: Vec<_> = ROOT_BY
        .iter()
        .filter(|(name, _)| others.iter().any(|other| other == name) && leads_to_root(name))
        .map(|(name, typed)| {
            if name == typed {
                (*name).to_owned()
            } else {
                format!("{name} ({typed})")
            }
        })
        .collect();
    if asked.is_empty() || open.is_empty() {
        return;
    }
    let asks = if asked.len() == 1 { "asks" } else { "ask" };
    let not = if open.len() == 1 { "does" } else { "do" };
    complaints.problem(format!(
        "{} {asks} for a code, {} {not} not: root is to be had there without a code; copy what is in /usr/lib/pam.d to \
         /etc/pam.d before you change it",
        enumerate(&asked),
        enumerate(&open)
    ));
}

impl Judged<'_> {
    fn name(&self) -> &str {
        &self.service.name
    }

    /// Its rules that call the module.
    fn rules(&self) -> impl Iterator<Item = (Phase, &Rule)> {
        let auth = self.service.auth.iter().map(|rule| (Phase::Auth, rule));
        auth.chain(
            self.service
                .account
                .iter()
                .map(|rule| (Phase::Account, rule)),
        )
        .filter(|(_, rule)| rule.is_own())
    }

    /// A line as it stands in its file, for people.
    fn words(&self, rule: &Rule) -> String {
        let File::Text(text) = self.host.read(&rule.file) else {
            return String::new();
        };
        let line = text.lines().nth(rule.line - 1).unwrap_or_default();
        line.split('#').next().unwrap_or_default().trim().to_owned()
    }

    /// A locker whose program asks no more than `auth`, so that it has no lines of `account`.
    fn is_auth_alone(&self) -> bool {
        is_locker(self.name()) && !self.answers.account_succeeds
    }

    /// Whether anybody is asked there for a code.
    fn asks(&self) -> bool {
        self.own
            .iter()
            .any(|line| line.reached && (line.phase == Phase::Auth || has(line, "challenge")))
    }

    fn complain(&self, sshd: Option<&Sshd>, complaints: &mut Complaints) {
        let sshd = sshd.filter(|sshd| sshd.service() == self.name());
        self.options(complaints);
        let forgiven = self.controls(complaints);
        self.impossible(forgiven, complaints);
        self.around(forgiven, sshd, complaints);
        self.unproved(sshd, complaints);
        self.account(complaints);
        self.one_field(complaints);
        if self.answers.asks_twice {
            complaints.note(
                self.name(),
                "pam_twofa stands twice in the auth stack: once is enough",
            );
        }
        if let Some(sshd) = sshd.filter(|sshd| sshd.is_in_use) {
            self.sshd(sshd, complaints);
        }
    }

    /// Arguments that the module cannot obey: it refuses everybody.
    fn options(&self, complaints: &mut Complaints) {
        for line in &self.own {
            let known = |argument: &&String| match argument.as_str() {
                "debug" | "forward_pass" | "use_first_pass" | "try_first_pass" => true,
                "challenge" => line.phase == Phase::Account,
                other => other.starts_with("socket=/"),
            };
            if let Some(bad) = line.arguments.iter().find(|argument| !known(argument)) {
                complaints.problem(format!(
                    "{}:{} refuses everybody: pam_twofa has no option '{bad}' there",
                    line.file, line.line
                ));
            }
        }
    }

    /// Lines whose control makes little of a refusal. Whether there were any.
    fn controls(&self, complaints: &mut Complaints) -> bool {
        let sound = self.answers.despite_refusal.is_none()
            && self.answers.auth_succeeds
            && (self.answers.account_succeeds || self.is_auth_alone());
        let mut found = false;
        for (_, rule) in self.rules() {
            let never_right = rule.control.is("sufficient") || rule.control.is("optional");
            if never_right || (rule.forgives() && !sound) {
                found = true;
                complaints.problem(format!(
                    "{}: '{}' lets people in whom pam_twofa refuses; make it 'required'",
                    rule.file,
                    self.words(rule)
                ));
            }
        }
        found
    }

    /// Stacks that let nobody in.
    fn impossible(&self, forgiven: bool, complaints: &mut Complaints) {
        let phase = if self.answers.auth_succeeds {
            "account"
        } else {
            "auth"
        };
        let possible = self.answers.account_succeeds || self.is_auth_alone();
        let somebody = self.answers.auth_succeeds && possible;
        if !somebody && !forgiven {
            complaints.about(
                self.name(),
                format!("nobody gets in: whatever happens, the {phase} stack fails"),
            );
        }
    }

    /// Ways in that lead past the module, or past the password.
    fn around(&self, forgiven: bool, sshd: Option<&Sshd>, complaints: &mut Complaints) {
        if forgiven {
            return;
        }
        let Answers {
            without_code,
            auth_without_code,
            despite_refusal,
            without_first_factor,
            ..
        } = &self.answers;
        let without_code = if self.is_auth_alone() {
            auth_without_code
        } else {
            without_code
        };
        let proved_elsewhere = sshd.is_some_and(Sshd::key_comes_first)
            || self
                .own
                .iter()
                .any(|line| line.phase == Phase::Auth && line.reached && line.unproved);
        let words = if let Some(way) = without_code.as_ref().filter(|way| way.around().is_some()) {
            let advice = match way.around() {
                Some(Step {
                    phase: Phase::Account,
                    ..
                }) => "put the line of pam_twofa before it".to_owned(),
                _ => format!("ask behind it with {CHALLENGE} before the other account lines"),
            };
            format!("people get in without a code: {}; {advice}", told(way))
        } else if let Some(way) = despite_refusal {
            format!("people get in whom pam_twofa refuses: {}", told(way))
        } else if let Some(way) = without_code {
            format!("people get in without a code: {}", told(way))
        } else if let Some(way) = without_first_factor.as_ref().filter(|_| !proved_elsewhere) {
            format!("people get in without a password: {}", told(way))
        } else if is_locker(self.name()) && auth_without_code.is_some() {
            let words =
                "the auth stack alone lets people in, and not every screen locker comes to account";
            complaints.note(self.name(), words);
            return;
        } else {
            return;
        };
        complaints.about(self.name(), words);
    }

    /// Lines in `auth` that are reached with a wrong password too.
    fn unproved(&self, sshd: Option<&Sshd>, complaints: &mut Complaints) {
        if sshd.is_some_and(Sshd::key_comes_first) {
            return;
        }
        let is_followed = if is_locker(self.name()) {
            self.answers.early_line_is_followed_in_auth
        } else {
            self.answers.early_line_is_followed
        };
        for line in self
            .own
            .iter()
            .filter(|line| line.phase == Phase::Auth && line.reached && line.unproved)
        {
            let place = format!("{}:{}", line.file, line.line);
            let words = if has(line, "forward_pass") {
                if is_followed {
                    continue;
                }
                format!(
                    "{place} asks before the password is checked, and no line of pam_twofa stands behind: add 'auth \
                     required pam_twofa.so' behind the one that checks it"
                )
            } else if self.answers.account_challenges && !is_locker(self.name()) {
                let words =
                    format!("{place} asks nothing: the line with 'challenge' in account does");
                complaints.note(self.name(), words);
                continue;
            } else {
                format!(
                    "{place} is reached without a right password (or key), so nothing is sent from there and nobody can \
                     enrol; ask with {CHALLENGE} before the other account lines instead"
                )
            };
            complaints.about(self.name(), words);
        }
    }

    /// Lines in `account` that keep people out.
    fn account(&self, complaints: &mut Complaints) {
        let mut lines = self
            .own
            .iter()
            .filter(|line| line.phase == Phase::Account && line.reached)
            .peekable();
        if lines.peek().is_none() {
            return;
        }
        let plain = self.answers.account_calls_own && !self.answers.account_challenges;
        if let Some(line) = lines.find(|line| is_shared(&line.file)) {
            complaints.problem(format!(
                "{}: pam_twofa in a shared account stack refuses cron jobs and root's su; put the line into the files of \
                 single services",
                line.file
            ));
            return;
        }
        let name = self.name();
        if is_unattended(name) {
            complaints.about(
                name,
                "there is nobody to ask, so people who need a code are refused; take pam_twofa out",
            );
        } else if plain && !self.asks() {
            complaints.about(
                name,
                "the account line asks for nothing, so people who need a code are refused; add 'challenge'",
            );
        } else if plain && matches!(name, "sudo" | "sudo-i") {
            complaints.about(
                name,
                "the account line refuses sudo within its timestamp and by NOPASSWD, for which nobody is asked; take it \
                 out, or add 'challenge'",
            );
        }
        if self.answers.account_calls_own_for_root && matches!(name, "su" | "su-l") {
            complaints.about(
                name,
                "the account line also stops root's own su; put it behind 'account sufficient pam_succeed_if.so uid = 0 \
                 use_uid quiet'",
            );
        }
    }

    /// Programs that answer every question with the password.
    fn one_field(&self, complaints: &mut Complaints) {
        if !has_one_field(self.name()) {
            return;
        }
        let reached = || self.own.iter().filter(|line| line.reached);
        let behind_password =
            |line: &OwnLine| has(line, "forward_pass") || has(line, "use_first_pass");
        if reached()
            .next()
            .is_some_and(|first| !behind_password(first))
        {
            complaints.about(
                self.name(),
                "it has one field and answers every question with the password, so people who need a code are locked out; give it \
                 a stack without pam_twofa, or the one of pam_twofa(8) for one prompt",
            );
        }
    }

    /// What sshd's own settings make of the stack.
    fn sshd(&self, sshd: &Sshd, complaints: &mut Complaints) {
        let name = self.name();
        if !sshd.is_on("usepam") {
            complaints.about(
                name,
                "sshd_config has 'UsePAM no': nobody is asked for a code",
            );
            return;
        }
        let needs_question = self.own.iter().any(|line| {
            has(line, "challenge")
                || (line.phase == Phase::Auth
                    && !has(line, "forward_pass")
                    && !has(line, "use_first_pass"))
        });
        if self.asks() && needs_question && !sshd.can_ask() {
            complaints.about(
                name,
                "sshd cannot ask for a code, so people who need one are refused: set 'KbdInteractiveAuthentication yes', and \
                 name keyboard-interactive where there are AuthenticationMethods",
            );
        } else if needs_question && sshd.takes_passwords() {
            complaints.note(
                name,
                "sshd's method 'password' can show no question and refuses people who need a code: set \
                 'PasswordAuthentication no'",
            );
        }
        if !sshd.key_alone_lets_in() {
            return;
        }
        if self.answers.account_without_code.is_some() {
            complaints.about(
                name,
                "a key alone lets in without a code: set 'AuthenticationMethods keyboard-interactive' for password and code, \
                 or 'publickey,keyboard-interactive' for key and code",
            );
        } else if self.answers.account_calls_own {
            complaints.about(
                name,
                "people who need a code and offer a key are cut off before the password is asked for: set \
                 'AuthenticationMethods keyboard-interactive' for password and code, or \
                 'publickey,keyboard-interactive' for key and code; until then 'ssh -o PubkeyAuthentication=no' gets in",
            );
        }
    }
}

fn has(line: &OwnLine, option: &str) -> bool {
    line.arguments.iter().any(|argument| argument == option)
}

/// What happens on a way, in a few words: the line that decides.
fn told(way: &Way) -> String {
    let own = way.0.iter().rev().find(|step| step.is_own());
    match way.around().or(own).or(way.0.last()) {
        Some(step) => {
            let module = if step.module.is_empty() {
                "a broken line"
            } else {
                &step.module
            };
            let past = if step.skips_own {
                ", and what follows is left out"
            } else {
                ""
            };
            format!(
                "{}:{} {module} returns {}{past}",
                step.file, step.line, step.code
            )
        }
        None => "no line is called".to_owned(),
    }
}

#[cfg(test)]
mod tests;
