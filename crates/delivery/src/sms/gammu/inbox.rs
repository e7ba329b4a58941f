//! The messages in gammu-smsd's inbox: one file for each.

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use jiff::tz::TimeZone;
use twofa_core::Timestamp;

use super::format::{decode_backup, decode_text, read};
use crate::provider::InboundSms;

/// The maximum number of files that are read, the newest first.
const MAX_FILES: usize = 500;

/// The messages in `dir` that were received since `since`.
pub(super) fn list(dir: &Path, since: Timestamp) -> io::Result<Vec<InboundSms>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        // The daemon may have removed the file since.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        let changed = metadata.modified().ok().and_then(unix);
        if metadata.is_file() && changed.is_none_or(|changed| changed >= since.unix()) {
            files.push((changed, entry.path()));
        }
    }
    files.sort_by(|one, other| other.cmp(one));
    files.truncate(MAX_FILES);
    Ok(files
        .iter()
        .filter_map(|(changed, file)| parse(file, changed.map(Timestamp::from_unix)))
        .collect())
}

/// The message in `file`, such as `IN20260131_235959_00_+4915112345678_00.txt`.
fn parse(file: &Path, changed: Option<Timestamp>) -> Option<InboundSms> {
    let name = file.file_stem()?.to_str()?;
    let mut parts = name.strip_prefix("IN")?.split('_');
    let (date, time) = (parts.next()?, parts.next()?);
    let _serial_within_the_second = parts.next()?;
    let from = parts.next()?.to_owned();
    let content = read(file).ok()?;
    if file.extension()? != "txt" && file.extension()? != "smsbackup" {
        return None;
    }
    let text = decode_text(&content);
    let text = if text.contains("[SMSBackup") {
        decode_backup(&text)
    } else {
        text
    };
    // The time in the name is local time.
    let at = jiff::civil::DateTime::strptime("%Y%m%d_%H%M%S", format!("{date}_{time}")).ok();
    let at = at.and_then(|at| at.to_zoned(TimeZone::system()).ok());
    let at = at
        .map(|at| Timestamp::from_unix(at.timestamp().as_second()))
        .or(changed);
    Some(InboundSms {
        from,
        text: text.trim_end_matches('\0').to_owned(),
        at,
    })
}

fn unix(at: SystemTime) -> Option<i64> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}
