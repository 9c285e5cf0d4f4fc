//! The task with a hub, and a clock that is set by hand. No socket, and so tokio's paused time tells no lies.

use super::super::{Booking, Error, Fetching, Provider, Pull, Timetable};
use super::*;
use crate::core::house::{House, Terms};
use crate::core::message::Body;
use crate::core::origins::Share;
use crate::core::pc::{Occupation, PcName};
use crate::core::poll::{Ask, Poll, Reply};
use crate::core::push::Push;
use crate::core::room::{RoomKey, RoomPlan, Rule, Rules};
use crate::core::source::{Source, Timestamp};
use crate::core::state::{Growth, Plan as StatePlan, Remains};
use crate::core::token::Token;
use crate::history::History;
use crate::hub::Recipient;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// One of every room and day, which says how often it was asked; from the second time on it fails.
#[derive(Default)]
struct Counting {
    asked: AtomicUsize,
    panics: bool,
}

impl Provider for Counting {
    fn fetch<'a>(&'a self, pull: &'a Pull) -> Fetching<'a> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        assert!(!self.panics || number != 1, "a defect, made on purpose");
        Box::pin(async move {
            let mut timetable = Timetable::default();
            for (room, day) in
                pull.rooms.iter().flat_map(|room| pull.day.and_following().map(move |day| (room, day)))
            {
                let start = day.start() + chrono::TimeDelta::hours(9);
                let text = format!("{} of pull {number}", day.date);
                timetable.add([Booking {
                    room: room.key.clone(),
                    start,
                    end: start + chrono::TimeDelta::hours(1),
                    text,
                }])?;
            }
            if number > 2 { Err(Error::TooSlow) } else { Ok(timetable) }
        })
    }
}

struct Heard(mpsc::UnboundedSender<Vec<(String, String)>>);

impl Recipient for Heard {
    fn deliver(self: Box<Self>, reply: Reply) {
        let mut schedules = reply.messages.iter().filter_map(|message| match message.body() {
            Body::Schedule { schedule, .. } => Some(schedule.clone()),
            _ => None,
        });
        let shown = schedules.next_back().map(|rooms| {
            let texts = rooms
                .into_iter()
                .flat_map(|(room, all)| all.into_iter().map(move |it| (room.to_string(), it.text)));
            texts.collect()
        });
        if let Some(shown) = shown {
            let _ = self.0.send(shown);
        }
    }
}

fn hub() -> Arc<Hub> {
    let rules = Rules {
        rules: vec![Rule { pattern: regex::Regex::new("^(.)pc").unwrap(), room: "$1".into() }],
        ..Rules::default()
    };
    let a = RoomPlan { key: RoomKey::parse("a").unwrap(), name: "A".into(), tags: Vec::new() };
    let plan = StatePlan { rooms: vec![a], rules, growth: Growth { pcs: 9, rooms: 9, sources: 9 } };
    let hour = Duration::from_secs(3_600);
    let terms = Terms {
        hold: 99 * hour,
        channel_expiry: 99 * hour,
        max_channels: 9,
        share: Share { channels: 9, per_second: 9 },
        max_remembered: 9,
        refresh: 99 * hour,
    };
    Arc::new(Hub::new(House::new(plan, Remains::default(), None, terms), History::none()))
}

/// The schedules that a channel is told, as they change.
struct Listener {
    hub: Arc<Hub>,
    heard: mpsc::UnboundedReceiver<Vec<(String, String)>>,
    said: mpsc::UnboundedSender<Vec<(String, String)>>,
}

impl Listener {
    fn new(hub: &Arc<Hub>) -> Listener {
        let (said, heard) = mpsc::unbounded_channel();
        let listener = Listener { hub: hub.clone(), heard, said };
        let everything = || Some(crate::core::tag::TagFilter::Everything);
        let filter =
            crate::core::tag::FilterChange { occupation: None, room_map: None, schedule: everything() };
        listener.poll(vec![Ask::SetFilter(filter)]);
        listener.poll(Vec::new());
        listener
    }

