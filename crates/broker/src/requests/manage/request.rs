//! A permitted request, and what its peer may do to the record.

use twofa_core::{Channel, Method};
use twofa_proto::Failure;

use crate::context::Context;
use crate::identity::authority::Peer;
use crate::requests::error::RequestError;
use crate::sending::addresses::{self, BadAddress};
use crate::text::messages::commands;

/// A permitted request.
pub(super) struct ManageRequest<'a> {
    pub(super) context: Context<'a>,
    pub(super) peer: Peer,
}

impl ManageRequest<'_> {
    /// An address as it is stored. Root may give any.
    pub(super) fn address(&self, channel: Channel, text: &str) -> Result<String, RequestError> {
        let read = if self.peer.is_root() {
            addresses::read
        } else {
            addresses::read_of_user
        };
        read(self.context.policy(), channel, text).map_err(|bad| {
            let failure = match bad {
                BadAddress::Elsewhere { .. } | BadAddress::NotMobile(_) => Failure::NotPermitted,
                BadAddress::Email(_) | BadAddress::Phone(_) => Failure::Usage,
            };
            RequestError::new(failure, bad.to_string())
        })
    }

    /// Refuses the loss of `method` if it is the last one of a user who must have a second factor.
    pub(super) fn may_lose(&self, method: Method) -> Result<(), RequestError> {
        let (user, policy) = (self.context.user(), self.context.policy());
        let working = user.enrolled().intersection(policy.methods);
        let is_last = !working.is_empty() && working.without(method).is_empty();
        if is_last && user.summary().is_obliged(policy) && !self.peer.is_root() {
            return Err(commands::LAST_METHOD.into());
        }
        Ok(())
    }
}

/// The channel whose codes are the method called `name`.
pub(super) fn sending_channel(name: &str) -> Result<Channel, RequestError> {
    name.parse()
        .map_err(|unknown| RequestError::new(Failure::Usage, commands::bad_method(&unknown)))
}
