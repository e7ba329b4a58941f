use super::*;
use crate::testing::{Bench, TOKEN_CODES, clock, pass};
use twofa_core::Channel;
use twofa_proto::Secret;
use twofa_store::event::RefusalReason;
use twofa_store::{EventFilter, HostJoin, HostRights, NewHost, Origin};

const KEY: [u8; 32] = [2; 32];
const OTHER_KEY: [u8; 32] = [3; 32];
const ID: [u8; 16] = [9; 16];

mod enrolment;
mod own_record;

/// A server with two hosts.
fn with_hosts(bench: Bench) -> Bench {
    with_hosts_that(&HostRights::default(), bench)
}

/// The same with these rights.
fn with_hosts_that(rights: &HostRights, bench: Bench) -> Bench {
    for (name, key) in [("web1", KEY), ("web2", OTHER_KEY)] {
        let (store, now) = (&bench.store, clock());
        let host = NewHost {
            id: name.into(),
            name: name.into(),
            rights: rights.clone(),
            token: key,
        };
        store.add_host(&host, &bench.origin, now).unwrap();
        let join = HostJoin {
            token: key,
            key,
            key_until: now.after(86_400),
        };
        assert!(store.join_host(join, &bench.origin, now).unwrap());
    }
    bench
}

fn by_mail() -> Bench {
    with_hosts(Bench::with_local_account().with(Channel::Email, "alice@example.org"))
}

fn by_token() -> Bench {
    with_hosts(Bench::with_local_account().with_token())
}

fn login(bench: &Bench) -> HostLogin {
    HostLogin {
        conversation: ID,
        user: bench.alice.name.clone(),
        uid: bench.alice.uid,
        service: "sshd".into(),
        first_factor: wire::FirstFactor::Shown,
        ..HostLogin::default()
    }
}

fn open(bench: &Bench, login: &HostLogin) -> Vec<FromServer> {
    let found = bench
        .store
        .read_for_login(&KEY, &account(login), None, clock());
    let (host, at_hand) = found.unwrap();
    let services = Services {
        at_hand: Some(&at_hand),
        ..bench.services()
    };
    begin(services, KEY, host, login, None).unwrap().said
}

fn answer_as(bench: &Bench, key: [u8; 32], number: u32, typed: &str) -> Vec<FromServer> {
    let answer = HostAnswer {
        conversation: ID,
        number,
        deadline: 15_000,
        answer: Some(Secret::from(typed)),
    };
    // What is likely changes nothing.
    let likely = number.is_multiple_of(2).then_some(&bench.alice);
    let spoken = go_on(bench.services(), &Seats::default(), key, likely, &answer);
    spoken.unwrap().said
}

fn answer(bench: &Bench, number: u32, typed: &str) -> Vec<FromServer> {
    answer_as(bench, KEY, number, typed)
}

fn verdict(said: &[FromServer]) -> Option<wire::Verdict> {
    match said.last() {
        Some(FromServer::Done { verdict, .. }) => Some(*verdict),
        _ => None,
    }
}

fn prompt(said: &[FromServer]) -> &str {
    match said.last() {
        Some(FromServer::Prompt { text, .. }) => text.expose(),
        other => panic!("no prompt: {other:?}"),
    }
}

fn passes(bench: &Bench) -> usize {
    let mut passes = 0;
    let each = |logged: twofa_store::LoggedEvent| {
        passes += usize::from(logged.kind == "passed" || logged.kind == "backup-code-used");
        true
    };
    bench.store.events(&EventFilter::default(), each).unwrap();
    passes
}

#[test]
fn a_code_that_was_mailed_passes_once_and_gets_its_verdict_again_for_a_minute() {
    let bench = by_mail();
    assert!(prompt(&open(&bench, &login(&bench))).contains("a***e@example.org"));
    let code = bench.mailbox.code();
    for _ in 0..2 {
        let said = answer(&bench, 1, &code);
        assert_eq!(verdict(&said), Some(wire::Verdict::Passed));
    }
    assert_eq!((passes(&bench), bench.failures()), (1, 0));
    // Neither another answer with its number, another number, nor another host.
    for said in [
        answer(&bench, 1, "000000000"),
        answer(&bench, 2, &code),
        answer_as(&bench, OTHER_KEY, 1, &code),
    ] {
        assert_eq!(verdict(&said), Some(wire::Verdict::NoAnswer));
    }
    pass(60);
    let said = answer(&bench, 1, &code);
    assert_eq!(verdict(&said), Some(wire::Verdict::NoAnswer));
    assert_eq!(passes(&bench), 1);
}

