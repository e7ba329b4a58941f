//! One message in which a person does something with their own record on a host, and the reply to it: as in a login, nothing is
//! held between the two.

use twofa_fleet::wire::{FromServer, HostRequest};
use twofa_proto::Done;
use twofa_store::{Host, StoreError};

use super::opened::Opened;
use super::spoken::{self, Spoken, Worked};
use crate::context::Services;
use crate::fleet::own_record;
use crate::identity::relayed::RelayedPeer;
use crate::requests::login::Exchange;
use crate::requests::manage::{self, ServedOwn};

/// A request on the host whose certificate has `key`.
pub(super) fn begin(
    services: Services<'_>,
    key: [u8; 32],
    host: Host,
    request: &HostRequest,
) -> Result<Spoken, StoreError> {
    let opened = Opened::Own(request.clone());
    let now = services.now();
    let found = services
        .store
        .conversation(&request.conversation, &key, now)?;
    if let Some(found) = found {
        return Ok(spoken::repeated(&found, &opened));
    }
    let id = host.id.clone();
    let peer = RelayedPeer::new(host, key, request.uid);
    match serve(services, &peer, request, Exchange::default()) {
        Worked::AnsweredMeanwhile => Ok(spoken::over().into()),
        Worked::Said { state, said, .. } => {
            spoken::wait(services, &peer, &id, &opened, state.as_deref(), said)
        }
    }
}

/// Works on the request, or on an answer in it.
pub(super) fn serve(
    services: Services<'_>,
    peer: &RelayedPeer,
    request: &HostRequest,
    mut exchange: Exchange,
) -> Worked {
    let account = Opened::Own(request.clone()).account();
    let asked = own_record::request(&request.user, request.act.clone());
    match manage::serve_relayed(services, peer, &account, &asked, &mut exchange) {
        ServedOwn::AnsweredMeanwhile => Worked::AnsweredMeanwhile,
        ServedOwn::Asked => spoken::said(exchange, None, false),
        ServedOwn::Done(done) => spoken::said(exchange, Some(end(done)), false),
    }
}

fn end(done: Done) -> FromServer {
    FromServer::Own(own_record::end_on_the_wire(done))
}
