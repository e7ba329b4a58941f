//! Services at which devices are never trusted although a policy allows it, and addresses that several users trust.

use std::collections::BTreeSet;

use twofa_core::device::evidence::{is_without_proof, longest};
use twofa_core::policy::Trust;
use twofa_store::EventFilter;
use twofa_store::event::{Event, Record};

use super::finding::{DeviceFinding, Finding};
use crate::admin::{AdminError, Administration};

/// How many of the latest events are searched for how services describe their logins.
const EVENTS: u32 = 2_000;

/// All findings about devices. `unconfirmed`: services that ask in `auth` and let in
/// without a line of the module in `account`.
pub(super) fn findings(
    admin: &Administration,
    unconfirmed: &[String],
) -> Result<Vec<Finding>, AdminError> {
    let rulebook = admin.rulebook()?;
    let trusts: Vec<_> = rulebook
        .policies()
        .map(|(_, policy)| policy.trust)
        .collect();
    let mut findings = Vec::new();
    let used = UsedServices::find(admin)?;
    // Many services share a stack, but only a few are in use.
    let services: Vec<_> = unconfirmed
        .iter()
        .filter(|service| *service == "sshd" || used.all.contains(*service))
        .filter(|service| is_trusting(service, &trusts))
        .cloned()
        .collect();
    if !services.is_empty() {
        findings.push(DeviceFinding::NeverTrusted { services });
    }
    let services: Vec<_> = used
        .without_proof
        .into_iter()
        .filter(|service| is_trusting(service, &trusts))
        .collect();
    if !services.is_empty() {
        findings.push(DeviceFinding::WithoutProof { services });
    }
    if trusts
        .iter()
        .any(|trust| trust.for_addresses().seconds() > 0)
    {
        let addresses = admin.store().shared_addresses(admin.now())?;
        if !addresses.is_empty() {
            findings.push(DeviceFinding::SharedAddresses { addresses });
        }
    }
    Ok(findings.into_iter().map(Finding::Devices).collect())
}

/// Whether any policy trusts devices that logins of this service can prove.
fn is_trusting(service: &str, trusts: &[Trust]) -> bool {
    trusts
        .iter()
        .any(|trust| longest(service, trust).seconds() > 0)
}

/// The services that were used for recent successful logins.
#[derive(Debug, Default)]
struct UsedServices {
    all: BTreeSet<String>,
    /// Those whose logins give no evidence of a device.
    without_proof: BTreeSet<String>,
}

impl UsedServices {
    fn find(admin: &Administration) -> Result<Self, AdminError> {
        let filter = EventFilter {
            last: Some(EVENTS),
            ..EventFilter::default()
        };
        let mut used = Self::default();
        admin.store().events(&filter, |logged| {
            let has_passed = matches!(&logged.record, Record::Event(event) if matches!(**event, Event::Passed { .. }));
            if let Some(login) = logged.origin.as_login().filter(|_| has_passed)
                && let Some(service) = &login.service
            {
                let (host, terminal) = (login.remote_host.as_deref(), login.terminal.as_deref());
                if is_without_proof(service, host, terminal) {
                    used.without_proof.insert(service.clone());
                }
                used.all.insert(service.clone());
            }
            true
        })?;
        Ok(used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::testing::Bench;
    use twofa_core::Account;
    use twofa_store::Origin;
    use twofa_store::event::{LoginOrigin, Proof};

    fn pass(bench: &Bench, service: &str, remote_host: Option<&str>) {
        let login = LoginOrigin {
            service: Some(service.to_owned()),
            remote_host: remote_host.map(str::to_owned),
            ..LoginOrigin::default()
        };
        let event = Event::Passed {
            by: Proof::BackupCode,
        };
        let alice = Account {
            name: "alice".into(),
            uid: 1000,
        };
        let (store, origin) = (bench.store(), Origin::login(0, login));
        store
            .record(Some(&alice), &event, &origin, bench.now())
            .unwrap();
    }

    #[test]
    fn services_at_which_devices_are_never_trusted_are_named_if_a_policy_would_trust_them() {
        let bench = Bench::new();
        bench.enrol_account("alice", 1000);
        pass(&bench, "sshd", Some("192.0.2.7"));
        pass(&bench, "xrdp-sesman", None);
        pass(&bench, "sudo", None);
        pass(&bench, "vsftpd", Some("client.example.org"));
        let unconfirmed = ["sshd", "sudo", "cron"].map(str::to_owned);
        assert_eq!(findings(&bench, &unconfirmed).unwrap(), []);

        bench.policy(&[("trust.elevation", "15m")]);
        let never = |services: &[&str]| {
            Finding::Devices(DeviceFinding::NeverTrusted {
                services: services.iter().map(|name| (*name).to_owned()).collect(),
            })
        };
        assert_eq!(findings(&bench, &unconfirmed).unwrap(), [never(&["sudo"])]);
        bench.policy(&[("trust.elevation", "0"), ("trust.remote", "30d")]);
        let without_proof = DeviceFinding::WithoutProof {
            services: vec!["vsftpd".into(), "xrdp-sesman".into()],
        };
        assert_eq!(
            findings(&bench, &unconfirmed).unwrap(),
            [never(&["sshd"]), Finding::Devices(without_proof)]
        );
    }
}
