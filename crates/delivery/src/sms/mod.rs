//! Text messages: one engine, and a data file for each provider.
//!
//! A provider is a file in `sms/providers/`, or one of an administrator's of the same form: what its request looks
//! like, when its answer is a success, and where everything stands in the answer. twofa-sms(5) tells of the form.
//!
//! - [`description`], [`validity`]: the form of a data file, and its mistakes;
//! - [`own`]: an administrator's files;
//! - [`template`], [`request`], [`sigv4`]: from a data file to a request;
//! - [`client`]: asking, with an end in time and size;
//! - [`answer`]: from what came back to success or error;
//! - [`http`]: all of it put together;
//! - [`gammu`]: a modem of one's own, the one provider that is not HTTP;
//! - [`mod@number`]: phone numbers.

mod account;
mod answer;
mod client;
mod description;
mod gammu;
mod http;
mod number;
mod own;
mod request;
mod sigv4;
mod template;
mod validity;

use std::path::Path;

use crate::provider::{BadProvider, Configuration, Kind, Places, Provider};
use crate::templates::Templates;

pub use account::{BadAccount, account};
pub use number::{BadNumber, Number, is_country, number};

use description::Description;
use http::HttpProvider;

/// The data files that are built in, in the order in which they are shown.
const BUILT_IN: [(&str, &str); 20] = [
    ("twilio", include_str!("providers/twilio.toml")),
    ("vonage", include_str!("providers/vonage.toml")),
    ("clickatell", include_str!("providers/clickatell.toml")),
    ("eztexting", include_str!("providers/eztexting.toml")),
    ("seven", include_str!("providers/seven.toml")),
    ("smsbroadcast", include_str!("providers/smsbroadcast.toml")),
    ("cdyne", include_str!("providers/cdyne.toml")),
    ("plivo", include_str!("providers/plivo.toml")),
    ("messagebird", include_str!("providers/messagebird.toml")),
    ("telnyx", include_str!("providers/telnyx.toml")),
    ("clicksend", include_str!("providers/clicksend.toml")),
    ("sinch", include_str!("providers/sinch.toml")),
    ("infobip", include_str!("providers/infobip.toml")),
    ("textmagic", include_str!("providers/textmagic.toml")),
    ("smsapi", include_str!("providers/smsapi.toml")),
    ("46elks", include_str!("providers/46elks.toml")),
    ("bulksms", include_str!("providers/bulksms.toml")),
    (
        "africastalking",
        include_str!("providers/africastalking.toml"),
    ),
    ("gatewayapi", include_str!("providers/gatewayapi.toml")),
    ("aws-sns", include_str!("providers/aws-sns.toml")),
];

/// What a data file comes to.
#[derive(Debug, Clone)]
pub struct Report {
    /// What it makes of the file's provider.
    pub kind: Kind,
    /// A request as it would be sent, for people. Secrets are masked.
    pub sample: String,
    /// Why the file would not be used as it lies there, or what it does to others.
    pub warnings: Vec<String>,
}

/// The kinds of SMS providers, the built-in ones and those in the folder `own`; and what is wrong with files there.
///
/// A file of an administrator's takes the place of a built-in one with its name or an alias of it, so that a change
/// at a provider can be mended without a release.
pub fn kinds(own: &Path) -> (Vec<Kind>, Vec<BadProvider>) {
    let (own, bad) = own::load(own);
    let is_replaced =
        |built_in: &Description| own.iter().any(|(_, own)| own::clashes(own, built_in));
    let mut kinds: Vec<_> = built_in()
        .filter(|built_in| !is_replaced(built_in))
        .map(|built_in| built_in.kind())
        .collect();
    let modem = gammu::kind();
    if !own.iter().any(|(_, own)| own::answers_to(own, &modem)) {
        kinds.push(modem);
    }
    kinds.extend(own.iter().map(|(_, own)| own.kind()));
    (kinds, bad)
}

/// Reads the data file `file` and makes a request of it, without sending it.
pub fn check_file(file: &Path) -> Result<Report, BadProvider> {
    let (description, why_not) = own::read(file)?;
    let kind = description.kind();
    let example = |setting: &crate::provider::Setting| match (&setting.default, setting.secret) {
        (_, true) => "********".to_owned(),
        (Some(default), false) => default.clone(),
        (None, false) => setting.name.clone(),
    };
    let settings: Vec<_> = kind
        .settings
        .iter()
        .map(|setting| (setting.name.clone(), example(setting)))
        .collect();
    let sample = http::sample(&description, &settings).map_err(|why| BadProvider::File {
        file: file.display().to_string(),
        why,
    })?;
    let mut warnings: Vec<_> = why_not.into_iter().collect();
    let replaced = built_in().filter(|built_in| own::clashes(built_in, &description));
    warnings.extend(
        replaced.map(|replaced| format!("it takes the place of the built-in '{}'", replaced.name)),
    );
    Ok(Report {
        kind,
        sample,
        warnings,
    })
}

/// Opens an SMS provider of this `kind`.
pub(crate) fn open(
    kind: &Kind,
    configuration: &Configuration,
    places: &Places,
) -> Result<Box<dyn Provider>, BadProvider> {
    let (own, _) = own::load(&places.sms);
    let own = own
        .into_iter()
        .map(|(_, own)| own)
        .find(|own| own.name == kind.name);
    if own.is_none() && kind.name == gammu::NAME {
        return Ok(Box::new(gammu::Gammu::open(
            kind,
            configuration,
            templates(places)?,
        )?));
    }
    let description = own.or_else(|| built_in().find(|built_in| built_in.name == kind.name));
    let description = description.ok_or_else(|| BadProvider::UnknownKind(kind.name.clone()))?;
    let templates = templates(places)?;
    Ok(Box::new(HttpProvider::open(
        description,
        kind,
        configuration,
        templates,
    )?))
}

/// The words of messages.
fn templates(places: &Places) -> Result<Templates, BadProvider> {
    Templates::load(&places.templates).map_err(|error| BadProvider::File {
        file: places.templates.display().to_string(),
        why: error.reason,
    })
}

fn built_in() -> impl Iterator<Item = Description> {
    // A test parses all of them.
    BUILT_IN
        .iter()
        .filter_map(|(_, text)| Description::parse(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_data_file_parses_and_bears_its_name() {
        for (name, text) in BUILT_IN {
            match Description::parse(text) {
                Ok(description) => assert_eq!(description.name, name),
                Err(wrong) => panic!("{name}.toml: {wrong}"),
            }
        }
    }

    #[test]
    fn no_two_built_in_data_files_share_a_name() {
        let all: Vec<_> = built_in().collect();
        for (index, one) in all.iter().enumerate() {
            for other in &all[index + 1..] {
                assert!(!own::clashes(one, other), "{} and {}", one.name, other.name);
            }
        }
    }
}
