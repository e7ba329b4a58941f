//! The files of a rotation, also of one that was interrupted.

use super::*;
use crate::fleet::files::NewServerFiles;
use twofa_fleet::certificate::{Authority, NewFleet, make_authorities, make_fleet};
use twofa_fleet::identity::Id;
use twofa_fleet::tls::{self, ServerCertificates};

fn now() -> Timestamp {
    Timestamp::from_unix(1_800_000_000)
}

fn service() -> u32 {
    nix::unistd::getegid().as_raw()
}

fn own(fleet: &NewFleet) -> Issued {
    let authority = Authority::new(&fleet.servers.certificate, &fleet.servers.key).unwrap();
    let names = ["srv1".to_owned()];
    authority.issue_server(&fleet.id, &names, now()).unwrap()
}

/// A server, whose fleet has these authorities now, and is to have those.
fn rotating() -> (tempfile::TempDir, FleetDirectory, NewFleet, NewFleet) {
    let folder = tempfile::tempdir().unwrap();
    let directory = FleetDirectory::at(folder.path().join("fleet"));
    let old = make_fleet(now()).unwrap();
    let new = make_authorities(old.id.clone(), now()).unwrap();
    let first = own(&old);
    let written = directory.write_server(&NewServerFiles {
        fleet: &old.id,
        id: &Id::random().unwrap(),
        addresses: &["srv1".parse().unwrap()],
        root: &old.root.certificate,
        root_key: Some(&old.root.key),
        servers: &old.servers.certificate,
        servers_key: Some(&old.servers.key),
        hosts: &old.hosts.certificate,
        hosts_key: &old.hosts.key,
        certificate: &first.certificate,
        key: &first.key,
        service: service(),
    });
    written.unwrap();
    (folder, directory, old, new)
}

fn next(new: &NewFleet) -> NextAuthorities {
    NextAuthorities {
        root: new.root.certificate.clone(),
        servers: new.servers.clone(),
        hosts: new.hosts.clone(),
        own: own(new),
    }
}

/// Checks that the files in use are all of one authority, and returns that for servers.
fn in_use(directory: &FleetDirectory) -> String {
    let files = directory.read_server().unwrap();
    tls::server(&ServerCertificates {
        chain: &files.chain,
        key: &files.key,
        hosts: &files.hosts,
        fleet: &files.fleet,
    })
    .unwrap();
    Authority::new(&files.hosts, &directory.read_hosts_key().unwrap()).unwrap();
    let (servers, key) = directory.read_servers_authority().unwrap();
    Authority::new(&servers, &key).unwrap();
    files.servers
}

fn has_secret(directory: &FleetDirectory, key: &PrivateKey) -> bool {
    let mut found = false;
    let mut folders = vec![directory.0.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found |= fs::read_to_string(path).unwrap().contains(key.pem().trim());
            }
        }
    }
    found
}

#[test]
fn the_new_authority_takes_the_place_of_the_old_one_whose_keys_are_gone() {
    let (_folder, directory, old, new) = rotating();
    let next = next(&new);
    directory
        .write_next(&next, Some(&new.root.key), service())
        .unwrap();
    assert_eq!(in_use(&directory), old.servers.certificate);
    assert!(has_secret(&directory, &old.servers.key));
    let kept = own(&old);
    directory.finish_rotation(Some(&kept), service()).unwrap();
    assert_eq!(in_use(&directory), new.servers.certificate);
    for key in [&old.root.key, &old.servers.key, &old.hosts.key] {
        assert!(!has_secret(&directory, key));
    }
    assert!(has_secret(&directory, &new.root.key));
    assert!(!directory.has_next());
    let previous = directory.read_previous(now()).unwrap().unwrap();
    assert_eq!(previous.hosts, old.hosts.certificate);
    let late = now().after(twofa_fleet::certificate::LIFETIME + 1);
    assert!(directory.read_previous(late).unwrap().is_none());
    // A company keeps the key of its root.
    let third = make_authorities(old.id.clone(), now()).unwrap();
    directory
        .write_next(&self::next(&third), None, service())
        .unwrap();
    directory.finish_rotation(None, service()).unwrap();
    assert_eq!(in_use(&directory), third.servers.certificate);
    assert!(directory.read_previous(now()).unwrap().is_none());
    assert!(!has_secret(&directory, &new.root.key));
    assert!(!has_secret(&directory, &kept.key));
}

#[test]
fn an_interrupted_end_leaves_one_whole_set_of_files_and_goes_on() {
    // How many files of `next` had taken their place.
    for done in 0..=FILES.len() {
        let (_folder, directory, old, new) = rotating();
        directory
            .write_next(&next(&new), Some(&new.root.key), service())
            .unwrap();
        directory
            .write_previous(Some(&own(&old)), service())
            .unwrap();
        let next = directory.below(NEXT);
        next.write(FINISHING, "", Readers::All).unwrap();
        for (name, _) in &FILES[..done] {
            fs::copy(next.0.join(name), directory.0.join(name)).unwrap();
        }
        assert_eq!(in_use(&directory), new.servers.certificate, "{done}");
        assert!(directory.read_next().unwrap().is_none());
        assert!(directory.read_previous(now()).unwrap().is_some());
        // Called again, it ignores its argument.
        directory.finish_rotation(None, service()).unwrap();
        assert_eq!(in_use(&directory), new.servers.certificate, "{done}");
        assert!(directory.read_previous(now()).unwrap().is_some());
        assert!(!has_secret(&directory, &old.hosts.key));
    }
}

#[test]
fn an_interrupted_beginning_is_no_authority_and_is_replaced() {
    let (_folder, directory, old, new) = rotating();
    let next = directory.below(NEXT);
    next.write("servers.key", old.servers.key.pem(), Readers::Root)
        .unwrap();
    next.write("stray", "", Readers::Root).unwrap();
    assert!(!directory.has_next());
    assert!(directory.read_next().unwrap().is_none());
    assert!(directory.read_next_keys().unwrap().is_none());
    directory
        .write_next(&self::next(&new), None, service())
        .unwrap();
    assert!(!next.has("stray"));
    let keys = directory.read_next_keys().unwrap().unwrap();
    keys.check(&old.id).unwrap();
}
