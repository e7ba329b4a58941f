//! How the module stands in the PAM stacks.

use std::fs;

use super::{AT_LOGIN_ONLY, Finding, problem};

/// What is wrong with the stacks in `/etc/pam.d`.
pub(super) fn stacks() -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut used = false;
    let files = fs::read_dir("/etc/pam.d").into_iter().flatten().flatten();
    for file in files {
        let name = file.file_name().to_string_lossy().into_owned();
        let Ok(text) = fs::read_to_string(file.path()) else { continue };
        let mut password_may_be_wrong = false;
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            let Some((before, _)) = line.split_once("pam_twofa.so") else {
                password_may_be_wrong |= goes_on_after_a_wrong_password(line);
                continue;
            };
            let phase = before.split_whitespace().next().unwrap_or_default().trim_start_matches('-');
            used |= phase == "auth";
            if phase == "auth" && password_may_be_wrong {
                findings.push(Finding {
                    severity: AT_LOGIN_ONLY,
                    finding: format!(
                        "/etc/pam.d/{name}: pam_twofa is reached with a wrong password too, so that strangers could enrol \
                         for others; set enrolment=beforehand, or end the stack at a wrong password ('requisite')"
                    ),
                });
            }
            let lenient =
                ["sufficient", "optional", "default=ignore"].iter().any(|control| before.contains(control));
            if lenient && matches!(phase, "auth" | "account") {
                findings.push(problem(format!(
                    "/etc/pam.d/{name}: '{line}' lets people in whom pam_twofa refuses; make it 'required'"
                )));
            }
            if phase == "account" && name.starts_with("common-account") {
                findings.push(problem(format!(
                    "/etc/pam.d/{name}: pam_twofa in a shared account stack refuses cron jobs and root's su"
                )));
            }
        }
    }
    if !used {
        findings.push(problem(
            "no PAM service has pam_twofa.so in its auth stack: nobody is asked for anything".to_owned(),
        ));
    }
    findings
}

/// Whether a stack that has this line goes on to the lines behind it when the password was wrong. A substack that fails
/// is a failure that is remembered, like one of a `required` module (pam.conf(5)).
fn goes_on_after_a_wrong_password(line: &str) -> bool {
    let mut words = line.trim_start_matches('-').split_whitespace();
    let is_auth = words.next() == Some("auth");
    let rest: Vec<_> = words.collect();
    let password = ["pam_unix", "pam_sss", "pam_krb5", "pam_ldap", "pam_winbind"];
    let is_password = rest.iter().any(|word| password.iter().any(|module| word.contains(module)));
    is_auth && (rest.first() == Some(&"substack") || (rest.first() == Some(&"required") && is_password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_that_goes_on_after_a_wrong_password_is_told_from_one_that_ends() {
        for line in
            ["auth substack password-auth", "auth\trequired pam_unix.so nullok", "-auth required pam_sss.so"]
        {
            assert!(goes_on_after_a_wrong_password(line), "{line}");
        }
        for line in [
            "@include common-auth",
            "auth include password-auth",
            "auth requisite pam_unix.so",
            "auth [success=1 default=ignore] pam_unix.so",
            "auth required pam_nologin.so",
            "account required pam_unix.so",
        ] {
            assert!(!goes_on_after_a_wrong_password(line), "{line}");
        }
    }
}
