//! The module as a file, and its options.

#![allow(clippy::unwrap_used, clippy::panic)] // a test says what it expects by failing

use twofa_e2e::{Authenticator, FIRST_FACTOR, Machine, password_of};

fn machine(options: &str) -> (Machine, Authenticator) {
    let stack = format!("{FIRST_FACTOR}auth required pam_twofa.so {options}\n");
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .pam("testapp", &stack)
        .build();
    let phone = machine.enrol("alice");
    (machine, phone)
}

#[test]
fn the_module_links_nothing_beyond_libpam_libc_and_libgcc() {
    let machine = Machine::new().build();
    let needed = machine
        .run("readelf -d $(find /usr/lib /lib -name pam_twofa.so | head -n 1)")
        .ok()
        .stdout;
    let needed: Vec<_> = needed
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .collect();
    assert!(!needed.is_empty());
    for library in needed {
        // The dynamic loader itself is part of libc.
        let allowed = ["libpam.so", "libc.so", "libgcc_s.so", "ld-linux"];
        assert!(
            allowed.iter().any(|name| library.contains(name)),
            "{library}"
        );
    }
}

#[test]
fn an_unknown_option_refuses_everybody_and_is_named_in_the_log() {
    let (machine, phone) = machine("nullok");
    machine
        .run(&format!(
            "echo {} | pamtester testapp alice authenticate",
            phone.next_code()
        ))
        .fails();
    let line = machine.wait_for_log("nullok");
    assert!(line.contains("pam_twofa(testapp:auth)"), "{line}");
    machine.run("twofa policy set mode=disabled").ok();
    machine
        .run("pamtester testapp alice authenticate </dev/null")
        .fails();
}

#[test]
fn credentials_are_set_without_complaint() {
    let (machine, phone) = machine("");
    let mut login = machine.terminal("pamtester testapp alice authenticate setcred");
    login.expect("Verification code");
    login.type_line(&phone.next_code());
    login.expect("successfully authenticated");
    assert!(login.expect_end().success(), "{}", login.screen());
}

#[test]
fn a_client_with_one_prompt_types_the_code_behind_the_password() {
    let stack =
        "auth required pam_twofa.so forward_pass\nauth required pam_unix.so use_first_pass\n";
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .pam("testapp", stack)
        .build();
    let phone = machine.enrol("alice");
    let answers = |answer: &str| {
        machine.run_with_input(
            "pamtester testapp alice authenticate",
            &format!("{answer}\n"),
        )
    };

    answers(&format!("{}{}", password_of("alice"), phone.next_code())).ok();
    answers(&format!(
        "{}{}",
        password_of("alice"),
        phone.backup_codes[0]
    ))
    .ok();
    answers(&format!("wrong{}", phone.backup_codes[1])).fails();
    answers(&password_of("alice")).fails();
    answers(&format!("{}00000000", password_of("alice"))).fails();

    let everything = machine.log() + &machine.broker_log();
    assert!(!everything.contains(&password_of("alice")), "{everything}");
}

#[test]
fn a_code_behind_a_password_that_another_module_asked_for_is_found_there() {
    // pam_unix refuses password and code together, but leaves them in PAM_AUTHTOK.
    let stack = "\
auth optional pam_unix.so
auth required pam_twofa.so use_first_pass
auth required pam_unix.so use_first_pass
";
    let machine = Machine::new()
        .policy("mandatory")
        .user("alice")
        .pam("testapp", stack)
        .build();
    let phone = machine.enrol("alice");
    let answers = |answer: &str| {
        machine.run_with_input(
            "pamtester testapp alice authenticate",
            &format!("{answer}\n"),
        )
    };

    answers(&format!("{}{}", password_of("alice"), phone.next_code())).ok();
    answers(&password_of("alice")).fails();
}

#[test]
fn a_socket_elsewhere_is_used_and_an_impostor_on_it_is_not() {
    let (machine, phone) = machine("socket=/run/elsewhere.sock");
    // Nobody listens: root's module starts its own broker.
    let code = phone.next_code();
    machine
        .run(&format!(
            "echo {code} | pamtester testapp alice authenticate"
        ))
        .ok();

    let yes = "import socket,os; s=socket.socket(socket.AF_UNIX); s.bind('/run/elsewhere.sock'); \
               os.chmod('/run/elsewhere.sock',0o666); os.setuid(65534); s.listen(); print('ready',flush=True)\n\
               c,_=s.accept(); print('talked to' if c.recv(1) else 'left alone',flush=True)";
    machine.write_file("/root/impostor.py", yes);
    let impostor = machine.spawn("python3 /root/impostor.py");
    machine.wait_until("[ -S /run/elsewhere.sock ] && ss -Hlx src /run/elsewhere.sock | grep -q .");
    machine
        .run(&format!(
            "echo {code} | pamtester testapp alice authenticate"
        ))
        .fails();
    machine.wait_for_log("elsewhere.sock");
    assert!(impostor.wait().stdout.contains("left alone"));
}
