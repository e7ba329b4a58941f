//! Whether sshd proved a key of the user's before it called PAM, for stacks in which such a login skips the password.

use pam::constants::PamResultCode;

use crate::host::{Host, Level};
use crate::messages;

/// `PAM_SUCCESS` for a login in which sshd proved a key or certificate of the user's, and `PAM_IGNORE` for every other. A
/// line that asks for the second factor follows.
pub fn find_proved_key(host: &mut impl Host) -> PamResultCode {
    let is_proved = host.ssh_auth_info().is_some_and(|info| has_user_key(&info));
    host.log(Level::Debug, messages::proved_key(is_proved));
    if is_proved {
        PamResultCode::PAM_SUCCESS
    } else {
        PamResultCode::PAM_IGNORE
    }
}

/// Whether `SSH_AUTH_INFO_0` has a key of the user's. `hostbased` has a key as well, but that is the client machine's: no
/// secret of the user would be left.
fn has_user_key(info: &str) -> bool {
    info.lines().any(|line| {
        let mut words = line.split(' ');
        words.next() == Some("publickey") && words.nth(1).is_some_and(|key| !key.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_key_of_the_users_replaces_the_password() {
        for (info, has_key) in [
            ("publickey ssh-ed25519 AAAA\n", true),
            (
                "hostbased ssh-ed25519 AAAA\npublickey ssh-ed25519-cert-v01@openssh.com AAAA\n",
                true,
            ),
            ("hostbased ssh-ed25519 AAAA\n", false),
            ("gssapi-with-mic alice@REALM\n", false),
            ("password\nkeyboard-interactive/pam\n", false),
            ("publickey\n", false),
            ("publickey ssh-ed25519\n", false),
            ("publickey ssh-ed25519 \n", false),
            ("PUBLICKEY ssh-ed25519 AAAA\n", false),
            ("notpublickey ssh-ed25519 AAAA\n", false),
            ("", false),
        ] {
            assert_eq!(has_user_key(info), has_key, "{info:?}");
        }
    }
}
