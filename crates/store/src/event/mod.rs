//! Events as data: what the audit log keeps, and what notices are about. Nothing here is a sentence; the programs that
//! show events make the sentences.
//!
//! An event is stored as the name of its kind and a JSON object of its fields. Fields may be added later if they are
//! optional; none is ever renamed, because old rows have them.
//!
//! [`kinds`] are the events, [`fields`] and [`reasons`] what is known of one, [`filter`] chooses some of them, [`names`] how they are called, [`origin`] is who did something and where,
//! [`stored`] how both are kept.

mod as_text;
mod fields;
mod filter;
pub mod kinds;
pub mod names;
pub mod origin;
mod reasons;
pub mod stored;

pub use fields::{
    AppFields, Attestation, DeviceFields, ExemptionFields, NotSent, Proof, SessionEnd,
    SessionFields, SmsAlarm, UserChange,
};
pub use filter::EventFilter;
pub use kinds::Event;
pub use origin::{Answering, FleetHost, LoginOrigin, NoticeSource, Origin, Source};
pub use reasons::{RefusalReason, ReportedOutcome, UnprovedReason};
pub(crate) use stored::StoredEvent;
pub use stored::{Happening, LoggedEvent, Missed, Record};
