//! The stable names of findings, by which monitoring and scripts tell them apart. twofad(8) has a table of them.

use super::finding::{
    AccountComplaint, AccountFinding, Complaint, DeliveryFinding, DeviceFinding,
    EnvironmentFinding, ExemptionEnd, Finding, FleetFinding, HostFinding, KeyComplaint,
    RulesFinding, Silence, SshdComplaint,
};
use crate::admin::checks::Concern;

impl Finding {
    /// The name of this kind of finding: it stays the same when the sentence changes.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Services { complaint, .. } => complaint.name(),
            Self::Host(finding) => finding.name(),
            Self::Program(finding) => finding.name(),
            Self::Broker { silence, .. } => match silence {
                Silence::Unanswered { .. } => "broker-silent",
                Silence::Unable { .. } => "broker-unable",
            },
            Self::Rules(finding) => finding.name(),
            Self::Environment(finding) => finding.name(),
            Self::Accounts(finding) => finding.name(),
            Self::Fleet(finding) => finding.name(),
            Self::Devices(finding) => finding.name(),
            Self::Exemption { end, .. } => match end {
                ExemptionEnd::Never => "exemption-without-end",
                ExemptionEnd::Ended(_) => "exemption-ended",
                ExemptionEnd::Soon(_) => "exemption-ends-soon",
                ExemptionEnd::Later(_) => "exemption-in-force",
            },
            Self::Delivery(finding) => finding.name(),
            Self::NotExamined { .. } => "not-examined",
        }
    }
}

impl Complaint {
    const fn name(&self) -> &'static str {
        match self {
            Self::Unusable(_) => "pam-unusable",
            Self::Unsure(_) => "pam-unsure",
            Self::AlwaysFails { .. } => "pam-always-fails",
            Self::WithoutCode { .. } => "pam-without-code",
            Self::DespiteRefusal(_) => "pam-despite-refusal",
            Self::WithoutPassword(_) => "pam-without-password",
            Self::AuthAloneLetsIn => "pam-auth-alone",
            Self::AsksOnlyBeforePassword(_) => "pam-asks-too-early",
            Self::AsksNothing(_) => "pam-asks-nothing",
            Self::ReachedWithoutPassword(_) => "pam-reached-without-password",
            Self::AsksTwice => "pam-asks-twice",
            Self::Account(complaint) => match complaint {
                AccountComplaint::AsksNothing => "pam-account-asks-nothing",
                AccountComplaint::RefusesSudo => "pam-account-refuses-sudo",
                AccountComplaint::StopsRootsSu => "pam-account-stops-su",
            },
            Self::OneField => "pam-one-field",
            Self::Key(_, complaint) => match complaint {
                KeyComplaint::Refused => "pam-key-refused",
                KeyComplaint::RefusedUnasked => "pam-key-refused-unasked",
                KeyComplaint::LandsElsewhere => "pam-key-lands-elsewhere",
            },
            Self::Sshd(complaint) => match complaint {
                SshdComplaint::WithoutPam => "sshd-without-pam",
                SshdComplaint::CannotAsk => "sshd-cannot-ask",
                SshdComplaint::PasswordMethod => "sshd-password-method",
                SshdComplaint::KeyAloneLetsIn => "sshd-key-alone",
                SshdComplaint::KeyAloneLetsInUsers(_) | SshdComplaint::KeyAloneLetsInBlocks(_) => {
                    "sshd-key-alone-in-match"
                }
                SshdComplaint::PasswordMethodInBlocks(_) => "sshd-password-method-in-match",
                SshdComplaint::CannotAskInBlocks(_) => "sshd-cannot-ask-in-match",
                SshdComplaint::KeyIsCutOff => "sshd-key-cut-off",
            },
        }
    }
}

impl HostFinding {
    const fn name(&self) -> &'static str {
        match self {
            Self::NobodyIsAsked => "pam-nobody-asked",
            Self::UnknownOption { .. } => "pam-unknown-option",
            Self::ForgivingControl { .. } => "pam-forgiving-control",
            Self::SharedAccount { .. } => "pam-shared-account",
            Self::RootWithoutCode { .. } => "pam-root-without-code",
            Self::HiddenFromBroker { .. } => "pam-hidden-from-broker",
            Self::SecurityKeysDoNotCount => "security-keys-do-not-count",
            Self::RobotsNeedMore { .. } => "sshd-robots-need-more",
            Self::SshdSettingsUnknown { .. } => "sshd-settings-unknown",
        }
    }
}

impl RulesFinding {
    const fn name(&self) -> &'static str {
        match self {
            Self::Disabled => "policy-disabled",
            Self::Reporting { .. } => "policy-only-reports",
            Self::Concern(concern) => match concern {
                Concern::EnrolledBeforehandOnly { .. } => "policy-beforehand-only",
                Concern::NoBackupCodes { .. } => "policy-no-backup-codes",
                Concern::NothingCarried { .. } => "policy-nothing-carried",
                Concern::GroupMissing { .. } => "class-group-missing",
                Concern::OnlyReports { .. } => "policy-only-reports",
                Concern::Loss { .. } => "users-lose-methods",
                Concern::ChannelLost { .. } => "users-lose-channel",
            },
            Self::NameService { .. } => "name-service-fails",
            Self::ServicesUncovered { .. } => "policy-services-uncovered",
            Self::ReplaceAtLogin(_) => "users-replace-method",
            Self::Refused(_) => "users-refused",
            Self::RootRefused(_) => "root-refused",
            Self::RootUndelivered => "root-undelivered",
            Self::Undelivered { .. } => "users-undelivered",
            Self::ReportsMissed { .. } => "reports-missed",
            Self::CannotVerify { .. } => "users-cannot-verify",
            Self::EmailAlone { .. } => "users-by-email-alone",
        }
    }
}

