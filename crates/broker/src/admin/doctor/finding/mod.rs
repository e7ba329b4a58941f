//! What the doctor can find. Each finding is data: which sentence it makes is the caller's business.

mod fleet;
mod program;
mod unexamined;

use std::fmt;
use std::path::PathBuf;

use twofa_core::exemption::Subject;
use twofa_core::policy::SendLimits;
use twofa_core::{Account, Channel, Denial, Timestamp};
use twofa_stacks::{Doubt, Unusable};
use twofa_store::{SmsAlarm, SmsCount};

pub use self::fleet::FleetFinding;
pub use self::program::ProgramFinding;
pub use self::unexamined::Part;
use crate::admin::checks::{Concern, People};
use crate::admin::providers::ProviderFailure;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Somebody is kept out, gets in without a code, or soon will.
    Problem,
    /// May be meant, or will pass.
    Notice,
}

/// Something an administrator should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// What is wrong with the stacks of these services.
    Services {
        /// The services, in the order in which they were read; never empty.
        services: Vec<String>,
        /// What is wrong with each of them.
        complaint: Complaint,
    },
    /// What is wrong with a PAM file or sshd, whichever service is concerned.
    Host(HostFinding),
    /// What is wrong with the module or the broker as a file.
    Program(ProgramFinding),
    /// What is wrong with the broker at the socket.
    Broker {
        /// Why it did not answer.
        silence: Silence,
        /// The screen lockers that refuse everybody meanwhile.
        lockers: Vec<String>,
    },
    /// What is wrong with the policy and its classes, or with what they mean for people.
    Rules(RulesFinding),
    /// What is wrong with the machine apart from PAM's files, or with the store as a file.
    Environment(EnvironmentFinding),
    /// What has become of the accounts on record.
    Accounts(AccountFinding),
    /// What this machine is in a fleet, and what is wrong with that.
    Fleet(FleetFinding),
    /// What prevents devices from being trusted, or what an administrator should know about trusted ones.
    Devices(DeviceFinding),
    /// An exemption: each one deserves a look.
    Exemption {
        /// The number by which administrators refer to it.
        id: i64,
        /// Who is exempt.
        subject: Subject,
        /// Why, as the administrator wrote it.
        reason: String,
        /// When it ends.
        end: ExemptionEnd,
    },
    /// What keeps codes and notices from people, or is to be known about them.
    Delivery(DeliveryFinding),
    /// Something that could not be examined. What is wrong there is unknown, which is a problem.
    NotExamined {
        /// What it is.
        part: Part,
        /// Why not.
        error: String,
    },
}

impl Finding {
    /// How much it matters.
    pub fn severity(&self) -> Severity {
        let is_notice = match self {
            Self::Services { complaint, .. } => complaint.may_be_meant(),
            Self::Host(finding) => {
                matches!(
                    finding,
                    HostFinding::SshdSettingsUnknown { is_early: true, .. }
                        | HostFinding::RobotsNeedMore { .. }
                )
            }
            Self::Program(finding) => finding.may_be_meant(),
            Self::Broker { .. } | Self::NotExamined { .. } => false,
            Self::Rules(finding) => finding.may_be_meant(),
            Self::Environment(finding) => finding.may_be_meant(),
            Self::Accounts(finding) => finding.may_be_meant(),
            Self::Fleet(finding) => finding.may_be_meant(),
            Self::Devices(_) | Self::Exemption { .. } => true,
            Self::Delivery(finding) => finding.may_be_meant(),
        };
        if is_notice {
            Severity::Notice
        } else {
            Severity::Problem
        }
    }
}

/// A line of a PAM file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The path of the file.
    pub file: String,
    /// The line's number, from 1.
    pub number: usize,
}

/// `FILE:NUMBER`, as compilers write it.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.number)
    }
}

/// The line that decides about a way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidingLine {
    /// Where it is.
    pub line: Line,
    /// The module as it is written there; `None`: a line that libpam cannot read.
    pub module: Option<String>,
    /// The name of what it returns, such as `success`.
    pub code: &'static str,
    /// Whether a line of `pam_twofa` further down is left out because of that.
    pub skips_module: bool,
}

