mod enrolling;
mod own_record;
mod rescue;
mod rotation;
mod seats;
mod stolen;
mod upkeep;
mod watch;

use super::*;
use crate::testing::store_in;
use std::sync::atomic::{AtomicU64, Ordering};
use twofa_core::{Account, App, Key, Parameters, Timestamp};
use twofa_fleet::certificate::{
    Authority, Issued, NewFleet, make_fleet, read_pem, request_certificate,
};
use twofa_fleet::client;
use twofa_fleet::identity::Id;
use twofa_fleet::stream::ToServer;
use twofa_fleet::tls::{self, HostCertificates};
use twofa_fleet::token::Address;
use twofa_fleet::wire::{FirstFactor, FromHost, FromServer, HostAnswer, HostLogin, Verdict};
use twofa_proto::Secret;
use twofa_proto::codec::CodecError;
use twofa_store::{EventFilter, HostJoin, HostRights, NewApp, NewHost, Origin, Store};

use crate::fleet::files::NewServerFiles;
use crate::identity::accounts;
use crate::process::clock;

const TIME: Duration = Duration::from_secs(20);
/// Numbers for ids of conversations.
static CONVERSATIONS: AtomicU64 = AtomicU64::new(1);

/// A server on a port of its own, on which `nobody` has an app.
struct Server {
    shared: Arc<Shared>,
    fleet: NewFleet,
    store: Store,
    address: Address,
    user: Account,
    location: Location,
    folder: tempfile::TempDir,
}

impl Server {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let location = store_in(folder.path());
        let store = Store::open(location.clone()).unwrap();
        let user = accounts::find("nobody").unwrap().unwrap();
        let origin = Origin::command_line(0);
        let settings = [("mode", "mandatory"), ("application-name", "Acme")];
        store.change_policy(settings, &origin, now()).unwrap();
        let app = NewApp {
            label: "app".into(),
            app: App {
                parameters: Parameters::default(),
                key: Key::new(vec![7; 20]).unwrap(),
                used: None,
            },
        };
        let generation = store.snapshot(&user).unwrap().generation;
        store
            .enrol_app(&user, generation, &app, &origin, now())
            .unwrap();

