//! The servers of a fleet: the first, those that join it, and their certificates.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use twofa_core::Timestamp;
use twofa_fleet::certificate::{
    self, Authority, CertificateError, Issued, NewFleet, PrivateKey, fingerprint, make_fleet,
};
use twofa_fleet::client;
use twofa_fleet::company::{check_authority, request_authority};
use twofa_fleet::identity::{Id, Signs};
use twofa_fleet::package::{NextAuthorities, ServerPackage};
use twofa_fleet::tls;
use twofa_fleet::token::{digest, proof};
use twofa_fleet::wire::{ServerAdmission, ServerJoinAnswer, ServerJoinRequest};
use twofa_proto::Secret;
use twofa_proto::codec::CodecError;
use twofa_store::{Keys, NewServer, open_package};
use zeroize::Zeroizing;

pub use twofa_store::Server;

use super::fleet::{Address, FleetError, Token, check_not_joined, unreached};
use super::{AdminError, Administration};
use crate::fleet::files::{DIRECTORY, FleetDirectory, NewServerFiles, ServerFiles};
use crate::fleet::requests::Requests;
use crate::process::clock;
use crate::process::location::location;
use crate::process::privileges;

/// How long a server may take to let another join.
const JOIN_TIMEOUT: Duration = Duration::from_secs(15);

/// What became of making a fleet.
#[derive(Debug)]
pub enum Made {
    /// This machine is its first server, with these files.
    Server(Box<ServerFiles>),
    /// The company's certificate authority is to sign the requests in this directory first.
    Requests(PathBuf),
}

/// Makes this machine the first server of a new fleet, whose hosts reach it at `addresses`, below the certificate authority `ca`
/// (PEM) or one of its own; for root. Where that was begun before, it goes on with that.
pub fn init(addresses: &[Address], ca: Option<&str>) -> Result<Made, FleetError> {
    let directory = FleetDirectory::default();
    if directory.host_file().exists() {
        return Err(FleetError::IsHost);
    }
    let requests = Requests::beside(Path::new(DIRECTORY));
    if !directory.is_server() {
        match ca {
            None => write_first(&directory, addresses, make_fleet(clock::now())?.into())?,
            Some(ca) => match signed(&requests, ca, None)? {
                None => return Ok(Made::Requests(requests.path().to_owned())),
                Some(fleet) => write_first(&directory, addresses, fleet)?,
            },
        }
    }
    let files = directory.read_server()?;
    requests.remove()?;
    Ok(Made::Server(Box::new(files)))
}

/// The certificates and keys of a fleet that is made, or whose certificate authority is rotated.
pub(super) struct FirstFleet {
    id: Id,
    pub(super) root: String,
    pub(super) root_key: Option<PrivateKey>,
    pub(super) hosts: Issued,
    pub(super) servers: Issued,
}

impl From<NewFleet> for FirstFleet {
    fn from(new: NewFleet) -> Self {
        let NewFleet {
            id,
            root,
            hosts,
            servers,
        } = new;
        Self {
            id,
            root: root.certificate,
            root_key: Some(root.key),
            hosts,
            servers,
        }
    }
}

/// The authorities of `fleet`, or of a new one, that `ca` has signed; `None`: not both yet, and the requests are written.
pub(super) fn signed(
    requests: &Requests,
    ca: &str,
    fleet: Option<&Id>,
) -> Result<Option<FirstFleet>, FleetError> {
    // Of several, the first is the one that signs.
    let root = certificate::read_pem(ca)?;
    let root = certificate::write_pem(root.first().ok_or(CertificateError::Unreadable)?);
    let Some(id) = requests.fleet()? else {
        let id = fleet.cloned().map_or_else(Id::random, Ok)?;
        for signs in [Signs::Hosts, Signs::Servers] {
            let (key, request) = request_authority(signs, &id)?;
            requests.write(signs, (&key, &request))?;
        }
        requests.write_fleet(&id)?;
        return Ok(None);
    };
    let now = clock::now();
    let read = |signs| -> Result<Option<Issued>, FleetError> {
        let Some((key, certificate)) = requests.read(signs)? else {
            return Ok(None);
        };
        check_authority(signs, &id, (&certificate, &key), &root, now).map_err(|error| {
            FleetError::BadAuthority {
                directory: requests.path().to_owned(),
                signs: match signs {
                    Signs::Hosts => "hosts",
                    Signs::Servers => "servers",
                },
                error,
            }
        })?;
        Ok(Some(Issued { certificate, key }))
    };
    let (Some(hosts), Some(servers)) = (read(Signs::Hosts)?, read(Signs::Servers)?) else {
        return Ok(None);
    };
    Ok(Some(FirstFleet {
        id,
        root,
        root_key: None,
        hosts,
        servers,
    }))
}

