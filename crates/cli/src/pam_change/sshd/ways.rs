//! The ways in that sshd's settings leave to one connection, and how those before a change compare with those after it.

use std::collections::BTreeMap;
use std::fmt;

/// Settings of sshd as `sshd -T` prints them: names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings(BTreeMap<String, String>);

/// A method of `AuthenticationMethods` in `sshd_config(5)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Method {
    Key,
    Host,
    Ticket,
    /// `keyboard-interactive`: PAM asks what it wants.
    Pam,
    /// `password`: PAM gets one answer, and can ask nothing.
    Password,
}

/// Methods that let in together, in their order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Way(pub(super) Vec<Method>);

impl Settings {
    pub(super) fn read(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        let pairs = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        // Settings that come more than once, as `port`, are used by their first value.
        let mut all = BTreeMap::new();
        for (name, value) in pairs {
            all.entry(name).or_insert(value);
        }
        Self(all)
    }

    pub(super) fn value(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub(super) fn is(&self, name: &str, value: &str) -> bool {
        self.value(name) == value
    }

    /// The ways in, those for root by what `PermitRootLogin` leaves of them.
    pub(super) fn ways(&self, is_root: bool) -> Vec<Way> {
        let mut ways: Vec<_> = match self.value("authenticationmethods") {
            "any" | "" => Method::ALL
                .into_iter()
                .map(|method| Way(vec![method]))
                .collect(),
            lists => lists.split_whitespace().filter_map(Way::read).collect(),
        };
        ways.retain(|way| way.0.iter().all(|method| self.offers(*method)));
        if is_root {
            ways.retain(|way| match self.value("permitrootlogin") {
                "yes" => true,
                "no" => false,
                // PAM is asked about root only if all methods are permitted.
                _ => !way.asks() && !way.0.contains(&Method::Password),
            });
        }
        ways
    }

    fn offers(&self, method: Method) -> bool {
        let setting = match method {
            Method::Key => "pubkeyauthentication",
            Method::Host => "hostbasedauthentication",
            Method::Ticket => "gssapiauthentication",
            Method::Pam => "kbdinteractiveauthentication",
            Method::Password => "passwordauthentication",
        };
        let has_pam = method != Method::Pam || self.is("usepam", "yes");
        has_pam && self.is(setting, "yes")
    }
}

impl Method {
    const ALL: [Self; 5] = [
        Self::Key,
        Self::Host,
        Self::Ticket,
        Self::Pam,
        Self::Password,
    ];

    /// `keyboard-interactive:pam` and the like name a device after the method.
    fn read(text: &str) -> Option<Self> {
        let name = text.split_once(':').map_or(text, |(name, _)| name);
        let mut all = Self::ALL.into_iter();
        all.find(|method| method.name() == name)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Key => "publickey",
            Self::Host => "hostbased",
            Self::Ticket => "gssapi-with-mic",
            Self::Pam => "keyboard-interactive",
            Self::Password => "password",
        }
    }
}

impl Way {
    fn read(list: &str) -> Option<Self> {
        list.split(',')
            .map(Method::read)
            .collect::<Option<_>>()
            .map(Self)
    }

    /// Whether PAM can ask for a code.
    pub(super) fn asks(&self) -> bool {
        self.0.contains(&Method::Pam)
    }

    pub(super) fn has_key(&self) -> bool {
        self.0.contains(&Method::Key)
    }

    /// What somebody shows where PAM asks for a code. `skips`: it asks for no password after a key.
    pub(super) fn to_show(&self, skips: bool) -> String {
        let code = if self.asks() { " and a code" } else { "" };
        self.words(skips) + code
    }

    /// What somebody shows, apart from a code.
    pub(super) fn words(&self, skips: bool) -> String {
        let words: Vec<_> = self
            .0
            .iter()
            .filter_map(|method| match method {
                Method::Key => Some("a key"),
                Method::Host => Some("a host key"),
                Method::Ticket => Some("a ticket"),
                Method::Pam if skips && self.has_key() => None,
                Method::Pam | Method::Password => Some("a password"),
            })
            .collect();
        words.join(" and ")
    }

    /// Whether PAM is given a password.
    pub(super) fn has_password(&self) -> bool {
        self.asks() || self.0.contains(&Method::Password)
    }

    /// The same, with PAM's questions last.
    pub(super) fn asking(&self) -> Self {
        let asks_nothing = |method: &Method| !matches!(method, Method::Pam | Method::Password);
        let mut methods: Vec<_> = self.0.iter().copied().filter(asks_nothing).collect();
        methods.push(Method::Pam);
        Self(methods)
    }

