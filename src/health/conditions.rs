//! What is wrong, each with a name, since when, and what to do.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;
use tokio::sync::watch;

/// Something that is wrong. A new one is a line below, and a line where it is found out:
/// `conditions.set(&Condition::…, holds)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// A word of `a-z`, `0-9` and `_`, by which alarms know it; whoever asks may see it.
    pub name: Cow<'static, str>,
    /// What follows for those who send requests here.
    pub kind: Kind,
    /// What it means, in a sentence; it may name what is secret to outsiders, as the host of a timetable.
    pub meaning: Cow<'static, str>,
    /// What to do about it.
    pub advice: &'static str,
}

/// What follows of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// All are served, and somebody should see to it.
    Degraded,
    /// No request is to be sent here.
    Unready,
}

impl Condition {
    /// The daemon does not serve yet.
    pub const STARTING: Condition =
        Condition::unready("starting", "The daemon is starting.", "Wait: it takes a moment.");

    /// It is about to end.
    pub const STOPPING: Condition = Condition::unready(
        "stopping",
        "The daemon was told to stop, and takes no more connections.",
        "Nothing, where that was meant.",
    );

    /// Something holds on to the state.
    pub const STUCK: Condition = Condition::unready(
        "stuck",
        "The state cannot be had: nothing that is pushed or asked for gets an answer.",
        "Restart the daemon, and report this with its log: it is a defect of tkbd.",
    );

    /// Nothing gets to the disk.
    pub const HISTORY_UNWRITABLE: Condition = Condition::degraded(
        "history_unwritable",
        "The history cannot be written. Changes are shown, and wait in memory until it can; a crash now would lose them.",
        "See why in the log (a full disk, rights, another program's lock) and mend it: what waits is then written within seconds.",
    );

    /// More than half of the places in the queue are taken.
    pub const HISTORY_BACKLOG: Condition = Condition::degraded(
        "history_backlog",
        "More than half of history.backlog waits for the disk. Once it is full, pushes are refused.",
        "Look for what keeps the disk busy; a longer history.backlog only buys time.",
    );

    /// What is written may not be read again.
    pub const HISTORY_DAMAGED: Condition = Condition::degraded(
        "history_damaged",
        "The file of the history is damaged. All is served and recorded on.",
        "Restart the daemon, which puts the file aside and goes on with what can be read of it.",
    );

    /// Somebody has put another file in its place.
    pub const HISTORY_EXCHANGED: Condition = Condition::degraded(
        "history_exchanged",
        "Another file stands in the place of the history, or none. Changes are shown, and wait in memory; none is acknowledged.",
        "Put back the file that stood there. To go on with the other one: stop the daemon, remove the file with -wal behind its name, and start it.",
    );

    /// What was damaged lies beside the history.
    pub const HISTORY_PUT_ASIDE: Condition = Condition::degraded(
        "history_put_aside",
        "A damaged history was put aside, and what could be read of it is served.",
        "Look at history.sqlite3.damaged-… beside the history, see to the disk, and move the file away.",
    );

    /// Somebody reads and does not end.
    pub const HISTORY_LOG_LARGE: Condition = Condition::degraded(
        "history_log_large",
        "SQLite's log of the history is larger than 64 MiB, since a program has been reading the history for long.",
        "End that program; the log is then shortened within seconds.",
    );

    /// Old rows stay.
    pub const HISTORY_UNCOUNTED: Condition = Condition::degraded(
        "history_uncounted",
        "The rows of the history are not counted: plots stand still, and rows older than history.keep are not removed.",
        "See why in the log, and mend it; it is tried again every ten seconds.",
    );

    /// Nothing is written any more.
    pub const HISTORY_ENDED: Condition = Condition::degraded(
        "history_ended",
        "The history has ended: changes are shown, and not recorded.",
        "Restart the daemon, and report this with its log: it is a defect of tkbd.",
    );

    /// The end of a certificate is near, or past.
    pub const CERTIFICATE_EXPIRING: Condition = Condition::degraded(
        "certificate_expiring",
        "A certificate that is served ends within 14 days, or has ended. Clients then refuse to connect over TLS.",
        "Renew it: the files are looked at by themselves. The log has which one it is.",
    );

    /// Another certificate lies there, and is of no use.
    pub const CERTIFICATE_REFUSED: Condition = Condition::degraded(
        "certificate_refused",
        "What the files of a certificate hold cannot be used, or not now. The one before is served on, if there was one.",
        "See why in the log, or with `tkbd check`, and mend the files: they are looked at by themselves.",
    );

    /// A mirror whose master is silent.
    pub const MIRROR_AWAY: Condition = Condition::degraded(
        "mirror_away",
        "The master does not answer; what it said last is served.",
        "See whether the master runs and can be reached from here; it is asked again by itself.",
    );

    /// The same for long.
    pub const MIRROR_STALE: Condition = Condition::degraded(
        "mirror_stale",
        "The master has been silent for longer than mirror.stale: what is served is out of date.",
        "See whether the master runs and can be reached from here; it is asked again by itself.",
    );