    fn poll(&self, asks: Vec<Ask>) {
        let token = Token::parse("listener").unwrap();
        let polled = self.hub.poll(
            Poll { token, near: None, asks, origin: None },
            Box::new(Heard(self.said.clone())),
            Instant::now(),
        );
        assert!(polled.is_ok());
    }

    async fn next(&mut self) -> Vec<(String, String)> {
        let heard = self.heard.recv().await.unwrap();
        self.poll(Vec::new());
        heard
    }
}

/// A plan that stays.
fn planned(plan: Plan) -> watch::Receiver<Option<Plan>> {
    watch::Sender::new(Some(plan)).subscribe()
}

fn plan(provider: Counting) -> Plan {
    let pace = Pace { every: Duration::from_secs(960), retry: Duration::from_secs(300) };
    let feeds = vec![Feed { label: "counting".into(), provider: Arc::new(provider) }];
    Plan { feeds, closures: Arc::default(), pace, zone: chrono_tz::Europe::Amsterdam }
}

fn row(room: &str, text: &str) -> (String, String) {
    (room.to_owned(), text.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_new_day_is_shown_at_midnight_from_what_is_known_and_survives_a_server_that_is_down() {
    static SECONDS: AtomicI64 = AtomicI64::new(0);
    let at = |text: &str| SECONDS.store(text.parse::<DateTime<Utc>>().unwrap().timestamp(), Ordering::SeqCst);
    // 23:50 in Amsterdam; the clock then stands still until it is set.
    at("2026-11-23T22:50:00Z");
    let clock: Clock = || DateTime::from_timestamp(SECONDS.load(Ordering::SeqCst), 0).unwrap();
    let (hub, shutdown) = (hub(), CancellationToken::new());
    let mut listener = Listener::new(&hub);
    let task = tokio::spawn(run(planned(plan(Counting::default())), hub.clone(), clock, shutdown.clone()));

    assert_eq!(listener.next().await, [row("a", "2026-11-23 of pull 1")]);
    at("2026-11-23T23:00:00Z");
    assert_eq!(listener.next().await, [row("a", "2026-11-24 of pull 1")], "at once, before anybody is asked");
    let shown = tokio::time::Instant::now();
    assert_eq!(listener.next().await, [row("a", "2026-11-24 of pull 2")], "and then it is asked for");
    assert!(shown.elapsed() < Duration::from_secs(60), "not when it would have been anyway");
    // From the third pull on the server is down, and its bookings of the next day are known all the same.
    let version = hub.versions().schedule;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(hub.versions().schedule, version, "the last good schedule stays, and spends no version");
    at("2026-11-25T05:00:00Z");
    assert_eq!(listener.next().await, [row("a", "2026-11-25 of pull 2")]);

    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_room_that_appears_is_asked_for_soon() {
    let clock: Clock = || "2026-11-23T09:00:00Z".parse().unwrap();
    let (hub, shutdown) = (hub(), CancellationToken::new());
    let mut listener = Listener::new(&hub);
    tokio::spawn(run(planned(plan(Counting::default())), hub.clone(), clock, shutdown));
    assert_eq!(listener.next().await, [row("a", "2026-11-23 of pull 1")]);

    let began = tokio::time::Instant::now();
    let states = vec![(PcName::parse("bpc1").unwrap(), Occupation::Off)];
    let push = Push::new(Source::parse("t").unwrap(), Timestamp(0), states).unwrap();
    hub.push(push, hub.reserve().unwrap(), Instant::now()).unwrap().deliveries.send().await;
    assert_eq!(listener.next().await, [row("a", "2026-11-23 of pull 2"), row("b", "2026-11-23 of pull 2")]);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn t1_polling_survives_a_provider_that_panics() {
    let clock: Clock = || "2026-11-23T09:00:00Z".parse().unwrap();
    let (hub, shutdown) = (hub(), CancellationToken::new());
    let mut listener = Listener::new(&hub);
    tokio::spawn(run(
        planned(plan(Counting { panics: true, ..Counting::default() })),
        hub.clone(),
        clock,
        shutdown,
    ));
    assert_eq!(listener.next().await, [row("a", "2026-11-23 of pull 2")]);
}
