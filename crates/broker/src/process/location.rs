//! Where the store of this machine is, and its sealing key.

use std::env;
use std::path::{Path, PathBuf};

use twofa_store::Location;

/// The name of the credential in which systemd can pass the sealing key to `twofad.service`, see `systemd.exec(5)`.
const KEY_CREDENTIAL: &str = "twofa.key";
/// Only root creates files below this directory.
const CREDENTIALS: &str = "/run/credentials";
/// The credentials of the broker, for other programs of root's while the broker runs.
const BROKER_CREDENTIALS: &str = "/run/credentials/twofad.service";

/// The store of this machine. Its key is a credential of systemd's if there is one, else a file in `/etc/twofa`.
pub fn location() -> Location {
    let passed = env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    location_with(passed.as_deref(), Path::exists)
}

fn location_with(passed: Option<&Path>, exists: impl Fn(&Path) -> bool) -> Location {
    let directory = passed
        .filter(|passed| passed.starts_with(CREDENTIALS))
        .unwrap_or(Path::new(BROKER_CREDENTIALS));
    let credential = directory.join(KEY_CREDENTIAL);
    let location = Location::default();
    if exists(&credential) {
        Location {
            key: credential,
            ..location
        }
    } else {
        location
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(passed: Option<&str>, file: &str) -> PathBuf {
        location_with(passed.map(Path::new), |path| path == Path::new(file)).key
    }

    #[test]
    fn the_key_is_the_credential_if_there_is_one() {
        let default = Location::default().key;
        let of_broker = "/run/credentials/twofad.service/twofa.key";
        assert_eq!(key(None, of_broker), Path::new(of_broker));
        assert_eq!(key(None, "/elsewhere"), default);
        let of_another = "/run/credentials/second.service/twofa.key";
        let passed = Some("/run/credentials/second.service");
        assert_eq!(key(passed, of_another), Path::new(of_another));
        // No credential has this name: the service manager passed others.
        assert_eq!(key(passed, of_broker), default);
    }

    #[test]
    fn a_directory_that_others_than_root_could_have_made_is_not_taken_for_credentials() {
        let theirs = "/tmp/credentials/twofa.key";
        assert_eq!(
            key(Some("/tmp/credentials"), theirs),
            Location::default().key
        );
    }
}
