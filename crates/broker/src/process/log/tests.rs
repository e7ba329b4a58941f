use super::*;
use std::fs::File;
use std::io::Read;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::{Duration, Instant};

#[test]
fn a_line_reaches_syslog_as_authpriv_with_the_programs_name_and_number() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let log = UnixDatagram::bind(&path).unwrap();
    for (priority, number) in [
        (Priority::Warning, 84),
        (Priority::Notice, 85),
        (Priority::Info, 86),
    ] {
        to_syslog(&path, priority, "a wrong code for alice").unwrap();
        let mut buffer = [0; 100];
        let length = log.recv(&mut buffer).unwrap();
        let expected = format!(
            "<{number}>twofad[{}]: a wrong code for alice",
            process::id()
        );
        assert_eq!(String::from_utf8_lossy(&buffer[..length]), expected);
    }
}

#[test]
fn a_log_daemon_with_a_stream_socket_gets_a_stream() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let log = UnixListener::bind(&path).unwrap();
    to_syslog(&path, Priority::Info, "a line").unwrap();
    let mut text = String::new();
    log.accept().unwrap().0.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("]: a line\0"), "{text:?}");
}

#[test]
fn a_log_daemon_that_hangs_delays_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let _log = UnixDatagram::bind(&path).unwrap();
    let start = Instant::now();
    let refused = (0..100_000).find_map(|_| to_syslog(&path, Priority::Info, "a line").err());
    assert_eq!(refused, Some(Errno::EAGAIN));
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn without_a_log_daemon_nothing_waits() {
    assert_eq!(
        to_syslog(Path::new("/nonexistent/log"), Priority::Info, "a line"),
        Err(Errno::ENOENT)
    );
}

#[test]
fn a_reader_of_standard_error_that_hangs_is_noticed() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    assert_eq!(wait_for_room(&ours), Ok(()));
    ours.set_nonblocking(true).unwrap();
    while (&ours).write(&[b'x'; 4096]).is_ok() {}
    assert_eq!(wait_for_room(&ours), Err(Errno::EAGAIN));
}

#[test]
fn only_dev_null_is_recognised() {
    assert!(is_dev_null(
        &File::options().write(true).open("/dev/null").unwrap()
    ));
    assert!(!is_dev_null(&File::open("/dev/zero").unwrap()));
    assert!(!is_dev_null(&tempfile::tempfile().unwrap()));
    assert!(!is_dev_null(&UnixStream::pair().unwrap().0));
}

#[test]
fn what_is_logged_stays_one_line_and_controls_no_terminal() {
    assert_eq!(
        on_one_line("für DOM\\alice: \"x\""),
        "für DOM\\alice: \"x\""
    );
    assert_eq!(
        on_one_line("a\nb\r\t\0\x1b[2J\u{9b}2J"),
        "a\\nb\\r\\t\\u{0}\\u{1b}[2J\\u{9b}2J"
    );
    assert_eq!(
        on_one_line("a\u{2028}b\u{202e}c\u{2066}"),
        "a\\u{2028}b\\u{202e}c\\u{2066}"
    );
    assert!(on_one_line(&"ü".repeat(MAX_LINE)).len() <= MAX_LINE + 10);
}
