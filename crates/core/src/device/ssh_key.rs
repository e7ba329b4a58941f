//! What sshd verified before it called PAM: the lines of its `SSH_AUTH_INFO_0`.
//!
//! A line is a method and its details: `publickey ssh-ed25519 AAAA…` for a key, the whole certificate for a certificate,
//! `hostbased ssh-ed25519 AAAA…` for the client machine's host key (`sshd_config(5)`, `ExposeAuthInfo`).

use data_encoding::BASE64;
use ssh_encoding::{Decode, Encode};
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, PublicKey};

/// What follows a key's type in the type of a certificate of it; in those of security keys, before the domain.
const CERTIFICATE: &str = "-cert-v01@openssh.com";

/// A key that its owner proved to sshd to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvedKey {
    algorithm: String,
    /// The public key in its wire format, without the certificate around it. A renewed certificate has the same.
    identity: Vec<u8>,
    fingerprint: String,
    /// The certificate's key id.
    certificate: Option<String>,
    is_security_key: bool,
}

/// What sshd verified in a login.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProvedKeys {
    /// The user's keys (`publickey`), in the order in which sshd verified them.
    pub user: Vec<ProvedKey>,
    /// The client machine's host keys (`hostbased`), which hold no secret of the user.
    pub host: Vec<ProvedKey>,
}

impl ProvedKeys {
    /// Reads `SSH_AUTH_INFO_0`. A line that cannot be read proves nothing.
    pub fn read(info: &str) -> Self {
        let mut keys = Self::default();
        for line in info.lines() {
            let Some((method, key)) = line.split_once(' ') else {
                continue;
            };
            let list = match method {
                "publickey" => &mut keys.user,
                "hostbased" => &mut keys.host,
                _ => continue,
            };
            list.extend(ProvedKey::read(key));
        }
        keys
    }
}

impl ProvedKey {
    /// Reads `TYPE BASE64`, the key or certificate as in an `authorized_keys` or `known_hosts` file.
    pub fn read(text: &str) -> Option<Self> {
        let mut fields = text.split_ascii_whitespace();
        let (kind, blob) = (fields.next()?, fields.next()?);
        let blob = BASE64.decode(blob.as_bytes()).ok()?;
        let mut reader = blob.as_slice();
        if String::decode(&mut reader).ok()? != kind {
            return None;
        }
        match plain_type(kind) {
            Some((plain, strings)) => Self::read_certificate(&plain, strings, reader),
            None => Self::new(&PublicKey::from_bytes(&blob).ok()?, None),
        }
    }

    /// Reads what follows the type of a certificate: a nonce, the `strings` of the key as they are without a certificate, a
    /// serial number, a type, and the key id (PROTOCOL.certkeys of OpenSSH). What the CA says in it sshd has checked.
    fn read_certificate(plain: &str, strings: usize, mut reader: &[u8]) -> Option<Self> {
        Vec::<u8>::decode(&mut reader).ok()?;
        let mut key = Vec::new();
        plain.encode(&mut key).ok()?;
        for _ in 0..strings {
            let string = Vec::<u8>::decode(&mut reader).ok()?;
            string.encode(&mut key).ok()?;
        }
        u64::decode(&mut reader).ok()?;
        u32::decode(&mut reader).ok()?;
        let key_id = String::decode(&mut reader).ok()?;
        Self::new(&PublicKey::from_bytes(&key).ok()?, Some(key_id))
    }

    fn new(key: &PublicKey, certificate: Option<String>) -> Option<Self> {
        let is_security_key = matches!(
            key.key_data(),
            KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_)
        );
        Some(Self {
            algorithm: key.algorithm().as_str().to_owned(),
            identity: key.to_bytes().ok()?,
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
            certificate,
            is_security_key,
        })
    }

    /// The key's type, such as `ssh-ed25519`; that of the key inside, for a certificate.
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// The public key in its wire format (RFC 4253, 6.6), which includes the application of a security key.
    pub fn identity(&self) -> &[u8] {
        &self.identity
    }

    /// The key as in a `.pub` file; that inside, for a certificate.
    pub fn to_public_key(&self) -> String {
        format!("{} {}", self.algorithm, BASE64.encode(&self.identity))
    }

    /// `SHA256:…`, as ssh-keygen(1) shows it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Whether the key is in a FIDO2 authenticator (`sk-ssh-ed25519@openssh.com`, `sk-ecdsa-sha2-nistp256@openssh.com`).
    pub const fn is_security_key(&self) -> bool {
        self.is_security_key
    }

    /// The key for a list: type and fingerprint, and the key id of a certificate.
    pub fn label(&self) -> String {
        let Self {
            algorithm,
            fingerprint,
            ..
        } = self;
        match &self.certificate {
            Some(id) => format!("{algorithm} {fingerprint} (certificate {id})"),
            None => format!("{algorithm} {fingerprint}"),
        }
    }
}

