//! What the hub asks of the history.

use super::*;
use crate::core::house::Terms;
use crate::core::origins::Share;
use crate::core::poll::Ask;
use crate::core::room::Rules;
use crate::core::state::{Growth, Plan, Remains};
use crate::core::tag::{FilterChange, TagFilter};
use crate::core::token::Token;
use crate::history::{self, Options};
use std::collections::BTreeSet;

/// Somebody who takes whatever comes.
struct Anybody;

impl Recipient for Anybody {
    fn deliver(self: Box<Self>, _: Reply) {}
}

fn house() -> House {
    let growth = Growth { pcs: 1, rooms: 1, sources: 1 };
    let plan = Plan { rooms: Vec::new(), rules: Rules::default(), growth };
    let terms = Terms {
        hold: Duration::from_secs(20),
        channel_expiry: Duration::from_secs(300),
        max_channels: 10,
        share: Share { channels: 10, per_second: 20 },
        max_remembered: 10,
        refresh: Duration::from_secs(600),
    };
    House::new(plan, Remains::default(), None, terms)
}

#[tokio::test]
async fn c3_filters_wait_for_the_disk_once_however_often_they_are_set() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.sqlite3");
    let (history, _) = history::open(&Options { path: path.clone(), backlog: 1000 }).unwrap();
    let hub = Hub::new(house(), history.clone());
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let second = Duration::from_secs(1);
    let mut now = Instant::now();
    for i in 0..100 {
        let filter = if i % 2 == 0 { TagFilter::Everything } else { TagFilter::Tags(BTreeSet::new()) };
        let change = FilterChange { occupation: Some(filter), ..FilterChange::default() };
        let asks = vec![Ask::SetFilter(change)];
        let poll = Poll { token: Token::parse("t").unwrap(), near: None, asks, origin: None };
        assert!(hub.poll(poll, Box::new(Anybody), now).is_ok());
        now += second;
        hub.save_filters(now);
    }
    let waiting = history.status().backlog;
    assert!(waiting <= 2, "{waiting} records of one channel's filter");
}
