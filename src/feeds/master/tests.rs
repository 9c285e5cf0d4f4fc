//! The task with a hub, a master that says what a test tells it to, and a clock that is set by hand.

use super::*;
use crate::core::house::{House, Terms};
use crate::core::origins::Share;
use crate::core::room::Rules;
use crate::core::state::{Growth, Plan as StatePlan, Remains};
use crate::history::History;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn hub() -> Arc<Hub> {
    let growth = Growth { pcs: 9, rooms: 9, sources: 9 };
    let plan = StatePlan { rooms: Vec::new(), rules: Rules::default(), growth };
    let hour = Duration::from_secs(3_600);
    let terms = Terms {
        hold: hour,
        channel_expiry: hour,
        max_channels: 9,
        share: Share { channels: 9, per_second: 9 },
        max_remembered: 9,
        refresh: hour,
    };
    Arc::new(Hub::new(House::new(plan, Remains::default(), None, terms), History::none()))
}

/// Answers the first requests with these bodies, and breaks every later one off; counts what was asked.
async fn master(bodies: Vec<String>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let body = bodies.get(count.fetch_add(1, Ordering::SeqCst));
            let mut request = Vec::new();
            while stream.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
                if request.ends_with(b"]") {
                    break;
                }
            }
            if let Some(body) = body {
                let length = body.len();
                let head =
                    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
                let _ = stream.write_all((head + body).as_bytes()).await;
            }
        }
    });
    (address, asked)
}

fn plan(address: &str) -> (Plan, watch::Sender<Tz>) {
    let pace = Pace { least: Duration::from_millis(5), most: Duration::from_millis(20) };
    let source = Source::parse("mirror").unwrap();
    let minute = Duration::from_secs(60);
    let zone = watch::Sender::new(Tz::Europe__Amsterdam);
    let plan = Plan::new(address, None, source, minute, pace, minute).unwrap();
    (plan.in_days_of(zone.subscribe()), zone)
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let end = Duration::from_secs(20);
    assert!(tokio::time::timeout(end, waiting).await.is_ok(), "it never came to be that {what}");
}

#[tokio::test]
async fn k1_while_the_master_is_away_its_reservations_end_with_their_day() {
    // An hour before midnight.
    static NOW: AtomicI64 = AtomicI64::new(1_795_471_200);
    let clock: Clock = || DateTime::from_timestamp(NOW.load(Ordering::SeqCst), 0).unwrap();
    assert_eq!(clock().to_rfc3339(), "2026-11-23T22:00:00+00:00");
    assert_end_with_their_day(clock, |_| {
        NOW.fetch_add(2 * 3_600, Ordering::SeqCst);
    })
    .await;
}

#[tokio::test]
async fn k1_the_day_of_a_masters_reservations_is_that_of_the_zone_that_counts_now() {
    let clock: Clock = || DateTime::from_timestamp(1_795_471_200, 0).unwrap();
    assert_end_with_their_day(clock, |zone| {
        zone.send_replace(Tz::Asia__Tokyo);
    })
    .await;
}

/// Follows a master that tells of a reservation and then is away, until `end` makes the day another.
async fn assert_end_with_their_day(clock: Clock, end: impl FnOnce(&watch::Sender<Tz>)) {
    let says = r#"["t",[{"type":"welcome","protocols":[1]},
        {"type":"roomMap","version":1,"roomMap":{"a":["A",[]]}},
        {"type":"schedule","version":1,"schedule":{"a":[[[9,0],[10,0],"Monday"]]}}],[]]"#;
    let (address, asked) = master(vec![says.into()]).await;
    let (hub, shutdown) = (hub(), CancellationToken::new());
    let (plan, zone) = plan(&address);
    let following = tokio::spawn(run(plan, hub.clone(), clock, shutdown.clone()));
    let reserved = || {
        let snapshot = hub.snapshot();
        snapshot.room("a").is_some_and(|room| !room.schedule().is_empty())
    };
    until("something is reserved", reserved).await;
    // It is away by now, and was asked again: the last state is served.
    until("it was asked again", || asked.load(Ordering::SeqCst) > 3).await;
    assert!(reserved());
    end(&zone);
    until("nothing is reserved", || !reserved()).await;
    assert!(hub.snapshot().room("a").is_some(), "rooms are of no day");
    shutdown.cancel();
    following.await.unwrap();
}