#[test]
fn a_wrong_answer_that_comes_twice_counts_once_and_leaves_as_many_tries() {
    let bench = by_mail();
    open(&bench, &login(&bench));
    let first = answer(&bench, 1, "000000000");
    assert!(prompt(&first).contains("Wrong code"), "{first:?}");
    assert_eq!(answer(&bench, 1, "000000000"), first);
    assert_eq!(bench.refusals(), [RefusalReason::WrongCode]);
    answer(&bench, 2, "000000001");
    let last = answer(&bench, 3, "000000002");
    assert_eq!(verdict(&last), Some(wire::Verdict::TriesUsedUp));
    assert_eq!(answer(&bench, 3, "000000002"), last);
    let said = answer(&bench, 4, &bench.mailbox.code());
    assert_eq!(verdict(&said), Some(wire::Verdict::NoAnswer));
    assert_eq!(bench.refusals().len(), 3);
}

#[test]
fn a_login_that_another_server_was_told_of_as_well_sends_one_code() {
    let bench = by_mail();
    let first = open(&bench, &login(&bench));
    let again = HostLogin {
        is_again: true,
        deadline: 1,
        ..login(&bench)
    };
    assert_eq!(open(&bench, &again), first);
    assert_eq!(bench.mailbox.destinations().len(), 1);
    let another = HostLogin {
        service: "login".into(),
        ..again
    };
    let said = open(&bench, &another);
    assert_eq!(verdict(&said), Some(wire::Verdict::NoAnswer));
}

#[test]
fn what_is_stored_of_a_conversation_has_no_code_in_it() {
    let bench = by_mail();
    open(&bench, &login(&bench));
    let found = bench.store.conversation(&ID, &KEY, clock()).unwrap();
    let stored = format!("{found:?}");
    assert!(!stored.contains(&bench.mailbox.code()), "{stored}");
}

#[test]
fn a_verdict_whose_reply_was_lost_with_its_server_is_the_verdict_on_the_same_answer() {
    let bench = by_token();
    open(&bench, &login(&bench));
    let found = bench.store.conversation(&ID, &KEY, clock()).unwrap();
    let found = found.unwrap();
    // The server dies when the verdict on a wrong code is on disk.
    let host = bench.store.host_by_key(&KEY, clock()).unwrap();
    let answering = Answering {
        conversation: ID,
        number: 1,
        hash: bench.store.answer_hash(&ID, 1, Some("000000")),
        goes_on: false,
    };
    let turn = AnswerTurn {
        answering,
        verdict: None,
        has_failed: false,
    };
    let peer = RelayedPeer::new(host, KEY, 0).at(turn);
    let (request, account) = read(&login(&bench));
    let relayed = relayed(&request, &account, &login(&bench)).unwrap();
    let mut exchange = Exchange::answer(&found.state, Some(Secret::from("000000")));
    let served = serve_relayed(bench.services(), &peer, relayed, &mut exchange);
    assert!(matches!(served, Served::Asked), "{served:?}");
    assert_eq!(bench.refusals(), [RefusalReason::WrongCode]);

    let said = answer(&bench, 1, TOKEN_CODES[0]);
    assert_eq!(verdict(&said), Some(wire::Verdict::NoAnswer));
    let said = answer(&bench, 1, "000000");
    assert!(prompt(&said).contains("Wrong code"), "{said:?}");
    assert_eq!(bench.refusals(), [RefusalReason::WrongCode]);
    let said = answer(&bench, 2, TOKEN_CODES[0]);
    assert_eq!(verdict(&said), Some(wire::Verdict::Passed));
}

#[test]
fn a_prompt_that_is_left_ends_and_is_on_record() {
    let bench = by_token();
    open(&bench, &login(&bench));
    sweep(bench.services()).unwrap();
    assert!(bench.refusals().is_empty());
    pass(300);
    let said = answer(&bench, 1, TOKEN_CODES[0]);
    assert_eq!(verdict(&said), Some(wire::Verdict::NoAnswer));
    for _ in 0..2 {
        sweep(bench.services()).unwrap();
        assert_eq!(bench.refusals(), [RefusalReason::GivenUp]);
    }
}

#[test]
fn a_claim_that_is_refused_or_without_the_first_factor_has_no_code_sent() {
    let bench = by_mail();
    let of = |user: &str, uid| HostLogin {
        user: user.to_owned(),
        uid,
        ..login(&bench)
    };
    let alice = &bench.alice;
    let mut claims = vec![
        of("root", 0),
        of(&alice.name, 0),
        of(&alice.name, alice.uid + 1),
        of("stranger", alice.uid),
        of("stranger", 4_000_000),
    ];
    for first_factor in [wire::FirstFactor::Unknown, wire::FirstFactor::LaterLine] {
        claims.push(HostLogin {
            first_factor,
            ..login(&bench)
        });
    }
    for (number, claim) in (1..).zip(&claims) {
        let claim = HostLogin {
            conversation: [number; 16],
            ..claim.clone()
        };
        let said = open(&bench, &claim);
        let shown = format!("{said:?}");
        assert!(!shown.contains("example.org"), "{claim:?} {shown}");
        assert_ne!(verdict(&said), Some(wire::Verdict::Passed));
    }
    assert_eq!(bench.mailbox.destinations(), [""; 0]);
    assert_eq!(bench.failures(), 0);
    // The same host with the first factor has it sent.
    open(&bench, &login(&bench));
    assert_eq!(bench.mailbox.destinations(), ["alice@example.org"]);
}