        let fleet = make_fleet(now()).unwrap();
        let directory = FleetDirectory::at(folder.path().join("fleet"));
        write_files(&directory, &fleet);
        let loaded = Loaded::read(&directory, now()).unwrap();
        let shared = Arc::new(Shared {
            directory,
            loaded: RwLock::new(Arc::new(loaded)),
            store: Arc::new(LazyStore::new(location.clone())),
            permits: Arc::default(),
            seats: Seats::default(),
            notices: Arc::default(),
            policy: policy::SignedPolicy::default(),
            seen: seen::Seen::default(),
            waiting: Waiting::new().unwrap(),
            queue: Arc::default(),
        });
        let address = listen(&shared);
        Self {
            shared,
            fleet,
            store,
            address,
            user,
            location,
            folder,
        }
    }

    /// Another server of the fleet, with the same store.
    fn another(&self) -> Address {
        let directory = FleetDirectory::at(self.folder.path().join("fleet"));
        let location = self.location.clone();
        let loaded = Loaded::read(&directory, now()).unwrap();
        let shared = Shared {
            loaded: RwLock::new(Arc::new(loaded)),
            directory,
            store: Arc::new(LazyStore::new(location)),
            permits: Arc::default(),
            seats: Seats::default(),
            notices: Arc::default(),
            seen: seen::Seen::default(),
            waiting: Waiting::new().unwrap(),
            queue: Arc::default(),
            policy: policy::SignedPolicy::default(),
        };
        listen(&Arc::new(shared))
    }

    /// A key and certificate that the fleet signed; the store knows nothing of it.
    fn signed(&self) -> (Issued, Id) {
        let host = Id::random().unwrap();
        (self.signed_for(&host, now()), host)
    }

    fn signed_for(&self, host: &Id, at: Timestamp) -> Issued {
        let asked = request_certificate().unwrap();
        let NewFleet { id, hosts, .. } = &self.fleet;
        let authority = Authority::new(&hosts.certificate, &hosts.key).unwrap();
        let certificate = authority.sign_host(&asked.request, id, host, at);
        Issued {
            certificate: certificate.unwrap(),
            key: asked.key,
        }
    }

    /// The same for a host that has joined as `web1`.
    fn joined(&self) -> Issued {
        self.joined_at(now())
    }

    /// The same for one that did so at this time.
    fn joined_at(&self, at: Timestamp) -> Issued {
        self.add("web1", [1; 32], at)
    }

    /// The same for one with another name and token.
    fn joined_as(&self, name: &str, token: [u8; 32]) -> Issued {
        self.add(name, token, now())
    }

    fn add(&self, name: &str, token: [u8; 32], at: Timestamp) -> Issued {
        self.add_with(name, token, HostRights::default(), at)
    }

    fn add_with(&self, name: &str, token: [u8; 32], rights: HostRights, at: Timestamp) -> Issued {
        let id = Id::random().unwrap();
        let new = NewHost {
            id: id.to_string(),
            name: name.into(),
            rights,
            token,
        };
        let origin = Origin::command_line(0);
        self.store.add_host(&new, &origin, at).unwrap();
        self.join(&id, token, at)
    }

    /// The host `id`, which joined before, joins again at this time.
    fn rejoined(&self, id: &Id, at: Timestamp) -> Issued {
        let origin = Origin::command_line(0);
        let readmitted = self.store.readmit_host("web1", &[1; 32], &origin, at);
        assert!(readmitted.unwrap().is_some());
        self.join(id, [1; 32], at)
    }

    fn join(&self, id: &Id, token: [u8; 32], at: Timestamp) -> Issued {
        let issued = self.signed_for(id, at);
        let der = &read_pem(&issued.certificate).unwrap()[0];
        let (key, key_until) = certificate::key_and_end(der).unwrap();
        let join = HostJoin {
            token,
            key,
            key_until,
        };
        let origin = Origin::command_line(0);
        assert!(self.store.join_host(join, &origin, at).unwrap());
        issued
    }

    fn connect(&self, own: &Issued) -> ToServer {
        client::connect(&self.config(own), &self.address, Instant::now() + TIME).unwrap()
    }

    fn config(&self, own: &Issued) -> Arc<tls::ClientConfig> {
        let config = tls::host(&HostCertificates {
            certificate: &own.certificate,
            key: &own.key,
            servers: &self.fleet.servers.certificate,
            fleet: &self.fleet.id,
        });
        config.unwrap()
    }

    fn passes(&self) -> usize {
        let mut passes = 0;
        let each = |logged: twofa_store::LoggedEvent| {
            passes += usize::from(logged.kind == "passed");
            true
        };
        self.store.events(&EventFilter::default(), each).unwrap();
        passes
    }

    fn login(&self) -> HostLogin {
        HostLogin {
            conversation: CONVERSATIONS
                .fetch_add(1, Ordering::Relaxed)
                .to_be_bytes()
                .repeat(2)
                .try_into()
                .unwrap(),
            deadline: 15_000,
            user: self.user.name.clone(),
            uid: self.user.uid,
            service: "sshd".into(),
            first_factor: FirstFactor::Shown,
            ..HostLogin::default()
        }
    }
}

/// The code that the app shows now.
fn code_of_the_app() -> String {
    let totp = totp_rs::Builder::new()
        .with_secret(vec![7; 20])
        .build_noncompliant();
    let now = u64::try_from(now().unix()).unwrap();
    totp.generate(now).to_string()
}

/// Has a server listen on a port of its own.
fn listen(shared: &Arc<Shared>) -> Address {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    start(shared).unwrap();
    let accepting = shared.clone();
    thread::spawn(move || accept(&listener, &accepting));
    Address {
        name: "127.0.0.1".to_owned(),
        port,
    }
}

fn answer(login: &HostLogin, number: u32, typed: &str) -> HostAnswer {
    HostAnswer {
        conversation: login.conversation,
        number,
        deadline: 15_000,
        answer: Some(typed.into()),
    }
}

fn now() -> Timestamp {
    clock::now()
}

