//! The module's arguments in `/etc/pam.d`.

use std::fmt;
use std::path::{Path, PathBuf};

/// What the administrator wrote behind `pam_twofa.so`.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// `debug`: say more in the log.
    pub debug: bool,
    /// `socket=/path`: where the broker listens.
    pub socket: PathBuf,
    /// Where the code is found.
    pub code: CodeComes,
    /// `challenge`: ask in the account phase as well.
    pub challenge: bool,
}

/// Where the code is found: at most one of three options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeComes {
    /// At a prompt of its own.
    Alone,
    /// `forward_pass`: at a prompt that asks for password and code in one.
    BehindPassword,
    /// `use_first_pass`: behind the password that an earlier module got; never asked for.
    BehindFirstPass,
    /// `try_first_pass`: behind the password that an earlier module got, if it looks like one; else asked for.
    PerhapsBehindFirstPass,
}

/// An argument that cannot be obeyed. Nobody gets in until it is put right.
#[derive(Debug, PartialEq, Eq)]
pub enum BadOption {
    /// No such option.
    Unknown(String),
    /// `socket=` without an absolute path.
    NotAbsolute(String),
    /// It contradicts one that stands before it.
    Contradicts(String),
}

impl Options {
    /// Reads the module's arguments.
    pub fn parse<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Self, BadOption> {
        let (mut debug, mut challenge, mut socket, mut code) = (false, false, None, None);
        for argument in arguments {
            match argument {
                "debug" => debug = true,
                "challenge" => challenge = true,
                "forward_pass" => put(&mut code, CodeComes::BehindPassword, argument)?,
                "use_first_pass" => put(&mut code, CodeComes::BehindFirstPass, argument)?,
                "try_first_pass" => put(&mut code, CodeComes::PerhapsBehindFirstPass, argument)?,
                _ => match argument.strip_prefix("socket=").map(Path::new) {
                    Some(path) if path.is_absolute() => put(&mut socket, path, argument)?,
                    Some(_) => return Err(BadOption::NotAbsolute(argument.to_owned())),
                    None => return Err(BadOption::Unknown(argument.to_owned())),
                },
            }
        }
        Ok(Self {
            debug,
            socket: socket.unwrap_or(Path::new(twofa_proto::SOCKET)).to_owned(),
            code: code.unwrap_or(CodeComes::Alone),
            challenge,
        })
    }
}

/// Sets what may be set once. The same again is no contradiction.
fn put<T: PartialEq>(place: &mut Option<T>, value: T, argument: &str) -> Result<(), BadOption> {
    if place.as_ref().is_some_and(|before| *before != value) {
        return Err(BadOption::Contradicts(argument.to_owned()));
    }
    *place = Some(value);
    Ok(())
}

impl fmt::Display for BadOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(option) => write!(f, "unknown option {option:?}"),
            Self::NotAbsolute(option) => write!(f, "option {option:?} needs an absolute path"),
            Self::Contradicts(option) => write!(f, "option {option:?} contradicts one before it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, BadOption> {
        Options::parse(line.split_whitespace())
    }

    #[test]
    fn without_options_the_code_has_a_prompt_of_its_own() {
        let options = parse("").unwrap();
        assert_eq!(
            options,
            Options {
                debug: false,
                socket: twofa_proto::SOCKET.into(),
                code: CodeComes::Alone,
                challenge: false
            }
        );
    }

    #[test]
    fn every_option_is_read() {
        let options = parse("debug socket=/tmp/s try_first_pass debug").unwrap();
        let code = CodeComes::PerhapsBehindFirstPass;
        assert_eq!(
            options,
            Options {
                debug: true,
                socket: "/tmp/s".into(),
                code,
                challenge: false
            }
        );
        assert!(parse("challenge").unwrap().challenge);
        assert_eq!(
            parse("use_first_pass").unwrap().code,
            CodeComes::BehindFirstPass
        );
        assert_eq!(
            parse("forward_pass").unwrap().code,
            CodeComes::BehindPassword
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
        ] {
            assert_eq!(
                parse(&format!("{first} {second}")),
                Err(BadOption::Contradicts(second.to_owned()))
            );
        }
        assert!(parse("forward_pass forward_pass").is_ok());
    }
}
