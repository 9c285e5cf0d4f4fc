//! What the master said last of rooms, tags and reservations, in a file beside the history: a mirror that is started
//! while its master is away has its PCs from there, and from here where they stand and who may see them.

use super::heard;
use crate::core::message::Body;
use crate::core::room::RoomKey;
use crate::core::schedule::Reservation;
use crate::core::state::Lead;
use crate::core::version::Version;
use crate::wire::client::{Message, keep, kept};
use chrono::NaiveDate;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How long after a change it is written: more comes with it, and a disk has better to do.
const AFTER: Duration = Duration::from_secs(1);

/// How long the end waits for the disk: it has more to do within its five seconds.
const AT_LAST: Duration = Duration::from_secs(1);

/// The longest file that is read: what a master can say, written anew.
const LONGEST: u64 = 4 * crate::client::Server::MAX_REPLY as u64;

/// What a master says of itself beside the states.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// Its rooms and tags.
    pub(super) lead: Lead,
    /// What is reserved; none where it was never said.
    pub(super) schedule: Option<HashMap<RoomKey, Vec<Reservation>>>,
    /// On which day it was heard last, if ever: then the reservations were those of that day.
    pub(super) day: Option<NaiveDate>,
}

/// Keeps them.
#[derive(Debug)]
pub(super) struct Keeper {
    /// None where nothing is kept.
    path: Option<PathBuf>,
    master: String,
    /// What is in the file, or will be.
    written: Option<Words>,
    due: Option<Instant>,
    writing: Option<JoinHandle<()>>,
}

/// What was kept of the master at this address.
pub(super) fn read(path: &Path, master: &str) -> Option<Words> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    let kept = kept(&bytes).filter(|kept| kept.of == master)?;
    let mut words = Words { day: kept.day.parse().ok(), ..Words::default() };
    for message in kept.messages {
        match message {
            Message::RoomMap { rooms, .. } => words.lead.rooms = heard::rooms(rooms),
            Message::TagMap { tags, .. } => words.lead.tags = Some(heard::tags(tags).0),
            Message::Schedule { rooms, .. } => words.schedule = Some(heard::schedule(rooms)),
            _ => {}
        }
    }
    Some(words)
}

impl Keeper {
    pub(super) fn new(path: Option<PathBuf>, master: String, read: Option<Words>) -> Keeper {
        Keeper { path, master, written: read, due: None, writing: None }
    }

    /// This is what it says now.
    pub(super) fn note(&mut self, words: &Words, now: Instant) {
        if self.path.is_some() && self.written.as_ref() != Some(words) {
            self.written = Some(words.clone());
            self.due.get_or_insert(now + AFTER);
        }
    }

    /// When [`Keeper::write`] is to be called next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Has it written, where nothing waits for the disk; later, where that is not done with the last.
    pub(super) fn write(&mut self, now: Instant) {
        if self.writing.as_ref().is_some_and(|writing| !writing.is_finished()) {
            self.due = Some(now + AFTER);
            return;
        }
        self.due = None;
        let (Some(path), Some(words)) = (self.path.clone(), self.written.clone()) else { return };
        let master = self.master.clone();
        self.writing = Some(tokio::task::spawn_blocking(move || {
            if let Err(error) = replace(&path, &bytes(&master, words)) {
                let path = path.display();
                tracing::warn!(%path, %error, "cannot keep what the master says; a restart without it would miss that");
            }
        }));
    }

    /// Writes what is yet to be written, and waits for it, but not for long.
    pub(super) async fn end(mut self) {
        let ending = async {
            if let Some(writing) = self.writing.take() {
                let _ = writing.await;
            }
            if self.due.is_some() {
                self.write(Instant::now());
            }
            if let Some(writing) = self.writing.take() {
                let _ = writing.await;
            }
        };
        let _ = tokio::time::timeout(AT_LAST, ending).await;
    }
}

fn bytes(master: &str, words: Words) -> Vec<u8> {
    let version = Version(0);
    let Words { lead: Lead { rooms, tags }, schedule, day } = words;
    let mut said = vec![Body::RoomMap { version, room_map: rooms }];
    said.extend(tags.map(|tags| Body::TagMap { version, tag_map: tags.into_iter().collect() }));
    said.extend(schedule.map(|rooms| Body::Schedule { version, schedule: rooms.into_iter().collect() }));
    keep(master, &day.map(|day| day.to_string()).unwrap_or_default(), &said)
}

/// Puts a whole file in the place of the old one: a loss of power leaves one of them.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::message::RoomEntry;
    use crate::core::schedule::TimeOfDay;
    use crate::core::tag::Tag;

    fn words() -> Words {
        let key = |text: &str| RoomKey::parse(text).unwrap();
        let time = TimeOfDay::new(9, 0).unwrap();
        let one = Reservation { start: time, end: time, text: "Lecture".into() };
        let pcs = vec![crate::core::pc::PcName::parse("apc1").unwrap()];
        Words {
            lead: Lead {
                rooms: vec![RoomEntry { key: key("a"), name: "A".into(), pcs }],
                tags: Some([(Tag::parse("t").unwrap(), vec![key("a")])].into()),
            },
            schedule: Some([(key("a"), vec![one])].into()),
            day: "2026-11-23".parse().ok(),
        }
    }

    #[tokio::test]
    async fn m1_what_is_kept_of_a_master_is_read_again_and_that_of_another_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.master");
        let unsaid = Words { day: words().day, ..Words::default() };
        for said in [words(), unsaid] {
            let mut keeper = Keeper::new(Some(path.clone()), "http://m/".into(), None);
            keeper.note(&said, Instant::now());
            keeper.end().await;
            assert_eq!(read(&path, "http://m/"), Some(said));
            assert_eq!(read(&path, "http://n/"), None);
        }
        for damaged in ["", "{", "[]"] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(read(&path, "http://m/"), None, "{damaged:?}");
        }
        assert_eq!(read(&directory.path().join("none"), "http://m/"), None);
    }

    #[test]
    fn the_same_again_is_not_written_again() {
        let now = Instant::now();
        let mut keeper = Keeper::new(Some("x".into()), String::new(), Some(words()));
        keeper.note(&words(), now);
        assert_eq!(keeper.due(), None);
        keeper.note(&Words::default(), now);
        keeper.note(&words(), now + AFTER / 2);
        assert_eq!(keeper.due(), Some(now + AFTER), "later ones do not put it off");
        let mut nowhere = Keeper::new(None, String::new(), None);
        nowhere.note(&words(), now);
        assert_eq!(nowhere.due(), None);
    }
}
