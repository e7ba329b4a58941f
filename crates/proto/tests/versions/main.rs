//! The messages on the wire, today's and those of the version before, compared with what real builds have written.
//!
//! - `recorded/N.shape`: every message of version N. If it differs from today's, the version must be raised.
//! - `recorded/N.wire`: messages between module and broker, as the build of version N writes them.
//!
//! docs/architecture.md says how the protocol is changed.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

mod previous;
mod samples;
mod shape;

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::path::Path;
use std::{env, fs};

use twofa_proto::{BrokerEnd, ClientEnd, FromBroker, Request, VERSION, Version};

/// A peer that sends what was recorded, and records what it is sent.
struct Peer<'a> {
    sends: &'a [u8],
    is_sent: Vec<u8>,
}

impl<'a> Peer<'a> {
    fn sending(sends: &'a [u8]) -> Self {
        Self {
            sends,
            is_sent: Vec::new(),
        }
    }
}

impl Read for Peer<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.sends.read(buffer)
    }
}

impl Write for Peer<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.is_sent.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The bytes of `request` as a client sends them.
fn sent_by_client(version: Version, request: Request) -> Vec<u8> {
    let mut peer = Peer::sending(&[]);
    ClientEnd::open_in(version, &mut peer, request).unwrap();
    peer.is_sent
}

/// The bytes of `messages` as a broker sends them to a client whose request was `opening`.
fn sent_by_broker(opening: &[u8], messages: &[FromBroker]) -> Vec<u8> {
    let mut peer = Peer::sending(opening);
    let mut end = BrokerEnd::new(&mut peer);
    end.request().unwrap();
    for message in messages {
        end.send(message).unwrap();
    }
    peer.is_sent
}

/// The wire of `version`: what is sent under each name.
fn wire(version: Version) -> Vec<(&'static str, Vec<u8>)> {
    let opening = sent_by_client(version, samples::login());
    let requests = samples::requests()
        .into_iter()
        .map(|(name, request)| (name, sent_by_client(version, request)));
    let responses = samples::responses()
        .into_iter()
        .map(|(name, messages)| (name, sent_by_broker(&opening, &messages)));
    requests.chain(responses).collect()
}

fn in_hex(wire: &[(&str, Vec<u8>)]) -> String {
    let mut text = String::new();
    for (name, bytes) in wire {
        write!(text, "{name} ").unwrap();
        for byte in bytes {
            write!(text, "{byte:02x}").unwrap();
        }
        text.push('\n');
    }
    text
}

fn recorded(name: &str) -> Option<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/versions/recorded");
    fs::read_to_string(folder.join(name)).ok()
}

/// Fails if `today` is not what was recorded under `name`, and writes it to a file.
fn compare(name: &str, today: &str) {
    if recorded(name).as_deref() == Some(today) {
        return;
    }
    let written = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&written, today).unwrap();
    panic!(
        "Messages differ from tests/versions/recorded/{name}. A program of another release would misunderstand them, \
         so the version must be raised: see \"Changing the protocol\" in docs/architecture.md. Today's are in {}.",
        written.display()
    );
}

#[test]
fn a_message_changes_only_together_with_the_version() {
    compare(&format!("{VERSION}.shape"), &shape::all());
    compare(&format!("{VERSION}.wire"), &in_hex(&wire(Version::Current)));
}
