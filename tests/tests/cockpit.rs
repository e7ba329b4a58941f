//! Logins to cockpit, over HTTP as a browser makes them.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Machine, password_of};

const WS: &str = "/usr/lib/cockpit/cockpit-ws";

/// Logs alice in with her password, types the arguments into the questions that follow, and prints the status and reason of
/// each answer.
const BROWSER: &str = r#"
import base64, sys, urllib.error, urllib.request
def get(authorization):
    request = urllib.request.Request("http://127.0.0.1:9099/cockpit/login")
    request.add_header("Authorization", authorization)
    try:
        answer = urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        answer = error
    print(answer.status, answer.reason)
    return answer.headers.get("WWW-Authenticate", "")
challenge = get("Basic " + base64.b64encode(("alice:" + sys.argv[1]).encode()).decode())
for typed in sys.argv[2:]:
    kind, conversation, prompt = challenge.split()
    print(base64.b64decode(prompt).decode())
    challenge = get(f"{kind} {conversation} " + base64.b64encode(typed.encode()).decode())
"#;

/// The status lines and questions of a login of alice's with the right password, in which `typed` is typed.
fn login(machine: &Machine, typed: &[&str]) -> String {
    let typed: Vec<_> = typed.iter().map(|typed| format!(" '{typed}'")).collect();
    let password = password_of("alice");
    let command = format!("python3 /root/browser.py '{password}'{}", typed.concat());
    machine.run(&command).ok().stdout
}

#[test]
fn cockpit_reports_wrong_and_missing_codes_as_failed_logins_and_not_as_its_own_fault() {
    let machine = Machine::new()
        .policy("optional")
        .user("alice")
        .file("/root/browser.py", BROWSER)
        .build();
    let phone = machine.enrol("alice");
    let _server = machine.spawn(&format!(
        "exec {WS} --no-tls --address 127.0.0.1 --port 9099"
    ));
    machine.wait_for_port(9099);

    let wrong = login(&machine, &["00000000", "00000000", "00000000"]);
    let last = wrong.lines().last().unwrap_or_default();
    assert!(last.starts_with("401 "), "{wrong}");
    let empty = login(&machine, &[""]);
    let last = empty.lines().last().unwrap_or_default();
    assert!(last.starts_with("401 "), "{empty}");
    assert!(empty.contains("Verification code for vm"), "{empty}");

    let right = login(&machine, &[&phone.next_code()]);
    // What there is behind the login (cockpit-bridge) is another package: only its absence can be reported.
    assert!(!right.contains("Authentication failed"), "{right}");
    machine.wait_for_log("verdict=\"passed\"");
}
