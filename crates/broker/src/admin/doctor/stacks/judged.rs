//! A service that calls the module, and what is wrong with it.

use twofa_core::service;
use twofa_stacks::{Answers, File, Host, OwnLine, Phase, Rule, Service, Step, Way};

use super::blocks::{StackNeeds, check_blocks};
use crate::admin::doctor::complaints::Complaints;
use crate::admin::doctor::finding::{
    AccountComplaint, Complaint, DecidingLine, HostFinding, KeyComplaint, Line, Remedy,
    SshdComplaint,
};
use crate::admin::doctor::services::{has_one_field, is_shared};
use crate::admin::doctor::sshd::Sshd;

pub(super) struct Judged<'a> {
    host: &'a dyn Host,
    service: Service,
    answers: Answers,
    own: Vec<OwnLine>,
}

impl<'a> Judged<'a> {
    /// What there is to say of a service, if it calls the module and the model is sure of it.
    pub(super) fn new(
        service: Service,
        host: &'a dyn Host,
        complaints: &mut Complaints,
    ) -> Option<Self> {
        let own = service.own_lines();
        if own.is_empty() {
            return None;
        }
        let Some(answers) = service.answers() else {
            let doubts = service.doubts.clone();
            complaints.add(&service.name, Complaint::Unsure(doubts));
            return None;
        };
        Some(Self {
            host,
            service,
            answers,
            own,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.service.name
    }

    /// Whether anybody is asked there for a code.
    pub(super) fn asks(&self) -> bool {
        self.own.iter().any(|line| {
            line.reached && (line.phase == Phase::Auth || has_option(line, "challenge"))
        })
    }

    /// Whether a line in `account` confirms every login, without which no device is trusted, or whether nobody is asked.
    pub(super) fn confirms_logins(&self) -> bool {
        !self.asks() || service::is_locker(self.name()) || self.answers.account_confirms
    }

    /// All that is wrong with the service, where `sshd` is the one of the machine.
    pub(super) fn complain(&self, sshd: Option<&Sshd>, complaints: &mut Complaints) {
        let sshd = sshd.filter(|sshd| sshd.service() == self.name());
        self.check_options(complaints);
        self.check_key_lines(complaints);
        let forgiven = self.check_controls(complaints);
        self.check_success(forgiven, complaints);
        self.check_ways_around(forgiven, sshd, complaints);
        self.check_unproved_lines(sshd, complaints);
        self.check_account(complaints);
        self.check_one_field(complaints);
        if self.answers.asks_twice {
            complaints.add(self.name(), Complaint::AsksTwice);
        }
        if let Some(sshd) = sshd.filter(|sshd| sshd.is_in_use) {
            self.check_sshd(sshd, complaints);
        }
    }

    /// Its rules that call the module.
    fn rules(&self) -> impl Iterator<Item = &Rule> {
        let rules = self.service.auth.iter().chain(&self.service.account);
        rules.filter(|rule| rule.is_own())
    }

    /// A line as it is written in its file.
    fn text(&self, rule: &Rule) -> String {
        let File::Text(text) = self.host.read(&rule.file) else {
            return String::new();
        };
        let line = text.lines().nth(rule.line - 1).unwrap_or_default();
        line.split('#').next().unwrap_or_default().trim().to_owned()
    }

    /// A locker whose program asks no more than `auth`, so that it has no lines of `account`.
    fn is_auth_alone(&self) -> bool {
        service::is_locker(self.name()) && !self.answers.account_succeeds
    }

    /// Arguments that the module cannot obey: it refuses everybody.
    fn check_options(&self, complaints: &mut Complaints) {
        for own in &self.own {
            let known = |argument: &&String| match argument.as_str() {
                "debug" | "forward_pass" | "use_first_pass" | "try_first_pass" => true,
                "challenge" | "confirm" => own.phase == Phase::Account,
                other => other.starts_with("socket=/"),
            };
            if let Some(bad) = own.arguments.iter().find(|argument| !known(argument)) {
                complaints.host(HostFinding::UnknownOption {
                    line: line(own),
                    option: bad.clone(),
                });
            }
        }
    }

    /// Checks lines with `proved`: their options, and where they lead a login with a key.
    fn check_key_lines(&self, complaints: &mut Complaints) {
        let rules = self.service.auth.iter().map(|rule| (rule, true));
        let rules = rules.chain(self.service.account.iter().map(|rule| (rule, false)));
        for (rule, is_auth) in rules.filter(|(rule, _)| rule.finds_key()) {
            let known = |argument: &str| match argument {
                "debug" => true,
                "proved" => is_auth,
                other => other.starts_with("socket=/"),
            };
            if let Some(bad) = rule.arguments().iter().find(|argument| !known(argument)) {
                let line = Line {
                    file: rule.file.to_string(),
                    number: rule.line,
                };
                let option = bad.clone();
                complaints.host(HostFinding::UnknownOption { line, option });
                return;
            }
        }
        for key in self.service.key_lines() {
            let complaint = if !self.answers.key_succeeds {
                KeyComplaint::Refused
            } else if !self.answers.key_succeeds_unasked {
                KeyComplaint::RefusedUnasked
            } else if key.lands_elsewhere {
                KeyComplaint::LandsElsewhere
            } else {
                continue;
            };
            let line = Line {
                file: key.file,
                number: key.line,
            };
            complaints.add(self.name(), Complaint::Key(line, complaint));
        }
    }

    /// Lines whose control makes little of a refusal. Whether there were any.
    fn check_controls(&self, complaints: &mut Complaints) -> bool {
        let sound = self.answers.despite_refusal.is_none()
            && self.answers.auth_succeeds
            && (self.answers.account_succeeds || self.is_auth_alone());
        let mut found = false;
        for rule in self.rules() {
            let never_right = rule.control.is("sufficient") || rule.control.is("optional");
            if never_right || (rule.forgives() && !sound) {
                found = true;
                complaints.host(HostFinding::ForgivingControl {
                    file: rule.file.to_string(),
                    text: self.text(rule),
                });
            }
        }
        found
    }

    /// Stacks that let nobody in.
    fn check_success(&self, forgiven: bool, complaints: &mut Complaints) {
        if !self.service.takes_logins() {
            return;
        }
        let stack = if self.answers.auth_succeeds {
            "account"
        } else {
            "auth"
        };
        let possible = self.answers.account_succeeds || self.is_auth_alone();
        let somebody = self.answers.auth_succeeds && possible;
        if !somebody && !forgiven {
            complaints.add(self.name(), Complaint::AlwaysFails { stack });
        }
    }

    /// Ways in that lead past the module, or past the password.
    fn check_ways_around(&self, forgiven: bool, sshd: Option<&Sshd>, complaints: &mut Complaints) {
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
        let around = without_code.as_ref().and_then(Way::bypassing_step);
        let complaint = if let (Some(way), Some(step)) = (without_code, around) {
            let remedy = match step.phase {
                Phase::Account => Remedy::PutBefore,
                _ if step.finds_key => Remedy::ShortenJump,
                _ => Remedy::ChallengeInAccount,
            };
            Complaint::WithoutCode {
                line: deciding_line(way),
                remedy: Some(remedy),
            }
        } else if let Some(way) = despite_refusal {
            Complaint::DespiteRefusal(deciding_line(way))
        } else if let Some(way) = without_code {
            Complaint::WithoutCode {
                line: deciding_line(way),
                remedy: None,
            }
        } else if let Some(way) = without_first_factor.as_ref().filter(|_| !proved_elsewhere) {
            Complaint::WithoutPassword(deciding_line(way))
        } else if service::is_locker(self.name()) && auth_without_code.is_some() {
            Complaint::AuthAloneLetsIn
        } else {
            return;
        };
        complaints.add(self.name(), complaint);
    }

    /// Lines in `auth` that are reached with a wrong password too.
    fn check_unproved_lines(&self, sshd: Option<&Sshd>, complaints: &mut Complaints) {
        if sshd.is_some_and(Sshd::key_comes_first) {
            return;
        }
        let is_followed = if service::is_locker(self.name()) {
            self.answers.early_line_is_followed_in_auth
        } else {
            self.answers.early_line_is_followed
        };
        let unproved = self
            .own
            .iter()
            .filter(|own| own.phase == Phase::Auth && own.reached && own.unproved);
        for own in unproved {
            let complaint = if has_option(own, "forward_pass") {
                if is_followed {
                    continue;
                }
                Complaint::AsksOnlyBeforePassword(line(own))
            } else if self.answers.account_challenges && !service::is_locker(self.name()) {
                Complaint::AsksNothing(line(own))
            } else {
                Complaint::ReachedWithoutPassword(line(own))
            };
            complaints.add(self.name(), complaint);
        }
    }

    /// Lines in `account` that keep people out.
    fn check_account(&self, complaints: &mut Complaints) {
        let mut lines = self
            .own
            .iter()
            .filter(|line| line.phase == Phase::Account && line.reached)
            .filter(|line| !has_option(line, "confirm"))
            .peekable();
        if lines.peek().is_none() {
            return;
        }
        if let Some(line) = lines.find(|line| is_shared(&line.file)) {
            let file = line.file.clone();
            complaints.host(HostFinding::SharedAccount { file });
            return;
        }
        let plain = self.answers.account_calls_own && !self.answers.account_challenges;
        let name = self.name();
        if service::is_unattended(name) {
            return;
        }
        if plain && !self.asks() {
            complaints.add(name, Complaint::Account(AccountComplaint::AsksNothing));
        } else if plain && matches!(name, "sudo" | "sudo-i" | "doas") {
            complaints.add(name, Complaint::Account(AccountComplaint::RefusesSudo));
        }
        if self.answers.account_calls_own_for_root && matches!(name, "su" | "su-l") {
            complaints.add(name, Complaint::Account(AccountComplaint::StopsRootsSu));
        }
    }

    /// Programs that answer every question with the password.
    fn check_one_field(&self, complaints: &mut Complaints) {
        if !has_one_field(self.name()) {
            return;
        }
        let mut reached = self.own.iter().filter(|line| line.reached);
        let behind_password =
            |line: &OwnLine| has_option(line, "forward_pass") || has_option(line, "use_first_pass");
        if reached.next().is_some_and(|first| !behind_password(first)) {
            complaints.add(self.name(), Complaint::OneField);
        }
    }

    /// What sshd's own settings make of the stack.
    fn check_sshd(&self, sshd: &Sshd, complaints: &mut Complaints) {
        let name = self.name();
        if !sshd.is_on("usepam") {
            complaints.add(name, Complaint::Sshd(SshdComplaint::WithoutPam));
            return;
        }
        let needs_question = self.own.iter().any(|line| {
            has_option(line, "challenge")
                || (line.phase == Phase::Auth
                    && !has_option(line, "forward_pass")
                    && !has_option(line, "use_first_pass"))
        });
        if self.asks() && needs_question && !sshd.can_ask() {
            complaints.add(name, Complaint::Sshd(SshdComplaint::CannotAsk));
        } else if needs_question && sshd.takes_passwords() {
            complaints.add(name, Complaint::Sshd(SshdComplaint::PasswordMethod));
        }
        let needs = StackNeeds {
            asks_question: self.asks() && needs_question,
            account_lets_in: self.answers.account_without_code.is_some(),
        };
        check_blocks(name, sshd, needs, complaints);
        if !sshd.key_alone_lets_in() {
            let users = sshd
                .accounts
                .iter()
                .filter(|account| account.key_alone_lets_in);
            let users: Vec<_> = users.map(|account| account.name.clone()).collect();
            if !users.is_empty() && self.answers.account_without_code.is_some() {
                let complaint = SshdComplaint::KeyAloneLetsInUsers(users);
                complaints.add(name, Complaint::Sshd(complaint));
            }
            return;
        }
        if self.answers.account_without_code.is_some() {
            complaints.add(name, Complaint::Sshd(SshdComplaint::KeyAloneLetsIn));
        } else if self.answers.account_calls_own {
            complaints.add(name, Complaint::Sshd(SshdComplaint::KeyIsCutOff));
        }
    }
}

fn has_option(line: &OwnLine, option: &str) -> bool {
    line.arguments.iter().any(|argument| argument == option)
}

fn line(own: &OwnLine) -> Line {
    Line {
        file: own.file.clone(),
        number: own.line,
    }
}

/// The line that decides on a way; `None`: no line is called.
fn deciding_line(way: &Way) -> Option<DecidingLine> {
    let own = way.0.iter().rev().find(|step| step.is_own);
    let Step {
        file,
        line,
        module,
        code,
        skips_own,
        ..
    } = way.bypassing_step().or(own).or(way.0.last())?;
    Some(DecidingLine {
        line: Line {
            file: file.clone(),
            number: *line,
        },
        module: (!module.is_empty()).then(|| module.clone()),
        code,
        skips_module: *skips_own,
    })
}