    /// The same, with PAM's questions in place of the method `password`.
    pub(super) fn with_prompts(&self) -> Self {
        if self.0.contains(&Method::Password) {
            self.asking()
        } else {
            self.clone()
        }
    }

    /// Whether a user of this way could also use `other`, leaving codes aside. `skips`: after a key, PAM asks for no
    /// password.
    fn leads_to(&self, other: &Self, skips: bool) -> bool {
        other.0.iter().all(|method| match method {
            Method::Pam | Method::Password => self.has_password() || skips && other.has_key(),
            method => self.0.contains(method),
        })
    }

    /// Whether this way, after a change, demands all that `other` did before.
    fn demands_all_of(&self, other: &Self, skips: Skips) -> bool {
        other.0.iter().all(|method| match method {
            Method::Pam | Method::Password => {
                let did_skip = skips.before && other.has_key();
                did_skip || self.has_password() && !(skips.after && self.has_key())
            }
            method => self.0.contains(method),
        })
    }
}

/// Whether PAM asks for no password after a key, before a change and after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Skips {
    pub(super) before: bool,
    pub(super) after: bool,
}

/// As in `AuthenticationMethods`.
impl fmt::Display for Way {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |method: &Method| match method {
            Method::Pam => "keyboard-interactive:pam",
            method => method.name(),
        };
        let names: Vec<_> = self.0.iter().map(name).collect();
        formatter.write_str(&names.join(","))
    }
}

/// A way in of those before that is closed after; see [`Way::leads_to`].
pub(super) fn closed<'a>(before: &'a [Way], after: &[Way], skips: bool) -> Option<&'a Way> {
    let is_open = |way: &Way| after.iter().any(|other| way.leads_to(other, skips));
    before.iter().find(|way| !is_open(way))
}

/// A way in of those after that demands less than any before.
pub(super) fn weakened<'a>(before: &[Way], after: &'a [Way], skips: Skips) -> Option<&'a Way> {
    let is_known = |way: &Way| before.iter().any(|other| way.demands_all_of(other, skips));
    after.iter().find(|way| !is_known(way))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: &str = "usepam yes\npubkeyauthentication yes\nhostbasedauthentication no\ngssapiauthentication no\n\
        kbdinteractiveauthentication no\npasswordauthentication yes\npermitrootlogin without-password\n";

    fn ways(settings: &str, is_root: bool) -> Vec<String> {
        let ways = Settings::read(settings).ways(is_root);
        ways.iter().map(ToString::to_string).collect()
    }

    fn way(list: &str) -> Way {
        Way::read(list).unwrap()
    }

    #[test]
    fn each_method_that_is_on_lets_in_unless_lists_say_otherwise() {
        let any = format!("{DEFAULTS}authenticationmethods any\n");
        assert_eq!(ways(&any, false), ["publickey", "password"]);
        let lists = format!(
            "{DEFAULTS}authenticationmethods publickey,password hostbased keyboard-interactive:pam\n"
        );
        assert_eq!(ways(&lists, false), ["publickey,password"]);
    }

    #[test]
    fn root_has_the_ways_that_its_own_setting_permits() {
        let any = format!("{DEFAULTS}authenticationmethods any\n");
        assert_eq!(ways(&any, true), ["publickey"]);
        let no = any.replace("without-password", "no");
        assert_eq!(ways(&no, true), [""; 0]);
        let yes = any.replace("without-password", "yes");
        assert_eq!(ways(&yes, true), ["publickey", "password"]);
        let both = format!("{DEFAULTS}authenticationmethods publickey,password\n");
        assert_eq!(ways(&both, true), [""; 0]);
    }

    #[test]
    fn ways_that_a_change_closes_or_weakens_are_found() {
        let (key, password) = (way("publickey"), way("password"));
        let (prompts, key_first) = (
            way("keyboard-interactive"),
            way("publickey,keyboard-interactive"),
        );
        let before = [key.clone(), password];
        let after = [key_first.clone(), prompts.clone()];
        assert_eq!(closed(&before, &after, true), None);
        // Where PAM asks for a password after the key too, not everybody has one.
        assert_eq!(closed(&before, &after, false), Some(&key));

        let skips = |before: bool, after: bool| Skips { before, after };
        assert_eq!(weakened(&before, &after, skips(false, true)), None);
        let keys_alone = &before[..1];
        assert_eq!(
            weakened(keys_alone, &after, skips(false, true)),
            Some(&prompts)
        );
        let (both, after) = ([way("publickey,password")], [key_first]);
        assert_eq!(weakened(&both, &after, skips(false, true)), Some(&after[0]));
        assert_eq!(weakened(&both, &after, skips(false, false)), None);
        assert_eq!(weakened(&after, &after, skips(true, true)), None);
    }
}
