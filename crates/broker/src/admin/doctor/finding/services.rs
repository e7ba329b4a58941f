//! What can be wrong with PAM's files and with sshd.

use std::fmt;

use twofa_stacks::{Doubt, Unusable};

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
    pub(super) const fn may_be_meant(&self) -> bool {
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
