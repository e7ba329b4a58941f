//! What the doctor found.

use twofa_broker::SOCKET;
use twofa_broker::admin::doctor::Finding;
use twofa_broker::admin::doctor::finding::{
    AccountComplaint, AccountFinding, Complaint, DecidingLine, DeliveryFinding, DeviceFinding,
    ExemptionEnd, HostFinding, KeyComplaint, Line, Remedy, RootService, RulesFinding, Silence,
    SshdComplaint,
};
use twofa_broker::text::explain::difference;
use twofa_broker::text::messages::log_lines::sms_alarm;
use twofa_core::class::EVERYONE;
use twofa_core::exemption::Subject;
use twofa_core::{Denial, Timestamp};

use super::{NAMED, enumerate, environment, fleet, moment, people, policy};

/// The line that asks wherever `auth` cannot.
const CHALLENGE: &str = "'account required pam_twofa.so challenge'";
/// What an sshd that is to ask for a code needs where people have keys.
const WITH_KEYS: &str = "set 'AuthenticationMethods keyboard-interactive' for password and code, or \
                         'publickey,keyboard-interactive' for key and code";

/// A finding in words, without its severity.
pub(crate) fn finding(finding: &Finding) -> String {
    match finding {
        Finding::Services {
            services,
            complaint,
        } => format!("{}: {}", enumerate(services), self::complaint(complaint)),
        Finding::Host(finding) => host(finding),
        Finding::Program(finding) => environment::program(finding),
        Finding::Broker { silence, lockers } => broker(silence, lockers),
        Finding::Rules(finding) => rules(finding),
        Finding::Environment(finding) => environment::finding(finding),
        Finding::Accounts(finding) => accounts(finding),
        Finding::Fleet(finding) => fleet::finding(finding),
        Finding::Devices(finding) => devices(finding),
        Finding::Exemption {
            id,
            subject,
            reason,
            end,
        } => exemption(*id, subject, reason, *end),
        Finding::Delivery(finding) => delivery(finding),
        Finding::NotExamined { part, error } => {
            format!("cannot examine {}: {error}", environment::part(part))
        }
    }
}

/// What the command ends with, if there are problems.
pub(crate) fn problems(count: usize) -> Option<String> {
    match count {
        0 => None,
        1 => Some("there is one problem".to_owned()),
        n => Some(format!("there are {n} problems")),
    }
}

fn complaint(complaint: &Complaint) -> String {
    match complaint {
        Complaint::Unusable(error) => format!("nobody gets in: {error}"),
        Complaint::Unsure(doubts) => {
            let doubts: Vec<_> = doubts.iter().map(ToString::to_string).collect();
            format!("cannot tell who gets in: {}", doubts.join("; "))
        }
        Complaint::AlwaysFails { stack } => format!("nobody gets in: the {stack} stack always fails"),
        Complaint::WithoutCode { line, remedy } => {
            let remedy = match remedy {
                Some(Remedy::PutBefore) => "; put the pam_twofa line before it".to_owned(),
                Some(Remedy::ChallengeInAccount) => {
                    format!("; ask with {CHALLENGE} before the other account lines instead")
                }
                Some(Remedy::ShortenJump) => {
                    "; its jump must end before the pam_twofa line that asks".to_owned()
                }
                None => String::new(),
            };
            format!(
                "people get in without a code: {}{remedy}",
                deciding_line(line.as_ref())
            )
        }
        Complaint::DespiteRefusal(line) => format!(
            "people get in whom pam_twofa refuses: {}",
            deciding_line(line.as_ref())
        ),
        Complaint::WithoutPassword(line) => format!(
            "people get in without a password: {}",
            deciding_line(line.as_ref())
        ),
        Complaint::AsksOnlyBeforePassword(line) => format!(
            "{line} asks before the password is checked, and no pam_twofa line follows the check: add 'auth required \
             pam_twofa.so' after the line that checks the password"
        ),
        Complaint::AsksNothing(line) => {
            format!("{line} asks nothing: the line with 'challenge' in account asks for the code")
        }
        Complaint::ReachedWithoutPassword(line) => format!(
            "{line} is reached without a correct password or key, so no codes are sent from there and nobody can enrol; \
             ask with {CHALLENGE} before the other account lines instead"
        ),
        Complaint::AuthAloneLetsIn => {
            "the auth stack alone lets people in, and some screen lockers never call account".to_owned()
        }
        Complaint::AsksTwice => {
            "pam_twofa is called twice in the auth stack: once is enough".to_owned()
        }
        Complaint::OneField => "it has a single field and answers every question with the password, so users who need a \
                                code are locked out; give it a stack without pam_twofa, or the single-prompt stack of \
                                twofa-admin(7)"
            .to_owned(),
        Complaint::Account(complaint) => account(*complaint).to_owned(),
        Complaint::Key(line, complaint) => key(line, *complaint),
        Complaint::Sshd(complaint) => sshd(complaint),
    }
}

