//! Messages that are made once for all who are told the same.

use super::audience::AudienceId;
use super::message::{Body, Message};
use super::version::Version;
use std::collections::VecDeque;
use std::sync::Arc;

/// Messages that were made lately: ten thousand clients that come back at once are told the same, made
/// and serialised once.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    /// The newest last.
    made: VecDeque<(Made, Arc<Message>)>,
}

/// What was made, of which versions: what is out of date is asked for by nobody, and falls out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Made {
    Welcome,
    Tags(Version),
    TagMap(Version),
    RoomMap(AudienceId, Version),
    Schedule(AudienceId, Version),
    Occupation(AudienceId, Version),
    /// Since one version, up to another.
    Update(AudienceId, Version, Version),
}

impl Made {
    fn audience(&self) -> Option<AudienceId> {
        match self {
            Made::Welcome | Made::Tags(_) | Made::TagMap(_) => None,
            Made::RoomMap(audience, _)
            | Made::Schedule(audience, _)
            | Made::Occupation(audience, _)
            | Made::Update(audience, _, _) => Some(*audience),
        }
    }
}

impl Snapshots {
    /// Enough for the filters that most clients use; it bounds what is kept, not what is sent.
    const MAX: usize = 64;

    pub(super) fn of(&mut self, what: Made, make: impl FnOnce() -> Body) -> Arc<Message> {
        let found = self.made.iter().rev().find(|(made, _)| *made == what);
        if let Some((_, message)) = found {
            return message.clone();
        }
        let message = Message::new(make());
        if self.made.len() == Self::MAX {
            self.made.pop_front();
        }
        self.made.push_back((what, message.clone()));
        message
    }

    /// An audience is no more, and its number will be another's.
    pub(super) fn forget(&mut self, audience: AudienceId) {
        self.made.retain(|(made, _)| made.audience() != Some(audience));
    }
}
