//! Findings about PAM: services with the same complaint together.

use super::finding::{Complaint, Finding, HostFinding};

/// What is wrong so far.
#[derive(Debug, Default)]
pub(super) struct Complaints(Vec<Finding>);

impl Complaints {
    /// Something about a service.
    pub(super) fn add(&mut self, service: &str, complaint: Complaint) {
        let known = self.0.iter_mut().find_map(|finding| match finding {
            Finding::Services {
                services,
                complaint: known,
            } if *known == complaint => Some(services),
            _ => None,
        });
        match known {
            Some(services) => services.push(service.to_owned()),
            None => self.0.push(Finding::Services {
                services: vec![service.to_owned()],
                complaint,
            }),
        }
    }

    /// Something that is wrong with a file, whichever service includes it.
    pub(super) fn host(&mut self, finding: HostFinding) {
        let finding = Finding::Host(finding);
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
    }

    /// All of it, in the order in which it was found.
    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.0
    }
}
