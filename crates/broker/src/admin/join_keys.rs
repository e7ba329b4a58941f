//! Keys with which many hosts join a fleet.

use twofa_core::Duration;
use twofa_core::name_pattern::NamePattern;
use twofa_fleet::token::digest;
use twofa_proto::Secret;
use twofa_store::{HostRights, NewJoinKey};

pub use twofa_store::JoinKey;

use super::fleet::{FleetError, check_services};
use super::{AdminError, Administration};
use crate::fleet::files::FleetDirectory;

/// How long a host must be able to be silent at least: it asks about itself every five minutes.
pub const SHORTEST_LIFE: Duration = Duration::from_minutes(60);
/// The longest time for which a key works.
pub const LONGEST: Duration = Duration::from_seconds(365 * 86_400);

/// A key as an administrator wants it.
#[derive(Debug)]
pub struct WantedJoinKey {
    /// Its name.
    pub name: String,
    /// What its hosts are called.
    pub names: NamePattern,
    /// What they may do.
    pub rights: HostRights,
    /// How many hosts may join with it.
    pub uses: u64,
    /// How many may within an hour.
    pub hourly: u64,
    /// For how long it works.
    pub lifetime: Duration,
    /// After what time of silence a host of it is removed; `None`: it never is.
    pub host_lives: Option<Duration>,
}

/// A key that was made, and the line that hosts join with, which is shown once.
#[derive(Debug)]
pub struct MadeJoinKey {
    /// The key.
    pub key: JoinKey,
    /// What `twofa join` asks for.
    pub token: Secret,
}

impl Administration {
    /// Makes a key.
    pub fn add_join_key(&self, wanted: WantedJoinKey) -> Result<MadeJoinKey, FleetError> {
        let directory = FleetDirectory::default();
        if !directory.is_server() {
            return Err(FleetError::NoServer);
        }
        check_services(&wanted.rights)?;
        if wanted.lifetime == Duration::from_seconds(0) || wanted.lifetime > LONGEST {
            return Err(FleetError::BadLifetime);
        }
        if wanted.host_lives.is_some_and(|lives| lives < SHORTEST_LIFE) {
            return Err(FleetError::BadHostLife);
        }
        let token = self.new_token(&directory.read_server()?)?;
        let now = self.now();
        let new = NewJoinKey {
            name: wanted.name,
            names: wanted.names,
            rights: wanted.rights,
            uses: wanted.uses,
            hourly: wanted.hourly,
            host_lives: wanted.host_lives.map(Duration::seconds),
            until: now.after(wanted.lifetime.seconds()),
            digest: digest(&token.secret),
        };
        let key = self.store().add_join_key(&new, &self.origin(), now)?;
        let token = token.line();
        Ok(MadeJoinKey { key, token })
    }

    /// Every key, by name.
    pub fn join_keys(&self) -> Result<Vec<JoinKey>, AdminError> {
        Ok(self.store().join_keys()?)
    }

    /// Removes the key `name`; its hosts stay. Says whether there was one.
    pub fn remove_join_key(&self, name: &str) -> Result<bool, AdminError> {
        let (origin, now) = (self.origin(), self.now());
        Ok(self.store().remove_join_key(name, &origin, now)?)
    }
}
