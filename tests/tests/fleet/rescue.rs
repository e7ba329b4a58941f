//! Rescue codes: root and a rescue group log in to a host without the network.

use super::{assert_in, assert_refused, log_in};
use twofa_e2e::{Cable, Machine, Terminal, password_of};

const PROMPT: &str = "Rescue code for web1";

/// Has root, who must have a second factor and has none, and bob, who is in the rescue group, log in to `host` with the cable
/// pulled. Alice, who is not, is not asked.
pub fn codes_let_in_once_without_the_network(server: &Machine, host: &Machine, cable: &Cable<'_>) {
    server
        .run("twofa policy set enrolment=beforehand fleet.rescue-group=rescuers --yes")
        .ok();
    host.run("groupadd rescuers && usermod -aG rescuers bob && twofa user require root")
        .ok();
    host.wait_until("twofa policy show | grep -qx fleet.rescue-group=rescuers");
    server.wait_until("twofa host rescue web1 --reason 'the switch is down' >/root/code1");
    cable.pull();
    let code = |number: u8| {
        let shown = server.run(&format!(
            "[ -e /root/code{number} ] || twofa host rescue web1 --reason 'once more' >/root/code{number}; head -1 /root/code{number}"
        ));
        shown.ok().stdout.trim().to_owned()
    };

    let screen = assert_refused(log_in(host, "alice"), "alice");
    assert!(!screen.contains(PROMPT), "{screen}");
    let mut console = at_the_console(host);
    console.type_line(&code(1));
    console.expect("root@vm:~# ");
    console.type_line("exit");
    console.expect_end();
    assert_wrong(host, &code(1));

    let mut terminal = log_in(host, "bob");
    terminal.expect("No server of the fleet answers");
    terminal.expect(PROMPT);
    terminal.type_line(&code(2));
    assert_in(terminal, "bob");

    let unused = code(3);
    cable.plug_in();
    let used = "twofa log --event rescue-used | grep -c web1";
    server.wait_until(&format!("[ $({used}) = 2 ]"));
    // A set has five codes: the sixth is of the next one, which the host has confirmed.
    for _ in 4..=6 {
        server.wait_until("twofa host rescue web1 --reason 'after contact' >/root/code4");
    }
    assert_wrong(host, &unused);
    let log = server.run("twofa log --event rescue-shown").ok().stdout;
    assert!(log.contains("the switch is down"), "{log}");
    assert!(!server.log().contains(&unused) && !host.log().contains(&unused));
    host.run("twofa user release root").ok();
}

/// Root at the prompt for a rescue code.
fn at_the_console(host: &Machine) -> Terminal {
    let mut login = host.terminal("exec login");
    login.expect("vm login");
    login.expect(": ");
    login.type_line("root");
    login.expect("Password");
    login.expect(": ");
    login.type_line(&password_of("root"));
    login.expect(PROMPT);
    login.expect(": ");
    login
}

fn assert_wrong(host: &Machine, code: &str) {
    let mut login = at_the_console(host);
    login.type_line(code);
    login.expect("not a rescue code for this host");
    login.hang_up();
    login.expect_end();
    assert!(!login.screen().contains("root@vm:~#"), "{}", login.screen());
}
