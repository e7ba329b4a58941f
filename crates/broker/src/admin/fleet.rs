//! The hosts of a fleet, and joining it as one. Its servers are [`super::servers`]'s.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use twofa_core::Account;
use twofa_core::text::is_unprintable;
use twofa_fleet::certificate::{self, CertificateError, request_to_join};
use twofa_fleet::client::{self, Servers};
use twofa_fleet::company::BadAuthority;
use twofa_fleet::identity::{BadIdentity, Id, Identity, Role};
use twofa_fleet::tls::{self, TlsError};
use twofa_fleet::token::digest;

use twofa_core::FleetPolicy;
use twofa_fleet::wire::{JoinAnswer, JoinRequest};
use twofa_proto::Secret;
use twofa_proto::codec::CodecError;
use twofa_store::{JoinedFleet, NewHost, Origin, Store, StoreError};

pub use twofa_fleet::token::{Address, BadToken, Token};
pub use twofa_store::{Host, HostRights, Mark, Setback};

use super::{AdminError, Administration};
use crate::fleet::files::{FilesError, FleetDirectory, HostFiles};
use crate::fleet::membership::machine_id;
use crate::fleet::policy_copy::{self, BadCopy, Signers};
use crate::fleet::shared::is_shared;
use crate::process::privileges::{self, PrivilegeError};
use crate::process::{self, clock};
use crate::text::messages::host_name;

/// How long a server may take to let a host join.
const JOIN_TIMEOUT: Duration = Duration::from_secs(15);

/// Why a command about the fleet failed.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A file cannot be used.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A certificate cannot be made.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Certificates or keys cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The process does not have the privileges that it must have.
    #[error(transparent)]
    Privileges(#[from] PrivilegeError),
    /// There are no random numbers.
    #[error("cannot get random numbers: {0}")]
    Random(#[from] getrandom::Error),
    /// The machine is a server already.
    #[error("this machine is already a fleet server")]
    IsServer,
    /// The machine is no server.
    #[error("this machine is not a fleet server")]
    NoServer,
    /// The machine is a host already, or half of one.
    #[error("this machine has already joined a fleet")]
    IsHost,
    /// The machine is no host.
    #[error("this machine has not joined a fleet")]
    NoHost,
    /// A copy of this machine could not be told from it.
    #[error("this machine has no machine-id(5), by which a copy of it would be known")]
    NoMachineId,
    /// A join key cannot work for so long, or not at all.
    #[error("a join key works for at most 365d")]
    BadLifetime,
    /// A host that is there can be silent for longer than that.
    #[error("a host must be able to be silent for at least 1h")]
    BadHostLife,
    /// There is a join key of this name.
    #[error(transparent)]
    JoinKeyExists(StoreError),
    /// A service cannot be called that.
    #[error("'{}' is not the name of a PAM service, such as sshd", .0.escape_debug())]
    BadService(String),
    /// No server could be asked.
    #[error("no server can be reached: {0}")]
    Unreached(String),
    /// The server does not let the host join.
    #[error("the server refuses: {0}")]
    Refused(String),
    /// The rules that the server sent are not the fleet's.
    #[error("the server sent a policy that cannot be used: {0}")]
    BadPolicy(#[from] BadCopy),
    /// What the server sent is not what was asked for.
    #[error("the server sent a certificate that is not this host's")]
    BadAnswer,
    /// The store of a machine that is to be another server is in a file.
    #[error("the store of this machine is not in a database that servers share")]
    NoDatabase,
    /// The database of this machine is not that of the fleet.
    #[error(
        "this machine has joined, but its database, named in /etc/twofa/database, is not that of the fleet's servers"
    )]
    OtherDatabase,
    /// The sealing key is not in a file that root can change.
    #[error("the sealing key is a credential of systemd's, which this command cannot change")]
    KeyIsCredential,
    /// Servers do not have the newest sealing key.
    #[error("these servers do not have the newest sealing key yet: {}", .0.join(", "))]
    ServersWithoutKey(Vec<String>),
    /// A server that is to join again is reached by other addresses.
    #[error("the server was added with these addresses: {}", .0.join(", "))]
    OtherAddresses(Vec<String>),
    /// The machine is a server of another fleet, or another one of this fleet.
    #[error("this machine is already a fleet server, and the token is for another one")]
    OtherServer,
    /// What a company's certificate authority has signed is not what it was asked for.
    #[error("{}/{signs}.crt cannot be used: {error}", .directory.display())]
    BadAuthority {
        /// Where it is.
        directory: PathBuf,
        /// Whose certificates it is to sign.
        signs: &'static str,
        /// Why it cannot.
        error: BadAuthority,
    },
    /// A reason must be one.
    #[error("a reason has 1 to 256 characters")]
    BadReason,
    /// The host has never fetched rescue codes.
    #[error("the host '{0}' has not fetched any rescue codes yet")]
    NoRescueCodes(String),
    /// All rescue codes that the host knows were shown.
    #[error("all rescue codes that the host '{0}' knows have been shown")]
    RescueCodesShown(String),
    /// The certificate authority of a fleet below a company's was to be replaced by one of its own.
    #[error(
        "this fleet is below your company's certificate authority, which signs the new one, too"
    )]
    CompanyAuthority,
    /// The certificate authority is not being rotated.
    #[error("the certificate authority of this fleet is not being rotated")]
    NoCaRotation,
    /// Another server began a rotation, and this one does not have the new certificate authority.
    #[error(
        "the certificate authority is being rotated, and this server does not have the new one"
    )]
    NextAuthorityMissing,
    /// Servers did not finish the last rotation.
    #[error("the last rotation of the certificate authority is not finished on these servers: {}", .0.join(", "))]
    ServersWithOldCa(Vec<String>),
    /// There is a host of this name.
    #[error(transparent)]
    HostExists(StoreError),
    /// There is a server of this name.
    #[error(transparent)]
    ServerExists(StoreError),
    /// The store is that of a fleet already.
    #[error(transparent)]
    FleetExists(StoreError),
    /// A host cannot be called that.
    #[error(transparent)]
    BadHostName(StoreError),
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for FleetError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::HostExists(_) => Self::HostExists(error),
            StoreError::ServerExists(_) => Self::ServerExists(error),
            StoreError::JoinKeyExists(_) => Self::JoinKeyExists(error),
            StoreError::FleetExists(_) => Self::FleetExists(error),
            StoreError::BadHostName(_) => Self::BadHostName(error),
            error => Self::Store(error),
        }
    }
}

