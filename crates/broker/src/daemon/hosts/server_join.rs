//! A server joins: it shows that it has a token, and gets what all servers have.

use std::net::SocketAddr;
use std::time::Instant;

use data_encoding::HEXLOWER;
use twofa_fleet::stream::ToHost;
use twofa_fleet::token;
use twofa_fleet::wire::{ServerAdmission, ServerJoinAnswer, ServerJoinRequest};
use twofa_store::AdmittedServer;

use super::itself::origin;
use super::{Failure, Shared};
use crate::process::log;
use crate::text::messages;

/// Serves one request to join, until `deadline`.
pub(super) fn serve(shared: &Shared, mut link: ToHost, address: SocketAddr, deadline: Instant) {
    link.set_deadline(deadline);
    let Ok(request) = link.receive::<ServerJoinRequest>() else {
        return;
    };
    let answer = join(shared, &request, address).unwrap_or_else(|error| {
        log::warn(&format!("a server could not join: {error}"));
        ServerJoinAnswer::Refused(messages::JOIN_FAILED.to_owned())
    });
    if let ServerJoinAnswer::Refused(why) = &answer {
        shared.permits.warn(&format!("{address}: {why}"));
    }
    // A server that does not get it must be added again: its token is used up.
    let _ = link.send(&answer);
}

fn join(
    shared: &Shared,
    request: &ServerJoinRequest,
    address: SocketAddr,
) -> Result<ServerJoinAnswer, Failure> {
    let broker = shared.store.open()?;
    let services = broker.services();
    let (store, now) = (services.store, services.now());
    // What can fail comes before the token is used up.
    shared.reload(now)?;
    let loaded = shared.loaded();
    let hosts_key = shared.directory.read_hosts_key()?;
    let sealing_keys = store.sealing_keys()?;
    let token = token::digest(&request.proof);
    let Some(AdmittedServer { server, package }) =
        store.join_server(&token, &origin(address), now)?
    else {
        let why = messages::SERVER_TOKEN_REFUSED.to_owned();
        return Ok(ServerJoinAnswer::Refused(why));
    };
    let files = &loaded.files;
    let keys = sealing_keys.numbered().into_iter();
    let keys = keys.map(|(number, key)| (number, HEXLOWER.encode(&*key).into()));
    Ok(ServerJoinAnswer::Joined(Box::new(ServerAdmission {
        fleet: files.fleet.to_string(),
        id: server.id,
        name: server.name,
        addresses: server.addresses,
        root: files.root.clone(),
        servers: files.servers.clone(),
        hosts: files.hosts.clone(),
        hosts_key: hosts_key.pem().into(),
        package,
        sealing_keys: keys.collect(),
    })))
}
