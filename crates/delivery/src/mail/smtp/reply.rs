//! Replies of a mail server (RFC 5321 §4.2).
//!
//! lettre's own parser rejects a code without text and bytes that are not UTF-8, both of which servers send.

/// A reply of one or more lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    /// The three-digit reply code.
    pub(super) code: u16,
    /// The text of each line.
    pub(super) lines: Vec<String>,
}

/// A line of a reply.
pub(super) struct ReplyLine {
    pub(super) code: u16,
    pub(super) text: String,
    pub(super) is_last: bool,
}

impl ReplyLine {
    /// Parses a line without its line ending. `None`: it is not a line of an SMTP reply.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let (code, rest) = line.split_at_checked(3)?;
        let code = std::str::from_utf8(code)
            .ok()
            .filter(|code| code.bytes().all(|b| b.is_ascii_digit()))?;
        let code = code.parse().ok().filter(|code| (200..600).contains(code))?;
        let (is_last, text) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return None,
        };
        Some(Self {
            code,
            text: String::from_utf8_lossy(text).trim().to_owned(),
            is_last,
        })
    }
}

impl Reply {
    /// Whether the command succeeded or may continue: 2xx or 3xx.
    pub(super) fn is_positive(&self) -> bool {
        self.code < 400
    }

    /// Whether the failure is temporary: 4xx.
    pub(super) fn is_temporary(&self) -> bool {
        (400..500).contains(&self.code)
    }

    /// The enhanced status code (RFC 3463), such as `5.1.1`.
    pub(super) fn enhanced(&self) -> Option<&str> {
        let word = self.lines.first()?.split_whitespace().next()?;
        let is_number =
            |part: &str| matches!(part.len(), 1..=3) && part.bytes().all(|b| b.is_ascii_digit());
        (word.split('.').count() == 3 && word.split('.').all(is_number)).then_some(word)
    }

    /// Code and text in one line. An enhanced code that begins every line appears once.
    pub(super) fn text(&self) -> String {
        let enhanced = self.enhanced();
        let mut text = self.code.to_string();
        for (i, line) in self.lines.iter().enumerate() {
            let without_code = enhanced
                .filter(|_| i > 0)
                .and_then(|enhanced| line.strip_prefix(enhanced));
            let rest = without_code.unwrap_or(line).trim();
            if !rest.is_empty() {
                text.push(' ');
                text.push_str(rest);
            }
        }
        text
    }

    /// Whether one of `words`, which are in lower case, is a word of the text; case is ignored. Addresses in angle brackets
    /// are no words.
    pub(super) fn has_word(&self, words: &[&str]) -> bool {
        self.lines.iter().any(|line| {
            let without_addresses = line.split('<').enumerate().map(|(i, part)| match i {
                0 => part,
                _ => part.split_once('>').map_or(part, |(_, rest)| rest),
            });
            without_addresses
                .flat_map(|part| part.split(|c: char| !(c.is_alphanumeric() || "@._-".contains(c))))
                .any(|word| {
                    let word = word.trim_matches(['.', '-', '_']);
                    words.iter().any(|known| word.eq_ignore_ascii_case(known))
                })
        })
    }

    /// Whether the text contains `needle`, which is in lower case; case is ignored.
    pub(super) fn mentions(&self, needle: &str) -> bool {
        self.lines
            .iter()
            .any(|line| line.to_ascii_lowercase().contains(needle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(lines: &[&str]) -> Option<Reply> {
        let lines: Option<Vec<_>> = lines
            .iter()
            .map(|line| ReplyLine::parse(line.as_bytes()))
            .collect();
        let lines = lines?;
        Some(Reply {
            code: lines[0].code,
            lines: lines.into_iter().map(|line| line.text).collect(),
        })
    }

    #[test]
    fn a_reply_is_parsed_into_its_code_and_text() {
        let refused = reply(&["550-5.7.1 Relaying", "550 5.7.1 denied"]).unwrap();
        assert_eq!(refused.enhanced(), Some("5.7.1"));
        assert_eq!(refused.text(), "550 5.7.1 Relaying denied");
        assert!(!refused.is_positive() && !refused.is_temporary());
        assert!(refused.mentions("relaying"));
        assert_eq!(reply(&["250"]).unwrap().text(), "250");
        assert_eq!(
            reply(&["220 mail.example.org ESMTP"]).unwrap().enhanced(),
            None
        );
        assert!(ReplyLine::parse(b"250-\xff\xfe").is_some_and(|line| !line.is_last));
    }

    #[test]
    fn what_no_mail_server_sends_is_not_a_reply() {
        for line in [
            "",
            "25",
            "hello",
            "2x0 ok",
            "250_ok",
            "999 ok",
            "100 ok",
            "HTTP/1.1 400 Bad Request",
            "+250",
        ] {
            assert!(ReplyLine::parse(line.as_bytes()).is_none(), "{line:?}");
        }
    }
}
