//! The mail servers of a machine, which other tests rely on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use twofa_e2e::{HangingServer, Listener, Machine, MailServer};

/// Sends a mail from within the machine, with a program that is not ours.
fn send(
    machine: &Machine,
    server: &MailServer<&Machine>,
    listener: Listener,
    to: &str,
    body: &str,
) {
    let class = if listener == Listener::Implicit {
        "SMTP_SSL"
    } else {
        "SMTP"
    };
    let context = if listener == Listener::Implicit {
        ", context=context"
    } else {
        ""
    };
    let mut script = format!(
        "import smtplib, ssl\n\
         context = ssl.create_default_context(cafile={ca:?})\n\
         server = smtplib.{class}({host:?}, {port}{context})\n",
        ca = server.ca_file(),
        host = server.host(),
        port = server.port_of(listener),
    );
    if listener == Listener::Starttls {
        script += "server.starttls(context=context)\n";
    }
    if listener != Listener::Plain {
        let plain = format!("\\0{}\\0{}", server.username(), server.password());
        script += &format!(
            "import base64\n\
             code, words = server.docmd('AUTH', 'PLAIN ' + base64.b64encode('{plain}'.encode()).decode())\n\
             assert code == 235, words\n"
        );
    }
    script += &format!(
        "server.sendmail({:?}, [{to:?}], {body:?})\n",
        server.username()
    );
    machine.run_with_input("python3 -", &script).ok();
}

#[test]
fn a_mail_server_in_a_machine_takes_mail_for_its_users() {
    let machine = Machine::new().bare().user("alice").build();
    let server = MailServer::start(&machine, &["alice", "bob"]);
    assert_eq!(server.port(), 465);
    for (n, listener) in [Listener::Implicit, Listener::Starttls, Listener::Plain]
        .into_iter()
        .enumerate()
    {
        send(
            &machine,
            &server,
            listener,
            "alice@example.org",
            &format!("Subject: mail {n}\n\nhello"),
        );
        let mails = server.wait_for_mail("alice", n + 1);
        assert!(
            mails[n].contains(&format!("Subject: mail {n}\n")) && mails[n].ends_with("\n\nhello\n"),
            "{mails:?}"
        );
    }
    assert_eq!(server.mails("bob"), Vec::<String>::new());
    // Users' programs can read the CA certificate and verify the server with it.
    machine
        .run_as("alice", &format!("cat {}", server.ca_file()))
        .ok();
}

#[test]
fn a_hanging_server_takes_connections_and_says_nothing() {
    let machine = Machine::new().bare().build();
    let mut server = HangingServer::start(&machine, 4650);
    let reads = "import socket; s = socket.create_connection(('127.0.0.1', 4650)); s.settimeout(SECONDS); s.recv(1)";
    let output = machine
        .run(&format!(
            "python3 -c \"{}\"",
            reads.replace("SECONDS", "0.2")
        ))
        .fails();
    assert!(output.stderr.contains("timed out"), "{output}");
    server.stop();
    machine
        .run(&format!("python3 -c \"{}\"", reads.replace("SECONDS", "5")))
        .fails();
}