#[test]
fn a_certificate_that_ends_while_a_code_is_typed_lets_nobody_in() {
    let bench = by_mail();
    let key = [4; 32];
    let new = NewHost {
        id: "web3".into(),
        name: "web3".into(),
        rights: HostRights::default(),
        token: key,
    };
    let (store, now) = (&bench.store, clock());
    store.add_host(&new, &bench.origin, now).unwrap();
    let join = HostJoin {
        token: key,
        key,
        key_until: now.after(60),
    };
    assert!(store.join_host(join, &bench.origin, now).unwrap());
    let host = store.host_by_key(&key, now).unwrap();
    let begun = begin(bench.services(), key, host, &login(&bench), None).unwrap();
    assert!(prompt(&begun.said).contains("a***e@example.org"));

    pass(60);
    // With the next message the host is looked up.
    let found = store.host_by_key(&key, clock());
    assert!(matches!(found, Err(StoreError::HostRefused)), "{found:?}");
    let answer = HostAnswer {
        conversation: ID,
        number: 1,
        deadline: 15_000,
        answer: Some(Secret::from(bench.mailbox.code().as_str())),
    };
    let said = go_on(bench.services(), &Seats::default(), key, None, &answer);
    assert!(matches!(said, Err(StoreError::HostRefused)), "{said:?}");
    assert_eq!(passes(&bench), 0);
}

const LAPTOP: &str =
    "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMc9QHWWikJ/8eQq47yZ2vh7LGgthe7BBNz2ZSy5wtOW";

/// What a host says of a login from an address.
fn claim() -> DeviceClaim {
    DeviceClaim {
        at_most: 86_400,
        is_for_fleet: true,
        ..DeviceClaim::default()
    }
}

fn from_address(bench: &Bench, number: u8) -> HostLogin {
    HostLogin {
        conversation: [number; 16],
        remote_host: Some("192.0.2.7".into()),
        ..login(bench)
    }
}

fn open_from(
    bench: &Bench,
    key: [u8; 32],
    login: &HostLogin,
    device: Option<&DeviceClaim>,
) -> Vec<FromServer> {
    let host = bench.store.host_by_key(&key, clock()).unwrap();
    begin(bench.services(), key, host, login, device)
        .unwrap()
        .said
}

fn type_at(bench: &Bench, login: &HostLogin, typed: &str) -> Vec<FromServer> {
    let answer = HostAnswer {
        conversation: login.conversation,
        number: 1,
        deadline: 15_000,
        answer: Some(Secret::from(typed)),
    };
    let spoken = go_on(bench.services(), &Seats::default(), KEY, None, &answer);
    spoken.unwrap().said
}

/// A server that trusts devices, on which a code with a `+` was typed on the first host at a login with this claim.
fn trusting(settings: &[(&str, &str)], claim: &DeviceClaim) -> Bench {
    let bench = by_token();
    bench.policy(&[("trust.remote", "30d"), ("trust.console", "30d")]);
    bench.policy(settings);
    let login = from_address(&bench, 20);
    let said = open_from(&bench, KEY, &login, Some(claim));
    assert!(prompt(&said).contains("+ at its end: trust "), "{said:?}");
    let said = type_at(&bench, &login, &format!("{}+", TOKEN_CODES[0]));
    assert_eq!(verdict(&said), Some(wire::Verdict::Passed));
    let tells = |message: &FromServer| matches!(message, FromServer::Info(text) if text.expose().contains("asked for here until"));
    assert!(said.iter().any(tells), "{said:?}");
    bench
}

#[test]
fn a_device_that_a_code_made_trusted_stands_in_for_a_code_on_that_host_alone() {
    let bench = trusting(&[], &claim());
    let again = from_address(&bench, 21);
    let said = open_from(&bench, KEY, &again, Some(&claim()));
    assert_eq!(verdict(&said), Some(wire::Verdict::Trusted), "{said:?}");
    assert_eq!(passes(&bench), 2);
    // The host did not get the reply.
    let sent_again = HostLogin {
        is_again: true,
        ..again
    };
    let said = open_from(&bench, KEY, &sent_again, Some(&claim()));
    assert_eq!(verdict(&said), Some(wire::Verdict::Trusted));
    assert_eq!(passes(&bench), 2);
    let elsewhere = from_address(&bench, 22);
    let said = open_from(&bench, OTHER_KEY, &elsewhere, Some(&claim()));
    assert!(prompt(&said).contains("code"), "{said:?}");
    // A host of the build before says nothing of devices.
    let said = open_from(&bench, KEY, &from_address(&bench, 23), None);
    assert!(prompt(&said).contains("code"), "{said:?}");
    let user = (&bench.store, &bench.alice);
    let revoked = user
        .0
        .revoke_all_devices(Some(user.1), &bench.origin, clock());
    assert_eq!(revoked.unwrap(), 1);
    let said = open_from(&bench, KEY, &from_address(&bench, 24), Some(&claim()));
    assert!(prompt(&said).contains("code"), "{said:?}");
}