fn write_first(
    directory: &FleetDirectory,
    addresses: &[Address],
    fleet: FirstFleet,
) -> Result<(), FleetError> {
    let service = privileges::service_owner()?.gid;
    let FirstFleet {
        id: fleet,
        root,
        root_key,
        hosts,
        servers,
    } = fleet;
    let authority = Authority::new(&servers.certificate, &servers.key)?;
    let own = authority.issue_server(&fleet, &names(addresses), clock::now())?;
    Ok(directory.write_server(&NewServerFiles {
        fleet: &fleet,
        id: &Id::random()?,
        addresses,
        root: &root,
        root_key: root_key.as_ref(),
        servers: &servers.certificate,
        servers_key: Some(&servers.key),
        hosts: &hosts.certificate,
        hosts_key: &hosts.key,
        certificate: &own.certificate,
        key: &own.key,
        service,
    })?)
}

/// Makes a new key and certificate for this server; for root. Returns when the certificate ends.
pub fn renew_server() -> Result<Timestamp, FleetError> {
    let (directory, files) = read_server()?;
    let own = issue(&directory, &files, &files.addresses)?;
    let service = privileges::service_owner()?.gid;
    directory.write_server_certificate(&own, service)?;
    if let Some(next) = next_authorities(&directory, &files.fleet, &names(&files.addresses))? {
        directory.write_next_certificate(&next.own, service)?;
    }
    let der = certificate::read_pem(&own.certificate)?;
    let der = der.first().ok_or(CertificateError::Unreadable)?;
    Ok(certificate::key_and_end(der)?.1)
}

/// A server that is to join, with its certificate and key.
#[derive(Debug)]
pub struct PreparedServer {
    files: ServerFiles,
    new: NewServer,
    package: ServerPackage,
}

/// Makes a certificate and key for the server `name`, which hosts reach at `addresses`; for root.
pub fn prepare_server(name: &str, addresses: &[Address]) -> Result<PreparedServer, FleetError> {
    let (directory, files) = read_server()?;
    let own = issue(&directory, &files, addresses)?;
    let (_, servers_key) = directory.read_servers_authority()?;
    let new = NewServer {
        id: Id::random()?.to_string(),
        name: name.to_owned(),
        addresses: addresses.iter().map(ToString::to_string).collect(),
    };
    let next = next_authorities(&directory, &files.fleet, &names(addresses))?;
    let package = ServerPackage {
        servers_key: Some(servers_key),
        own,
        next: next.map(Box::new),
    };
    Ok(PreparedServer {
        files,
        new,
        package,
    })
}

fn issue(
    directory: &FleetDirectory,
    files: &ServerFiles,
    addresses: &[Address],
) -> Result<Issued, FleetError> {
    let (certificate, key) = directory.read_servers_authority()?;
    let authority = Authority::new(&certificate, &key)?;
    Ok(authority.issue_server(&files.fleet, &names(addresses), clock::now())?)
}

/// The certificate authority to which the one in use is being rotated, with a new certificate for a server of these names.
fn next_authorities(
    directory: &FleetDirectory,
    fleet: &Id,
    names: &[String],
) -> Result<Option<NextAuthorities>, FleetError> {
    let Some(mut next) = directory.read_next_keys()? else {
        return Ok(None);
    };
    let authority = Authority::new(&next.servers.certificate, &next.servers.key)?;
    next.own = authority.issue_server(fleet, names, clock::now())?;
    Ok(Some(next))
}

