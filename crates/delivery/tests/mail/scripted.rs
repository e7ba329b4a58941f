//! A mail server that follows a test's script, with or without TLS.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use twofa_mailserver::Authority;

/// One CA for all scripted servers.
static IDENTITY: LazyLock<(Arc<ServerConfig>, PathBuf)> = LazyLock::new(|| {
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
    // Nothing that is static is removed in the end, so it stays in the build's own folder.
    let name = format!("scripted-ca.{}.pem", process::id());
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, authority.certificate()).unwrap();
    (Arc::new(config), file)
});

/// The CA of scripted servers.
pub(super) fn ca_file() -> &'static str {
    IDENTITY.1.to_str().unwrap()
}

/// A running server; its threads end with the tests.
pub(super) struct Scripted {
    pub(super) port: u16,
    connections: Arc<AtomicUsize>,
}

impl Scripted {
    /// Serves each connection with `script`.
    pub(super) fn start(
        script: impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static,
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
                // An error is a client that closed the connection, which is not a failure of the test.
                thread::spawn(move || script(&mut Connection::new(stream)));
            }
        });
        Self { port, connections }
    }

    /// Like [`start`](Self::start), after a TLS handshake.
    pub(super) fn start_tls(
        script: impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |connection| {
            connection.secure()?;
            script(connection)
        })
    }

    /// The number of connections so far.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

trait ReadWrite: Read + Write + Send {}
impl<T: Read + Write + Send> ReadWrite for T {}

/// A connection, as the server sees it.
pub(super) struct Connection {
    socket: TcpStream,
    stream: BufReader<Box<dyn ReadWrite>>,
}

impl Connection {
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

    /// Sends lines, and a line ending.
    pub(super) fn send(&mut self, lines: &str) -> io::Result<()> {
        self.send_bytes(format!("{lines}\r\n").as_bytes())
    }

    pub(super) fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)?;
        self.stream.get_mut().flush()
    }

    /// Reads the next line. The end of the connection is an error.
    pub(super) fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    /// Reads `count` bytes.
    pub(super) fn read_bytes(&mut self, count: usize) -> io::Result<String> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Hands everything to `target` and back until one of them closes the connection.
    pub(super) fn relay(&mut self, target: &str) -> io::Result<()> {
        let server = TcpStream::connect(target)?;
        let (mut from, mut to) = (server.try_clone()?, self.socket.try_clone()?);
        thread::spawn(move || io::copy(&mut from, &mut to));
        io::copy(&mut self.stream, &mut &server).map(|_| ())
    }

    /// Sends nothing more until the client closes the connection.
    pub(super) fn hang(&mut self) -> io::Result<()> {
        self.stream.read_to_end(&mut Vec::new()).map(|_| ())
    }

    /// Sends a byte at intervals, and never a whole line.
    pub(super) fn drip(&mut self) -> io::Result<()> {
        loop {
            self.send_bytes(b"2")?;
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a greeting and answers like a mail server until a command begins with `stop`, and returns that command.
    /// `.` is the end of a mail.
    pub(super) fn serve_until(&mut self, stop: &str) -> io::Result<String> {
        self.send("220 scripted ESMTP")?;
        self.continue_until(stop)
    }

    /// Like [`serve_until`](Self::serve_until), without a greeting.
    pub(super) fn continue_until(&mut self, stop: &str) -> io::Result<String> {
        loop {
            let command = self.read_line()?;
            if command.starts_with(stop) {
                return Ok(command);
            }
            match command.split([' ', ':']).next().unwrap() {
                "EHLO" => {
                    self.send("250-scripted\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN XOAUTH2")?;
                }
                "AUTH" => self.send("235 2.7.0 welcome")?,
                "DATA" => {
                    self.send("354 go on")?;
                    while self.read_line()? != "." {}
                    if stop == "." {
                        return Ok(".".to_owned());
                    }
                    self.send("250 2.0.0 Ok: queued as 4D2")?;
                }
                "QUIT" => {
                    self.send("221 bye")?;
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                _ => self.send("250 2.0.0 Ok")?,
            }
        }
    }
}