    /// A mirror that must not follow.
    pub const MIRROR_STOPPED: Condition = Condition::degraded(
        "mirror_stopped",
        "The master is followed no more, since that would be a loop or too long a row of mirrors.",
        "Mend mirror.master, here or at a master above; this one is asked again every ten minutes.",
    );

    /// No connection can be taken.
    pub const DESCRIPTORS_EXHAUSTED: Condition = Condition::degraded(
        "descriptors_exhausted",
        "There are as many connections, or open files, as there may be. Others wait, and who stands idle is ended.",
        "Look for who has so many; raise the limit (LimitNOFILE of the unit), and http.max_connections where that is set.",
    );

    /// A timetable that could not be had, or not whole: by its number in the setup, from 1 on.
    pub fn timetable_failed(number: usize, label: &str) -> Condition {
        Condition {
            name: format!("timetable_{number}_failed").into(),
            kind: Kind::Degraded,
            meaning: format!(
                "Timetable {number} ({label}) could not be had whole; what was known of it is shown."
            )
            .into(),
            advice: "See why in the log, or with `tkbd check --online`; it is asked again by itself.",
        }
    }

    const fn degraded(name: &'static str, meaning: &'static str, advice: &'static str) -> Condition {
        let (name, meaning) = (Cow::Borrowed(name), Cow::Borrowed(meaning));
        Condition { name, kind: Kind::Degraded, meaning, advice }
    }

    const fn unready(name: &'static str, meaning: &'static str, advice: &'static str) -> Condition {
        let (name, meaning) = (Cow::Borrowed(name), Cow::Borrowed(meaning));
        Condition { name, kind: Kind::Unready, meaning, advice }
    }
}

/// A condition that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// Which.
    pub condition: Condition,
    /// Since when, as it was noticed.
    pub since: SystemTime,
}

/// The conditions that hold, each with how many hold on to it.
#[derive(Debug, Default)]
pub struct Conditions(watch::Sender<BTreeMap<Cow<'static, str>, (Noted, usize)>>);

/// Somebody for whom a condition holds, until this is dropped.
#[derive(Debug)]
pub struct Holding<'a> {
    conditions: &'a Conditions,
    name: Cow<'static, str>,
}

impl Conditions {
    /// Notes whether a condition holds. Since when it does is the first time that this was said.
    pub fn set(&self, condition: &Condition, holds: bool) {
        self.0.send_if_modified(|held| match (held.contains_key(&condition.name), holds) {
            (false, true) => {
                held.insert(condition.name.clone(), (Noted::now(condition), 0));
                true
            }
            (true, false) => held.remove(&condition.name).is_some(),
            _ => false,
        });
    }

    /// Notes a condition that may hold for several, each of whom knows of itself alone: it is over when it is for all.
    pub fn hold(&self, condition: &Condition) -> Holding<'_> {
        self.0.send_modify(|held| {
            held.entry(condition.name.clone()).or_insert_with(|| (Noted::now(condition), 0)).1 += 1;
        });
        Holding { conditions: self, name: condition.name.clone() }
    }

    /// Ends all whose names begin so: what they were about is no more.
    pub fn forget(&self, beginning: &str) {
        self.0.send_modify(|held| held.retain(|name, _| !name.starts_with(beginning)));
    }

    /// Those that hold, by their names.
    pub fn all(&self) -> Vec<Noted> {
        self.0.borrow().values().map(|(noted, _)| noted.clone()).collect()
    }
}

impl Noted {
    fn now(condition: &Condition) -> Noted {
        Noted { condition: condition.clone(), since: SystemTime::now() }
    }
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.conditions.0.send_modify(|held| {
            if let Some((_, holders)) = held.get_mut(&self.name) {
                *holders = holders.saturating_sub(1);
                if *holders == 0 {
                    held.remove(&self.name);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(conditions: &Conditions) -> Vec<String> {
        conditions.all().into_iter().map(|held| held.condition.name.into_owned()).collect()
    }

    #[test]
    fn a_condition_holds_from_the_first_time_it_is_said_until_it_is_denied() {
        let conditions = Conditions::default();
        conditions.set(&Condition::STOPPING, true);
        let first = conditions.all();
        conditions.set(&Condition::STOPPING, true);
        conditions.set(&Condition::MIRROR_AWAY, false);
        assert_eq!(conditions.all(), first, "said again, and denied without having held");
        conditions.set(&Condition::timetable_failed(2, "ical a.example"), true);
        assert_eq!(names(&conditions), ["stopping", "timetable_2_failed"]);
        conditions.forget("timetable_");
        conditions.set(&Condition::STOPPING, false);
        assert!(conditions.all().is_empty());
    }

    #[test]
    fn what_holds_for_several_is_over_when_it_is_for_all() {
        let conditions = Conditions::default();
        let one = conditions.hold(&Condition::DESCRIPTORS_EXHAUSTED);
        let first = conditions.all();
        let other = conditions.hold(&Condition::DESCRIPTORS_EXHAUSTED);
        drop(one);
        assert_eq!(conditions.all(), first, "and since then");
        drop(other);
        assert!(conditions.all().is_empty());
    }
}
