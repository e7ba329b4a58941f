//! A terminal on a machine, used as a person would.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Gid, Mode, OFlags, Uid, fchown, open};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::machine::Account;
use crate::process::Process;
use crate::qr::read_pgm;
use crate::screen::Screen;
use crate::window::{Theme, Window};

/// How long a person waits for something that should happen at once.
const TIMEOUT: Duration = Duration::from_secs(20);

/// How long to wait for output before checking whether the program has ended.
const GLANCE: Duration = Duration::from_millis(5);

/// The group that terminals belong to, on every Linux.
const TTY: u32 = 5;

/// Large enough for a QR code and the text around it.
const SIZE: Winsize = Winsize {
    ws_row: 60,
    ws_col: 120,
    ws_xpixel: 0,
    ws_ypixel: 0,
};

/// A terminal of the machine, with a program in its foreground.
///
/// Dropping it hangs up and kills the program.
#[derive(Debug)]
pub struct Terminal {
    command: String,
    /// `None` once hung up.
    keyboard: Option<OwnedFd>,
    process: Process,
    screen: Screen,
    /// How far into the screen's text the person has read.
    read: usize,
    timeout: Duration,
}

impl Terminal {
    /// Opens a terminal of the machine's own, whose `/dev/pts/ptmx` is here, and starts `program` as the leader of its session.
    pub(crate) fn open(
        ptmx: &Path,
        account: &Account,
        command: &str,
        mut program: Command,
    ) -> Self {
        let ours = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let keyboard = open(ptmx, ours, Mode::empty()).expect("a new terminal");
        unlockpt(&keyboard).unwrap();
        let theirs = ioctl_tiocgptpeer(
            &keyboard,
            OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
        );
        let theirs = theirs.expect("the other end of the terminal");
        // As sshd and login do for the user who logs in.
        fchown(
            &theirs,
            Some(Uid::from_raw(account.uid)),
            Some(Gid::from_raw(TTY)),
        )
        .unwrap();
        tcsetwinsize(&theirs, SIZE).unwrap();

        program
            .stdin(theirs.try_clone().unwrap())
            .stdout(theirs.try_clone().unwrap())
            .stderr(Stdio::from(theirs));
        let process = Process::start(command, program);
        Self {
            command: command.to_owned(),
            keyboard: Some(keyboard),
            process,
            screen: Screen::default(),
            read: 0,
            timeout: TIMEOUT,
        }
    }

