//! One look at a master, for who checks a setup.

use super::Plan;
use crate::client::{Client, Event};
use crate::core::lineage::InstanceId;
use crate::wire::client::Message;

/// How many answers are waited for: the original tells one thing in each, and welcomes first.
const ANSWERS: usize = 6;

/// What a master has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Found {
    /// Rooms.
    pub rooms: usize,
    /// PCs.
    pub pcs: usize,
    /// Rooms in which something is reserved today.
    pub reserved: usize,
}

impl Plan {
    /// Asks the master once for all that a mirror of this name asks for, and takes nothing over.
    ///
    /// # Errors
    /// Why it cannot be followed, for people to read: of another machine, to be made plain before it is shown.
    pub async fn look(&self, name: &InstanceId) -> Result<Found, String> {
        let mut client = Client::of_mirror(self.server.clone(), name, self.pace);
        let (mut found, mut heard) = (Found::default(), [false; 3]);
        for _ in 0..ANSWERS {
            let reply = match client.next().await {
                Event::Heard(reply) => reply,
                Event::Down { why, .. } => return Err(why),
            };
            for message in reply.messages {
                match message {
                    Message::RoomMap { rooms, .. } => (found.rooms, heard[0]) = (rooms.len(), true),
                    Message::Occupation { states, .. } => (found.pcs, heard[1]) = (states.len(), true),
                    Message::Schedule { rooms, .. } => (found.reserved, heard[2]) = (rooms.len(), true),
                    _ => {}
                }
            }
            if heard == [true; 3] {
                return Ok(found);
            }
        }
        Err("it answers, but not what is asked for; is this the address of a tkbd?".into())
    }
}