impl EnvironmentFinding {
    const fn name(&self) -> &'static str {
        match self {
            Self::Exposed { .. } => "file-exposed",
            Self::DiskNearlyFull { .. } => "disk-nearly-full",
            Self::FilesNearlyUsedUp { .. } => "disk-files-nearly-used-up",
            Self::StoreUnwritable { .. } => "store-unwritable",
            Self::BrokerOutdated => "broker-outdated",
            Self::StoreUnavailable { .. } => "store-unavailable",
            Self::KeyExposed { .. } => "key-exposed",
            Self::StoreReadOnly => "store-read-only",
            Self::PamChangePending => "pam-change-pending",
            Self::SelinuxDenials { .. } => "selinux-denials",
            Self::Hurry(_) => "login-time-short",
            Self::ClockUnsynchronised => "clock-unsynchronised",
            Self::StoreDamaged { .. } => "store-damaged",
            Self::LogAltered { .. } => "log-altered",
        }
    }
}

impl AccountFinding {
    const fn name(&self) -> &'static str {
        match self {
            Self::Gone { .. } => "account-gone",
            Self::Differs { .. } => "account-differs",
            Self::Unsettled { .. } => "account-unsettled",
            Self::SharedUid { .. } => "account-shared-uid",
        }
    }
}

impl FleetFinding {
    const fn name(&self) -> &'static str {
        match self {
            Self::Server { .. } => "fleet-server",
            Self::ServerCertificateEnds { .. } => "fleet-server-certificate-ends",
            Self::HostCertificatesEnd { .. } => "fleet-host-certificates-end",
            Self::RowAltered { .. } => "database-row-altered",
            Self::ServerIsHost => "fleet-server-is-host",
            Self::NoStandby { .. } => "database-no-standby",
            Self::StandbyGone { .. } => "database-standby-gone",
            Self::Host { .. } => "fleet-host",
            Self::Stale { .. } => "fleet-policy-stale",
            Self::NotAMember { .. } => "fleet-membership",
            Self::CertificateEnds { .. } => "fleet-certificate-ends",
            Self::AuthorityEnds { .. } => "fleet-ca-ends",
            Self::Clock { .. } => "fleet-clock",
            Self::SameUid { .. } => "fleet-same-uid",
            Self::OtherUid { .. } => "fleet-other-uid",
        }
    }
}

impl DeviceFinding {
    const fn name(&self) -> &'static str {
        match self {
            Self::NeverTrusted { .. } => "devices-never-trusted",
            Self::WithoutProof { .. } => "devices-without-proof",
            Self::PasswordsUnseen { .. } => "devices-passwords-unseen",
            Self::SharedAddresses { .. } => "devices-shared-addresses",
        }
    }
}

impl DeliveryFinding {
    const fn name(&self) -> &'static str {
        match self {
            Self::Template { .. } => "template-unusable",
            Self::KindLeftOut { .. } => "provider-kind-unusable",
            Self::ProviderSealed { .. } => "provider-sealed",
            Self::ProviderUnused { .. } => "provider-unused",
            Self::ProviderUnusable { .. } => "provider-unusable",
            Self::CertificateEnds { .. } => "certificate-ends",
            Self::ServerCertificateEnds { .. } => "server-certificate-ends",
            Self::ProviderFailed { .. } => "provider-fails",
            Self::EmailIsWeak => "email-is-weak",
            Self::Uncarried { .. } => "users-uncarried",
            Self::ManyTextMessages { .. } => "sms-many",
            Self::NoPhoneCountry => "phone-country-unset",
            Self::NoticeOverdue { .. } => "notice-overdue",
            Self::NoticeWaiting { .. } => "notice-waiting",
            Self::NoticeDue => "notice-due",
        }
    }
}

#[cfg(test)]
mod tests {
    const MANUAL: &str = include_str!("../../../../../man/twofad.8");

    #[test]
    fn every_name_has_its_row_in_the_manual() {
        let source = include_str!("names.rs");
        let (code, _) = source.split_once("#[cfg(test)]").unwrap();
        let code = code.to_owned() + include_str!("finding/program.rs");
        let names: Vec<_> = code.split('"').skip(1).step_by(2).collect();
        assert!(names.len() > 40);
        let manual = MANUAL.replace("\\-", "-");
        let rows: Vec<_> = manual.lines().collect();
        for name in names {
            let row = format!(".I {name}");
            let is_there = rows.iter().any(|line| *line == row);
            assert!(is_there, "{row}");
        }
    }
}