pub(super) fn names(addresses: &[Address]) -> Vec<String> {
    addresses.iter().map(|it| it.name.clone()).collect()
}

pub(super) fn read_server() -> Result<(FleetDirectory, ServerFiles), FleetError> {
    let directory = FleetDirectory::default();
    if !directory.is_server() {
        return Err(FleetError::NoServer);
    }
    let files = directory.read_server()?;
    Ok((directory, files))
}

/// A server that may join, and the token with which it does.
#[derive(Debug)]
pub struct AddedServer {
    /// The server.
    pub server: Server,
    /// What `twofa server join` asks for.
    pub token: Secret,
}

impl Administration {
    /// Records in the store that this machine, which has `files`, is the first server of its fleet, under the name `name`.
    pub fn record_first_server(&self, files: &ServerFiles, name: &str) -> Result<(), FleetError> {
        let id = files.id.to_string();
        if self.store().servers()?.iter().any(|server| server.id == id) {
            return Err(FleetError::IsServer);
        }
        let new = NewServer {
            id,
            name: name.to_owned(),
            addresses: files.addresses.iter().map(ToString::to_string).collect(),
        };
        Ok(self
            .store()
            .record_first_server(&new, &self.origin(), self.now())?)
    }

    /// Adds a server to the fleet.
    pub fn add_server(&self, prepared: &PreparedServer) -> Result<AddedServer, FleetError> {
        let PreparedServer {
            files,
            new,
            package,
        } = prepared;
        let token = self.new_token(files)?;
        let package = package.pem();
        let secret = token.secret.expose().as_bytes();
        let server = self.store().add_server(
            new,
            (secret, &digest(&proof(&token.secret))),
            package.as_bytes(),
            &self.origin(),
            self.now(),
        )?;
        let token = token.line();
        Ok(AddedServer { server, token })
    }

    /// Issues the package of keys and certificates again for the server of this name, which has joined. `None`: there is none.
    pub fn readmit_server(
        &self,
        prepared: &PreparedServer,
    ) -> Result<Option<AddedServer>, FleetError> {
        let PreparedServer {
            files,
            new,
            package,
        } = prepared;
        let servers = self.store().servers()?;
        let known = servers.into_iter().find(|server| server.name == new.name);
        if let Some(known) = known.filter(|known| known.addresses != new.addresses) {
            return Err(FleetError::OtherAddresses(known.addresses));
        }
        let token = self.new_token(files)?;
        let package = package.pem();
        let secret = token.secret.expose().as_bytes();
        let server = self.store().readmit_server(
            &new.name,
            (secret, &digest(&proof(&token.secret))),
            package.as_bytes(),
            &self.origin(),
            self.now(),
        )?;
        let token = token.line();
        Ok(server.map(|server| AddedServer { server, token }))
    }

    /// A token with which a host or a server joins at one of the fleet's servers.
    pub(super) fn new_token(&self, files: &ServerFiles) -> Result<Token, FleetError> {
        let mut addresses = Vec::new();
        for server in self.store().servers()? {
            if server.joined_at.is_some() {
                let parsed: Result<Vec<Address>, _> =
                    server.addresses.iter().map(|it| it.parse()).collect();
                addresses.extend(parsed.map_err(|_| FleetError::BadAnswer)?);
            }
        }
        let root = certificate::read_pem(&files.root)?;
        let root = root.first().ok_or(CertificateError::Unreadable)?;
        Ok(Token::new(addresses, fingerprint(root))?)
    }

    /// Every server of the fleet, in the order in which they were added.
    pub fn servers(&self) -> Result<Vec<Server>, AdminError> {
        Ok(self.store().servers()?)
    }

    /// Removes the server `name` from the fleet. Says whether there was one.
    pub fn remove_server(&self, name: &str) -> Result<bool, AdminError> {
        let (origin, now) = (self.origin(), self.now());
        Ok(self.store().remove_server(name, &origin, now)?)
    }
}

