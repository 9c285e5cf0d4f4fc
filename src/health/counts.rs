//! What is counted, since the start.

use super::timings::Timings;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many there are now.
#[derive(Debug, Default)]
pub struct Open(AtomicU64);

/// One of those; it is one fewer when this ends.
#[derive(Debug)]
pub struct Opened<'a>(&'a Open);

impl Open {
    /// One more, as long as that is kept.
    pub fn begin(&self) -> Opened<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Opened(self)
    }

    /// How many there are.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What is counted.
#[derive(Debug, Default)]
pub struct Counts {
    /// Pushes that were taken, by what came of them.
    pub pushed: Pushed,
    /// States of PCs that changed, whoever told them.
    pub changes: Count,
    /// Held requests that were answered with news.
    pub deliveries: Count,
    /// From the arrival of a change to the moment that the last held request it concerns was answered: handed to
    /// the kernel, or, where a socket takes no more, to a task of its own. One a fan-out.
    pub delivery: Timings,
    /// Replies whose one update told of more than one version.
    pub conflated: Count,
    /// Replies that could not be handed over, and are owed again.
    pub given_back: Count,
    /// Messages of clients that were of no known type or form.
    pub ignored: Count,
    /// Streams of the page.
    pub streams: Open,
    /// Seats of which somebody was told who waited for one.
    pub alerts: Count,
    /// What was refused.
    pub refused: Refusals,
}

/// Pushes that were taken.
#[derive(Debug, Default)]
pub struct Pushed {
    /// Something changed, and it is recorded.
    pub applied: Count,
    /// Nothing changed.
    pub unchanged: Count,
    /// Answered before they were recorded.
    pub pending: Count,
}

/// What was refused, by why.
#[derive(Debug)]
pub struct Refusals([Count; Refusal::ALL.len()]);

impl Default for Refusals {
    fn default() -> Refusals {
        Refusals(std::array::from_fn(|_| Count::default()))
    }
}

impl Refusals {
    /// One more.
    pub fn one(&self, refusal: Refusal) {
        if let Some(count) = self.0.get(refusal as usize) {
            count.one();
        }
    }

    /// How many so far, each with its door and its reason.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        Refusal::ALL.iter().zip(&self.0).map(|((door, reason), count)| (*door, *reason, count.so_far()))
    }

    /// How many so far at one door.
    pub fn at(&self, door: &str) -> u64 {
        self.all().filter(|(of, ..)| *of == door).map(|(.., count)| count).sum()
    }
}

/// Lists what may be refused: a line each, with the door and the reason as they are told.
macro_rules! refusals {
    ($($(#[$says:meta])* $name:ident = $door:literal, $reason:literal;)*) => {
        /// Why something was refused, and at which door.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Refusal { $($(#[$says])* $name),* }

        impl Refusal {
            /// The door and the reason of each, in their order.
            const ALL: [(&'static str, &'static str); [$($reason),*].len()] = [$(($door, $reason)),*];
        }
    };
}

refusals! {
    /// The address is not on the list.
    PushAddress = "push", "address";
    /// A forwarding header of who is not trusted, or one that does not tell where it comes from.
    PushForwarded = "push", "forwarded";
    /// This is a mirror, which takes none.
    PushMirror = "push", "mirror";
    /// A browser.
    PushBrowser = "push", "browser";
    /// For a host name that is not ours.
    PushHost = "push", "host";
    /// A connection that was closed unheard: too many at once whose address is not on the list.
    PushUnheard = "push", "unheard";
    /// Another path.
    PushPath = "push", "path";
    /// Another method.
    PushMethod = "push", "method";
    /// No token that is known, or one for another source.
    PushToken = "push", "token";
    /// No length.
    PushLength = "push", "length";
    /// It took too long.
    PushLate = "push", "late";
    /// It is too large.
    PushTooLarge = "push", "too_large";
    /// It is no HTTP as it is read here.
    PushFraming = "push", "framing";
    /// What it says is bad.
    PushBad = "push", "bad";
    /// There is no place for what is new in it.
    PushGrowth = "push", "growth";
    /// The history cannot take more.
    PushBacklog = "push", "backlog";
    /// Another path.
    JoycePath = "joyce", "path";
    /// Another method.
    JoyceMethod = "joyce", "method";
    /// It took too long.
    JoyceLate = "joyce", "late";
    /// It is too large.
    JoyceTooLarge = "joyce", "too_large";
    /// It is no HTTP as it is read here.
    JoyceFraming = "joyce", "framing";
    /// What it says is bad.
    JoyceBad = "joyce", "bad";
    /// All that come in together are too large.
    JoyceBodies = "joyce", "bodies";
    /// There is no channel to be had.
    JoyceChannels = "joyce", "channels";
    /// Its address has as many channels as one may have.
    JoyceChannelsOfAddress = "joyce", "channels_of_address";
    /// Its address opens channels faster than one may.
    JoyceChannelsTooFast = "joyce", "channels_too_fast";
    /// A connection whose address has as many as one may have.
    JoyceConnectionsOfAddress = "joyce", "connections_of_address";
    /// A mirror that would follow itself.
    JoyceLoop = "joyce", "loop";
    /// Somebody asked for figures who may not.
    HealthForbidden = "health", "forbidden";
    /// Another method.
    HealthMethod = "health", "method";
    /// Nothing is there.
    ApiPath = "api", "path";
    /// Another method.
    ApiMethod = "api", "method";
    /// A query that is none.
    ApiBad = "api", "bad";
    /// Somebody asked how rooms were used who may not.
    InsightForbidden = "insight", "forbidden";
    /// Nothing is there.
    InsightPath = "insight", "path";
    /// Another method.
    InsightMethod = "insight", "method";
    /// A query that is none.
    InsightBad = "insight", "bad";
    /// Another method.
    EventsMethod = "events", "method";
    /// A query that is none.
    EventsBad = "events", "bad";
    /// As many channels as there may be.
    EventsChannels = "events", "channels";
    /// Nothing is there.
    PagePath = "page", "path";
    /// Another method.
    PageMethod = "page", "method";
    /// As many streams as there may be.
    PageStreams = "page", "streams";
    /// A wish that is none, or one too many of its list.
    PageWish = "page", "wish";
    /// As many wishes as can wait.
    PageWishes = "page", "wishes";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_counted_under_its_own_door_and_reason() {
        let refusals = Refusals::default();
        refusals.one(Refusal::PushAddress);
        refusals.one(Refusal::HealthMethod);
        refusals.one(Refusal::HealthMethod);
        let counted: Vec<_> = refusals.all().filter(|(.., count)| *count > 0).collect();
        assert_eq!(counted, [("push", "address", 1), ("health", "method", 2)]);
        assert_eq!((refusals.at("push"), refusals.at("joyce"), refusals.at("health")), (1, 0, 2));
        let mut names: Vec<_> = refusals.all().map(|(door, reason, _)| (door, reason)).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Refusal::ALL.len(), "no two are told under one name");
    }
}