/// Where the line of `pam_twofa` belongs, so that nothing leads past it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Before the line that decides.
    PutBefore,
    /// In `account`, with `challenge`.
    ChallengeInAccount,
    /// After the line that the jump of a line with `proved` leads to: the jump is too long.
    ShortenJump,
}

/// What is wrong with the stacks of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Complaint {
    /// libpam cannot use the files: nobody gets in.
    Unusable(Unusable),
    /// The files cannot be followed, so that nothing can be said.
    Unsure(Vec<Doubt>),
    /// A stack fails whatever happens.
    AlwaysFails {
        /// `auth` or `account`.
        stack: &'static str,
    },
    /// People get in without a code. No line: nothing is called at all.
    WithoutCode {
        /// The line that decides.
        line: Option<DecidingLine>,
        /// What to do, where a line leads past the module.
        remedy: Option<Remedy>,
    },
    /// People get in whom the module refuses.
    DespiteRefusal(Option<DecidingLine>),
    /// People get in without a password.
    WithoutPassword(Option<DecidingLine>),
    /// `auth` alone lets people in, which is all that some screen lockers ask.
    AuthAloneLetsIn,
    /// A line asks before the password is checked, and none behind that.
    AsksOnlyBeforePassword(Line),
    /// A line in `auth` asks nothing, because the one with `challenge` in `account` does.
    AsksNothing(Line),
    /// A line is reached without a right password or key: it sends nothing and enrols nobody.
    ReachedWithoutPassword(Line),
    /// The module is called twice in `auth`.
    AsksTwice,
    /// The line in `account` locks people out.
    Account(AccountComplaint),
    /// The program answers every question with the password.
    OneField,
    /// What a line with `proved` does to logins with a key.
    Key(Line, KeyComplaint),
    /// What sshd's settings make of the stack.
    Sshd(SshdComplaint),
}

/// What a line with `proved` does to logins with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyComplaint {
    /// They are refused: the jump leads to no module that succeeds, or past the line that asks for a code.
    Refused,
    /// They are refused when no code is asked for, since no module succeeds.
    RefusedUnasked,
    /// They continue in the middle of another file, which may change.
    LandsElsewhere,
}

/// Why a line of the module in `account` locks people out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountComplaint {
    /// It asks for nothing, and refuses people who need a code.
    AsksNothing,
    /// It refuses sudo within its timestamp and by NOPASSWD.
    RefusesSudo,
    /// It stops root's own su.
    StopsRootsSu,
}

/// What sshd's settings make of its stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SshdComplaint {
    /// It does not use PAM.
    WithoutPam,
    /// It cannot ask questions.
    CannotAsk,
    /// Its method `password` lets in and can show no question.
    PasswordMethod,
    /// A key alone lets in without a code.
    KeyAloneLetsIn,
    /// In `Match` blocks, a key alone lets these users in without a code; never empty.
    KeyAloneLetsInUsers(Vec<String>),
    /// In the `Match` blocks at these places (`FILE:LINE`), a key alone lets in without a code; never empty.
    KeyAloneLetsInBlocks(Vec<String>),
    /// In these blocks, the method `password` lets in and can show no question; never empty.
    PasswordMethodInBlocks(Vec<String>),
    /// In these blocks, sshd cannot ask questions; never empty.
    CannotAskInBlocks(Vec<String>),
    /// People who offer a key are cut off before the password is asked for.
    KeyIsCutOff,
}

impl Complaint {
    const fn may_be_meant(&self) -> bool {
        matches!(
            self,
            Self::AuthAloneLetsIn
                | Self::AsksNothing(_)
                | Self::AsksTwice
                | Self::Key(_, KeyComplaint::LandsElsewhere)
                | Self::Sshd(
                    SshdComplaint::PasswordMethod | SshdComplaint::PasswordMethodInBlocks(_)
                )
        )
    }
}

/// A service by which people become root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootService {
    /// The name of the PAM service.
    pub service: &'static str,
    /// The command by which people use it.
    pub typed: &'static str,
}