    /// Sets how long each expected text is waited for, instead of 20 seconds.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Waits until `text` is shown, and returns everything since the last call up to and including it.
    ///
    /// # Panics
    ///
    /// If the program ends or time runs out first; the message contains the whole screen.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let start = Instant::now();
        loop {
            if let Some(at) = self.screen.text()[self.read..].find(text) {
                let from = self.read;
                self.read = from + at + text.len();
                return self.screen.text()[from..self.read].to_owned();
            }
            let ended = self.process.ended();
            let more = self.look();
            if let Some(status) = ended
                && !more
            {
                self.fail(&format!(
                    "the program ended ({status}) before it said {text:?}"
                ));
            }
            if start.elapsed() > self.timeout {
                self.fail(&format!("waited {:?} in vain for {text:?}", self.timeout));
            }
        }
    }

    /// Waits until the program ends; its last output is on the [`screen`](Self::screen).
    ///
    /// # Panics
    ///
    /// If time runs out first; the message contains the whole screen.
    #[track_caller]
    pub fn expect_end(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            let ended = self.process.ended();
            let more = self.look();
            if let Some(status) = ended
                && !more
            {
                self.read = self.screen.text().len();
                return status;
            }
            if start.elapsed() > self.timeout {
                self.fail(&format!(
                    "waited {:?} in vain for the program's end",
                    self.timeout
                ));
            }
        }
    }

    /// Types `text` and presses Enter.
    pub fn type_line(&mut self, text: &str) {
        self.type_keys(&format!("{text}\r"));
    }

    /// Types `text` and presses Enter once the terminal does not show what is typed: before, a program may throw it away.
    ///
    /// # Panics
    ///
    /// If time runs out first.
    #[track_caller]
    pub fn type_hidden(&mut self, text: &str) {
        let start = Instant::now();
        while self.is_shown() {
            self.look();
            if start.elapsed() > self.timeout {
                self.fail("what is typed is shown");
            }
        }
        self.type_line(text);
    }

    /// Whether the terminal shows what is typed.
    fn is_shown(&self) -> bool {
        let keyboard = self
            .keyboard
            .as_ref()
            .expect("the terminal has not been hung up");
        tcgetattr(keyboard).is_ok_and(|settings| settings.local_modes.contains(LocalModes::ECHO))
    }

    /// Types `text` and does not press Enter.
    pub fn type_keys(&mut self, text: &str) {
        let keyboard = self
            .keyboard
            .as_ref()
            .expect("the terminal has not been hung up");
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            match rustix::io::write(keyboard, rest) {
                Ok(written) => rest = &rest[written..],
                Err(Errno::INTR) => {}
                Err(error) => self.fail(&format!("typing failed: {error}")),
            }
        }
    }

    /// Presses Ctrl and a letter: `'c'` interrupts, `'d'` ends input.
    pub fn press_ctrl(&mut self, letter: char) {
        let key = u8::try_from(letter).expect("a letter of the keyboard") & 0x1f;
        self.type_keys(&char::from(key).to_string());
    }

    /// Closes the terminal's window, which sends SIGHUP to the program.
    pub fn hang_up(&mut self) {
        self.look();
        self.keyboard = None;
    }

    /// Everything shown so far, without escape sequences.
    pub fn screen(&mut self) -> String {
        while self.look() {}
        self.screen.text().to_owned()
    }

    /// Everything shown so far, as the programs wrote it.
    pub fn output(&mut self) -> Vec<u8> {
        while self.look() {}
        self.screen.output().to_vec()
    }

    /// What a window of 80 columns and 25 lines shows of it now.
    pub fn window(&mut self) -> String {
        self.window_of(80, 25)
    }

    /// The same for a window of another size.
    pub fn window_of(&mut self, columns: usize, lines: usize) -> String {
        Window::after(&self.output(), columns, lines, Theme::Dark).text()
    }

    /// The content of the QR code that such a window shows whole, in these colours; `None`: zbarimg reads none.
    pub fn read_qr(&mut self, theme: Theme) -> Option<String> {
        self.read_qr_of(80, 25, theme)
    }

    /// The same for a window of another size.
    pub fn read_qr_of(&mut self, columns: usize, lines: usize, theme: Theme) -> Option<String> {
        read_pgm(&Window::after(&self.output(), columns, lines, theme).picture())
    }

    /// Reads new output, waiting for a moment; `false` if there was none.
    fn look(&mut self) -> bool {
        let Some(keyboard) = &self.keyboard else {
            std::thread::sleep(GLANCE);
            return false;
        };
        let mut buffer = [0; 4096];
        match read_within(keyboard.as_fd(), GLANCE, &mut buffer) {
            Ok(0) => false,
            Ok(length) => {
                self.screen.push(&buffer[..length]);
                true
            }
            // Nobody has the other end open: the program has ended, or it is login(1), which reopens it.
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                std::thread::sleep(GLANCE);
                false
            }
            Err(error) => panic!("the terminal cannot be read: {error}"),
        }
    }

    #[track_caller]
    fn fail(&self, trouble: &str) -> ! {
        panic!(
            "{}: {trouble}\n--- screen\n{}\n---",
            self.command,
            self.screen.text()
        );
    }
}

/// Reads what there is; nothing if nothing arrives in time.
fn read_within(terminal: impl AsFd, time: Duration, buffer: &mut [u8]) -> io::Result<usize> {
    let mut ready = [PollFd::new(&terminal, PollFlags::IN)];
    let time = Timespec::try_from(time).expect("a short time");
    match poll(&mut ready, Some(&time)) {
        Ok(0) | Err(Errno::INTR) => Ok(0),
        Ok(_) => Ok(rustix::io::read(&terminal, buffer)?),
        Err(error) => Err(error.into()),
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.keyboard = None;
    }
}
