//! The kinds of e-mail providers, with the settings they take.

use twofa_core::Channel;

use super::gateway::Gateway;
use super::mailer::Mailer;
use super::sendmail;
use super::settings::SettingsReader;
use crate::net::proxy;
use crate::provider::{BadProvider, ConfigDirs, Provider, ProviderConfig, ProviderKind, Setting};
use crate::templates::Templates;

/// The default number of connections to a server: enough for many logins at once, and below the limits per client of
/// common relays.
const CONNECTIONS: &str = "16";

/// The kinds of providers that send by e-mail, including the gateway from e-mail to SMS.
pub fn kinds() -> Vec<ProviderKind> {
    vec![smtp(), sendmail(), gateway()]
}

/// Sends through a mail server.
pub(super) fn smtp() -> ProviderKind {
    let open = |kind: &ProviderKind, config: &ProviderConfig, dirs: &ConfigDirs| {
        let settings = SettingsReader::new(kind, config);
        let author = settings.author()?;
        let transport = settings.smtp(author.from.email.clone())?;
        Ok(Box::new(Mailer {
            author,
            templates: Templates::load(&dirs.templates),
            transport: Box::new(transport),
        }) as Box<dyn Provider>)
    };
    ProviderKind {
        aliases: vec!["email".to_owned(), "mail".to_owned()],
        ..ProviderKind::new(
            "smtp",
            "A mail server (SMTP)",
            Channel::Email,
            server_settings(true),
            open,
        )
    }
}

/// Sends through the sendmail program of this machine.
fn sendmail() -> ProviderKind {
    let open = |kind: &ProviderKind, config: &ProviderConfig, dirs: &ConfigDirs| {
        let settings = SettingsReader::new(kind, config);
        let author = settings.author()?;
        let transport = settings.sendmail(author.from.email.clone())?;
        Ok(Box::new(Mailer {
            author,
            templates: Templates::load(&dirs.templates),
            transport: Box::new(transport),
        }) as Box<dyn Provider>)
    };
    ProviderKind::new(
        "sendmail",
        "The machine's own mail system (sendmail)",
        Channel::Email,
        vec![from_setting(), command(), reply_to()],
        open,
    )
}

/// Sends text messages by mail to a gateway.
fn gateway() -> ProviderKind {
    let mut settings = vec![
        Setting {
            required: true,
            ..setting(
                "address",
                "The gateway's address for a number, such as {number}@sms.example.com or {e164}@…",
            )
        },
        with_default(
            "transport",
            "How mail gets to the gateway: smtp or sendmail",
            "smtp",
        ),
    ];
    settings.extend(server_settings(false));
    settings.push(command());
    ProviderKind {
        aliases: vec!["email-to-sms".to_owned()],
        ..ProviderKind::new(
            "email-gateway",
            "A gateway from e-mail to SMS",
            Channel::Sms,
            settings,
            open_gateway,
        )
    }
}

fn open_gateway(
    kind: &ProviderKind,
    config: &ProviderConfig,
    dirs: &ConfigDirs,
) -> Result<Box<dyn Provider>, BadProvider> {
    let settings = SettingsReader::new(kind, config);
    let author = settings.author()?;
    let mailer = Mailer {
        transport: settings.transport(author.from.email.clone())?,
        templates: Templates::load(&dirs.templates),
        author,
    };
    Ok(Box::new(Gateway::new(settings.address_pattern()?, mailer)))
}

fn server_settings(is_host_required: bool) -> Vec<Setting> {
    let mut settings = vec![
        Setting {
            required: is_host_required,
            ..setting("host", "The mail server's name, as in its certificate")
        },
        with_default(
            "tls",
            "implicit, starttls, none (this machine only) or none-anywhere (codes cross the network unencrypted)",
            "implicit",
        ),
        setting(
            "port",
            "The mail server's port; depending on tls, 465 (implicit), 587 (starttls) or 25 unless set",
        ),
        from_setting(),
    ];
    settings.extend(login_settings());
    settings.extend([
        setting(
            "ca-file",
            "A CA certificate (PEM) to trust in addition to the system's",
        ),
        reply_to(),
        setting(
            "hello",
            "The name this machine gives in EHLO; its full host name unless set, or its address if it has none",
        ),
        with_default(
            "connections",
            "The maximum number of connections to the server at a time",
            CONNECTIONS,
        ),
    ]);
    settings.extend(proxy::settings(
        "token-url alone (the mail server is connected to directly)",
    ));
    settings
}

fn login_settings() -> [Setting; 8] {
    let secret = |name, help| Setting {
        secret: true,
        ..setting(name, help)
    };
    [
        setting(
            "username",
            "The name to log in with; the address in 'from' unless set",
        ),
        secret(
            "password",
            "The password to log in with, if the server requires a login",
        ),
        with_default(
            "auth",
            "How to log in: auto, plain, login or xoauth2",
            "auto",
        ),
        setting(
            "token-command",
            "A program, with its arguments, that prints an access token for xoauth2",
        ),
        secret(
            "refresh-token",
            "An OAuth 2.0 refresh token, instead of token-command",
        ),
        setting(
            "client-id",
            "The OAuth 2.0 client that the refresh token was issued to",
        ),
        secret("client-secret", "That client's secret, if it has one"),
        setting(
            "token-url",
            "Where the refresh token is exchanged for an access token (https)",
        ),
    ]
}

fn from_setting() -> Setting {
    Setting {
        required: true,
        ..setting("from", "The address to send from, or 'Name <address>'")
    }
}

fn reply_to() -> Setting {
    setting("reply-to", "Where replies go, if not to 'from'")
}

fn command() -> Setting {
    with_default(
        "command",
        "The sendmail program, with its arguments if it needs any",
        sendmail::DEFAULT_COMMAND,
    )
}

fn with_default(name: &str, help: &str, default: &str) -> Setting {
    Setting {
        default: Some(default.to_owned()),
        ..setting(name, help)
    }
}

fn setting(name: &str, help: &str) -> Setting {
    Setting {
        name: name.to_owned(),
        help: help.to_owned(),
        secret: false,
        required: false,
        default: None,
    }
}
