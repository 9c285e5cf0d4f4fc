//! The replies that a change, a time-out or the end comes to, on their way to those who are held.

use super::Recipient;
use super::figures::{self, Counted};
use crate::core::channel::ChannelId;
use crate::core::poll::{Delivery, Reply};
use std::time::{Duration, Instant};

/// Replies for held requests that were taken out of the list.
#[must_use = "requests that were taken out are answered by nobody else"]
#[derive(Default)]
pub struct Deliveries {
    pub(super) all: Vec<(Delivery, Recipients)>,
    pub(super) counted: Counted,
}

pub(super) type Recipients = Vec<(ChannelId, Box<dyn Recipient>)>;

impl Deliveries {
    /// How long requests are answered before others that run on this thread get their turn. Writing a
    /// whole fan-out at once makes it fastest, so this is what may be asked of them (docs/performance.md).
    const TURN: Duration = Duration::from_millis(50);

    /// How many are answered before the time is looked at.
    const BATCH: usize = 256;

    /// How many requests are to be answered.
    pub fn len(&self) -> usize {
        self.all.iter().map(|(_, recipients)| recipients.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Answers them.
    pub async fn send(self) {
        let mut turn = Instant::now();
        let mut sent = 0;
        for (delivery, recipients) in self.all {
            for (channel, recipient) in recipients {
                let receipt = delivery.receipt(channel);
                recipient.deliver(Reply { messages: delivery.messages.clone(), receipt });
                sent += 1;
                if sent % Self::BATCH == 0 && turn.elapsed() > Self::TURN {
                    tokio::task::yield_now().await;
                    turn = Instant::now();
                }
            }
        }
        figures::count_sent(&self.counted, sent);
    }
}