/// What a line with `proved` does to logins with a key.
fn key(line: &Line, complaint: KeyComplaint) -> String {
    match complaint {
        KeyComplaint::Refused => format!(
            "people with a key are refused: {line} leads them to no line that lets them in, or past the one that asks; \
             twofa-admin(7) has a stack for keys and passwords"
        ),
        KeyComplaint::RefusedUnasked => format!(
            "people with a key who are not asked for a code are refused: after the jump of {line} no module lets them in; \
             put 'auth required pam_permit.so' at the end of the auth lines"
        ),
        KeyComplaint::LandsElsewhere => format!(
            "the jump of {line} ends inside another file, and goes wrong once that file changes; include it with \
             'auth substack', which one jump skips"
        ),
    }
}

fn account(complaint: AccountComplaint) -> &'static str {
    match complaint {
        AccountComplaint::AsksNothing => {
            "the account line does not ask, so users who need a code are refused; add 'challenge'"
        }
        AccountComplaint::RefusesSudo => {
            "the account line refuses users who need no password (within sudo's timestamp, with NOPASSWD, or with doas's \
             persist and nopass), because nobody is asked then; remove it, or add 'challenge'"
        }
        AccountComplaint::StopsRootsSu => {
            "the account line also blocks root's own su; put it after 'account sufficient pam_succeed_if.so uid = 0 \
             use_uid quiet'"
        }
    }
}

fn sshd(complaint: &SshdComplaint) -> String {
    match complaint {
        SshdComplaint::WithoutPam => {
            "sshd_config has 'UsePAM no': nobody is asked for a code".to_owned()
        }
        SshdComplaint::CannotAsk => "sshd cannot ask for a code, so users who need one are refused: set \
                                     'KbdInteractiveAuthentication yes' and 'PasswordAuthentication no', and include keyboard-interactive in \
                                     AuthenticationMethods if that is set"
            .to_owned(),
        SshdComplaint::PasswordMethod => "sshd's 'password' method cannot show a question and refuses users who need a \
                                          code: set 'PasswordAuthentication no'"
            .to_owned(),
        SshdComplaint::KeyAloneLetsIn => {
            format!("a key alone lets people in without a code: {WITH_KEYS}")
        }
        SshdComplaint::KeyAloneLetsInUsers(users) => format!(
            "in a Match block, a key alone lets people in without a code ({}): put 'account required pam_twofa.so' before \
             the other account lines, which lets only exempt users in that way",
            enumerate(users)
        ),
        SshdComplaint::KeyAloneLetsInBlocks(places) => format!(
            "in the Match blocks at {}, a key alone lets people in without a code: put 'account required pam_twofa.so' before \
             the other account lines, which lets only exempt users in that way, or change AuthenticationMethods there",
            enumerate(places)
        ),
        SshdComplaint::PasswordMethodInBlocks(places) => format!(
            "in the Match blocks at {}, sshd's 'password' method cannot show a question and refuses users who need a code: \
             set 'PasswordAuthentication no' there",
            enumerate(places)
        ),
        SshdComplaint::CannotAskInBlocks(places) => format!(
            "in the Match blocks at {}, sshd cannot ask for a code, so users who need one are refused: set \
             'KbdInteractiveAuthentication yes' there",
            enumerate(places)
        ),
        SshdComplaint::KeyIsCutOff => format!(
            "users who need a code and offer a key are disconnected before they are asked for the password: {WITH_KEYS}; \
             until then 'ssh -o PubkeyAuthentication=no' works"
        ),
    }
}