fn write_files(directory: &FleetDirectory, fleet: &NewFleet) {
    let NewFleet {
        id,
        root,
        hosts,
        servers,
    } = fleet;
    let authority = Authority::new(&servers.certificate, &servers.key).unwrap();
    let own = authority.issue_server(id, &["127.0.0.1".to_owned()], now());
    let own = own.unwrap();
    let written = directory.write_server(&NewServerFiles {
        fleet: id,
        id: &Id::random().unwrap(),
        addresses: &["127.0.0.1".parse().unwrap()],
        root: &root.certificate,
        root_key: Some(&root.key),
        servers: &servers.certificate,
        servers_key: Some(&servers.key),
        hosts: &hosts.certificate,
        hosts_key: &hosts.key,
        certificate: &own.certificate,
        key: &own.key,
        service: nix::unistd::getegid().as_raw(),
    });
    written.unwrap();
}

/// What the server says until a prompt, the end of the conversation or that of the connection.
fn heard(link: &mut ToServer) -> (Vec<FromServer>, bool) {
    link.set_deadline(Instant::now() + TIME);
    let mut heard = Vec::new();
    loop {
        match link.receive::<FromServer>() {
            Ok(message @ (FromServer::Prompt { .. } | FromServer::Done { .. })) => {
                heard.push(message);
                return (heard, false);
            }
            Ok(message) => heard.push(message),
            Err(error) => {
                assert!(!matches!(error, CodecError::TimedOut));
                return (heard, true);
            }
        }
    }
}

fn verdict(heard: &[FromServer]) -> Option<Verdict> {
    match heard.last() {
        Some(FromServer::Done { verdict, .. }) => Some(*verdict),
        _ => None,
    }
}

fn is_prompt(heard: &[FromServer]) -> bool {
    matches!(heard.last(), Some(FromServer::Prompt { .. }))
}

/// Logins that a host may not have, whatever it says.
fn claims(login: &HostLogin) -> [HostLogin; 6] {
    let of = |user: &str, uid| HostLogin {
        user: user.to_owned(),
        uid,
        ..login.clone()
    };
    [
        of("root", 0),
        of(&login.user, 0),
        of(&login.user, login.uid - 1),
        of("stranger", login.uid),
        // Nothing is enrolled, and the host may not have it set up.
        of("stranger", 4_000_000),
        // Nothing can be asked there, and nothing was asked before.
        HostLogin {
            is_account: true,
            ..login.clone()
        },
    ]
}

#[test]
fn what_a_host_may_not_claim_is_refused() {
    let server = Server::new();
    let own = server.joined();
    let login = server.login();
    for claim in claims(&login) {
        let mut link = server.connect(&own);
        link.send(&FromHost::Login(claim.clone())).unwrap();
        let (messages, is_closed) = heard(&mut link);
        let found = (verdict(&messages), is_closed);
        assert_eq!(found, (Some(Verdict::Denied), false), "{claim:?}");
        // It told why, and the connection goes on with the next login.
        let is_error = |message: &FromServer| matches!(message, FromServer::Error(_));
        assert!(messages.iter().any(is_error), "{claim:?}");
        link.send(&FromHost::Login(server.login())).unwrap();
        let (messages, _) = heard(&mut link);
        assert!(is_prompt(&messages));
    }
}

/// Everything that a host can add to a claim: the account, the phase, and the result of the password.
fn circumstances(login: &HostLogin) -> Vec<HostLogin> {
    let mut all = Vec::new();
    for first_factor in [
        FirstFactor::Shown,
        FirstFactor::LaterLine,
        FirstFactor::Unknown,
    ] {
        for asked_by in [0, login.uid, 1000] {
            for (is_account, may_ask) in [(false, false), (true, false), (true, true)] {
                for behind_password in [false, true] {
                    all.push(HostLogin {
                        first_factor,
                        asked_by,
                        is_account,
                        may_ask,
                        behind_password,
                        // It comes from where nobody is asked, if anywhere.
                        remote_host: Some("127.0.0.1".into()),
                        is_sshd: !is_account,
                        ..login.clone()
                    });
                }
            }
        }
    }
    all
}

/// The code that the user's app shows now.
fn right_code() -> String {
    let totp = totp_rs::Builder::new()
        .with_secret(vec![7; 20])
        .build_noncompliant();
    totp.generate(u64::try_from(now().unix()).unwrap())
        .to_string()
}

