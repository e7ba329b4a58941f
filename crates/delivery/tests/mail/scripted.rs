//! A mail server that does what a test wants, with TLS if it is to.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::NamedTempFile;
use twofa_mailserver::Authority;

/// One CA for all scripted servers.
static IDENTITY: LazyLock<(Arc<ServerConfig>, NamedTempFile)> = LazyLock::new(|| {
    let authority = Authority::new();
    let identity = authority.identity(&["localhost"]);
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = config
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(authority.certificate().as_bytes()).unwrap();
    (Arc::new(config), file)
});

/// The CA of scripted servers.
pub(super) fn ca_file() -> &'static str {
    IDENTITY.1.path().to_str().unwrap()
}

/// A running server; its threads end with the tests.
pub(super) struct Scripted {
    pub(super) port: u16,
    connections: Arc<AtomicUsize>,
}

impl Scripted {
    /// Serves each connection with `script`.
    pub(super) fn start(
        script: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (script, count) = (Arc::new(script), Arc::clone(&connections));
        thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                let script = Arc::clone(&script);
                let stream = stream.unwrap();
                stream.set_nodelay(true).unwrap();
                // A client that hangs up early is no failure of the server's.
                thread::spawn(move || script(&mut Talk::new(stream)));
            }
        });
        Self { port, connections }
    }

    /// The same after a TLS handshake.
    pub(super) fn start_tls(
        script: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |talk| {
            talk.secure()?;
            script(talk)
        })
    }

    /// Connections so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

trait ReadWrite: Read + Write + Send {}
impl<T: Read + Write + Send> ReadWrite for T {}

/// A connection, as the server sees it.
pub(super) struct Talk {
    socket: TcpStream,
    stream: BufReader<Box<dyn ReadWrite>>,
}

impl Talk {
    fn new(socket: TcpStream) -> Self {
        let stream = BufReader::new(Box::new(socket.try_clone().unwrap()) as Box<dyn ReadWrite>);
        Self { socket, stream }
    }

    pub(super) fn secure(&mut self) -> io::Result<()> {
        let session = ServerConnection::new(Arc::clone(&IDENTITY.0)).unwrap();
        let mut tls = StreamOwned::new(session, self.socket.try_clone()?);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        self.stream = BufReader::new(Box::new(tls));
        Ok(())
    }

    /// Sends lines.
    pub(super) fn say(&mut self, lines: &str) -> io::Result<()> {
        self.raw(format!("{lines}\r\n").as_bytes())
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)?;
        self.stream.get_mut().flush()
    }

    /// The next line; an error at the end.
    pub(super) fn hear(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// The next bytes.
    pub(super) fn hear_bytes(&mut self, count: usize) -> io::Result<String> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Says nothing more until the client hangs up.
    pub(super) fn hang(&mut self) -> io::Result<()> {
        self.stream.read_to_end(&mut Vec::new()).map(|_| ())
    }

    /// Sends a byte now and then, and never a whole line.
    pub(super) fn drip(&mut self) -> io::Result<()> {
        loop {
            self.raw(b"2")?;
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Greets, and answers as a mail server does until a command begins with `stop`, which is returned. `.` is the end
    /// of a mail.
    pub(super) fn serve_until(&mut self, stop: &str) -> io::Result<String> {
        self.say("220 scripted ESMTP")?;
        self.go_on_until(stop)
    }

    /// The same without a greeting.
    pub(super) fn go_on_until(&mut self, stop: &str) -> io::Result<String> {
        loop {
            let command = self.hear()?;
            if command.starts_with(stop) {
                return Ok(command);
            }
            match command.split([' ', ':']).next().unwrap() {
                "EHLO" => {
                    self.say("250-scripted\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN XOAUTH2")?
                }
                "AUTH" => self.say("235 2.7.0 welcome")?,
                "DATA" => {
                    self.say("354 go on")?;
                    while self.hear()? != "." {}
                    if stop == "." {
                        return Ok(".".to_owned());
                    }
                    self.say("250 2.0.0 Ok: queued as 4D2")?;
                }
                "QUIT" => {
                    self.say("221 bye")?;
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                _ => self.say("250 2.0.0 Ok")?,
            }
        }
    }
}
