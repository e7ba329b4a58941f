//! What the module sends.

use serde::{Deserialize, Serialize};

use super::NO_TICKET;
use crate::codec::CodecError;
use crate::evidence::{self, PasswordState, ProcessId, SessionEvidence, TerminalEvidence};
use crate::message;
use crate::secret::Secret;
use crate::session::{SessionProcess, SessionStart};

#[derive(Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "a connection has one request")]
pub(crate) enum FromClient {
    Open { version: u16, request: Request },
    Answer(Option<Secret>),
}

/// Those of the command line only keep their numbers: it is installed together with the broker.
#[derive(Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "a connection has one request")]
pub(crate) enum Request {
    Login(Login),
    Account(Login),
    Status,
    EnrolApp,
    EnrolAddress,
    EnrolSecurityKey,
    Remove,
    Set,
    NewBackupCodes,
    Devices,
    RevokeDevices,
    OpenSession(SessionStart),
    CloseSession {
        user: String,
        process: SessionProcess,
    },
    PasswordChanged {
        user: String,
        service: String,
        login_uid: Option<u32>,
    },
    Sessions,
}

#[allow(clippy::struct_excessive_bools, reason = "as in today's")]
#[derive(Serialize, Deserialize)]
pub(crate) struct Login {
    user: String,
    service: String,
    remote_host: Option<String>,
    remote_user: Option<String>,
    terminal: Option<String>,
    behind_password: bool,
    arguments: Vec<String>,
    pam_folder: Option<(u64, u64)>,
    may_ask: bool,
    cannot_answer: bool,
    ssh_auth_info: Option<String>,
    /// Whether the end of the same login in `auth` asked for a confirmation, of whichever kind.
    confirms: bool,
    evidence: Option<Box<Evidence>>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Evidence {
    boot: String,
    process: ProcessId,
    parent: Option<ProcessId>,
    login_uid: Option<u32>,
    ssh_client: Option<String>,
    has_default_sshd_config: bool,
    is_from_this_machine: bool,
    session: Option<SessionEvidence>,
    controlling_terminal: Option<TerminalEvidence>,
    password: PasswordState,
}

impl TryFrom<FromClient> for message::FromClient {
    type Error = CodecError;

    fn try_from(message: FromClient) -> Result<Self, CodecError> {
        Ok(match message {
            FromClient::Open { version, request } => Self::Open {
                version,
                request: request.try_into()?,
                login_uid: None,
            },
            FromClient::Answer(answer) => Self::Answer(answer),
        })
    }
}

impl TryFrom<message::FromClient> for FromClient {
    type Error = CodecError;

    fn try_from(message: message::FromClient) -> Result<Self, CodecError> {
        Ok(match message {
            // The module does not tell who logged in here: where that matters, it is in its request.
            message::FromClient::Open {
                version,
                request,
                login_uid: _,
            } => Self::Open {
                version,
                request: request.try_into()?,
            },
            message::FromClient::Answer(answer) => Self::Answer(answer),
        })
    }
}

impl TryFrom<Request> for message::Request {
    type Error = CodecError;

    fn try_from(request: Request) -> Result<Self, CodecError> {
        Ok(match request {
            Request::Login(login) => Self::Login(login.into()),
            Request::Account(login) => Self::Account(login.into()),
            Request::OpenSession(start) => Self::OpenSession(start),
            Request::CloseSession { user, process } => Self::CloseSession { user, process },
            Request::PasswordChanged {
                user,
                service,
                login_uid,
            } => Self::PasswordChanged {
                user,
                service,
                login_uid,
            },
            _ => return Err(CodecError::NotInPrevious),
        })
    }
}

impl TryFrom<message::Request> for Request {
    type Error = CodecError;

    fn try_from(request: message::Request) -> Result<Self, CodecError> {
        Ok(match request {
            message::Request::Login(login) => Self::Login(login.into()),
            message::Request::Account(login) => Self::Account(login.into()),
            message::Request::OpenSession(start) => Self::OpenSession(start),
            message::Request::CloseSession { user, process } => {
                Self::CloseSession { user, process }
            }
            message::Request::PasswordChanged {
                user,
                service,
                login_uid,
            } => Self::PasswordChanged {
                user,
                service,
                login_uid,
            },
            _ => return Err(CodecError::NotInPrevious),
        })
    }
}

impl From<Login> for message::Login {
    fn from(login: Login) -> Self {
        // The process would make the broker wait for a confirmation with a ticket. Without evidence it settles the login at
        // once. Only a security key needs it, and the account phase of a login that began before the upgrade.
        let needs_evidence = login.ssh_auth_info.is_some() || login.confirms;
        let evidence = login.evidence.filter(|_| needs_evidence);
        let confirms = if login.confirms {
            evidence::Confirm::Record(NO_TICKET)
        } else {
            evidence::Confirm::No
        };
        Self {
            user: login.user,
            service: login.service,
            remote_host: login.remote_host,
            remote_user: login.remote_user,
            terminal: login.terminal,
            behind_password: login.behind_password,
            arguments: login.arguments,
            pam_folder: login.pam_folder,
            may_ask: login.may_ask,
            cannot_answer: login.cannot_answer,
            ssh_auth_info: login.ssh_auth_info,
            evidence: evidence.map(|evidence| Box::new(evidence.confirming(confirms))),
        }
    }
}

impl Evidence {
    fn confirming(self, confirms: evidence::Confirm) -> evidence::Evidence {
        evidence::Evidence {
            boot: self.boot,
            process: self.process,
            parent: self.parent,
            login_uid: self.login_uid,
            ssh_client: self.ssh_client,
            has_default_sshd_config: self.has_default_sshd_config,
            is_from_this_machine: self.is_from_this_machine,
            session: self.session,
            controlling_terminal: self.controlling_terminal,
            // Nothing is trusted where the password is not known.
            password: PasswordState::Unknown,
            confirms,
        }
    }
}

impl From<message::Login> for Login {
    fn from(login: message::Login) -> Self {
        let confirms = login.evidence.as_ref().map(|evidence| evidence.confirms);
        Self {
            user: login.user,
            service: login.service,
            remote_host: login.remote_host,
            remote_user: login.remote_user,
            terminal: login.terminal,
            behind_password: login.behind_password,
            arguments: login.arguments,
            pam_folder: login.pam_folder,
            may_ask: login.may_ask,
            cannot_answer: login.cannot_answer,
            ssh_auth_info: login.ssh_auth_info,
            confirms: confirms.unwrap_or_default() != evidence::Confirm::No,
            evidence: login
                .evidence
                .map(|evidence| Box::new(Evidence::from(*evidence))),
        }
    }
}

impl From<evidence::Evidence> for Evidence {
    fn from(evidence: evidence::Evidence) -> Self {
        Self {
            boot: evidence.boot,
            process: evidence.process,
            parent: evidence.parent,
            login_uid: evidence.login_uid,
            ssh_client: evidence.ssh_client,
            has_default_sshd_config: evidence.has_default_sshd_config,
            is_from_this_machine: evidence.is_from_this_machine,
            session: evidence.session,
            controlling_terminal: evidence.controlling_terminal,
            password: evidence.password,
        }
    }
}