/// What happens on the line that decides.
fn deciding_line(line: Option<&DecidingLine>) -> String {
    let Some(DecidingLine {
        line,
        module,
        code,
        skips_module,
    }) = line
    else {
        return "no line is called".to_owned();
    };
    let module = module.as_deref().unwrap_or("a broken line");
    let skips = if *skips_module {
        ", which skips pam_twofa"
    } else {
        ""
    };
    format!("{line} {module} returns {code}{skips}")
}

fn host(finding: &HostFinding) -> String {
    match finding {
        HostFinding::NobodyIsAsked => {
            "no PAM service calls pam_twofa in its auth stack, or with 'challenge' in account: \
                                       nobody is asked for a code"
                .to_owned()
        }
        HostFinding::UnknownOption { line, option } => {
            format!("{line} refuses everybody: pam_twofa does not know the option '{option}' there")
        }
        HostFinding::ForgivingControl { file, text } => {
            format!(
                "{file}: '{text}' lets people in although pam_twofa refuses them; make it 'required'"
            )
        }
        HostFinding::SharedAccount { file } => format!(
            "{file}: pam_twofa in a shared account stack refuses root's su; put the line into the files of \
             the services that need it"
        ),
        HostFinding::RootWithoutCode { asking, open } => root_without_code(asking, open),
        HostFinding::HiddenFromBroker { paths } => format!(
            "the broker cannot read {}: where services need them, it treats every password as possibly wrong, sends no \
             codes and enrols nobody; 'chmod o+r' the files and 'chmod o+rx' the folders",
            enumerate(paths)
        ),
        HostFinding::SecurityKeysDoNotCount => {
            "the policy allows security keys, and they count for nothing: set 'PubkeyAuthOptions touch-required' in \
             /etc/ssh/sshd_config or a file that it includes, in every 'Match' block that has the setting too, and let \
             the broker read these files; see twofa-admin(7)"
                .to_owned()
        }
        HostFinding::RobotsNeedMore { accounts } => format!(
            "no code is asked of {}, but sshd asks for more than a key, and there is no password: give automated logins \
             'AuthenticationMethods publickey' in a Match block, see 'robots with keys' in twofa-admin(7)",
            enumerate(accounts)
        ),
        HostFinding::SshdSettingsUnknown {
            error,
            is_early: true,
        } => format!("sshd does not report its settings yet: {error}"),
        HostFinding::SshdSettingsUnknown { error, .. } => {
            format!("sshd does not report its settings: {error}")
        }
    }
}

fn root_without_code(asking: &[RootService], open: &[RootService]) -> String {
    let asking: Vec<_> = asking.iter().map(|root| root.service).collect();
    let open: Vec<_> = open
        .iter()
        .map(|RootService { service, typed }| {
            if service == typed {
                (*service).to_owned()
            } else {
                format!("{service} ({typed})")
            }
        })
        .collect();
    let ask = if asking.len() == 1 { "asks" } else { "ask" };
    let not = if open.len() == 1 {
        "does not"
    } else {
        "do not"
    };
    format!(
        "{} {ask} for a code, {} {not}: people can become root without a code; copy files from /usr/lib/pam.d to \
         /etc/pam.d before you change them",
        enumerate(&asking),
        enumerate(&open)
    )
}

/// Root's logins start a broker of their own; nothing else does.
fn broker(silence: &Silence, lockers: &[String]) -> String {
    let why = match silence {
        Silence::Unanswered { error } => format!("no broker answers at {SOCKET} ({error})"),
        Silence::Unable { message } => format!("the broker at {SOCKET} cannot work ({message})"),
    };
    let lockers = if lockers.is_empty() {
        String::new()
    } else {
        format!(" ({})", enumerate(lockers))
    };
    format!(
        "{why}: screen lockers{lockers} refuse everybody, and users cannot change their own settings; start it with \
         'systemctl enable --now twofad.socket' (if systemd gave it up, first 'systemctl reset-failed twofad'), or see \
         'systemctl status twofad'"
    )
}