/// Fails where no server can be made: on a host, and where the store is in a file. A server can join again.
pub fn check_can_be_server() -> Result<(), FleetError> {
    match check_not_joined() {
        Err(FleetError::IsServer) => {}
        checked => checked?,
    }
    if location().is_on_server()? {
        Ok(())
    } else {
        Err(FleetError::NoDatabase)
    }
}

/// Has a server of the token's admit this machine as another. Nothing of this machine is changed by that.
pub fn ask_to_join_as_server(token: &Token) -> Result<ServerAdmission, FleetError> {
    let config = tls::joining_server(token.root)?;
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
        // The token works once: no other server is asked after this one.
        let lost = |error: CodecError| FleetError::Unreached(format!("{server}: {error}"));
        let proof = proof(&token.secret);
        link.send(&ServerJoinRequest { proof }).map_err(lost)?;
        return match link.receive().map_err(lost)? {
            ServerJoinAnswer::Joined(admission) => Ok(*admission),
            ServerJoinAnswer::Refused(why) => Err(FleetError::Refused(why)),
        };
    }
    Err(FleetError::Unreached(failures.join("; ")))
}

/// The sealing keys that a server has sent.
fn sealing_keys(admission: &ServerAdmission) -> Result<Keys, FleetError> {
    let mut keys = Vec::new();
    for (number, digits) in &admission.sealing_keys {
        let bytes = HEXLOWER.decode(digits.expose().as_bytes());
        let bytes = Zeroizing::new(bytes.map_err(|_| FleetError::BadAnswer)?);
        let bytes = bytes.as_slice().try_into();
        let bytes = bytes.map_err(|_| FleetError::BadAnswer)?;
        keys.push((*number, Zeroizing::new(bytes)));
    }
    Keys::from_numbered(keys).ok_or(FleetError::BadAnswer)
}

/// Makes this machine a server with what another has sent; for root. Returns where a sealing key that was here before is now.
pub fn become_server(
    token: &Token,
    admission: &ServerAdmission,
) -> Result<Option<PathBuf>, FleetError> {
    let bad = |_| FleetError::BadAnswer;
    let secret = token.secret.expose().as_bytes();
    let package = open_package(&admission.id, secret, &admission.package).map_err(bad)?;
    let package = ServerPackage::parse(&package)?;
    package.check_servers_key(&admission.servers)?;
    let ServerPackage {
        servers_key,
        own,
        next,
    } = package;
    let fleet: Id = admission.fleet.parse()?;
    next.as_ref().map_or(Ok(()), |next| next.check(&fleet))?;
    let id: Id = admission.id.parse()?;
    let directory = FleetDirectory::default();
    if directory.is_server() {
        let here = directory.read_server()?;
        if (&here.fleet, &here.id) != (&fleet, &id) {
            return Err(FleetError::OtherServer);
        }
    }
    // A certificate of another key fails here.
    tls::server(&tls::ServerCertificates {
        chain: &(own.certificate.clone() + &admission.servers + &admission.root),
        key: &own.key,
        hosts: &admission.hosts,
        fleet: &fleet,
    })?;
    let addresses: Result<Vec<Address>, _> =
        admission.addresses.iter().map(|it| it.parse()).collect();
    let sealing_keys = sealing_keys(admission)?;
    let owner = privileges::service_owner()?;
    let kept = location().take_over_keys(&sealing_keys, owner)?;
    let hosts_key = Zeroizing::new(admission.hosts_key.expose().to_owned());
    directory.write_server(&NewServerFiles {
        fleet: &fleet,
        id: &id,
        addresses: &addresses.map_err(|_| FleetError::BadAnswer)?,
        root: &admission.root,
        root_key: None,
        servers: &admission.servers,
        servers_key: servers_key.as_ref(),
        hosts: &admission.hosts,
        hosts_key: &PrivateKey::new(hosts_key),
        certificate: &own.certificate,
        key: &own.key,
        service: owner.gid,
    })?;
    if let Some(next) = next {
        directory.write_next(&next, None, owner.gid)?;
    }
    Ok(kept)
}
