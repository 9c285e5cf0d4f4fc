//! The master that a daemon follows: `[mirror]`.

use super::duration::shown;
use super::mistake::Refusal;
use super::near::{nearest, quoted};
use super::reader::Reader;
use super::resolve::{milliseconds, minutes, patience, seconds};
use super::tls::file;
use crate::core::source::Source;
use reqwest::Url;
use std::path::PathBuf;
use std::time::Duration;

/// The daemon that this one follows (`[mirror]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Its address, perhaps with a password in it.
    pub master: Url,
    /// PEM: by whom its certificate must be signed; without, by one that this system trusts.
    pub ca: Option<PathBuf>,
    /// Whether pushes of its own are taken, beside what the master says.
    pub takes_pushes: bool,
    /// As of whom its states stand in the history.
    pub source: Source,
    /// How long an answer may take, that the master holds for as long as it likes.
    pub timeout: Duration,
    /// How soon it is asked again after a failure.
    pub retry: Duration,
    /// How much later at most, after many.
    pub retry_most: Duration,
    /// After how long a silence what is served is called stale.
    pub stale: Duration,
}

impl Mirror {
    /// Its address, as it may be shown.
    pub fn address(&self) -> String {
        let mut url = self.master.clone();
        // An error says that this kind of URL has none.
        let _ = url.set_password(None);
        url.set_query(None);
        url.to_string()
    }

    pub(super) fn summary(&self) -> String {
        let pushes = if self.takes_pushes { "with pushes of its own" } else { "pushes are refused" };
        format!("{} as source {:?}; {pushes}; stale after {}", self.address(), self.source, shown(self.stale))
    }
}

/// The keys that say how a master is followed.
const KEYS: [&str; 7] = [
    "mirror.ca",
    "mirror.pushes",
    "mirror.source",
    "mirror.timeout",
    "mirror.retry",
    "mirror.retry_most",
    "mirror.stale",
];

/// Resolves `[mirror]`. Without a master nothing else of it has a meaning.
pub(super) fn mirror(ask: &mut Reader) -> Option<Mirror> {
    let mistakes = ask.mistakes();
    let master =
        ask.parsed("mirror.master", "an address in quotes, as \"http://tk.example.org:8080\"", None, master);
    let ca = ask.parsed("mirror.ca", "the path of a file in quotes", None, file);
    let retry = ask.duration("mirror.retry", seconds(1), milliseconds(10)..=minutes(10));
    let retry_most = ask.duration("mirror.retry_most", seconds(60), milliseconds(10)..=minutes(60));
    if retry > retry_most {
        let why = Refusal::new("mirror.retry is longer than mirror.retry_most");
        ask.refuse("mirror.retry", &["mirror.retry_most"], why);
    }
    let takes_pushes = ask.parsed("mirror.pushes", "\"refuse\" or \"take\"", false, pushes);
    let source = ask.parsed("mirror.source", "a name in quotes, as \"mirror\"", None, |text| {
        Source::parse(text).map(Some).map_err(|why| Refusal::new(format!("{}: {why}", quoted(text))))
    });
    let timeout = ask.duration("mirror.timeout", seconds(35), patience(minutes(60)));
    let stale = ask.duration("mirror.stale", seconds(60), milliseconds(100)..=minutes(1_440));
    let orphan = KEYS.into_iter().find(|key| ask.is_written(key));
    match master {
        Some(master) => {
            let source = source.or_else(|| Source::parse("mirror").ok()).unwrap_or_else(Source::unknown);
            Some(Mirror { master, ca, takes_pushes, source, timeout, retry, retry_most, stale })
        }
        None => {
            if let Some(key) = orphan.filter(|_| ask.mistakes() == mistakes) {
                let why = Refusal::new("has no meaning without mirror.master");
                ask.refuse(key, &[], why.hint("master = \"http://...\" says whom to follow"));
            }
            None
        }
    }
}

fn master(text: &str) -> Result<Option<Url>, Refusal> {
    let no_address = || Refusal::new("wants an address that begins with http:// or https://");
    let url = Url::parse(text).map_err(|_| no_address())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(no_address());
    }
    if url.fragment().is_some() || url.query().is_some() {
        return Err(Refusal::new("wants the address of a daemon, without \"?\" and \"#\""));
    }
    Ok(Some(url))
}

fn pushes(text: &str) -> Result<bool, Refusal> {
    match text {
        "refuse" => Ok(false),
        "take" => Ok(true),
        _ => {
            let why = Refusal::new(format!("{} is none of refuse, take", quoted(text)));
            Err(why.nearest(nearest(text, ["refuse", "take"])))
        }
    }
}
