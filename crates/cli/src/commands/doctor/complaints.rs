//! Findings about services, those with the same words together.

use super::{Finding, notice, problem};

/// What is wrong so far.
#[derive(Default)]
pub(super) struct Complaints(Vec<Complaint>);

struct Complaint {
    /// The services it is about; none where the words name a file.
    services: Vec<String>,
    words: String,
    finding: fn(String) -> Finding,
}

impl Complaints {
    /// Something that is wrong with a service.
    pub(super) fn about(&mut self, service: &str, words: impl Into<String>) {
        self.add(Some(service), words.into(), problem);
    }

    /// Something about a service that may be meant.
    pub(super) fn note(&mut self, service: &str, words: impl Into<String>) {
        self.add(Some(service), words.into(), notice);
    }

    /// Something that is wrong with a file, whatever service includes it.
    pub(super) fn problem(&mut self, words: impl Into<String>) {
        self.add(None, words.into(), problem);
    }

    fn add(&mut self, service: Option<&str>, words: String, finding: fn(String) -> Finding) {
        if let Some(known) = self.0.iter_mut().find(|known| known.words == words) {
            known.services.extend(service.map(str::to_owned));
        } else {
            let services = service.map(str::to_owned).into_iter().collect();
            self.0.push(Complaint {
                services,
                words,
                finding,
            });
        }
    }

    /// The findings, in words.
    pub(super) fn findings(self) -> impl Iterator<Item = Finding> {
        self.0.into_iter().map(
            |Complaint {
                 services,
                 words,
                 finding,
             }| {
                finding(if services.is_empty() {
                    words
                } else {
                    format!("{}: {words}", enumerate(&services))
                })
            },
        )
    }
}

/// `a, b and c`.
pub(super) fn enumerate(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [name] => name.clone(),
        [names @ .., last] => format!("{} and {last}", names.join(", ")),
    }
}
