//! When a certificate ends. Of X.509 (RFC 5280 §4.1) only as much is read as leads there: rustls verifies certificates,
//! but does not say until when they hold.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use twofa_core::Timestamp;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// The version, which old certificates do not have.
const VERSION: u8 = 0xa0;

/// When the first of the certificates in the PEM file ends. `None`: there is none that can be read.
pub fn first_end(pem_file: &Path) -> Option<Timestamp> {
    let certificates = CertificateDer::pem_file_iter(pem_file).ok()?;
    certificates
        .filter_map(|certificate| end(&certificate.ok()?))
        .min()
}

/// When the certificate ends that a server showed last.
#[derive(Debug, Default)]
pub(crate) struct ServerCertificate(Mutex<Option<Timestamp>>);

impl ServerCertificate {
    /// Takes note of a certificate that was verified, as DER. Without one, the connection was not encrypted.
    pub(crate) fn note(&self, certificate: Option<&[u8]>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = certificate.and_then(end);
    }

    /// `None`: no server has been connected to with TLS.
    pub(crate) fn end(&self) -> Option<Timestamp> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a certificate's validity.
fn end(certificate: &[u8]) -> Option<Timestamp> {
    let (certificate, _) = expect(certificate, SEQUENCE)?;
    let (to_be_signed, _) = expect(certificate, SEQUENCE)?;
    let mut rest = match to_be_signed.first()? {
        &VERSION => expect(to_be_signed, VERSION)?.1,
        _ => to_be_signed,
    };
    // Serial number, algorithm of the signature, issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        rest = expect(rest, tag)?.1;
    }
    let (validity, _) = expect(rest, SEQUENCE)?;
    let (_, _, after_begin) = element(validity)?;
    let (tag, text, _) = element(after_begin)?;
    time(tag, std::str::from_utf8(text).ok()?)
}

fn expect(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// The tag and content of the first element of DER (X.690 §8.1), and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        // A length of more than four bytes is of no certificate.
        let count = usize::from(first & 0x7f);
        let (digits, rest) = rest.split_at_checked(count).filter(|_| count <= 4)?;
        let length = digits
            .iter()
            .fold(0, |length, digit| length << 8 | usize::from(*digit));
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// A time as RFC 5280 §4.1.2.5 has it: in UTC, with seconds.
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let text = match tag {
        // Years from 50 on are of the twentieth century.
        UTC_TIME if text >= "50" => format!("19{text}"),
        UTC_TIME => format!("20{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", &text).ok()?;
    let time = time.to_zoned(TimeZone::UTC).ok()?;
    Some(Timestamp::from_unix(time.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `openssl req -x509`; valid until 2026-12-06.
    const CA: &str = "\
-----BEGIN CERTIFICATE-----
MIIBbzCCARWgAwIBAgIUG+0DBdRubbmdk9jh/37v+8ab6GEwCgYIKoZIzj0EAwIw
DTELMAkGA1UEAwwCY2EwHhcNMjYxMTI3MDcwMzQ3WhcNMjYxMjA2MDcwMzQ3WjAN
MQswCQYDVQQDDAJjYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLpvaa3TgbaD
5nIkZZ3dpejvLgR4K/dKUkYKrkExB63tE6PwdJDApBEnJdPBcmmJc+aqdteLeWCg
LHZTUGtlx2ejUzBRMB0GA1UdDgQWBBS0luqJjI81R24QhiVZXae+Z7gNRzAfBgNV
HSMEGDAWgBS0luqJjI81R24QhiVZXae+Z7gNRzAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0gAMEUCIQDjbJyKSJzk8vg2lc38yZYJgsBWa1vcIq9NIsKAuyhw
9QIgCXd+0VxVk49q8eeQEmQlxUUkAHT+EisOHj8iTB7LbWU=
-----END CERTIFICATE-----
";

    fn at(text: &str) -> Timestamp {
        Timestamp::from_unix(text.parse::<jiff::Timestamp>().unwrap().as_second())
    }

    #[test]
    fn the_end_of_a_certificate_is_read_from_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, CA).unwrap();
        assert_eq!(first_end(&file), Some(at("2026-12-06T07:03:47Z")));
        std::fs::write(&file, "no certificate").unwrap();
        assert_eq!(first_end(&file), None);
        assert_eq!(first_end(&folder.path().join("gone")), None);
    }

    #[test]
    fn a_certificate_that_is_cut_off_anywhere_has_no_end_and_does_no_harm() {
        let whole = CertificateDer::from_pem_slice(CA.as_bytes()).unwrap();
        assert!(end(&whole).is_some());
        for length in 0..whole.len() {
            assert_eq!(end(&whole[..length]), None, "{length}");
        }
        assert_eq!(end(&[SEQUENCE, 0xff, 0xff]), None);
    }

    #[test]
    fn both_forms_of_time_are_read() {
        assert_eq!(
            time(UTC_TIME, "491231235959Z"),
            Some(at("2049-12-31T23:59:59Z"))
        );
        assert_eq!(
            time(UTC_TIME, "500101000000Z"),
            Some(at("1950-01-01T00:00:00Z"))
        );
        let late = time(GENERALIZED_TIME, "40960101000000Z");
        assert_eq!(late, Some(at("4096-01-01T00:00:00Z")));
        assert_eq!(time(INTEGER, "500101000000Z"), None);
    }
}
