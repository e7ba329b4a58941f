//! The machine's `/dev/log`: what programs send to syslog, kept in memory.

use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Longer than any line syslog(3) sends.
const LONGEST: usize = 64 * 1024;

/// What has arrived so far, one message per line, each with its `<priority>`.
#[derive(Debug, Default)]
struct Messages {
    text: Mutex<String>,
    arrived: Condvar,
}

/// A syslog server of one machine.
#[derive(Debug)]
pub(crate) struct Log {
    socket: UnixDatagram,
    messages: Arc<Messages>,
    reader: Option<JoinHandle<()>>,
}

impl Log {
    /// Binds `path`, writable by everyone like `/dev/log`, and begins to listen.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
        let messages = Arc::new(Messages::default());
        let reader = thread::spawn({
            let (socket, messages) = (socket.try_clone()?, Arc::clone(&messages));
            move || receive(&socket, &messages)
        });
        Ok(Self {
            socket,
            messages,
            reader: Some(reader),
        })
    }

    pub(crate) fn text(&self) -> String {
        self.messages.text.lock().unwrap().clone()
    }

    /// The first line that contains `needle`, as soon as there is one; the whole log if there is none by `deadline`.
    pub(crate) fn wait_for(&self, needle: &str, deadline: Duration) -> Result<String, String> {
        let line = |text: &str| {
            text.lines()
                .find(|line| line.contains(needle))
                .map(str::to_owned)
        };
        let text = self.messages.text.lock().unwrap();
        let waited = self
            .messages
            .arrived
            .wait_timeout_while(text, deadline, |text| line(text).is_none());
        let (text, _) = waited.unwrap();
        line(&text).ok_or_else(|| text.clone())
    }
}

fn receive(socket: &UnixDatagram, messages: &Messages) {
    let mut buffer = vec![0; LONGEST];
    // Nothing is received once the socket has been shut down.
    while let Ok(length @ 1..) = socket.recv(&mut buffer) {
        let message = String::from_utf8_lossy(&buffer[..length]);
        let mut text = messages.text.lock().unwrap();
        text.push_str(message.trim_end_matches(['\0', '\n']));
        text.push('\n');
        messages.arrived.notify_all();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
