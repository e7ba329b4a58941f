//! Why a login ended as it did, for the log.

use std::fmt::Display;

use twofa_core::Method;

/// The ticket of a login is gone.
pub const NO_TICKET: &str =
    "the code was right, but the broker no longer knows of this login and cannot record it";
/// The trust in the device ended between the two phases of a login.
pub const TRUST_ENDED: &str = "the trust in the device has just ended";

/// A screen locker asks within a session whose login rests on a code.
pub const UNLOCKING: &str = "a code opened the session not long ago";

/// The policy asks nobody.
pub const POLICY_DISABLED: &str = "the policy is disabled";

/// The mode is report.
pub const ONLY_REPORTED: &str =
    "the mode is report: nobody is asked, and what mandatory would do is recorded";

/// The policy names other services.
pub const NOT_AT_THIS_SERVICE: &str = "the policy asks for no code at this service";

/// No account has the name.
pub const NO_ACCOUNT: &str = "there is no such account";

/// The peer is not told more than that.
pub const NOT_ASKED: &str = "nothing is asked of this user";

/// The peer may not ask about this account.
pub fn not_permitted(uid: u32, user: &str) -> String {
    format!("uid {uid} may not ask about {user}")
}

/// A rescue code was right.
pub const RESCUE_CODE: &str = "by a rescue code";

/// No rescue code that was typed was right.
pub const RESCUE_WRONG: &str = "wrong rescue codes";

/// There were too many wrong rescue codes before.
pub const RESCUE_LOCKED: &str =
    "too many wrong rescue codes, until servers have given this host new ones";

/// A host of the fleet asks about uid 0.
pub const ROOT_IS_LOCAL: &str = "a host asked about root, which stays local to each host";

/// A host of the fleet asks for something that it may not.
pub fn not_for_this_host(host: &str) -> String {
    format!("host '{host}' may not use this service")
}

/// A host of the fleet asks about a person that it may not ask about.
pub fn not_of_its_people(host: &str, group: &str) -> String {
    format!("host '{host}' may only ask about members of the group '{group}'")
}

/// A host of the fleet is cut off.
pub fn cut_off(host: &str) -> String {
    format!(
        "host '{host}' is cut off and this user has never logged in there with a code: see 'twofa host unlock'"
    )
}

/// A host of the fleet has asked about too many people.
pub fn too_many_people(host: &str) -> String {
    format!(
        "host '{host}' has asked about too many people within an hour: see 'fleet.people-hourly'"
    )
}

/// A host of the fleet asks about an account that is another one on this server.
pub fn another_account(user: &str, uid: u32) -> String {
    format!("the account {user} has uid {uid} on the host and another one on this server")
}

/// An account of a host's own has the uid of one that is shared with the fleet.
pub fn uid_of_a_shared_account(user: &str, uid: u32) -> String {
    format!("the local account {user} has uid {uid} of an account that is shared with the fleet")
}

/// A host goes on with a login that the fleet's database does not have, or that has gone on.
pub const CONVERSATION_OVER: &str =
    "the fleet has no such conversation, or it went on with another answer";

/// As many logins of the host or of the account wait for an answer as may.
pub const TOO_MANY_LOGINS: &str =
    "as many logins of this host or to this account wait for an answer as may";

/// A host of the fleet was refused.
pub fn host_refused(error: &impl Display) -> String {
    format!("a login of a host was refused: {error}")
}

/// A server of the fleet has decided.
pub fn decided_by(server: &impl Display, why: &str) -> String {
    format!("{why} (decided by {server})")
}

/// A server of the fleet went away before it had decided.
pub fn server_lost(server: &impl Display, error: &impl Display) -> String {
    format!("the fleet's server {server} did not decide: {error}")
}

/// No server could be asked, and the host's copy of the fleet's rules asks nobody: `why`.
pub fn without_server(why: &str, unreached: &impl Display) -> String {
    format!("{why}, according to the copy of the fleet's policy; {unreached}")
}

/// Another line of the stack asks.
pub const LATER_LINE: &str = "a later line of the stack asks";

/// The person cannot be helped where the password may be wrong; `doubt` is why that is not known.
pub fn first_factor_unknown(doubt: Option<&str>) -> String {
    let (why, advice) = match doubt {
        None => (
            "nothing shows that the first factor was right when this line of the PAM stack asks"
                .to_owned(),
            "use 'account required pam_twofa.so challenge', see pam_twofa(8)",
        ),
        Some(doubt) => (
            format!(
                "it is not known whether this PAM stack goes on after a wrong password ({doubt})"
            ),
            "see THE FIRST FACTOR in twofad(8)",
        ),
    };
    format!("{why}, so nothing can be sent, set up or explained here: {advice}")
}

/// The same refusal, where the first factor may be wrong.
pub fn or_wrong_password(why: &str) -> String {
    format!("{why}; the password may be wrong as well")
}

/// The rules that apply are not settled.
pub fn under_doubts(why: &str, doubts: &str) -> String {
    format!("{why}; the strictest rules that could apply hold: {doubts}")
}

/// A right code.
pub fn passed(method: Method, backup_codes_left: usize) -> String {
    let left = if method == Method::Backup {
        format!(", {backup_codes_left} left")
    } else {
        String::new()
    };
    format!("by {}{left}", method.info().noun)
}

/// An answer that cannot be a code, and may be a password.
pub const NOT_A_CODE: &str = "what was typed cannot be a code";

/// The one answer has no code.
pub const NO_CODE: &str = "there was no code in the answer";

/// Nothing was typed where the first factor may be wrong.
pub const NO_CODE_ENTERED: &str = "no code was entered";

/// A command, one too many.
pub const COMMAND: &str = "a command instead of a code";

/// No tries are left.
pub fn tries_used_up(last: &str) -> String {
    format!("all tries are used up, the last was {last}")
}

/// No code could be sent, and the person has no other method.
pub const UNREACHABLE: &str = "no code could be sent and there is no other method: see 'twofa log'";

/// No code may be sent, and the person has no other method.
pub const TOO_MANY_CODES: &str = "the limit on codes is reached and there is no other method: see 'send.*' in 'twofa policy show'";

/// Too many wrong codes where the first factor may be wrong.
pub const TOO_MANY_WRONG_CODES: &str = "too many wrong codes";

/// No code is sent where the first factor may be wrong.
pub const NOTHING_SENT_HERE: &str = "no code is sent here";

/// Codes are sent to the person, and the client has one prompt.
pub const ONE_PROMPT_TO_SEND: &str =
    "codes are sent to this user, and this client has only one prompt";

/// A method must be replaced, and the client has one prompt.
pub const ONE_PROMPT_TO_REPLACE: &str =
    "the enrolled method is no longer allowed, and this client has only one prompt";

/// A method must be enrolled, and the client has one prompt.
pub const ONE_PROMPT_TO_ENROL: &str = "nothing is enrolled, and this client has only one prompt";

/// The codes for an enrolment have reached a limit.
pub const TOO_MANY_TO_ENROL: &str = "the limit on codes for enrolment is reached";

/// The code for an enrolment could not be sent.
pub const NOT_SENT_TO_ENROL: &str = "no code could be sent for enrolment: see 'twofa log'";
