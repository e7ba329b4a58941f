//! Who did something, and where it was asked for.

/// Who did something, and where it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The uid of the process that asked.
    pub actor: u32,
    /// The uid of the person who logged in and may have become another user since (`/proc/self/loginuid`, proc(5)), as root
    /// told it; `None`: it is not known.
    pub login_uid: Option<u32>,
    /// A login, or the command line.
    pub source: Source,
    /// The host of the fleet on which it was; `None`: this machine.
    pub host: Option<Box<FleetHost>>,
}

/// A host of the fleet, as this server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetHost {
    /// The name that an administrator gave it.
    pub name: String,
    /// SHA-256 of the public key with which it connected. Nothing is changed for a host whose key is not in force at that
    /// moment ([`StoreError::HostRefused`](crate::StoreError::HostRefused)). `None`: the log does not keep it.
    pub(crate) key: Option<[u8; 32]>,
    /// The answer that is verified; `None`: its conversation is not on record.
    pub(crate) answering: Option<Answering>,
}

/// An answer in a conversation of a host that is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answering {
    /// The random id that the host gave the conversation.
    pub conversation: [u8; 16],
    /// The number of the answer, from 1 on.
    pub number: u32,
    /// [`Store::answer_hash`](crate::Store::answer_hash)
    pub hash: [u8; 32],
    /// A right code proves the person and does not let them in: the conversation goes on.
    pub goes_on: bool,
}

impl FleetHost {
    /// The host `name`, which connected with this key.
    pub const fn connected(name: String, key: [u8; 32]) -> Self {
        Self {
            name,
            key: Some(key),
            answering: None,
        }
    }

    /// The same host, in the middle of a conversation that is on record.
    #[must_use]
    pub fn answering(self, answering: Option<Answering>) -> Self {
        Self { answering, ..self }
    }

    pub(crate) const fn on_record(name: String) -> Self {
        Self {
            name,
            key: None,
            answering: None,
        }
    }
}

/// Where something was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A login, as far as the application says where it comes from.
    Login(LoginOrigin),
    /// The command line of this machine: nobody was let in there.
    CommandLine,
}

/// What the application says of a login. As the module of a root program told it, else empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoginOrigin {
    /// The PAM service, such as `sshd`.
    pub service: Option<String>,
    /// Where it came from.
    pub remote_host: Option<String>,
    /// Who asked for it, where somebody logs in as another user: `PAM_RUSER`.
    pub remote_user: Option<String>,
    /// The terminal, such as `/dev/tty2`.
    pub terminal: Option<String>,
}

impl Origin {
    /// The command line, as `actor` uses it.
    pub const fn command_line(actor: u32) -> Self {
        Self {
            actor,
            login_uid: None,
            source: Source::CommandLine,
            host: None,
        }
    }

    /// A login that the process of `actor` asked about.
    pub const fn login(actor: u32, login: LoginOrigin) -> Self {
        Self {
            actor,
            login_uid: None,
            source: Source::Login(login),
            host: None,
        }
    }

    /// The answer that is being worked on; `None`: there is none, or its conversation is not on record.
    pub fn answering(&self) -> Option<&Answering> {
        self.host.as_ref()?.answering.as_ref()
    }

    /// The same origin, with the uid of the person who logged in.
    #[must_use]
    pub fn by_login_uid(self, login_uid: Option<u32>) -> Self {
        Self { login_uid, ..self }
    }

    /// The same origin, on a host of the fleet.
    #[must_use]
    pub fn on_host(self, host: FleetHost) -> Self {
        let host = Some(Box::new(host));
        Self { host, ..self }
    }

    /// What is known of the login, if it was one.
    pub const fn as_login(&self) -> Option<&LoginOrigin> {
        match &self.source {
            Source::Login(login) => Some(login),
            Source::CommandLine => None,
        }
    }

    /// The name in the log for what asked: the PAM service, or `twofa`, which a PAM service may be called too.
    pub fn service(&self) -> Option<&str> {
        match &self.source {
            Source::Login(login) => login.service.as_deref(),
            Source::CommandLine => Some("twofa"),
        }
    }

    /// Where a login came from: the host, else the terminal.
    pub fn host_or_terminal(&self) -> Option<&str> {
        let login = self.as_login()?;
        login.remote_host.as_deref().or(login.terminal.as_deref())
    }

    /// The place this is from, to tell one from another: service, remote host and terminal of a login, or somebody's
    /// command line. It is stored, so it stays as it is.
    pub(crate) fn place(&self) -> String {
        let Source::Login(login) = &self.source else {
            return format!("command line of uid {}", self.actor);
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let host = login.remote_host.as_deref().unwrap_or("this machine");
        let (service, terminal) = (text(&login.service), text(&login.terminal));
        let on = self
            .host
            .as_ref()
            .map_or(String::new(), |host| format!("host {}: ", host.name));
        format!("{on}service {service} of {host} at {terminal}")
    }
}

impl Source {
    /// The variant, as it is stored.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Login(_) => LOGIN,
            Self::CommandLine => COMMAND_LINE,
        }
    }

    /// The reverse of [`Source::name`], with what is stored of a login.
    pub(crate) fn stored(name: &str, login: LoginOrigin) -> Self {
        match name {
            COMMAND_LINE => Self::CommandLine,
            _ => Self::Login(login),
        }
    }
}

const LOGIN: &str = "login";
const COMMAND_LINE: &str = "command-line";

/// Where something came from that somebody gets a notice of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeSource {
    /// A login from this host, else at this terminal, if either is known.
    Login(Option<String>),
    /// The command line of this machine.
    CommandLine,
}

impl NoticeSource {
    pub(crate) fn stored(name: &str, place: Option<String>) -> Self {
        match name {
            COMMAND_LINE => Self::CommandLine,
            _ => Self::Login(place),
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Login(_) => LOGIN,
            Self::CommandLine => COMMAND_LINE,
        }
    }

    pub(crate) fn place(&self) -> Option<&str> {
        match self {
            Self::Login(place) => place.as_deref(),
            Self::CommandLine => None,
        }
    }
}

impl From<&Origin> for NoticeSource {
    fn from(origin: &Origin) -> Self {
        match origin.source {
            Source::Login(_) => Self::Login(origin.host_or_terminal().map(ToOwned::to_owned)),
            Source::CommandLine => Self::CommandLine,
        }
    }
}
