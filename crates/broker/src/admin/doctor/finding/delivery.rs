//! What can keep codes and notices from people.

use std::path::PathBuf;

use twofa_core::policy::SendLimits;
use twofa_core::{Channel, Timestamp};
use twofa_store::{SmsAlarm, SmsCount};

use crate::admin::providers::ProviderFailure;

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
    pub(super) fn may_be_meant(&self) -> bool {
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
