//! The built-in data files.

use super::parse::parse;
use super::schema::DataFile;

/// Name and text of each file, in the order in which the kinds are listed. A test fails if a file is missing here.
const FILES: &[(&str, &str)] = &[
    ("twilio", include_str!("../providers/twilio.toml")),
    ("vonage", include_str!("../providers/vonage.toml")),
    ("clickatell", include_str!("../providers/clickatell.toml")),
    ("eztexting", include_str!("../providers/eztexting.toml")),
    ("seven", include_str!("../providers/seven.toml")),
    (
        "smsbroadcast",
        include_str!("../providers/smsbroadcast.toml"),
    ),
    ("cdyne", include_str!("../providers/cdyne.toml")),
    ("plivo", include_str!("../providers/plivo.toml")),
    ("messagebird", include_str!("../providers/messagebird.toml")),
    ("telnyx", include_str!("../providers/telnyx.toml")),
    ("clicksend", include_str!("../providers/clicksend.toml")),
    ("sinch", include_str!("../providers/sinch.toml")),
    ("infobip", include_str!("../providers/infobip.toml")),
    ("textmagic", include_str!("../providers/textmagic.toml")),
    ("smsapi", include_str!("../providers/smsapi.toml")),
    ("46elks", include_str!("../providers/46elks.toml")),
    ("bulksms", include_str!("../providers/bulksms.toml")),
    (
        "africastalking",
        include_str!("../providers/africastalking.toml"),
    ),
    ("gatewayapi", include_str!("../providers/gatewayapi.toml")),
    ("aws-sns", include_str!("../providers/aws-sns.toml")),
    ("aws-eum", include_str!("../providers/aws-eum.toml")),
    ("bandwidth", include_str!("../providers/bandwidth.toml")),
    ("bird", include_str!("../providers/bird.toml")),
    ("brevo", include_str!("../providers/brevo.toml")),
    ("d7", include_str!("../providers/d7.toml")),
    ("telesign", include_str!("../providers/telesign.toml")),
    ("unifonic", include_str!("../providers/unifonic.toml")),
    ("signal", include_str!("../providers/signal.toml")),
];

/// The built-in data files.
pub(in crate::sms) fn data_files() -> impl Iterator<Item = DataFile> {
    // A test checks that all of them are valid.
    FILES.iter().filter_map(|(_, text)| parse(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_data_file_is_valid_and_named_after_its_provider() {
        for (name, text) in FILES {
            match parse(text) {
                Ok(data_file) => assert_eq!(data_file.name, *name),
                Err(error) => panic!("{name}.toml: {error}"),
            }
        }
    }

    #[test]
    fn no_two_built_in_data_files_share_a_name() {
        let all: Vec<_> = data_files().collect();
        for (index, one) in all.iter().enumerate() {
            for other in &all[index + 1..] {
                assert!(!one.shares_name(other), "{} and {}", one.name, other.name);
            }
        }
    }
}