/// Sends `login` as a new conversation and answers each prompt with `typed`, until the end.
fn converse(
    server: &Server,
    link: &mut ToServer,
    login: &HostLogin,
    typed: Option<&str>,
) -> (Vec<FromServer>, Verdict) {
    let login = HostLogin {
        conversation: server.login().conversation,
        ..login.clone()
    };
    link.send(&FromHost::Login(login.clone())).unwrap();
    let mut all = Vec::new();
    for number in 1.. {
        let (messages, is_closed) = heard(link);
        assert!(!is_closed, "{login:?}");
        all.extend(messages);
        if let Some(verdict) = verdict(&all) {
            return (all, verdict);
        }
        let answer = HostAnswer {
            answer: typed.map(Secret::from),
            ..answer(&login, number, "")
        };
        link.send(&FromHost::Answer(answer)).unwrap();
    }
    unreachable!()
}

#[test]
fn no_claim_in_any_circumstances_with_any_answer_lets_in_whom_the_host_may_not_ask_about() {
    let server = Server::new();
    let own = server.joined();
    let before = server.store.snapshot(&server.user).unwrap();
    let mut link = server.connect(&own);
    let code = right_code();
    for claim in claims(&server.login())
        .iter()
        .take(5)
        .flat_map(circumstances)
    {
        for answer in [Some(code.as_str()), Some("000000"), Some(""), None] {
            let (messages, verdict) = converse(&server, &mut link, &claim, answer);
            let lets_in = matches!(
                verdict,
                Verdict::Passed | Verdict::NotRequired | Verdict::Exempt
            );
            assert!(!lets_in, "{claim:?} {answer:?} {messages:?}");
        }
    }
    // Nothing has become of the person of whom it knew a code.
    let after = server.store.snapshot(&server.user).unwrap();
    assert_eq!(after.generation, before.generation);
    assert_eq!(after.user.throttle, before.user.throttle);
    let (_, verdict) = converse(&server, &mut link, &server.login(), Some(&right_code()));
    assert_eq!(verdict, Verdict::Passed);
}

#[test]
fn a_message_out_of_turn_ends_the_connection() {
    let server = Server::new();
    let own = server.joined();
    let login = server.login();
    let answer = answer(&login, 1, "123456");
    let mut link = server.connect(&own);
    link.send(&FromHost::Answer(answer.clone())).unwrap();
    assert_eq!(heard(&mut link), (vec![], true));

    for out_of_turn in [
        FromHost::Login(server.login()),
        FromHost::Resume(answer.clone()),
        FromHost::Answer(HostAnswer {
            conversation: [0; 16],
            ..answer
        }),
    ] {
        let mut link = server.connect(&own);
        link.send(&FromHost::Login(server.login())).unwrap();
        heard(&mut link);
        link.send(&out_of_turn).unwrap();
        assert_eq!(heard(&mut link), (vec![], true));
    }

    let mut link = server.connect(&own);
    link.send(&"this is no message of ours").unwrap();
    assert_eq!(heard(&mut link), (vec![], true));
}

#[test]
fn a_host_is_refused_as_soon_as_it_is_removed_and_one_that_never_joined_too() {
    let server = Server::new();
    let (stranger, _) = server.signed();
    let mut link = server.connect(&stranger);
    link.send(&FromHost::Login(server.login())).unwrap();
    assert_eq!(verdict(&heard(&mut link).0), Some(Verdict::Denied));
    assert!(heard(&mut link).1);

    let own = server.joined();
    let (mut waiting, mut idle) = (server.connect(&own), server.connect(&own));
    let login = server.login();
    waiting.send(&FromHost::Login(login.clone())).unwrap();
    assert!(is_prompt(&heard(&mut waiting).0));
    let origin = Origin::command_line(0);
    assert!(server.store.remove_host("web1", &origin, now()).unwrap());
    let answer = FromHost::Answer(answer(&login, 1, "123456"));
    waiting.send(&answer).unwrap();
    idle.send(&FromHost::Login(server.login())).unwrap();
    for link in [&mut waiting, &mut idle] {
        assert_eq!(verdict(&heard(link).0), Some(Verdict::Denied));
        assert!(heard(link).1);
    }
    let failures = server.store.snapshot(&server.user).unwrap().user.throttle;
    assert_eq!(failures.failures(), 0);
}

#[test]
fn who_has_no_certificate_can_only_join() {
    let server = Server::new();
    let root = certificate::fingerprint(&read_pem(&server.fleet.root.certificate).unwrap()[0]);
    let config = tls::joining_host(root).unwrap();
    let deadline = Instant::now() + TIME;
    let mut link = client::connect(&config, &server.address, deadline).unwrap();
    link.send(&FromHost::Login(server.login())).unwrap();
    assert_eq!(heard(&mut link), (vec![], true));
    assert!(!server.shared.permits.is_deciding());
}