/// What is wrong with a PAM file or sshd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostFinding {
    /// No service asks anybody for a code.
    NobodyIsAsked,
    /// A line has an argument that the module does not know there: it refuses everybody.
    UnknownOption {
        /// The line that has the argument.
        line: Line,
        /// The argument as it is written there.
        option: String,
    },
    /// The control of a line lets a refusal pass.
    ForgivingControl {
        /// The path of the file.
        file: String,
        /// The line as it is written.
        text: String,
    },
    /// A stack of `account` that many services share has the module in it.
    SharedAccount {
        /// The path of the file.
        file: String,
    },
    /// Some ways to root ask for a code, and others do not.
    RootWithoutCode {
        /// Those that ask.
        asking: Vec<RootService>,
        /// Those that do not.
        open: Vec<RootService>,
    },
    /// The broker's user cannot read these files and folders.
    HiddenFromBroker {
        /// The paths of what it cannot read.
        paths: Vec<String>,
    },
    /// Security keys are allowed but do not count: sshd is not known to demand a touch of them.
    SecurityKeysDoNotCount,
    /// Accounts that are exempt and have no password, but of which sshd demands more than a key; never empty.
    RobotsNeedMore {
        /// Their names.
        accounts: Vec<String>,
    },
    /// An sshd that is in use does not say what its settings are.
    SshdSettingsUnknown {
        /// The error as it was reported.
        error: String,
        /// It has not been started yet, and cannot know.
        is_early: bool,
    },
}

/// Why the broker did not answer a request of the doctor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    /// Nobody answers at the socket.
    Unanswered {
        /// The error of the connection.
        error: String,
    },
    /// The broker answers, and can do nothing.
    Unable {
        /// The message of the broker.
        message: String,
    },
}

/// What is wrong with the policy and its classes, or with what they mean for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RulesFinding {
    /// The mode is disabled.
    Disabled,
    /// The mode is report, of the machine (`everyone`) or of this class.
    Reporting {
        /// The class.
        class: String,
        /// Since when; `None`: the log does not say.
        since: Option<Timestamp>,
    },
    /// A concern that a change to the present policy would have raised.
    Concern(Concern),
    /// The name service does not answer.
    NameService {
        /// The error as it was reported.
        error: String,
    },
    /// People have enrolled nothing that is allowed, and replace it at their next login.
    ReplaceAtLogin(People),
    /// People have enrolled nothing that is allowed, and are refused.
    Refused(People),
    /// `services` has entries at which no line of the module asks.
    ServicesUncovered {
        /// The classes with this list, `everyone` among them; never empty.
        classes: Vec<String>,
        /// The list.
        services: String,
        /// The entries at which nothing asks; never empty.
        missing: Vec<String>,
    },
    /// The rules refuse root.
    RootRefused(Denial),
    /// People must show a second factor, have none, and cannot enrol at a login.
    CannotVerify {
        /// Their login names; never empty.
        names: Vec<String>,
    },
    /// Root can neither show nor enrol anything, because no provider delivers codes.
    RootUndelivered,
    /// People can neither show nor enrol anything, because no provider delivers codes.
    Undelivered {
        /// Their login names; never empty.
        names: Vec<String>,
    },
    /// Logins under `mode=report` could not be recorded in the last seven days.
    ReportsMissed {
        /// How many there were.
        count: u64,
    },
    /// People have no method but e-mail (NIST SP 800-63B-4, 3.1.3.1).
    EmailAlone {
        /// Their login names; never empty.
        names: Vec<String>,
    },
}

impl RulesFinding {
    const fn may_be_meant(&self) -> bool {
        match self {
            Self::Disabled
            | Self::Reporting { .. }
            | Self::ReplaceAtLogin(_)
            | Self::ReportsMissed { .. }
            | Self::EmailAlone { .. } => true,
            Self::Concern(concern) => matches!(
                concern,
                Concern::EnrolledBeforehandOnly { .. } | Concern::NoBackupCodes { .. }
            ),
            Self::NameService { .. }
            | Self::ServicesUncovered { .. }
            | Self::Refused(_)
            | Self::RootRefused(_)
            | Self::RootUndelivered
            | Self::Undelivered { .. }
            | Self::CannotVerify { .. } => false,
        }
    }
}

