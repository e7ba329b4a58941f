//! Making a connection: in time, and over a network only with TLS and under the right name.

use std::future::{Future, poll_fn};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::tls::{MakeTlsConnect, NoTls};
use tokio_postgres::{AsyncMessage, Client, Config, Connection};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

use super::address::{Address, Host};
use super::tls;
use crate::deadline;
use crate::error::StoreError;
use crate::private_file::read_secret;

/// How long a host may take to answer at all, and to let us in.
const CONNECT: Duration = Duration::from_secs(2);
const LOG_IN: Duration = Duration::from_secs(3);

/// What the setting `twofa.direct` is where nothing is between us and PostgreSQL. A pooler shares its connections among
/// programs, so it does not pass on what one of them sets; some refuse it.
pub(super) const DIRECT: &str = "on";
/// How `PgBouncer` refuses what it would not pass on.
const NOT_PASSED_ON: &str = "unsupported startup parameter";

/// Connects to `host`. `has_warned` is set whenever PostgreSQL warns of anything.
pub(super) async fn open(
    address: &Address,
    host: &Host,
    has_warned: &Arc<AtomicBool>,
) -> Result<Client, StoreError> {
    let pooled = config(address, host)?;
    let mut direct = pooled.clone();
    // A statement is planned once, not each time for its values: they decide nothing about how a row is looked up by its key.
    direct.options(format!(
        "-c twofa.direct={DIRECT} -c plan_cache_mode=force_generic_plan"
    ));
    match connect(address, host, &direct, has_warned).await {
        Err(StoreError::Unreachable(why)) if why.contains(NOT_PASSED_ON) => {
            connect(address, host, &pooled, has_warned).await
        }
        connected => connected,
    }
}

async fn connect(
    address: &Address,
    host: &Host,
    config: &Config,
    has_warned: &Arc<AtomicBool>,
) -> Result<Client, StoreError> {
    match host {
        Host::Folder(folder, port) => {
            let path = folder.join(format!(".s.PGSQL.{port}"));
            let stream = in_time(CONNECT, UnixStream::connect(path)).await?;
            let connected = in_time(LOG_IN, config.connect_raw(stream, NoTls)).await?;
            Ok(drive(connected, has_warned))
        }
        Host::Net(name, port) => {
            let stream = in_time(CONNECT, TcpStream::connect((name.as_str(), *port))).await?;
            let mut tls = MakeRustlsConnect::new(tls::config(address)?);
            let _ = stream.set_nodelay(true);
            let tls = MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls, name)
                .map_err(|error| StoreError::Unreachable(error.to_string()))?;
            let connected = in_time(LOG_IN, config.connect_raw(stream, tls)).await?;
            Ok(drive(connected, has_warned))
        }
    }
}

fn config(address: &Address, host: &Host) -> Result<Config, StoreError> {
    let mut config = Config::new();
    config
        .user(&address.user)
        .dbname(&address.database)
        .application_name("twofa")
        .channel_binding(ChannelBinding::Prefer)
        .ssl_mode(match host {
            Host::Folder(..) => SslMode::Disable,
            Host::Net(..) => SslMode::Require,
        });
    if let Some(path) = &address.password {
        config.password(&*password(path)?);
    }
    Ok(config)
}

/// The first line of a file.
fn password(path: &Path) -> Result<Zeroizing<String>, StoreError> {
    let text = read_secret(path)?;
    let line = text.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(line.to_owned()))
}

async fn in_time<T, E: std::error::Error + 'static>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, StoreError> {
    match timeout(deadline::left(limit), work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(StoreError::Unreachable(super::with_cause(&error))),
        Err(_) => Err(StoreError::Unreachable("it does not answer".to_owned())),
    }
}

/// Has the connection carried on whenever a call waits.
fn drive<S, T>(
    (client, mut connection): (Client, Connection<S, T>),
    has_warned: &Arc<AtomicBool>,
) -> Client
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let has_warned = has_warned.clone();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if matches!(message, AsyncMessage::Notice(_)) {
                has_warned.store(true, Ordering::Relaxed);
            }
        }
    });
    client
}