impl From<BadIdentity> for FleetError {
    fn from(_: BadIdentity) -> Self {
        Self::BadAnswer
    }
}

/// A host that may join, and the token with which it does.
#[derive(Debug)]
pub struct AddedHost {
    /// The host.
    pub host: Host,
    /// What `twofa join` asks for.
    pub token: Secret,
}

impl Administration {
    /// Adds the host `name` to the fleet.
    pub fn add_host(&self, name: &str, rights: HostRights) -> Result<AddedHost, FleetError> {
        let directory = FleetDirectory::default();
        if !directory.is_server() {
            return Err(FleetError::NoServer);
        }
        check_services(&rights)?;
        let token = self.new_token(&directory.read_server()?)?;
        let host = NewHost {
            id: Id::random()?.to_string(),
            name: name.to_owned(),
            rights,
            token: digest(&token.secret),
        };
        let host = self.store().add_host(&host, &self.origin(), self.now())?;
        let token = token.line();
        Ok(AddedHost { host, token })
    }

    /// Lets the host `name`, which has joined before, join again. `None`: there is none.
    pub fn readmit_host(&self, name: &str) -> Result<Option<AddedHost>, FleetError> {
        let directory = FleetDirectory::default();
        if !directory.is_server() {
            return Err(FleetError::NoServer);
        }
        let token = self.new_token(&directory.read_server()?)?;
        let (origin, now) = (self.origin(), self.now());
        let host = self
            .store()
            .readmit_host(name, &digest(&token.secret), &origin, now)?;
        let token = token.line();
        Ok(host.map(|host| AddedHost { host, token }))
    }

    /// Every host of the fleet, by name.
    pub fn hosts(&self) -> Result<Vec<Host>, AdminError> {
        Ok(self.store().hosts()?)
    }

