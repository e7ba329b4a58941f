//! The stacks of a service.

use crate::error::{Doubt, Unusable};
use crate::host::Host;
use crate::phase::Phase;
use crate::reader::{Reader, Stacks};
use crate::rule::Rule;

/// The stacks of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The name that the program passes to `pam_start`, in lower case.
    pub name: String,
    /// The lines of `auth`.
    pub auth: Vec<Rule>,
    /// The lines of `account`.
    pub account: Vec<Rule>,
    /// The lines of `session`.
    pub session: Vec<Rule>,
    /// The lines of `password`.
    pub password: Vec<Rule>,
    /// libpam has Debian's changes.
    pub is_debian: bool,
    /// Every path that was looked at, including those where nothing was. While none of them changes, the model holds.
    pub files: Vec<String>,
    /// Why the model may be wrong.
    pub doubts: Vec<Doubt>,
}

impl Service {
    /// Reads what libpam would read for a program that calls `pam_start` with this name.
    pub fn read(name: &str, host: &dyn Host) -> Result<Self, Unusable> {
        let name = name
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let mut reader = Reader::new(host);
        let (mut own, mut other) = (Stacks::default(), Stacks::default());
        let has_own = reader.service(&name, &mut own)?;
        let has_other = reader.service("other", &mut other)?;
        if name == "other" {
            // libpam reads it twice.
            other.append(own);
            own = Stacks::default();
        }
        if !has_own && !has_other && reader.doubts.is_empty() {
            return Err(Unusable::NoFile);
        }
        // A phase without a line is taken from `other`.
        let mut take = |phase: Phase| {
            let own = std::mem::take(own.rules_mut(phase));
            if own.is_empty() {
                std::mem::take(other.rules_mut(phase))
            } else {
                own
            }
        };
        Ok(Self {
            name,
            auth: take(Phase::Auth),
            account: take(Phase::Account),
            session: take(Phase::Session),
            password: take(Phase::Password),
            is_debian: host.debian(),
            files: reader.files,
            doubts: reader.doubts,
        })
    }

    /// The lines of a type, in their order.
    pub fn rules(&self, phase: Phase) -> &[Rule] {
        match phase {
            Phase::Auth => &self.auth,
            Phase::Account => &self.account,
            Phase::Session => &self.session,
            Phase::Password => &self.password,
        }
    }
}