fn rules(finding: &RulesFinding) -> String {
    match finding {
        RulesFinding::Disabled => {
            "the policy is disabled: nobody outside a class is asked for a code".to_owned()
        }
        RulesFinding::Reporting { class, since } => reporting(class, *since),
        RulesFinding::Concern(concern) => policy::concern(concern),
        RulesFinding::NameService { error } => error.clone(),
        RulesFinding::ServicesUncovered {
            classes,
            services,
            missing,
        } => services_uncovered(classes, services, missing),
        RulesFinding::RootRefused(denial) => root_refused(*denial).to_owned(),
        RulesFinding::CannotVerify { names } => format!(
            "these users are refused, because they must use a second factor, have none, and cannot enrol at login: {}; allow \
             enrolment with 'twofa policy set enrolment=at-login', or exempt them with 'twofa user exempt'",
            people(names, 0)
        ),
        RulesFinding::RootUndelivered => {
            "the rules keep root out where a code is asked for: root can neither show nor enrol anything, because no provider \
             delivers codes; allow 'app' with 'twofa policy set methods=…', or see 'twofa provider add'"
                .to_owned()
        }
        RulesFinding::Undelivered { names } => format!(
            "these users are refused, because no provider delivers the codes of what they have enrolled or could: {}; see \
             'twofa provider add' and 'twofa method set'",
            people(names, 0)
        ),
        RulesFinding::ReportsMissed { count } => format!(
            "logins of the last seven days that are missing in 'twofa stats --report', because no record could be made: {count}; \
             'journalctl -t twofad' says why"
        ),
        RulesFinding::EmailAlone { names } => format!(
            "e-mail is the only method of these users: {}; NIST SP 800-63B-4 (3.1.3.1) does not accept it as a second factor, \
             and the mailbox may have the same password: ask them to add an app with 'twofa enrol app'",
            people(names, 0)
        ),
        RulesFinding::ReplaceAtLogin(people) => format!(
            "without an allowed method: {}; at their next login they use the old one once more and enrol another",
            policy::people(people)
        ),
        RulesFinding::Refused(people) => format!(
            "without an allowed method: {}; their logins are refused: allow what they have with 'twofa policy set \
             methods=…', or let them enrol with 'twofa policy set enrolment=at-login'; see 'twofa user list --status \
             not-allowed'",
            policy::people(people)
        ),
    }
}

/// That nobody is asked in a class; `since`: `None` if the log does not say.
fn reporting(class: &str, since: Option<Timestamp>) -> String {
    let since = since.map_or_else(
        || "for as long as the log goes back".to_owned(),
        |since| format!("since {}", moment(since)),
    );
    let (whose, end) = if class == EVERYONE {
        let end = "twofa policy set mode=mandatory".to_owned();
        ("the mode has been report".to_owned(), end)
    } else {
        let end = format!("twofa class set {class} mode=mandatory");
        (format!("the mode of class '{class}' has been report"), end)
    };
    format!(
        "{whose} {since}: nobody is asked for a code; see 'twofa stats --report' for what mandatory would do, and end it \
         with '{end}'"
    )
}

/// That the policy names services at which nothing asks.
fn services_uncovered(classes: &[String], services: &str, missing: &[String]) -> String {
    let whose = if classes.iter().any(|class| class == EVERYONE) {
        String::new()
    } else {
        format!(" of {}", enumerate(classes))
    };
    let names = if missing.join(",") == services {
        "names no PAM service that has the line of pam_twofa: nobody is asked for a code".to_owned()
    } else {
        format!(
            "names {}, and no such PAM service has the line of pam_twofa: nobody is asked there",
            enumerate(missing)
        )
    };
    format!(
        "services={services}{whose} {names}; see 'twofa pam list', add the line with 'twofa pam enable', or name other \
         services with 'twofa policy set services=…'"
    )
}

/// Why the rules refuse root, and what to do.
const fn root_refused(denial: Denial) -> &'static str {
    match denial {
        Denial::NotEnrolled => {
            "the rules refuse root, which must show a second factor and has none: enrol it with 'twofa enrol app', or let \
             people enrol with 'twofa policy set enrolment=at-login'"
        }
        Denial::NotAllowed => {
            "the rules refuse root, whose methods are not allowed: enrol another with 'twofa enrol', or allow one with \
             'twofa policy set methods=…'"
        }
        _ => {
            "the rules refuse root: its record is of an account with another name or user ID; remove it with 'twofa user \
             remove'"
        }
    }
}

