//! What twofa writes into its file of sshd's settings.

use std::fmt::Write as _;

use super::block;
use super::ways::{Method, Settings, Way};

/// What becomes of logins with an ssh key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Keys {
    /// A code is asked for after the key.
    #[default]
    Ask,
    /// The same, and nobody gets in without a key.
    Require,
    /// A key is enough.
    Trust,
}

/// What sshd is to accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// `AuthenticationMethods`; empty: any method lets in.
    pub(super) lists: Vec<Way>,
    /// PAM must ask for no password after a key: some have none, or are asked for none now.
    pub(super) needs_key_stack: bool,
    /// The accounts of root that need a `Match` block of their own, and what they then show.
    pub(super) root: Option<(Vec<String>, Way)>,
}

/// What must be written so that a code is asked for, where sshd has these settings, and these for root; `None`: nothing.
/// `roots` are the names of uid 0.
pub(super) fn wanted(
    settings: &Settings,
    for_root: &Settings,
    roots: &[String],
    keys: Keys,
) -> Option<Wanted> {
    let ways = settings.ways(false);
    let is_any = matches!(settings.value("authenticationmethods"), "any" | "");
    let changed = |way: &Way| match keys {
        Keys::Require if !way.has_key() => None,
        Keys::Ask | Keys::Require if way.has_key() => Some(way.asking()),
        // Hosts and tickets have no line in PAM that knows them.
        _ => Some(way.with_prompts()),
    };
    let mut lists: Vec<Way> = Vec::new();
    for way in ways.iter().filter_map(changed) {
        if !lists.contains(&way) {
            lists.push(way);
        }
    }
    let asks_after_keys = keys != Keys::Trust && lists.iter().any(Way::has_key);
    if !asks_after_keys {
        let has_password = ways.iter().any(|way| way.0.contains(&Method::Password));
        return has_password.then(|| Wanted {
            lists: if is_any { Vec::new() } else { lists },
            needs_key_stack: false,
            root: None,
        });
    }
    if lists == ways && !is_any {
        return None;
    }
    Some(Wanted {
        lists,
        needs_key_stack: ways.iter().any(|way| way.has_key() && !way.has_password()),
        root: root(for_root).map(|way| (roots.to_vec(), way)),
    })
}

/// What root shows, if its only way in now is a key, which `AuthenticationMethods` would close: PAM is asked about root only
/// if `PermitRootLogin` is `yes`.
fn root(settings: &Settings) -> Option<Way> {
    if !settings.ways(true).iter().any(|way| way.0 == [Method::Key]) {
        return None;
    }
    match settings.value("permitrootlogin") {
        "yes" => None,
        // Nobody is there to be asked.
        "forced-commands-only" => Some(Way(vec![Method::Key])),
        _ => Some(Way(vec![Method::Key, Method::Pam])),
    }
}

impl Wanted {
    /// Whether a code is asked for after a key.
    pub(super) fn asks_after_keys(&self) -> bool {
        self.lists.iter().any(|way| way.has_key() && way.asks())
    }

    /// The text of the file, of which `rest` is what others have written: before their lines, of which sshd would use the
    /// first, and a `Match` block after them.
    pub(super) fn text(&self, rest: &str) -> String {
        let mut top = ALWAYS.to_owned();
        if !self.lists.is_empty() {
            let lists: Vec<_> = self.lists.iter().map(ToString::to_string).collect();
            let _ = writeln!(top, "{METHODS} {}", lists.join(" "));
        }
        let mut bottom = String::new();
        if let Some((names, way)) = &self.root {
            let _ = writeln!(bottom, "Match User {}", names.join(","));
            if way.asks() {
                let _ = writeln!(bottom, "{ROOT}");
            }
            let _ = writeln!(bottom, "{METHODS} {way}");
            // What is appended to the file shall not be for root alone.
            let _ = writeln!(bottom, "{EVERYBODY}");
        }
        if rest.is_empty() {
            return block::block(&[], &(top + &bottom));
        }
        let mut text = block::block(&[], &top);
        text.push_str(rest);
        if !text.ends_with('\n') {
            text.push('\n');
        }
        if !bottom.is_empty() {
            text.push_str(&block::block(&[], &bottom));
        }
        text
    }
}