/// The type of the key in a certificate of type `kind`, and of how many strings that key consists. `ssh_key::Certificate`
/// reads no certificate without an end, as ssh-keygen makes them by default.
fn plain_type(kind: &str) -> Option<(String, usize)> {
    let name = kind.strip_suffix(CERTIFICATE)?;
    let strings = match name {
        "ssh-ed25519" => 1,
        "ssh-rsa" | "sk-ssh-ed25519" => 2,
        "sk-ecdsa-sha2-nistp256" => 3,
        "ssh-dss" => 4,
        _ if name.starts_with("ecdsa-sha2-") => 2,
        _ => return None,
    };
    let domain = if name.starts_with("sk-") {
        "@openssh.com"
    } else {
        ""
    };
    Some((format!("{name}{domain}"), strings))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with ssh-keygen, OpenSSH 9.2. The certificates are of one CA and have the key id "alice"; FIRST and RENEWED are of
    // ALICE's key, OTHERS of BOB's.
    const ALICE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMc9QHWWikJ/8eQq47yZ2vh7LGgthe7BBNz2ZSy5wtOW";
    const BOB: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFYvNVQosNe2w7HTBCevlEui7cRAwvo4hWYJO8CbY8Pj";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEhJMd1m1YPdFAWDO7MgCLMWXb0izJGeIYJWSDBCeYAw49vVod5Ocxpm4FZX88kEnvq0XpYCVw6zmkkBnS7gno0=";
    const FIRST: &str = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIFsn2R7+sudnPuUd1CDlwf81C9fIo1MzjhwndMYjxgIlAAAAIMc9QHWWikJ/8eQq47yZ2vh7LGgthe7BBNz2ZSy5wtOWAAAAAAAAAAEAAAABAAAABWFsaWNlAAAACQAAAAVhbGljZQAAAABrCKtoAAAAAGsJ/VEAAAAAAAAAggAAABVwZXJtaXQtWDExLWZvcndhcmRpbmcAAAAAAAAAF3Blcm1pdC1hZ2VudC1mb3J3YXJkaW5nAAAAAAAAABZwZXJtaXQtcG9ydC1mb3J3YXJkaW5nAAAAAAAAAApwZXJtaXQtcHR5AAAAAAAAAA5wZXJtaXQtdXNlci1yYwAAAAAAAAAAAAAAMwAAAAtzc2gtZWQyNTUxOQAAACD5uSUJAgA5pCK6N2XdCL1Zs/4VHj4XUGjWoodN77DRswAAAFMAAAALc3NoLWVkMjU1MTkAAABA3mQbYO04iVmRvVCC6P9f03q+CsHq6R23efKOzmnKgrs/1bWaTHIcFf/BdRi82/zjRRvKILecsIwmqiiSTlWPAw==";
    const RENEWED: &str = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIB8eeLZBq8+fWMf2xQLD6qtOi8Med5TOV6culhCiNCRmAAAAIMc9QHWWikJ/8eQq47yZ2vh7LGgthe7BBNz2ZSy5wtOWAAAAAAAAAAIAAAABAAAABWFsaWNlAAAACQAAAAVhbGljZQAAAABrCKtoAAAAAGsLTtEAAAAAAAAAggAAABVwZXJtaXQtWDExLWZvcndhcmRpbmcAAAAAAAAAF3Blcm1pdC1hZ2VudC1mb3J3YXJkaW5nAAAAAAAAABZwZXJtaXQtcG9ydC1mb3J3YXJkaW5nAAAAAAAAAApwZXJtaXQtcHR5AAAAAAAAAA5wZXJtaXQtdXNlci1yYwAAAAAAAAAAAAAAMwAAAAtzc2gtZWQyNTUxOQAAACD5uSUJAgA5pCK6N2XdCL1Zs/4VHj4XUGjWoodN77DRswAAAFMAAAALc3NoLWVkMjU1MTkAAABAlRC7DSrdIbm8P3AJIqBN0YRxRs0oCi8fCzS0F0tqON8gaS7sdI2aIbLkV9Ysy+Eg66C7K/pVpDgUh1tWRKYfAQ==";
    const OTHERS: &str = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIHzlJPrxKfAj/SyAh71bV2unlDBa2vME+Rs1BK0qAlh5AAAAIFYvNVQosNe2w7HTBCevlEui7cRAwvo4hWYJO8CbY8PjAAAAAAAAAAAAAAABAAAABWFsaWNlAAAACQAAAAVhbGljZQAAAAAAAAAA//////////8AAAAAAAAAggAAABVwZXJtaXQtWDExLWZvcndhcmRpbmcAAAAAAAAAF3Blcm1pdC1hZ2VudC1mb3J3YXJkaW5nAAAAAAAAABZwZXJtaXQtcG9ydC1mb3J3YXJkaW5nAAAAAAAAAApwZXJtaXQtcHR5AAAAAAAAAA5wZXJtaXQtdXNlci1yYwAAAAAAAAAAAAAAMwAAAAtzc2gtZWQyNTUxOQAAACD5uSUJAgA5pCK6N2XdCL1Zs/4VHj4XUGjWoodN77DRswAAAFMAAAALc3NoLWVkMjU1MTkAAABAesuIcJ2ZrW1xvOyrV1zIlI8ODScj79CGWpHBf0fq4RnB33VApsSgajK7XtZyC0S9ijIZRujexwz9Yb5SaL9dAQ==";
    const SECURITY_KEY: &str = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAABHNzaDo=";
    const SAME_KEY_OTHER_APPLICATION: &str = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAACHNzaDp3b3Jr";
    const SECURITY_KEY_CERTIFICATE: &str = "sk-ssh-ed25519-cert-v01@openssh.com AAAAI3NrLXNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAID97wifncgTTgr2XUSsBShxP6lrwhrBd3WSPFcthn8vmAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAABHNzaDoAAAAAAAAAAAAAAAEAAAACc2sAAAAJAAAABWFsaWNlAAAAAAAAAAD//////////wAAAAAAAACCAAAAFXBlcm1pdC1YMTEtZm9yd2FyZGluZwAAAAAAAAAXcGVybWl0LWFnZW50LWZvcndhcmRpbmcAAAAAAAAAFnBlcm1pdC1wb3J0LWZvcndhcmRpbmcAAAAAAAAACnBlcm1pdC1wdHkAAAAAAAAADnBlcm1pdC11c2VyLXJjAAAAAAAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIPm5JQkCADmkIro3Zd0IvVmz/hUePhdQaNaih03vsNGzAAAAUwAAAAtzc2gtZWQyNTUxOQAAAEB0zytaf+jIBy8l7FDScPO620d1PgSQOAOHyWaCu0Q19b8ctGa2BcIlDKB6a4h+mw0IljNrZJEoNQRoHeX31XsN";

    fn key(text: &str) -> ProvedKey {
        ProvedKey::read(text).unwrap()
    }

    #[test]
    fn a_key_is_known_by_what_ssh_keygen_shows() {
        assert_eq!(
            key(ALICE).label(),
            "ssh-ed25519 SHA256:8ytkj8WZQ9xeRv56magk6X+kkr+q9QpuZK3LcDSKmxY"
        );
        assert_eq!(key(ECDSA).algorithm(), "ecdsa-sha2-nistp256");
    }

    #[test]
    fn a_certificate_and_its_renewal_are_the_key_inside() {
        for certificate in [FIRST, RENEWED] {
            assert_eq!(key(certificate).identity(), key(ALICE).identity());
            assert_eq!(key(certificate).to_public_key(), ALICE);
        }
        assert!(key(FIRST).label().ends_with("(certificate alice)"));
    }

    #[test]
    fn the_same_key_id_on_another_key_is_another_device() {
        assert_ne!(key(OTHERS).identity(), key(FIRST).identity());
        assert_eq!(key(OTHERS).identity(), key(BOB).identity());
    }

    #[test]
    fn a_security_key_is_one_with_and_without_a_certificate_and_includes_its_application() {
        for text in [SECURITY_KEY, SECURITY_KEY_CERTIFICATE] {
            assert!(key(text).is_security_key());
            assert_eq!(key(text).identity(), key(SECURITY_KEY).identity());
        }
        let other = key(SAME_KEY_OTHER_APPLICATION);
        assert_ne!(other.identity(), key(SECURITY_KEY).identity());
        assert!(!key(ALICE).is_security_key());
    }

    #[test]
    fn only_lines_about_keys_prove_something_and_each_only_what_it_says() {
        let info = format!(
            "publickey {ALICE}\nhostbased {BOB}\npassword\nkeyboard-interactive/pam\ngssapi-with-mic alice@REALM\n"
        );
        let keys = ProvedKeys::read(&info);
        assert_eq!(keys.user, [key(ALICE)]);
        assert_eq!(keys.host, [key(BOB)]);
    }

    #[test]
    fn what_cannot_be_read_proves_nothing() {
        for info in [
            "",
            "publickey",
            "publickey ",
            "publickey ssh-ed25519",
            "publickey ssh-ed25519 FORGED",
            "publickey ssh-ed25519 AAAA",
            "PublicKey ssh-ed25519 AAAA",
            "publickey ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIMc9QHWWikJ/8eQq47yZ2vh7LGgthe7BBNz2ZSy5wtOW",
        ] {
            assert_eq!(ProvedKeys::read(info), ProvedKeys::default(), "{info:?}");
        }
    }
}