    /// How many logins with a code there were on each host, by its id.
    pub fn host_logins(&self) -> Result<HashMap<String, u64>, AdminError> {
        Ok(self.store().host_logins()?)
    }

    /// Lets the host `name` ask about everybody again, after it was cut off. Says whether it was; `None`: there is no such host.
    pub fn unlock_host(&self, name: &str) -> Result<Option<bool>, AdminError> {
        Ok(self.store().unlock_host(name, &self.origin(), self.now())?)
    }

    /// Removes the host `name` from the fleet: from this moment its logins are refused. Says whether there was one.
    pub fn remove_host(&self, name: &str) -> Result<bool, AdminError> {
        Ok(self.store().remove_host(name, &self.origin(), self.now())?)
    }

    /// What is to be decided before [`Self::resume_fleet`].
    pub fn setback(&self) -> Result<Setback, AdminError> {
        Ok(self.store().setback()?)
    }

    /// Has a database that has gone back count as the right one.
    pub fn resume_fleet(&self) -> Result<Setback, AdminError> {
        Ok(self.store().resume(&self.origin(), self.now())?)
    }

    /// The fleet that this machine has joined.
    pub fn joined_fleet(&self) -> Result<Option<JoinedFleet>, AdminError> {
        Ok(self.store().rules_in_force()?.fleet.clone())
    }

    /// Records that this machine has joined a fleet. Its files must be there already. A store that was exported is opened again,
    /// for the accounts that are not the fleet's.
    pub fn record_joined(
        files: &HostFiles,
        name: &str,
        policy: &SignedPolicy,
    ) -> Result<(), AdminError> {
        let now = clock::now();
        let joined = JoinedFleet {
            fleet: files.fleet.to_string(),
            host: files.host.to_string(),
            name: name.to_owned(),
            joined_at: now,
            servers: Vec::new(),
            renewed: None,
            authorities: None,
        };
        let rules = &policy.policy;
        // Where nobody can say whose an account is, its record stays in the export.
        let is_shared = |account: &Account| {
            is_shared(rules.rulebook.machine(), account).unwrap_or(account.uid != 0)
        };
        let origin = Origin::command_line(0).by_login_uid(process::login_uid());
        let admin = Self::open_with(|location| {
            policy_copy::save(&policy_copy::default_path(), &policy.signed)
                .map_err(|error| StoreError::Other(error.to_string()))?;
            Store::open_to_join(location, &joined, rules, is_shared, &origin, now)
        })?;
        // If it was in another fleet before, that one's has nothing to do with this.
        admin.store().forget_mark()?;
        if admin.store().rules_in_force()?.fleet.as_ref() == Some(&joined) {
            return Ok(());
        }
        Ok(admin
            .store()
            .join_fleet(&joined, rules, &admin.origin(), now)?)
    }
}

/// What a host has got from a server.
#[derive(Debug)]
pub struct Admission {
    /// Its files.
    pub files: HostFiles,
    /// The name that it has in the fleet.
    pub name: String,
    /// The rules of the fleet.
    pub policy: SignedPolicy,
}

/// The rules of a fleet as a server sends them.
#[derive(Debug)]
pub struct SignedPolicy {
    /// The rules.
    pub policy: FleetPolicy,
    /// The text that the server has signed.
    pub signed: String,
}

/// Has a server of the token's admit this machine. Nothing of this machine is changed by that.
pub fn ask_to_join(token: &Token) -> Result<Admission, FleetError> {
    check_not_joined()?;
    let config = tls::joining_host(token.root)?;
    if machine_id().is_empty() {
        return Err(FleetError::NoMachineId);
    }
    // Only a join key has the server look at the name.
    let asked = request_to_join(&host_name().to_ascii_lowercase())?;
    let deadline = Instant::now() + JOIN_TIMEOUT;
    let mut failures = Vec::new();
    for server in &token.servers {
        let mut link = match client::connect(&config, server, deadline) {
            Ok(link) => link,
            Err(error) => {
                failures.push(format!("{server}: {}", unreached(&error)));
                continue;
            }
        };
        let request = JoinRequest {
            secret: token.secret.clone(),
            request: asked.request,
        };
        // The token works once: no other server is asked after this one.
        let lost = |error: CodecError| FleetError::Unreached(format!("{server}: {error}"));
        link.send(&request).map_err(lost)?;
        let (name, certificate) = match link.receive().map_err(lost)? {
            JoinAnswer::Joined { name, certificate } => (name, certificate),
            JoinAnswer::Refused(why) => return Err(FleetError::Refused(why)),
        };
        let authority =
            certificate::write_pem(link.certificates().get(1).ok_or(FleetError::BadAnswer)?);
        let files = read_answer(&certificate, authority, asked.key, token.servers.clone())?;
        let policy = fetch_policy(&files, deadline)?;
        return Ok(Admission {
            files,
            name,
            policy,
        });
    }
    Err(FleetError::Unreached(failures.join("; ")))
}

