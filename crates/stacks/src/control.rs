//! What a control says about each code (pam.conf(5), `_pam_parse_control` of Linux-PAM).

use crate::code::{Code, NAMES};

/// What a result of a module does to the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Does not count (`ignore`).
    Ignore,
    /// Counts, unless something failed before.
    Ok,
    /// As [`Action::Ok`], and the stack or substack ends here if nothing failed before.
    Done,
    /// Counts as a failure; the following lines are still called.
    Bad,
    /// A failure that ends the stack or substack.
    Die,
    /// What has counted so far in this stack or substack is discarded.
    Reset,
    /// Counts nothing and skips this many of the following lines.
    Jump(u32),
}

/// The action for each code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control([Action; 32]);

/// A control as it was written.
pub(crate) struct Parsed {
    pub(crate) control: Control,
    /// A jump so long that versions of Linux-PAM read it differently.
    pub(crate) disputed: bool,
}

impl Control {
    /// How libpam treats a control that it cannot read: every result is a failure.
    pub(crate) const BAD: Self = Self([Action::Bad; 32]);

    /// The action for a code.
    pub fn action(&self, code: Code) -> Action {
        self.0.get(code.index()).copied().unwrap_or(Action::Bad)
    }

    /// Whether it is equivalent to the control `other`.
    pub fn is(&self, other: &str) -> bool {
        *self == Self::parse(other).control
    }

    pub(crate) fn has(&self, action: Action) -> bool {
        self.0.contains(&action)
    }

    /// Reads a control, without its brackets.
    pub(crate) fn parse(text: &str) -> Parsed {
        let word = |others, success, ignore: Option<Action>| {
            let mut actions = [others; 32];
            actions[Code::SUCCESS.index()] = success;
            actions[Code::NEW_AUTHTOK_REQD.index()] = success;
            if let Some(ignore) = ignore {
                actions[Code::IGNORE.index()] = ignore;
            }
            Parsed {
                control: Self(actions),
                disputed: false,
            }
        };
        match text.to_ascii_lowercase().as_str() {
            "required" => word(Action::Bad, Action::Ok, Some(Action::Ignore)),
            "requisite" => word(Action::Die, Action::Ok, Some(Action::Ignore)),
            "optional" => word(Action::Ignore, Action::Ok, None),
            "sufficient" => word(Action::Ignore, Action::Done, None),
            _ => match pairs(text) {
                Ok(control) => Parsed {
                    control,
                    disputed: false,
                },
                Err(disputed) => Parsed {
                    control: Self::BAD,
                    disputed,
                },
            },
        }
    }
}

/// Reads `success=ok default=bad` and the like. The error says whether versions of Linux-PAM disagree.
fn pairs(text: &str) -> Result<Control, bool> {
    let mut actions = [None; 32];
    let mut rest = blank(text);
    while !rest.is_empty() {
        let (code, behind) = code(rest).ok_or(false)?;
        rest = blank(blank(behind).strip_prefix('=').ok_or(false)?);
        let (action, behind) = action(rest)?;
        match code {
            Some(index) => actions[index] = Some(action),
            None => actions
                .iter_mut()
                .for_each(|unset| *unset = unset.or(Some(action))),
        }
        rest = blank(behind);
    }
    Ok(Control(actions.map(|action| action.unwrap_or(Action::Bad))))
}

/// The code that `text` begins with; `None` for `default`. libpam does not require the word to end there.
fn code(text: &str) -> Option<(Option<usize>, &str)> {
    NAMES
        .iter()
        .enumerate()
        .find_map(|(index, name)| Some((Some(index), text.strip_prefix(name)?)))
        .or_else(|| Some((None, text.strip_prefix("default")?)))
}

fn action(text: &str) -> Result<(Action, &str), bool> {
    let words = [
        ("ignore", Action::Ignore),
        ("ok", Action::Ok),
        ("done", Action::Done),
        ("bad", Action::Bad),
        ("die", Action::Die),
        ("reset", Action::Reset),
    ];
    if let Some(found) = words
        .iter()
        .find_map(|(word, action)| Some((*action, text.strip_prefix(word)?)))
    {
        return Ok(found);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, behind) = text.split_at(digits);
    if number.is_empty() {
        return Err(false);
    }
    match number.parse::<u32>() {
        Ok(0) => Err(false),
        Ok(lines) if i32::try_from(lines).is_ok() => Ok((Action::Jump(lines), behind)),
        _ => Err(true),
    }
}

fn blank(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Control {
        Control::parse(text).control
    }

    #[test]
    fn control_keywords_mean_what_the_manual_says() {
        let pairs = [
            (
                "required",
                "success=ok new_authtok_reqd=ok ignore=ignore default=bad",
            ),
            (
                "requisite",
                "success=ok new_authtok_reqd=ok ignore=ignore default=die",
            ),
            (
                "sufficient",
                "success=done new_authtok_reqd=done default=ignore",
            ),
            ("optional", "success=ok new_authtok_reqd=ok default=ignore"),
        ];
        for (word, long) in pairs {
            assert_eq!(read(word), read(long), "{word}");
            assert_eq!(read(&word.to_uppercase()), read(long), "{word} in capitals");
        }
    }

    #[test]
    fn what_cannot_be_read_makes_the_whole_line_bad() {
        for text in [
            "success=0",
            "success=-1",
            "success=1x",
            "success=ok,default=bad",
            "Success=ok",
            "foo=ok",
            "success=okay",
            "success",
            "success=",
            "0=ok",
            "suficient",
            "binding",
            "success=OK",
            "success=4294967297",
        ] {
            assert_eq!(read(text), Control::BAD, "{text}");
        }
        assert!(Control::parse("success=4294967297").disputed);
        assert!(!Control::parse("success=0").disputed);
    }

    #[test]
    fn the_odd_forms_that_libpam_takes_are_taken() {
        let action = |text, code| read(text).action(Code::named(code).unwrap());
        assert_eq!(action("success=01", "success"), Action::Jump(1));
        assert_eq!(
            action("success = ok  default =ignore", "auth_err"),
            Action::Ignore
        );
        assert_eq!(
            action("success=okdefault=ignore", "auth_err"),
            Action::Ignore
        );
        assert_eq!(action("success=ok success=bad", "success"), Action::Bad);
        assert_eq!(
            action("default=ignore default=bad", "success"),
            Action::Ignore
        );
        assert_eq!(action("default=bad success=ok", "success"), Action::Ok);
        assert_eq!(action("success=ok", "ignore"), Action::Bad);
        assert_eq!(read(""), Control::BAD);
    }
}
