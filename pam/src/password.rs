//! New passwords: the broker is told of them and ends the trust in the user's devices, with which the old password may have
//! been enough.
//!
//! Nothing here fails or holds up the change of a password.

use twofa_proto::{Done, Request};

use crate::host::{Host, Level};
use crate::messages;
use crate::session::Ask;

/// The password of the user is about to change, or has just been changed.
pub fn tell(host: &mut dyn Host, ask: Ask<'_>) {
    // Without root, the broker would not believe it. passwd(1) and its like are setuid.
    let (Some(user), Some(process)) = (host.user(), host.session_process()) else {
        return;
    };
    let request = Request::PasswordChanged {
        user,
        service: host.service(),
        login_uid: process.login_uid,
    };
    if ask(request) != Some(Done::Changed) {
        host.log(Level::Warning, messages::TRUST_NOT_ENDED);
    }
}
