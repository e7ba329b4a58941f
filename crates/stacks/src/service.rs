//! The stacks of a service.

use crate::error::{Doubt, Unusable};
use crate::host::Host;
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
    /// The lines of `password`.
    pub password: Vec<Rule>,
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
        let or_other = |own: Vec<Rule>, other: Vec<Rule>| if own.is_empty() { other } else { own };
        Ok(Self {
            name,
            auth: or_other(own.auth, other.auth),
            account: or_other(own.account, other.account),
            password: or_other(own.password, other.password),
            files: reader.files,
            doubts: reader.doubts,
        })
    }
}