fn accounts(finding: &AccountFinding) -> String {
    match finding {
        AccountFinding::Gone { names } => format!(
            "on record without an account: {}; a new account with the same name and user ID would be asked for the old \
             codes: remove what is left with 'twofa user remove', see 'twofa user list --status gone'",
            people(names, 0)
        ),
        AccountFinding::Differs { record, now } => format!(
            "{}: logins of {} are refused; 'twofa user remove {}' the old account, or 'twofa user add {}' the new one",
            difference(now, record),
            now.name,
            record.name,
            now.name
        ),
        AccountFinding::Unsettled { names, error } => format!(
            "cannot be settled whether there are accounts for {}: {error}",
            people(names, 0)
        ),
        AccountFinding::SharedUid { uid, with, without } => format!(
            "user ID {uid} is shared: {} must show a second factor, and {} has none (refused; with a record of its own, not \
             asked); enrol each name, or give each an ID of its own",
            enumerate(with),
            enumerate(without)
        ),
    }
}

fn devices(finding: &DeviceFinding) -> String {
    match finding {
        DeviceFinding::NeverTrusted { services } => {
            let sshd = services.iter().any(|service| service == "sshd");
            let others = services.len() > usize::from(sshd);
            let lines = match (sshd, others) {
                (true, true) => {
                    "'account required pam_twofa.so' for sshd, and with 'confirm' at its end for the others,"
                }
                (true, false) => "'account required pam_twofa.so'",
                (false, _) => "'account required pam_twofa.so confirm'",
            };
            let effect = if sshd {
                "; sshd then refuses users who need a code and come with a key alone"
            } else {
                ""
            };
            format!(
                "devices are never trusted at {}: put {lines} before the other account lines{effect}",
                enumerate(services)
            )
        }
        DeviceFinding::WithoutProof { services } => format!(
            "no device can be told from logins of {}: the program says neither which address they come from nor at which \
             terminal of this machine somebody is, so that a code is asked for every time",
            enumerate(services)
        ),
        DeviceFinding::PasswordsUnseen { names } => format!(
            "the devices of {} stay trusted when the password changes, because a directory keeps it: put 'password optional \
             pam_twofa.so' where passwd comes by it (on Debian, at the end of /etc/pam.d/common-password); where a password is \
             changed elsewhere, 'twofa device revoke --all --user USER' ends trust",
            people(names, 0)
        ),
        DeviceFinding::SharedAddresses { addresses } => {
            let shown: Vec<_> = addresses
                .iter()
                .take(NAMED)
                .map(|(address, users)| format!("{address}: {users} users"))
                .collect();
            let count = match addresses.len() {
                1 => "one address is".to_owned(),
                n => format!("{n} addresses are"),
            };
            format!(
                "{count} trusted by several users each ({}), so that a password alone is enough for anybody who comes from there; \
                 'twofa policy set trust.identity=key' trusts keys only",
                shown.join(", ")
            )
        }
    }
}

fn exemption(id: i64, subject: &Subject, reason: &str, end: ExemptionEnd) -> String {
    let who = match subject {
        Subject::User(account) => account.name.clone(),
        Subject::Group(group) => format!("group {group}"),
    };
    let what = format!("exemption {id} of {who} ({reason})");
    match end {
        ExemptionEnd::Never => format!("{what} never ends"),
        ExemptionEnd::Ended(at) => format!("{what} ended {}", moment(at)),
        ExemptionEnd::Soon(at) => format!("{what} ends soon, {}", moment(at)),
        ExemptionEnd::Later(at) => format!("{what} is in force until {}", moment(at)),
    }
}

