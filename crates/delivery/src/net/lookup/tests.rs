use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(20);

fn loopback() -> Vec<SocketAddr> {
    vec![SocketAddr::from(([127, 0, 0, 1], 0))]
}

/// A resolver whose lookup of `hang` returns when the sender is dropped, and the number of those lookups.
fn resolver_with_a_name_that_hangs(
    retry_after: Duration,
) -> (Arc<SharedResolver>, mpsc::Sender<()>, Arc<AtomicUsize>) {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(Some(held));
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let resolver = SharedResolver::new(retry_after, move |host| {
        if host == "hang" {
            count.fetch_add(1, Ordering::SeqCst);
            let first = held.lock().unwrap().take();
            match first {
                Some(held) => drop(held.recv()),
                None => thread::sleep(TIMEOUT),
            }
        }
        Ok(loopback())
    });
    (resolver, release, calls)
}

#[test]
fn callers_that_look_up_a_name_at_once_share_one_answer() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let resolver = SharedResolver::new(RETRY_AFTER, move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(200));
        Ok(loopback())
    });
    let answers: Vec<_> = (0..64)
        .map(|_| resolver.look_up("mail.example.org"))
        .collect();
    thread::scope(|scope| {
        for answer in answers {
            scope.spawn(|| assert_eq!(answer.wait(Instant::now() + TIMEOUT).unwrap(), loopback()));
        }
    });
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    // The answer is not cached: the next caller starts another lookup.
    resolver
        .look_up("mail.example.org")
        .wait(Instant::now() + TIMEOUT)
        .unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn a_name_that_hangs_occupies_few_threads_and_delays_no_other_name() {
    let (resolver, _release, calls) = resolver_with_a_name_that_hangs(Duration::ZERO);
    let deadline = Instant::now() + Duration::from_millis(300);
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                let late = resolver.look_up("hang").wait(deadline).unwrap_err();
                assert_eq!(late.kind(), ErrorKind::TimedOut);
            });
        }
        assert_eq!(
            resolver.look_up("mail.example.org").wait(deadline).unwrap(),
            loopback()
        );
    });
    assert!(
        deadline.elapsed() < Duration::from_secs(5),
        "{:?}",
        deadline.elapsed()
    );
    assert_eq!(calls.load(Ordering::SeqCst), MAX_THREADS);
    assert!(resolver.lock().values().all(|name| name.waiting.is_empty()));
}

#[test]
fn all_callers_get_the_answer_that_comes_first() {
    let (resolver, release, calls) = resolver_with_a_name_that_hangs(Duration::ZERO);
    let first = resolver.look_up("hang");
    while calls.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    let second = resolver.look_up("hang");
    drop(release);
    assert_eq!(first.wait(Instant::now() + TIMEOUT).unwrap(), loopback());
    assert_eq!(second.wait(Instant::now() + TIMEOUT).unwrap(), loopback());
}

#[test]
fn all_callers_get_the_error_and_a_panic_leaves_none_waiting() {
    let resolver = SharedResolver::new(RETRY_AFTER, |host| {
        assert_ne!(host, "panic", "as the test wants it");
        Err(io::Error::new(ErrorKind::NotFound, "no such name"))
    });
    for (host, words) in [("nobody", "no such name"), ("panic", "aborted")] {
        for _ in 0..2 {
            let (one, other) = (resolver.look_up(host), resolver.look_up(host));
            for answer in [one, other] {
                let error = answer.wait(Instant::now() + TIMEOUT).unwrap_err();
                assert!(error.to_string().contains(words), "{error}");
            }
        }
    }
}

#[test]
fn an_address_is_its_own_answer() {
    let past = Instant::now();
    let found = look_up("192.0.2.1", 25, past).unwrap();
    assert_eq!(found, [SocketAddr::from(([192, 0, 2, 1], 25))]);
    let found = look_up("localhost", 25, Instant::now() + TIMEOUT).unwrap();
    assert!(
        found
            .iter()
            .all(|address| address.ip().is_loopback() && address.port() == 25),
        "{found:?}"
    );
    assert!(
        has_succeeded("localhost")
            && !has_succeeded("nobody.invalid")
            && !is_pending("nobody.invalid")
    );
}
