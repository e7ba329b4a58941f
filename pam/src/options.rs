//! The module's arguments in `/etc/pam.d`.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::messages;

/// What the administrator wrote after `pam_twofa.so`.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// `debug`: say more in the log.
    pub debug: bool,
    /// `socket=/path`: where the broker listens.
    pub socket: PathBuf,
    /// Where the code comes from.
    pub code: CodeSource,
    /// What an account line does. On an auth line, anything but the default is an error.
    pub account: AccountDuty,
    /// `proved`: only say whether sshd proved a key of the user's.
    pub proved: bool,
}

/// What the module does in the account phase: at most one of two options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccountDuty {
    /// Refuse who needs a code and has shown none.
    #[default]
    Check,
    /// `challenge`: ask them.
    Challenge,
    /// `confirm`: do only what follows from `auth` of the same login.
    Confirm,
}

/// Where the code comes from: at most one of three options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeSource {
    /// A prompt of its own.
    OwnPrompt,
    /// `forward_pass`: a prompt that asks for password and code in one.
    PasswordPrompt,
    /// `use_first_pass`: the end of the password that an earlier module got; the user is never asked.
    FirstPass,
    /// `try_first_pass`: the end of the password that an earlier module got, if it looks like a code; else a prompt.
    FirstPassOrPrompt,
}

/// An argument that cannot be obeyed. Every login is refused until it is corrected.
#[derive(Debug, PartialEq, Eq)]
pub enum BadOption {
    /// There is no such option.
    Unknown(String),
    /// `socket=` without an absolute path.
    NotAbsolute(String),
    /// It contradicts an earlier one.
    Contradicts(String),
}

impl Options {
    /// Reads the module's arguments.
    pub fn parse<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Self, BadOption> {
        let (mut debug, mut proved) = (false, false);
        let (mut socket, mut code, mut account) = (None, None, None);
        for argument in arguments {
            match argument {
                "debug" => debug = true,
                // A line with `proved` asks nobody.
                "proved" if account.is_some() || code.is_some() => {
                    return Err(BadOption::Contradicts(argument.to_owned()));
                }
                "challenge" | "confirm" | "forward_pass" | "use_first_pass" | "try_first_pass"
                    if proved =>
                {
                    return Err(BadOption::Contradicts(argument.to_owned()));
                }
                "proved" => proved = true,
                "challenge" => set_once(&mut account, AccountDuty::Challenge, argument)?,
                "confirm" => set_once(&mut account, AccountDuty::Confirm, argument)?,
                "forward_pass" => set_once(&mut code, CodeSource::PasswordPrompt, argument)?,
                "use_first_pass" => set_once(&mut code, CodeSource::FirstPass, argument)?,
                "try_first_pass" => set_once(&mut code, CodeSource::FirstPassOrPrompt, argument)?,
                _ => match argument.strip_prefix("socket=").map(Path::new) {
                    Some(path) if path.is_absolute() => set_once(&mut socket, path, argument)?,
                    Some(_) => return Err(BadOption::NotAbsolute(argument.to_owned())),
                    None => return Err(BadOption::Unknown(argument.to_owned())),
                },
            }
        }
        Ok(Self {
            debug,
            socket: socket.unwrap_or(Path::new(twofa_proto::SOCKET)).to_owned(),
            code: code.unwrap_or(CodeSource::OwnPrompt),
            account: account.unwrap_or_default(),
            proved,
        })
    }
}

/// Sets an option once. The same value again is no contradiction.
fn set_once<T: PartialEq>(
    option: &mut Option<T>,
    value: T,
    argument: &str,
) -> Result<(), BadOption> {
    if option.as_ref().is_some_and(|before| *before != value) {
        return Err(BadOption::Contradicts(argument.to_owned()));
    }
    *option = Some(value);
    Ok(())
}

impl fmt::Display for BadOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::Unknown(option) => messages::unknown_option(option),
            Self::NotAbsolute(option) => messages::not_absolute(option),
            Self::Contradicts(option) => messages::contradiction(option),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, BadOption> {
        Options::parse(line.split_whitespace())
    }

    #[test]
    fn without_options_there_is_a_prompt_for_the_code() {
        let options = parse("").unwrap();
        assert_eq!(
            options,
            Options {
                debug: false,
                socket: twofa_proto::SOCKET.into(),
                code: CodeSource::OwnPrompt,
                account: AccountDuty::Check,
                proved: false,
            }
        );
    }

    #[test]
    fn every_option_is_read() {
        let options = parse("debug socket=/tmp/s try_first_pass debug").unwrap();
        let code = CodeSource::FirstPassOrPrompt;
        assert_eq!(
            options,
            Options {
                debug: true,
                socket: "/tmp/s".into(),
                code,
                account: AccountDuty::Check,
                proved: false,
            }
        );
        for (option, duty) in [
            ("confirm", AccountDuty::Confirm),
            ("challenge", AccountDuty::Challenge),
        ] {
            assert_eq!(parse(option).unwrap().account, duty);
        }
        assert!(parse("proved debug").unwrap().proved);
        assert_eq!(parse("use_first_pass").unwrap().code, CodeSource::FirstPass);
        assert_eq!(
            parse("forward_pass").unwrap().code,
            CodeSource::PasswordPrompt
        );
    }

    #[test]
    fn an_unknown_option_is_named() {
        for unknown in [
            "nullok",
            "Debug",
            "debug=1",
            "socket",
            "",
            "use_first_pass ",
        ] {
            assert_eq!(
                Options::parse(["debug", unknown]),
                Err(BadOption::Unknown(unknown.to_owned()))
            );
        }
        let message = parse("null\x1bok").unwrap_err().to_string();
        assert_eq!(message, r#"unknown option "null\u{1b}ok""#);
    }

    #[test]
    fn a_socket_without_an_absolute_path_is_refused() {
        for relative in ["socket=", "socket=twofad.sock", "socket=../s"] {
            assert_eq!(
                parse(relative),
                Err(BadOption::NotAbsolute(relative.to_owned()))
            );
        }
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        for (first, second) in [
            ("use_first_pass", "try_first_pass"),
            ("forward_pass", "use_first_pass"),
            ("try_first_pass", "forward_pass"),
            ("socket=/a", "socket=/b"),
            ("proved", "challenge"),
            ("challenge", "proved"),
            ("proved", "try_first_pass"),
            ("forward_pass", "proved"),
            ("challenge", "confirm"),
        ] {
            assert_eq!(
                parse(&format!("{first} {second}")),
                Err(BadOption::Contradicts(second.to_owned()))
            );
        }
        assert!(parse("forward_pass forward_pass").is_ok());
    }
}
