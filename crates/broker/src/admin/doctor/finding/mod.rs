//! What the doctor can find. Each finding is data: which sentence it makes is the caller's business.

mod delivery;
mod environment;
mod fleet;
mod program;
mod rules;
mod services;
mod unexamined;

use twofa_core::exemption::Subject;

pub use self::delivery::DeliveryFinding;
pub use self::environment::{EnvironmentFinding, Exposure, Hurry};
pub use self::fleet::FleetFinding;
pub use self::program::ProgramFinding;
pub use self::rules::{AccountFinding, DeviceFinding, ExemptionEnd, RulesFinding};
pub use self::services::{
    AccountComplaint, Complaint, DecidingLine, HostFinding, KeyComplaint, Line, Remedy,
    RootService, SshdComplaint,
};
pub use self::unexamined::Part;

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