#[test]
fn a_key_is_trusted_on_all_hosts_only_where_the_policy_and_both_hosts_let_it() {
    let key = DeviceClaim {
        ssh_auth_info: Some(LAPTOP.into()),
        ..claim()
    };
    let local_password = DeviceClaim {
        password: Some([7; 32]),
        ..key.clone()
    };
    let stricter = DeviceClaim {
        is_for_fleet: false,
        ..key.clone()
    };
    let scope = [("trust.scope", "fleet")];
    for (settings, on_the_first, on_the_second, expected) in [
        (&scope[..], &key, &key, true),
        (&[], &key, &key, false),
        (&scope, &stricter, &key, false),
        (&scope, &key, &stricter, false),
        (&scope, &local_password, &local_password, false),
        (&scope, &claim(), &claim(), false),
    ] {
        let bench = trusting(settings, on_the_first);
        let login = from_address(&bench, 21);
        let said = open_from(&bench, OTHER_KEY, &login, Some(on_the_second));
        let is_trusted = verdict(&said) == Some(wire::Verdict::Passed);
        assert_eq!(
            is_trusted, expected,
            "{settings:?} {on_the_first:?} {said:?}"
        );
    }
}

#[test]
fn nothing_is_trusted_without_the_first_factor_root_the_policy_or_beyond_what_the_host_allows() {
    let bench = trusting(&[], &claim());
    let login = |number| from_address(&bench, number);
    let unproved = HostLogin {
        first_factor: wire::FirstFactor::Unknown,
        ..login(30)
    };
    let of_a_user = HostLogin {
        asked_by: bench.alice.uid,
        ..login(31)
    };
    let appended = HostLogin {
        behind_password: true,
        ..login(32)
    };
    // After a key alone: nothing was asked.
    let bare = HostLogin {
        is_account: true,
        cannot_answer: true,
        ..login(33)
    };
    for claimed in [unproved, of_a_user, appended, bare] {
        let said = open_from(&bench, KEY, &claimed, Some(&claim()));
        let lets_in = [Some(wire::Verdict::Trusted), Some(wire::Verdict::Passed)];
        assert!(!lets_in.contains(&verdict(&said)), "{claimed:?} {said:?}");
    }
    let briefly = DeviceClaim {
        at_most: 60,
        ..claim()
    };
    pass(60);
    let said = open_from(&bench, KEY, &login(34), Some(&briefly));
    assert!(prompt(&said).contains("for 1 minute"), "{said:?}");
    let said = open_from(&bench, KEY, &login(35), Some(&claim()));
    assert_eq!(verdict(&said), Some(wire::Verdict::Trusted));
    bench.policy(&[("trust.remote", "0")]);
    let said = open_from(&bench, KEY, &login(36), Some(&claim()));
    assert!(!prompt(&said).contains('+'), "{said:?}");
}

#[test]
fn a_code_that_was_asked_for_is_verified_although_the_device_is_trusted_meanwhile() {
    let bench = by_token();
    bench.policy(&[("trust.remote", "30d")]);
    let (first, second) = (from_address(&bench, 20), from_address(&bench, 21));
    open_from(&bench, KEY, &first, Some(&claim()));
    open_from(&bench, KEY, &second, Some(&claim()));
    let said = type_at(&bench, &first, &format!("{}+", TOKEN_CODES[0]));
    assert_eq!(verdict(&said), Some(wire::Verdict::Passed));
    let said = type_at(&bench, &second, "000000");
    assert!(prompt(&said).contains("Wrong code"), "{said:?}");
}

#[test]
fn what_is_on_record_of_a_login_reads_back_and_the_build_before_reads_it_too() {
    let bench = by_token();
    let login = from_address(&bench, 20);
    let device = Some(DeviceClaim {
        password: Some([7; 32]),
        ..claim()
    });
    let described = Described {
        login: login.clone(),
        device,
    };
    let text = to_text(&described).unwrap();
    assert_eq!(from_text::<Described>(&text).unwrap(), described);
    assert_eq!(from_text::<HostLogin>(&text).unwrap(), login);
    let of_before = to_text(&login).unwrap();
    assert_eq!(from_text::<Described>(&of_before).unwrap().device, None);
}