fn delivery(finding: &DeliveryFinding) -> String {
    match finding {
        DeliveryFinding::Template { reason, hint } => with_hint(reason, hint.as_deref()),
        DeliveryFinding::KindLeftOut { error } => {
            format!("a kind of provider is ignored: {error}")
        }
        DeliveryFinding::ProviderSealed { name, error } => {
            format!("{error}; remove it with 'twofa provider remove {name}' and add it again")
        }
        DeliveryFinding::ProviderUnused { name } => {
            format!("provider '{name}' is not used: see 'twofa method set'")
        }
        DeliveryFinding::ProviderUnusable { name, error } => {
            format!("provider '{name}' cannot be used: {error}")
        }
        DeliveryFinding::CertificateEnds { name, file, at } => format!(
            "a certificate in {}, by which provider '{name}' is trusted, ends or ended {}: put the new one into the file",
            file.display(),
            moment(*at)
        ),
        DeliveryFinding::ServerCertificateEnds { name, at } => format!(
            "the server of provider '{name}' has a certificate that ends {}: after that, no codes can be sent until it is renewed",
            moment(*at)
        ),
        DeliveryFinding::ProviderFailed { name, failure } => with_hint(
            &format!("provider '{name}' failed at {}: {}", failure.step, failure.reason),
            failure.hint.as_deref(),
        ),
        DeliveryFinding::Uncarried { channel, users } => format!(
            "{}, and no provider sends them: see 'twofa provider add'",
            policy::users_of(channel.noun(), *users)
        ),
        DeliveryFinding::ManyTextMessages {
            alarm,
            count,
            limits,
        } => sms_alarm(*alarm, *count, limits.sms_daily),
        DeliveryFinding::EmailIsWeak => "codes by e-mail are weak: under NIST SP 800-63B-4 (3.1.3.1) they are not a \
                                         second factor; if you must comply, leave email out of 'twofa policy set \
                                         methods=…' (users with no other method are asked for such a code once more and \
                                         then enrol another)"
            .to_owned(),
        DeliveryFinding::NoPhoneCountry => "users cannot enrol phone numbers themselves: set 'twofa policy set \
                                            phone.country=…', or phone.countries for more than one"
            .to_owned(),
        DeliveryFinding::NoticeOverdue { since } => format!(
            "a notice to a user has been waiting since {} and nothing is sending it: start the broker, or run 'twofad \
             --notices'",
            moment(*since)
        ),
        DeliveryFinding::NoticeWaiting { next } => format!(
            "a notice to a user could not be sent, or is being sent now; the next attempt is at {}",
            moment(*next)
        ),
        DeliveryFinding::NoticeDue => "a notice to a user is about to be sent".to_owned(),
    }
}

fn with_hint(what: &str, hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("{what}; {hint}"),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use twofa_broker::admin::doctor::finding::{Line, ProgramFinding};

    #[track_caller]
    fn says(finding: &Finding, text: &str) {
        assert_eq!(super::finding(finding), text);
    }

    fn services_with(services: &[&str], complaint: Complaint) -> Finding {
        Finding::Services {
            services: services.iter().map(|name| (*name).to_owned()).collect(),
            complaint,
        }
    }

    #[test]
    fn services_with_one_complaint_are_named_together_with_the_line_and_the_remedy() {
        let line = DecidingLine {
            line: Line {
                file: "/etc/pam.d/system-auth".into(),
                number: 5,
            },
            module: Some("pam_unix.so".into()),
            code: "success",
            skips_module: true,
        };
        let complaint = Complaint::WithoutCode {
            line: Some(line),
            remedy: Some(Remedy::PutBefore),
        };
        says(
            &services_with(&["login", "sshd", "sudo"], complaint),
            "login, sshd and sudo: people get in without a code: /etc/pam.d/system-auth:5 pam_unix.so returns success, \
             which skips pam_twofa; put the pam_twofa line before it",
        );
        says(
            &services_with(&["x"], Complaint::WithoutPassword(None)),
            "x: people get in without a password: no line is called",
        );
    }

    #[test]
    fn a_way_to_root_is_named_by_its_service_and_what_people_type() {
        let root = |service, typed| RootService { service, typed };
        let finding = HostFinding::RootWithoutCode {
            asking: vec![root("sudo", "sudo")],
            open: vec![root("sudo-i", "sudo -i"), root("su", "su")],
        };
        says(
            &Finding::Host(finding),
            "sudo asks for a code, sudo-i (sudo -i) and su do not: people can become root without a code; copy files from \
             /usr/lib/pam.d to /etc/pam.d before you change them",
        );
    }

    #[test]
    fn what_cannot_be_found_or_reached_is_said_with_its_consequence() {
        let folder = PathBuf::from("/usr/lib64/security");
        says(
            &Finding::Program(ProgramFinding::ModuleMissing { folder }),
            "pam_twofa.so is missing from /usr/lib64/security: every service that names it refuses everybody",
        );
        let silence = Silence::Unable {
            message: "the store is damaged".into(),
        };
        let lockers = vec!["i3lock".to_owned()];
        says(
            &Finding::Broker { silence, lockers },
            "the broker at /run/twofa/twofad.sock cannot work (the store is damaged): screen lockers (i3lock) refuse \
             everybody, and users cannot change their own settings; start it with 'systemctl enable --now twofad.socket' \
             (if systemd gave it up, first 'systemctl reset-failed twofad'), or see 'systemctl status twofad'",
        );
    }
}