/// What is wrong with the machine apart from PAM's files, or with the store as a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvironmentFinding {
    /// Others than root, or than the service, can change a file or folder that decides who gets in.
    Exposed {
        /// Where it is.
        path: PathBuf,
        /// How they can.
        exposure: Exposure,
    },
    /// The disk of the store is nearly full.
    DiskNearlyFull {
        /// The folder of the store.
        path: PathBuf,
        /// How many MiB are left.
        free: u64,
    },
    /// The file system of the store has hardly room for another file.
    FilesNearlyUsedUp {
        /// The folder of the store.
        path: PathBuf,
        /// How many files can still be made.
        left: u64,
    },
    /// Nothing can be written next to the store.
    StoreUnwritable {
        /// The error as it was reported.
        error: String,
    },
    /// The program of a running broker has been replaced.
    BrokerOutdated,
    /// The store does not open, so that everybody who needs a code is refused.
    StoreUnavailable {
        /// Why not.
        error: String,
    },
    /// Others can read or change the sealing key, and the store does not open therefore.
    KeyExposed {
        /// What is wrong with its owner or mode.
        error: String,
    },
    /// The store can only be read.
    StoreReadOnly,
    /// A change of PAM files by `twofa pam` is not final.
    PamChangePending,
    /// SELinux denied something in the last 24 hours.
    SelinuxDenials {
        /// How often.
        count: usize,
        /// What was denied last, as auditd wrote it.
        latest: String,
    },
    /// People who must enrol at a login have little time for it.
    Hurry(Hurry),
    /// Nothing keeps the clock right that apps' codes depend on.
    ClockUnsynchronised,
    /// SQLite's own check found the database malformed.
    StoreDamaged {
        /// What it found first.
        error: String,
    },
    /// The log is not what was written.
    LogAltered {
        /// How many things a verification found.
        count: usize,
    },
}

impl EnvironmentFinding {
    const fn may_be_meant(&self) -> bool {
        matches!(
            self,
            Self::Hurry(_) | Self::ClockUnsynchronised | Self::BrokerOutdated
        )
    }
}

/// How others can change a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// It belongs to the user with this uid.
    Owner(u32),
    /// Its mode lets them.
    Mode(u32),
}

/// A limit on how long a login may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hurry {
    /// The name of the setting.
    pub setting: &'static str,
    /// The file that it is in.
    pub file: &'static str,
    /// The limit, in seconds.
    pub seconds: u64,
}

/// What has become of accounts on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountFinding {
    /// No account has these names or uids. An account that is created with the same name and uid takes over the record.
    Gone {
        /// The names on record.
        names: Vec<String>,
    },
    /// An account has another uid or another name than the one on record, and is refused.
    Differs {
        /// The account on record.
        record: Account,
        /// The account that has its name or its uid now.
        now: Account,
    },
    /// The name service does not say whether these accounts exist.
    Unsettled {
        /// The names on record.
        names: Vec<String>,
        /// Why there is no answer.
        error: String,
    },
    /// Names that share a uid, where some have a second factor and others do not.
    SharedUid {
        /// The uid that they share.
        uid: u32,
        /// Those who have a second factor, or must have one.
        with: Vec<String>,
        /// Those who have none.
        without: Vec<String>,
    },
}

impl AccountFinding {
    const fn may_be_meant(&self) -> bool {
        match self {
            Self::Gone { .. } | Self::Unsettled { .. } => true,
            Self::Differs { .. } | Self::SharedUid { .. } => false,
        }
    }
}

