//! What the hub asks of the history.

use super::*;
use crate::core::house::Terms;
use crate::core::origins::Share;
use crate::core::poll::Ask;
use crate::core::room::Rules;
use crate::core::state::{Growth, Plan, Remains};
use crate::core::tag::{FilterChange, TagFilter};
use crate::core::token::Token;
use crate::health::assert_aborts;
use crate::history::{self, Options};
use std::time::Duration;

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
    let (history, _) = history::open(&Options { backlog: 1000, ..Options::at(&path) }).unwrap();
    let hub = Hub::new(house(), history.clone());
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let second = Duration::from_secs(1);
    let mut now = Instant::now();
    for i in 0..100 {
        let filter = if i % 2 == 0 { TagFilter::Everything } else { TagFilter::nothing() };
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

#[tokio::test]
async fn a_state_that_cannot_be_had_is_not_live_until_it_can() {
    let (hub, patience) = (Arc::new(Hub::new(house(), History::none())), Duration::from_millis(20));
    assert!(hub.is_live(patience).await);
    let (holds, held) = tokio::sync::oneshot::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let holder = std::thread::spawn({
        let hub = hub.clone();
        move || {
            let inner = hub.lock();
            holds.send(()).unwrap();
            // It ends when the other end is dropped.
            let _ = released.recv();
            drop(inner);
        }
    });
    held.await.unwrap();
    assert!(!hub.is_live(patience).await);
    drop(release);
    holder.join().unwrap();
    assert!(hub.is_live(patience).await);
}

#[tokio::test]
async fn o5_there_is_no_pulse_where_the_clock_of_the_state_does_not_run() {
    let hub = Arc::new(Hub::new(house(), History::none()));
    let soon = Duration::from_millis(50);
    assert!(tokio::time::timeout(soon, hub.pulse()).await.is_err(), "nothing looks at the state");
    let clock = tokio::spawn({
        let hub = hub.clone();
        async move { hub.run_clock().await }
    });
    for _ in 0..3 {
        hub.pulse().await;
    }
    clock.abort();
    assert!(clock.await.is_err());
    assert!(tokio::time::timeout(soon, hub.pulse()).await.is_err(), "it does so no longer");
}

#[test]
fn a_reply_that_comes_back_is_counted() {
    struct Unlucky(Arc<Hub>);
    impl Recipient for Unlucky {
        fn deliver(self: Box<Self>, reply: Reply) {
            self.0.give_back(reply.receipt, Instant::now());
        }
    }
    let hub = Arc::new(Hub::new(house(), History::none()));
    let given_back = || hub.health().counts.given_back.so_far();
    let token = Token::parse("t").unwrap();
    let poll = || Poll { token: token.clone(), near: None, asks: vec![Ask::RoomMap], origin: None };
    assert!(hub.poll(poll(), Box::new(Anybody), Instant::now()).is_ok());
    assert_eq!(given_back(), 0);
    assert!(hub.poll(poll(), Box::new(Unlucky(hub.clone())), Instant::now()).is_ok());
    assert_eq!(given_back(), 1);
}

#[test]
fn o5_a_panic_under_the_lock_ends_the_process_at_the_next_touch_of_the_state() {
    let test = "hub::tests::o5_a_panic_under_the_lock_ends_the_process_at_the_next_touch_of_the_state";
    assert_aborts(test, std::path::Path::new("."), |_| {
        let hub = Arc::new(Hub::new(house(), History::none()));
        let held = hub.clone();
        let verb = std::thread::spawn(move || {
            let _inner = held.lock();
            panic!("a verb has panicked half way");
        });
        assert!(verb.join().is_err());
        hub.versions();
    });
}