#[test]
fn a_conversation_goes_on_at_another_server_and_a_code_passes_once_at_both() {
    let server = Server::new();
    let own = server.joined();
    let login = server.login();
    let mut first = server.connect(&own);
    first.send(&FromHost::Login(login.clone())).unwrap();
    assert!(is_prompt(&heard(&mut first).0));
    drop(first);
    let another = server.another();
    let connect = |address: &Address| {
        client::connect(&server.config(&own), address, Instant::now() + TIME).unwrap()
    };
    let mut second = connect(&another);
    let wrong = FromHost::Resume(answer(&login, 1, "12345"));
    second.send(&wrong).unwrap();
    assert!(is_prompt(&heard(&mut second).0));
    let code = code_of_the_app();
    second
        .send(&FromHost::Answer(answer(&login, 2, &code)))
        .unwrap();
    assert_eq!(verdict(&heard(&mut second).0), Some(Verdict::Passed));
    // The answer was lost on the way, and comes to the first server, more than once at a time.
    let mut links: Vec<_> = (0..8).map(|_| connect(&server.address)).collect();
    for link in &mut links {
        link.send(&FromHost::Resume(answer(&login, 2, &code)))
            .unwrap();
    }
    for link in &mut links {
        assert_eq!(verdict(&heard(link).0), Some(Verdict::Passed));
    }
    assert_eq!(server.passes(), 1);
}

#[test]
fn of_answers_that_come_to_several_servers_at_once_one_is_verified() {
    let server = Server::new();
    let own = server.joined();
    let login = server.login();
    let mut first = server.connect(&own);
    first.send(&FromHost::Login(login.clone())).unwrap();
    assert!(is_prompt(&heard(&mut first).0));
    let addresses = [server.another(), server.another(), server.address.clone()];
    let mut links: Vec<_> = (0..12)
        .map(|number| {
            let (address, until) = (&addresses[number % 3], Instant::now() + TIME);
            client::connect(&server.config(&own), address, until).unwrap()
        })
        .collect();
    let code = code_of_the_app();
    for link in &mut links {
        link.send(&FromHost::Resume(answer(&login, 1, &code)))
            .unwrap();
    }
    for link in &mut links {
        assert_eq!(verdict(&heard(link).0), Some(Verdict::Passed));
    }
    assert_eq!(server.passes(), 1);
    let snapshot = server.store.snapshot(&server.user).unwrap();
    assert_eq!(snapshot.user.throttle.failures(), 0);
}

#[test]
fn conversations_at_a_prompt_and_idle_connections_hold_no_thread() {
    let server = Server::new();
    let own = server.joined();
    let mut links: Vec<_> = (0..60).map(|_| server.connect(&own)).collect();
    let logins: Vec<_> = links
        .iter_mut()
        .map(|link| {
            let login = server.login();
            link.send(&FromHost::Login(login.clone())).unwrap();
            assert!(is_prompt(&heard(link).0));
            login
        })
        .collect();
    let idle: Vec<_> = (0..60).map(|_| server.connect(&own)).collect();
    let workers = server.shared.queue.workers();
    assert!(workers < 10, "{workers}");
    // All of them go on.
    for (link, login) in links.iter_mut().zip(&logins) {
        let nothing = HostAnswer {
            answer: None,
            ..answer(login, 1, "")
        };
        link.send(&FromHost::Answer(nothing)).unwrap();
        assert_eq!(verdict(&heard(link).0), Some(Verdict::NoAnswer));
    }
    drop(idle);
}

#[test]
fn a_host_that_sends_half_a_message_keeps_no_other_waiting() {
    use std::io::Write;
    let server = Server::new();
    let own = server.joined();
    // Not even half a record of TLS.
    let halves: Vec<_> = (0..80).map(|_| server.connect(&own)).collect();
    for link in &halves {
        link.socket().write_all(&[23, 3, 3]).unwrap();
    }
    let mut link = server.connect(&own);
    link.send(&FromHost::Login(server.login())).unwrap();
    assert!(is_prompt(&heard(&mut link).0));
}