/// What prevents devices from being trusted although a policy allows it, or what an administrator should know about
/// trusted ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceFinding {
    /// No line of the module in `account` confirms all logins of these services, so that nothing is trusted there.
    NeverTrusted {
        /// The services; never empty.
        services: Vec<String>,
    },
    /// Logins of these services showed neither an address nor a terminal of this machine, so that a code was asked for.
    WithoutProof {
        /// The services; never empty.
        services: Vec<String>,
    },
    /// Devices stay trusted when these users get a new password: it is not in `/etc/shadow`, and no line of the module tells
    /// of it.
    PasswordsUnseen {
        /// The users; never empty.
        names: Vec<String>,
    },
    /// Several users trust the same addresses.
    SharedAddresses {
        /// The addresses and how many users trust each of them, the most shared first; never empty.
        addresses: Vec<(String, u32)>,
    },
}

/// When an exemption ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExemptionEnd {
    /// It has no end.
    Never,
    /// It ended at this time.
    Ended(Timestamp),
    /// It ends at this time, within two weeks.
    Soon(Timestamp),
    /// It ends at this time, in more than two weeks.
    Later(Timestamp),
}

/// What keeps codes and notices from people, or is to be known about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryFinding {
    /// A template of the administrator's cannot be used.
    Template {
        /// What is wrong with it.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A data file of an SMS provider cannot be used.
    KindLeftOut {
        /// What is wrong with it.
        error: String,
    },
    /// The settings of a provider do not open.
    ProviderSealed {
        /// The provider's name.
        name: String,
        /// The reason, for administrators.
        error: String,
    },
    /// A provider is in no order.
    ProviderUnused {
        /// The provider's name.
        name: String,
    },
    /// The settings of a provider are wrong.
    ProviderUnusable {
        /// The provider's name.
        name: String,
        /// The reason, for administrators.
        error: String,
    },
    /// A certificate in the `ca-file` of a provider ends within 30 days, or has ended.
    CertificateEnds {
        /// The provider's name.
        name: String,
        /// The value of `ca-file`.
        file: PathBuf,
        /// When the first certificate in it ends.
        at: Timestamp,
    },
    /// The certificate that the server of a provider shows ends within 14 days.
    ServerCertificateEnds {
        /// The provider's name.
        name: String,
        /// When it ends.
        at: Timestamp,
    },
    /// A provider was tested, and failed.
    ProviderFailed {
        /// The provider's name.
        name: String,
        /// How far the test came, and why it failed there.
        failure: ProviderFailure,
    },
    /// Codes by e-mail are allowed (NIST SP 800-63B-4, 3.1.3.1).
    EmailIsWeak,
    /// People get their codes by a channel that no provider carries.
    Uncarried {
        /// The channel that no provider sends by.
        channel: Channel,
        /// How many people: at least one.
        users: u64,
    },
    /// Many text messages were sent.
    ManyTextMessages {
        /// Which limit is near or reached.
        alarm: SmsAlarm,
        /// How many went out in 24 hours.
        count: SmsCount,
        /// The limits that the policy sets.
        limits: SendLimits,
    },
    /// Users cannot enrol phone numbers, because the policy names no country.
    NoPhoneCountry,
    /// A notice should have been sent some minutes ago.
    NoticeOverdue {
        /// When it was due.
        since: Timestamp,
    },
    /// A notice could not be sent, or is being sent.
    NoticeWaiting {
        /// When it is tried next.
        next: Timestamp,
    },
    /// A notice is about to be sent.
    NoticeDue,
}

impl DeliveryFinding {
    fn may_be_meant(&self) -> bool {
        match self {
            Self::ProviderUnused { .. }
            | Self::CertificateEnds { .. }
            | Self::ServerCertificateEnds { .. }
            | Self::EmailIsWeak
            | Self::NoPhoneCountry
            | Self::NoticeWaiting { .. }
            | Self::NoticeDue => true,
            Self::ManyTextMessages { alarm, .. } => *alarm == SmsAlarm::Most,
            Self::Template { .. }
            | Self::KindLeftOut { .. }
            | Self::ProviderSealed { .. }
            | Self::ProviderUnusable { .. }
            | Self::ProviderFailed { .. }
            | Self::Uncarried { .. }
            | Self::NoticeOverdue { .. } => false,
        }
    }
}
