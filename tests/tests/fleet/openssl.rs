//! A fleet below the certificate authority of a company, and older protocols. What is not twofa's here is openssl's.

use super::{assert_in, assert_refused, at_the_code_prompt, host, join, log_in, start};
use twofa_e2e::Machine;

const INIT: &str = "twofa fleet init --address srv.example.com --ca /root/company-ca.pem";
const REQUESTS: &str = "/etc/twofa/fleet/requests";
/// Two authorities, on the machine of a company's that signs.
const AUTHORITIES: &str = "mkdir /root/company && cd /root/company && for ca in ca other; do
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $ca.key -out $ca.crt \\
    -subj /O=Company/CN=$ca -addext keyUsage=critical,keyCertSign,cRLSign -days 3650 2>&1; done";

/// The commands in `twofa-admin(7)` by which a company signs both requests.
fn signing() -> String {
    let manual = include_str!("../../../man/twofa-admin.7");
    let block = manual.split(".\\\" test: company\n.EX\n").nth(1).unwrap();
    let (_, after) = block.split_once(&format!("cd {REQUESTS}\n")).unwrap();
    let (commands, _) = after.split_once("    twofa ").unwrap();
    commands.replace("\\-", "-").replace("\\e\n", "\\\n")
}

/// Commands that sign the request for the certificate that issues those of hosts, each otherwise than it should be, and what is
/// said of the certificate.
const WRONG: [(&str, &str); 4] = [
    (
        "openssl x509 -req -in hosts.csr -CA ca.crt -CAkey ca.key -days 3650",
        "it is not a CA certificate: sign the request with its extensions",
    ),
    (
        "openssl x509 -req -in hosts.csr -CA other.crt -CAkey other.key -copy_extensions copy -days 3650",
        "is not accepted below the company's certificate authority",
    ),
    (
        "cat servers.crt",
        "the private key is not that of the certificate",
    ),
    ("echo", "that is no certificate that we can read"),
];

/// A machine on which alice has a token, and its codes.
fn future_server() -> (Machine, impl Iterator<Item = String>) {
    let server = Machine::new()
        .policy("optional")
        .command("twofa policy set fleet.accounts=alice")
        .user("alice")
        .build();
    let codes = server.enrol_token("alice", 4);
    (server, codes.into_iter())
}

/// Makes `server` the first of a fleet below the authority that is on the machine `company`.
fn become_server_below(server: &Machine, company: &Machine) {
    company.run(AUTHORITIES).ok();
    server.write_file(
        "/root/company-ca.pem",
        &company.file("/root/company/ca.crt"),
    );
    let asked = server.run(INIT).ok().stdout;
    assert!(asked.contains("-copy_extensions copy"), "{asked}");
    for name in ["hosts.csr", "servers.csr"] {
        let request = server.file(&format!("{REQUESTS}/{name}"));
        company.write_file(&format!("/root/company/{name}"), &request);
        // Until they are signed, the requests stay what they are.
        server.run(INIT).ok();
        assert_eq!(server.file(&format!("{REQUESTS}/{name}")), request);
    }
    let sign = format!("set -e; cd /root/company\n{}", signing());
    company.run(&sign).ok();
    let signed = |name: &str| company.file(&format!("/root/company/{name}"));
    let carry = |name: &str, certificate: &str| {
        server.write_file(&format!("{REQUESTS}/{name}"), certificate);
    };
    carry("servers.crt", &signed("servers.crt"));
    for (command, words) in WRONG {
        let wrong = company.run(&format!("cd /root/company && {command}"));
        carry("hosts.crt", &wrong.ok().stdout);
        let refused = server.run(INIT).fails().stderr;
        assert!(
            refused.contains("requests/hosts.crt cannot be used") && refused.contains(words),
            "{command}: {refused}"
        );
        server.run("! test -e /etc/twofa/fleet/server.toml").ok();
    }
    carry("hosts.crt", &signed("hosts.crt"));
    server.run(INIT).ok();
    // The key of the company's is nowhere here.
    server
        .run(&format!(
            "! test -e {REQUESTS} && ! test -e /etc/twofa/fleet/root.key"
        ))
        .ok();
}

/// Logs alice in with `code`.
fn assert_lets_in(host: &Machine, code: &str) {
    let mut terminal = at_the_code_prompt(host);
    terminal.type_line(code);
    assert_in(terminal, "alice");
}

/// openssl with the certificate of the host, as one that speaks `protocol`, at the server.
fn speak(host: &Machine, protocol: &str) -> String {
    let spoken = host.run(&format!(
        "cd /etc/twofa/fleet && openssl s_client -connect srv.example.com:6238 -tls1_3 -alpn {protocol} \
         -cert host.crt -key host.key </dev/null 2>&1"
    ));
    spoken.stdout
}

/// openssl with the certificate of the server, as one that speaks `protocol`, in place of the server.
fn speak_as_server(server: &Machine, protocol: &str) {
    server
        .run(&format!(
            "cd /etc/twofa/fleet; setsid openssl s_server -www -accept 6238 -tls1_3 -alpn {protocol} \
             -cert server.crt -key server.key -cert_chain servers.crt -verify 1 </dev/null >/var/log/openssl.log 2>&1 & echo $! >/run/server.pid"
        ))
        .ok();
    server.wait_for_port(super::PORT);
}

fn end_server(server: &Machine) {
    server.run("kill -9 $(cat /run/server.pid)").ok();
    server.wait_until("! kill -0 $(cat /run/server.pid)");
}

#[test]
fn a_company_s_authority_signs_with_the_manual_s_commands_and_older_protocols_are_refused_by_both_ends()
 {
    let (server, mut codes) = future_server();
    let web1 = host();
    become_server_below(&server, &web1);
    start(&server);
    let _cable = join(&server, &web1, "web1", 1, "");
    assert_lets_in(&web1, &codes.next().unwrap());

    let today = speak(&web1, "twofa/1");
    assert!(today.contains("ALPN protocol: twofa/1"), "{today}");
    for older in ["twofa/0", "http/1.1"] {
        let refused = speak(&web1, older);
        assert!(refused.contains("no application protocol"), "{refused}");
    }
    end_server(&server);
    speak_as_server(&server, "twofa/0");
    let screen = assert_refused(log_in(&web1, "alice"), "alice");
    assert!(
        screen.contains("No server of the fleet can be reached"),
        "{screen}"
    );
    web1.wait_for_log("NoApplicationProtocol");
    end_server(&server);
    start(&server);
    assert_lets_in(&web1, &codes.next().unwrap());
}