const ALWAYS: &str = "UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\n";
const METHODS: &str = "AuthenticationMethods";
const EVERYBODY: &str = "Match all";
const ROOT: &str = "PermitRootLogin yes";

/// What others have written into the file; empty if it has lines of twofa's alone.
pub(super) fn rest(text: &str) -> String {
    let is_ours = |line: &str| {
        let methods = line.strip_prefix(METHODS);
        let is_list = |lists: &str| {
            let mut lists = lists.split_whitespace();
            lists.all(|list| list.ends_with("keyboard-interactive:pam") || is_alone(list))
        };
        ALWAYS.lines().any(|known| known == line)
            || line == ROOT
            || line == EVERYBODY
            || line.starts_with("Match User ")
            || methods.is_some_and(is_list)
    };
    block::strip(text, &is_ours)
}

/// Lists that may stay without PAM.
fn is_alone(list: &str) -> bool {
    matches!(list, "publickey" | "hostbased" | "gssapi-with-mic")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: &str = "usepam yes\npubkeyauthentication yes\nkbdinteractiveauthentication no\n\
        passwordauthentication yes\npermitrootlogin without-password\nauthenticationmethods any\n";

    fn lists(settings: &str, keys: Keys) -> Option<String> {
        let settings = Settings::read(settings);
        let wanted = wanted(&settings, &settings, &["root".to_owned()], keys)?;
        let lists: Vec<_> = wanted.lists.iter().map(ToString::to_string).collect();
        Some(lists.join(" "))
    }

    #[test]
    fn each_way_in_is_asked_after_what_it_demands_now() {
        let keys_alone =
            DEFAULTS.replace("passwordauthentication yes", "passwordauthentication no");
        let passwords_alone =
            DEFAULTS.replace("pubkeyauthentication yes", "pubkeyauthentication no");
        let both = DEFAULTS.replace("methods any", "methods publickey,password");
        let key = "publickey,keyboard-interactive:pam";
        for (settings, keys, expected) in [
            (
                DEFAULTS,
                Keys::Ask,
                Some(format!("{key} keyboard-interactive:pam")),
            ),
            (DEFAULTS, Keys::Require, Some(key.to_owned())),
            (DEFAULTS, Keys::Trust, Some(String::new())),
            (&keys_alone, Keys::Ask, Some(key.to_owned())),
            (&keys_alone, Keys::Trust, None),
            (&passwords_alone, Keys::Ask, Some(String::new())),
            (&both, Keys::Ask, Some(key.to_owned())),
        ] {
            assert_eq!(lists(settings, keys), expected, "{settings} {keys:?}");
        }
    }

    #[test]
    fn a_root_that_has_a_key_alone_is_let_in_by_it_and_a_code() {
        let settings = Settings::read(DEFAULTS);
        let wanted = wanted(&settings, &settings, &["root".to_owned()], Keys::Ask).unwrap();
        let text = wanted.text("");
        assert!(
            text.contains(
                "Match User root\nPermitRootLogin yes\nAuthenticationMethods publickey,keyboard-interactive:pam\n"
            ),
            "{text}"
        );
        assert_eq!(rest(&text), "");
        let appended = format!("{text}PubkeyAuthOptions touch-required\n");
        assert_eq!(rest(&appended), "PubkeyAuthOptions touch-required\n");
        let others = "Banner none\nMatch Group robots\n    AuthenticationMethods publickey\n";
        let text = wanted.text(others);
        assert!(text.ends_with("# twofa end\n"), "{text}");
        assert_eq!(rest(&text), others);
    }
}