/// Gets the rules of the fleet that the host with these `files` has joined just now.
fn fetch_policy(files: &HostFiles, deadline: Instant) -> Result<SignedPolicy, FleetError> {
    let config = tls::host(&tls::HostCertificates {
        certificate: &files.certificate,
        key: &files.key,
        servers: &files.authority,
        fleet: &files.fleet,
    })?;
    let answer = Servers::new(config, files.servers.clone()).fetch_policy(0, deadline);
    let answer = answer.map_err(|error| FleetError::Unreached(error.to_string()))?;
    let signed = answer.signed.ok_or(FleetError::BadAnswer)?;
    let signers = Signers {
        authority: files.authority.clone(),
        fleet: files.fleet.clone(),
    };
    let policy = policy_copy::parse(&signed, &signers, clock::now())?;
    Ok(SignedPolicy { policy, signed })
}

/// Writes the files of a host; for root.
pub fn write_host_files(files: &HostFiles) -> Result<(), FleetError> {
    let service = privileges::service_owner()?.gid;
    Ok(FleetDirectory::default().write_host(files, service)?)
}

/// Removes the files of a host; for root. Says whether there were any.
pub fn remove_host_files() -> Result<bool, FleetError> {
    let directory = FleetDirectory::default();
    if directory.is_server() {
        return Err(FleetError::IsServer);
    }
    let were_there = directory.has_host_files();
    directory.remove_host()?;
    Ok(were_there)
}

/// Fails if a host could not be allowed a service because of its name.
pub(super) fn check_services(rights: &HostRights) -> Result<(), FleetError> {
    let is_bad = |service: &&String| {
        service.is_empty()
            || service
                .chars()
                .any(|c| is_unprintable(c) || c == ',' || c == ' ')
    };
    match rights.services.iter().find(is_bad) {
        Some(bad) => Err(FleetError::BadService(bad.clone())),
        None => Ok(()),
    }
}

/// Fails on a server, and on a machine that has the files of a host.
pub fn check_not_joined() -> Result<(), FleetError> {
    let directory = FleetDirectory::default();
    if directory.is_server() {
        Err(FleetError::IsServer)
    } else if directory.has_host_files() {
        Err(FleetError::IsHost)
    } else {
        Ok(())
    }
}

fn read_answer(
    certificate: &str,
    authority: String,
    key: certificate::PrivateKey,
    servers: Vec<Address>,
) -> Result<HostFiles, FleetError> {
    let own = certificate::read_pem(certificate)?;
    let own = own.first().ok_or(FleetError::BadAnswer)?;
    let Identity {
        fleet,
        role: Role::Host(host),
    } = Identity::of_certificate(own)?
    else {
        return Err(FleetError::BadAnswer);
    };
    let files = HostFiles {
        fleet,
        host,
        machine: machine_id(),
        servers,
        certificate: certificate.to_owned(),
        key,
        authority,
    };
    // A certificate of another key fails here.
    tls::host(&tls::HostCertificates {
        certificate: &files.certificate,
        key: &files.key,
        servers: &files.authority,
        fleet: &files.fleet,
    })?;
    Ok(files)
}

/// What went wrong on the way to a server that a host wants to join, in words: the usual case is another root.
pub(super) fn unreached(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::InvalidData {
        format!("it is not the server that issued the token ({error})")
    } else {
        error.to_string()
    }
}
