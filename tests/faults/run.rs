//! One run: the real hub on the real history, in one thread and with a time that is made up, on a disk that fails by
//! plan. Pushers, channels, a master, the clock and the disk are drawn at random; what must hold is checked after each
//! step and at each start.

use super::campus::{self, Campus, Row};
use super::client::{Client, Inbox};
use super::disk::{Disk, End, Fault};
use super::random::Random;
use super::truth::Said;
use super::vfs::{self, disk};
use regex::Regex;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll as Polling, Waker};
use std::time::{Duration, Instant};
use tkbd::core::house::{House, Terms};
use tkbd::core::message::HistoricRange;
use tkbd::core::origins::Share;
use tkbd::core::pc::{Occupation, PcName};
use tkbd::core::poll::Poll;
use tkbd::core::push::Push;
use tkbd::core::room::{Rule, Rules};
use tkbd::core::source::{Source, Timestamp};
use tkbd::core::state::{Digests, Growth, Plan, Remains};
use tkbd::core::tag::Filter;
use tkbd::core::version::Versions;
use tkbd::history::{
    Acknowledgement, Clock, CloseError, Driven, History, NotDurable, OpenError, Options, Restored, Step,
    open_driven,
};
use tkbd::hub::{Deliveries, Hub};
use tokio::runtime::{Builder, Runtime};

/// How many of the last steps are told of a run that fails.
const TOLD: usize = 60;

/// A filter is saved within this time (reliability.md C3).
const SAVED: Duration = Duration::from_secs(1);

/// After this long, all is written that waited for a disk that works again (reliability.md D1).
const RECOVERED: Duration = Duration::from_secs(10);

/// How long a start waits for another program's lock (reliability.md D3).
const LOCKED: Duration = Duration::from_secs(5);

/// Only versions that come from the clock are as high.
const CLOCK: u64 = 1_000_000_000_000;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

type Durable = Pin<Box<dyn Future<Output = Result<(), NotDurable>>>>;

/// The daemon, as far as it is simulated.
struct Daemon {
    hub: Hub,
    history: History,
    driven: Driven,
}

/// A push that is not acknowledged yet.
struct Waiting {
    durable: Durable,
    /// How many rows its acknowledgement is for.
    covers: usize,
    pusher: usize,
}

pub(crate) struct Run {
    random: Random,
    told: VecDeque<String>,
    aloud: bool,
    options: Options,
    terms: Terms,
    growth: Growth,
    /// Whether there is a master.
    follows: bool,
    now: Instant,
    began: Instant,
    wall: Arc<AtomicI64>,
    daemon: Option<Daemon>,
    campus: Campus,
    /// All rows that were ever to be written and are not known to be lost, and after which of them a push ends.
    rows: Vec<Row>,
    ends: Vec<usize>,
    /// How many of them were acknowledged.
    acknowledged: usize,
    /// The highest versions there were, and what each has named.
    highest: [u64; 4],
    named: [HashMap<u64, u64>; 4],
    waiting: Vec<Waiting>,
    /// What each pusher has said and not been acknowledged.
    unsure: Vec<Option<Vec<(PcName, Occupation)>>>,
    clients: Vec<Client>,
    inbox: Inbox,
    /// When the writer tries again.
    writer_due: Instant,
    /// When the disk last was in the way.
    rough: Instant,
    /// Whether there was a start before.
    started: bool,
    /// The last start could not write, and so the next one goes on from the clock as it did.
    unmarked: bool,
    /// Whether versions have come from the clock.
    jumped: bool,
    /// Nothing of what is sent is lost, for now.
    reliable: bool,
}

impl Run {
    pub(crate) fn new(seed: u64, options: Options, aloud: bool) -> Run {
        let mut random = Random::new(seed);
        vfs::replace(random.next());
        let now = Instant::now();
        let options = Options { backlog: *random.pick(&[2, 3, 5, 16]), ..options };
        let terms = Terms {
            hold: Duration::from_secs(20),
            channel_expiry: Duration::from_secs(60),
            max_channels: random.between(2, 6),
            max_remembered: *random.pick(&[1, 100, 100, 100]),
            share: Share { channels: 99, per_second: 99 },
            refresh: Duration::from_secs(600),
        };
        let growth = Growth { pcs: random.between(6, 14), rooms: 20, sources: random.between(1, 3) };
        let mut run = Run {
            follows: random.chance(50),
            unsure: vec![None; random.between(1, 3)],
            random,
            told: VecDeque::new(),
            aloud,
            options,
            terms,
            growth,
            now,
            began: now,
            wall: Arc::new(AtomicI64::new(1_700_000_000)),
            daemon: None,
            campus: Campus::of_rows(growth, &[]),
            rows: Vec::new(),
            ends: vec![0],
            acknowledged: 0,
            highest: [0; 4],
            named: Default::default(),
            waiting: Vec::new(),
            clients: Vec::new(),
            inbox: Inbox::default(),
            writer_due: now,
            rough: now,
            started: false,
            unmarked: false,
            jumped: false,
            reliable: false,
        };
        let (backlog, follows) = (run.options.backlog, run.follows);
        run.say(|| format!("backlog {backlog}, {terms:?}, {growth:?}, a master: {follows}"));
        for _ in 0..run.random.between(1, 4) {
            run.add_client();
        }
        run
    }

    /// What happened last.
    pub(crate) fn told(&self) -> impl Iterator<Item = &String> {
        self.told.iter()
    }

    pub(crate) fn steps(&mut self, steps: usize) {
        self.weather();
        self.start(Some(true));
        for _ in 0..steps {
            self.step();
            self.check();
        }
        self.end();
    }

    fn step(&mut self) {
        match self.random.below(1000) {
            0..280 => self.push(),
            280..520 => {
                let client = self.random.below(self.clients.len());
                self.poll(client);
            }
            520..550 => self.leave(),
            550..600 => self.give_back(),
            600..630 => self.set_schedule(),
            630..670 => self.hear_master(),
            670..690 => self.add_client(),
            690..840 => self.pass_time(),
            840..890 => self.write(),
            890..910 => drop(self.read()),
            910..950 => self.weather(),
            950..965 => self.step_clock(),
            965..975 => {
                let client = self.random.below(self.clients.len());
                self.settle(client);
            }
            975..985 => self.stop(),
            _ => {
                disk(Disk::stop);
                self.die(Some(false));
            }
        }
    }

    /// At last nothing goes wrong any more: all that waits is written, and everybody knows the truth.
    fn end(&mut self) {
        self.say(|| "the end: from here on nothing goes wrong".into());
        disk(Disk::mend);
        self.advance(RECOVERED);
        self.check();
        let status = self.daemon().history.status();
        assert!(
            status.healthy() && status.backlog == 0,
            "the disk works again, and the history does not: {status:?}"
        );
        assert!(self.waiting.is_empty(), "all that was written is acknowledged");
        assert_eq!(self.acknowledged, self.rows.len(), "all rows are acknowledged");
        assert!(self.read().is_some(), "the rows can be read");
        for client in 0..self.clients.len() {
            self.settle(client);
            self.check();
        }
        self.stop();
        self.check();
        assert_eq!(self.acknowledged, self.rows.len(), "a stop in order loses nothing");
        for client in 0..self.clients.len() {
            self.settle(client);
            self.check();
        }
    }

    // ---- What must hold after every step ---------------------------------------------------------

    fn check(&mut self) {
        self.take_arrivals();
        self.take_acknowledgements();
        if disk(|disk| disk.has_crashed()) {
            self.die(Some(false));
        }
        let status = self.daemon().history.status();
        let bound = 2 * self.options.backlog;
        assert!(status.backlog <= bound, "{} records wait, of {bound} that may", status.backlog);
        let versions = numbers(self.daemon().hub.versions());
        let prints = self.campus.prints();
        for (kind, (version, print)) in versions.into_iter().zip(prints).enumerate() {
            assert!(
                version >= self.highest[kind],
                "version {kind} falls from {} to {version}",
                self.highest[kind]
            );
            self.highest[kind] = version;
            let named = self.named[kind].entry(version).or_insert(print);
            assert_eq!(*named, print, "version {version} of {kind} names two states");
        }
        let census = self.daemon().hub.census();
        assert!(census.channels <= self.terms.max_channels, "{census:?}");
    }

    fn take_acknowledgements(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain_mut(|push| match once(push.durable.as_mut()) {
            None => true,
            Some(done) => {
                assert_eq!(done, Ok(()), "the writer lives");
                self.acknowledged = self.acknowledged.max(push.covers);
                self.unsure[push.pusher] = None;
                false
            }
        });
        self.waiting = waiting;
    }

    fn take_arrivals(&mut self) {
        for arrival in self.inbox.take() {
            let fate = if self.reliable { 0 } else { self.random.below(10) };
            let client = &mut self.clients[arrival.client];
            if client.request == arrival.request {
                client.held = None;
            }
            let Some(reply) = arrival.reply else { continue };
            let said: Vec<Said> = reply.messages.iter().map(|message| Said::of(message)).collect();
            match fate {
                8 => client.lost.push(reply.receipt),
                9 if client.slow.is_none() && client.request == arrival.request => {
                    client.slow = Some((said, reply.receipt));
                }
                _ => client.receive(&said),
            }
        }
    }

    // ---- What happens ----------------------------------------------------------------------------

    fn push(&mut self) {
        let pusher = self.random.below(self.unsure.len());
        let states = match &self.unsure[pusher] {
            // It was not told that it is done, and says it again.
            Some(states) if self.random.chance(50) => states.clone(),
            _ => campus::states(&mut self.random),
        };
        let source = format!("pusher {pusher}");
        self.push_as(pusher, &source, states);
    }

    fn push_as(&mut self, pusher: usize, source: &str, states: Vec<(PcName, Occupation)>) {
        let Ok(place) = self.daemon().hub.reserve() else {
            self.say(|| format!("{source} is told to come back"));
            let backlog = self.daemon().history.status().backlog;
            assert!(backlog >= self.options.backlog, "refused, and only {backlog} records wait");
            return;
        };
        if self.random.chance(3) {
            return drop(place);
        }
        let at = self.wall.load(Ordering::Relaxed);
        let push = Push::new(Source::parse(source).unwrap(), Timestamp(at), states.clone()).unwrap();
        let pushed = self.daemon().hub.push(push, place, self.now);
        let news = self.campus.push(source, &states);
        self.say(|| format!("{source} says {states:?}, of which is news: {news:?}"));
        assert_eq!(pushed.is_ok(), news.is_some(), "whether there is a place for {states:?} of {source}");
        let (Ok(pushed), Some(news)) = (pushed, news) else { return };
        let row = |(pc, occupation)| Row { pc, source: source.to_owned(), at, occupation };
        if !news.is_empty() {
            self.rows.extend(news.into_iter().map(row));
            self.ends.push(self.rows.len());
        }
        self.unsure[pusher] = Some(states);
        self.wait_for(pusher, pushed.recorded);
        send(pushed.deliveries);
    }

    fn wait_for(&mut self, pusher: usize, recorded: Acknowledgement) {
        self.waiting.push(Waiting { durable: Box::pin(recorded.durable()), covers: self.rows.len(), pusher });
    }

    fn set_schedule(&mut self) {
        let Ok(place) = self.daemon().hub.reserve() else { return };
        let schedule = campus::schedule(&mut self.random);
        self.say(|| format!("reserved: {schedule:?}"));
        self.campus.set_schedule(&schedule);
        let deliveries = self.daemon().hub.set_schedule(&schedule, place, self.now);
        send(deliveries);
    }

    /// The master is there, and says how it has its rooms, and how they are. At other times it is away.
    fn hear_master(&mut self) {
        if !self.follows {
            return;
        }
        if let Ok(place) = self.daemon().hub.reserve() {
            let lead = campus::lead(&mut self.random);
            self.say(|| format!("the master says {lead:?}"));
            self.campus.follow(&lead);
            let (deliveries, left_out) = self.daemon().hub.follow(&lead, place, self.now);
            assert_eq!(left_out, 0, "what the master says has its place");
            send(deliveries);
        }
        self.check();
        let states = campus::states(&mut self.random);
        let pusher = self.random.below(self.unsure.len());
        self.push_as(pusher, "pusher 0", states);
    }

    fn add_client(&mut self) {
        if self.clients.len() < 8 {
            let filter = campus::filter(&mut self.random);
            let client = Client::new(&mut self.random, filter, self.now);
            self.clients.push(client);
        }
    }

    fn poll(&mut self, index: usize) {
        if let Some((said, receipt)) = self.clients[index].slow.take() {
            // It has taken long for its last reply, and now has it; or the daemon has lost its patience.
            if self.reliable || self.random.chance(50) {
                self.clients[index].receive(&said);
            } else {
                self.daemon().hub.give_back(receipt, self.now);
            }
        }
        if !self.reliable && self.clients[index].away_until > self.now {
            return;
        }
        let client = &mut self.clients[index];
        let asks = client.asks();
        let wishes = !asks.is_empty();
        client.request += 1;
        let poll = Poll {
            token: client.reader.token.clone(),
            near: client.held.map(|(at, _)| at),
            asks,
            origin: None,
        };
        let recipient = self.inbox.recipient(index, client.request);
        let polled = self.daemon().hub.poll(poll, recipient, self.now);
        self.say(|| {
            format!("client {index} asks (wishes: {wishes}): {:?}", polled.as_ref().map_err(|(none, _)| none))
        });
        let client = &mut self.clients[index];
        client.asked_at = self.now;
        if let Ok((channel, hold)) = polled {
            client.held = hold.map(|hold| (channel, hold));
            if wishes {
                client.asked = true;
                client.known.get_or_insert(self.now);
            }
        }
        self.take_arrivals();
    }

    fn leave(&mut self) {
        let index = self.random.below(self.clients.len());
        let long = *self.random.pick(&[1, 30, 90, 600]);
        self.say(|| format!("client {index} leaves for {long} s"));
        let client = &mut self.clients[index];
        client.away_until = self.now + Duration::from_secs(long);
        if let Some((channel, hold)) = client.held.take() {
            self.daemon().hub.withdraw(channel, hold, self.now);
        }
    }

    fn give_back(&mut self) {
        let index = self.random.below(self.clients.len());
        if let Some(receipt) = self.clients[index].lost.pop() {
            self.say(|| format!("a reply has not reached client {index}: {receipt:?}"));
            self.daemon().hub.give_back(receipt, self.now);
        }
    }

    fn pass_time(&mut self) {
        let millis = match self.random.below(100) {
            0..50 => self.random.below(800),
            50..80 => self.random.below(6_000),
            80..98 => self.random.below(90_000),
            _ => return self.suspend(),
        };
        self.advance(Duration::from_millis(millis as u64));
    }

    /// The machine sleeps, for longer than filters are kept: all that was to happen meanwhile happens at once.
    fn suspend(&mut self) {
        self.say(|| "the machine sleeps for a day".into());
        let time = DAY + Duration::from_secs(3600);
        self.now += time;
        self.wall.fetch_add(time.as_secs().cast_signed(), Ordering::Relaxed);
        let now = self.now;
        let deliveries = self.daemon().hub.tick(now);
        send(deliveries);
        self.daemon().hub.save_filters(now);
        self.write();
        self.take_arrivals();
        self.forget_filters();
    }

    /// Lets time pass, with all that is to happen meanwhile.
    fn advance(&mut self, time: Duration) {
        self.say(|| format!("{time:?} pass"));
        let until = self.now + time;
        let wall = self.wall.load(Ordering::Relaxed);
        let started = self.now;
        loop {
            self.write();
            if disk(|disk| disk.has_crashed()) {
                return;
            }
            let idle = self.daemon().history.status().healthy();
            let writer = (!idle && self.writer_due > self.now).then_some(self.writer_due);
            let next = [self.daemon().hub.next_deadline(), writer].into_iter().flatten().min();
            let next = next.unwrap_or(until).min(until).max(self.now);
            if next == until && next == self.now {
                break;
            }
            self.now = next;
            self.wall.store(wall + (next - started).as_secs().cast_signed(), Ordering::Relaxed);
            let now = self.now;
            let deliveries = self.daemon().hub.tick(now);
            send(deliveries);
            self.daemon().hub.save_filters(now);
            self.take_arrivals();
            if next == until {
                self.write();
                break;
            }
        }
    }

    /// What channels that are not there listened to may be forgotten by now.
    fn forget_filters(&mut self) {
        let (now, rough) = (self.now, self.rough);
        for client in &mut self.clients {
            let is_there = client.held.is_some() && client.asked_at.max(rough) + SAVED <= now;
            client.known = client.known.filter(|_| is_there);
        }
    }

    /// What the thread that writes would do now.
    fn write(&mut self) {
        if !self.daemon().history.status().healthy() {
            self.rough = self.now;
        }
        while self.now >= self.writer_due {
            let step = self.daemon_mut().driven.write();
            match step {
                Step::Idle => return,
                Step::Wrote => {}
                Step::Failed(pause) => {
                    self.say(|| format!("the disk does not take it; again after {pause:?}"));
                    self.writer_due = self.now + pause;
                }
                Step::Ended => panic!("the writer ends by itself"),
            }
        }
        self.rough = self.now;
    }

    /// Reads all rows, and says how many there are; none where the disk is in the way.
    fn read(&mut self) -> Option<usize> {
        let failures = disk(|disk| disk.failures);
        let well = disk(|disk| disk.is_well());
        let daemon = self.daemon.as_mut().unwrap();
        let (hub, driven) = (&daemon.hub, &mut daemon.driven);
        let mut reading = Box::pin(hub.updates(HistoricRange { offset: 0, count: HistoricRange::MAX_COUNT }));
        assert!(once(reading.as_mut()).is_none(), "a read takes its time");
        assert!(driven.read(), "a read waits");
        let rows = once(reading.as_mut()).unwrap();
        drop(reading);
        match rows {
            Ok((_, rows)) => {
                let rows: Vec<Row> = rows
                    .into_iter()
                    .map(|row| Row {
                        pc: PcName::parse(&row.pc).unwrap(),
                        source: row.source,
                        at: row.at.0,
                        occupation: row.occupation,
                    })
                    .collect();
                self.say(|| format!("{} rows are read", rows.len()));
                self.check_rows(&rows);
                Some(rows.len())
            }
            Err(error) => {
                let fails = disk(|disk| disk.failures) > failures || !well;
                assert!(fails, "the disk is well, and no row can be read: {error}");
                None
            }
        }
    }

    /// The rows are those of all acknowledged pushes, and of some that came after them.
    fn check_rows(&self, rows: &[Row]) {
        let count = rows.len();
        assert!(count >= self.acknowledged, "{count} rows, and {} were acknowledged", self.acknowledged);
        assert!(self.ends.contains(&count), "{count} rows are there, and pushes end at {:?}", self.ends);
        assert_eq!(rows, &self.rows[..count], "the rows, in the order of the pushes");
    }

    /// What is wrong with the disk from now on, or soon, or no longer.
    fn weather(&mut self) {
        let after = self.random.between(1, 60) as u32;
        let drawn = self.random.below(11);
        let what = disk(|disk| match drawn {
            0..3 => {
                disk.mend();
                "the disk works"
            }
            3 => {
                disk.full = true;
                "the disk is full"
            }
            4 => {
                disk.broken = true;
                "no write works"
            }
            5 => {
                disk.unsyncable = true;
                "no fsync works"
            }
            6 => {
                disk.locked = true;
                "another program has the lock"
            }
            7 => {
                disk.plan(after, Fault::Write);
                "a write will fail"
            }
            8 => {
                disk.plan(after, Fault::Sync);
                "an fsync will fail"
            }
            9 => {
                disk.plan(after * 4, Fault::Read);
                "a read will fail"
            }
            _ => {
                disk.plan(after, Fault::Crash);
                "the machine will stop"
            }
        });
        self.say(|| format!("{what} ({after})"));
    }

    /// The wall clock is set; nobody else's time is.
    fn step_clock(&mut self) {
        let by: i64 = *self.random.pick(&[-200_000, -600, -1, 1, 600, 200_000]);
        self.say(|| format!("the wall clock is set by {by} s"));
        self.wall.fetch_add(by, Ordering::Relaxed);
        if by > 100_000 {
            self.forget_filters();
        }
    }

    // ---- Ends and starts -------------------------------------------------------------------------

    /// A stop in order, as far as the disk lets it.
    fn stop(&mut self) {
        self.write();
        if disk(|disk| disk.has_crashed()) {
            return self.die(Some(false));
        }
        let now = self.now;
        let held = self.daemon().hub.drain(now);
        send(held);
        self.take_arrivals();
        let all_saved = self.daemon().history.status().backlog < self.options.backlog;
        let (versions, digests) = self.daemon().hub.last_words();
        let daemon = self.daemon.as_mut().unwrap();
        let (history, driven) = (&daemon.history, &mut daemon.driven);
        let closed = close(history, driven, versions, digests);
        self.take_acknowledgements_of_an_end();
        self.say(|| format!("a stop in order: {closed:?}"));
        if closed.is_err() {
            // Its mark may be on the disk all the same.
            disk(Disk::stop);
            return self.die(None);
        }
        self.acknowledged = self.rows.len();
        if !all_saved {
            self.doubt_filters();
        }
        self.daemon = None;
        // All of it must be on the disk.
        let end = *self.random.pick(&[End::Kill, End::Loss, End::Tear]);
        vfs::restart(end);
        self.forget_the_daemon();
        self.start(Some(true));
        assert!(numbers(versions).iter().zip(self.highest).all(|(then, now)| *then <= now));
    }

    /// Pushes that waited when the writer ended were acknowledged, or never will be.
    fn take_acknowledgements_of_an_end(&mut self) {
        for mut push in std::mem::take(&mut self.waiting) {
            if once(push.durable.as_mut()) == Some(Ok(())) {
                self.acknowledged = self.acknowledged.max(push.covers);
            }
        }
    }

    /// The process ended where it stood. What was acknowledged until then is to be there.
    fn die(&mut self, in_order: Option<bool>) {
        self.take_acknowledgements_of_an_end();
        self.doubt_filters();
        self.daemon = None;
        let end = *self.random.pick(&[End::Kill, End::Loss, End::Tear]);
        self.say(|| format!("an end out of order: {end:?}"));
        vfs::restart(end);
        self.forget_the_daemon();
        self.start(in_order);
    }

    /// Filters that were set too short a time ago, or while the disk was in the way, need not be there.
    fn doubt_filters(&mut self) {
        if self.now < self.writer_due {
            self.rough = self.now;
        }
        let (now, rough) = (self.now, self.rough);
        for client in &mut self.clients {
            client.known = client.known.filter(|known| (*known).max(rough) + SAVED <= now);
        }
    }

    /// Connections end with their daemon.
    fn forget_the_daemon(&mut self) {
        self.take_arrivals();
        for client in &mut self.clients {
            client.lost.clear();
            client.held = None;
            if let Some((said, _)) = client.slow.take()
                && self.random.chance(50)
            {
                client.receive(&said);
            }
        }
        self.writer_due = self.now;
        self.rough = self.now;
    }

    /// Starts after a stop that was in order, or not, or nobody knows.
    fn start(&mut self, in_order: Option<bool>) {
        let (attempts, from_clock, (history, restored, driven)) = self.open();
        let hub = Hub::new(self.house(restored.clone()), history.clone());
        self.daemon = Some(Daemon { hub, history, driven });
        let count = self.rows_on_disk();
        self.say(|| format!("started with {count} rows: {restored:?}"));
        assert!(in_order != Some(true) || count == self.rows.len(), "{count} rows after a stop in order");
        // A start that failed may have noted already that the next stop is not in order.
        let clean = in_order.filter(|in_order| !in_order || attempts == 1);
        self.rows.truncate(count);
        self.ends.retain(|end| *end <= count);
        self.acknowledged = count;
        self.campus = Campus::of_rows(self.growth, &self.rows);
        self.check_restored(restored, clean, from_clock);
        self.started = true;
        self.check();
    }

    /// Opens the history, as often as that takes.
    fn open(&mut self) -> (usize, bool, (History, Restored, Driven)) {
        for attempt in 1.. {
            let failures = disk(|disk| disk.failures);
            let well = disk(|disk| disk.is_well());
            vfs::show(&self.options.path);
            let locked = disk(|disk| disk.locked);
            let opened = open_driven(&self.options, Clock::Set(self.wall.clone()));
            if locked {
                // So long it has waited since it looked at the clock.
                self.now += LOCKED;
                self.wall.fetch_add(LOCKED.as_secs().cast_signed(), Ordering::Relaxed);
            }
            let error = match opened {
                Ok(opened) => {
                    let from_clock = locked || self.unmarked;
                    self.unmarked = locked;
                    // A first start that failed may have left a file behind of which nothing is noted yet.
                    self.jumped |= from_clock || (attempt > 1 && !self.started);
                    return (attempt, from_clock, opened);
                }
                Err(error) => error,
            };
            self.say(|| format!("it cannot be opened: {error}"));
            assert!(disk(|disk| disk.failures) > failures || !well, "the disk is well: {error}");
            let fits = matches!(
                error,
                OpenError::Disk { .. } | OpenError::HeldByProgram(_) | OpenError::Unusable { .. }
            );
            assert!(fits, "no fault of a disk: {error:?}");
            if disk(|disk| disk.has_crashed()) {
                vfs::restart(*self.random.pick(&[End::Kill, End::Loss, End::Tear]));
            }
            if attempt == 4 || self.random.chance(40) {
                disk(Disk::mend);
            }
        }
        unreachable!()
    }

    /// What the daemon makes of a history.
    fn house(&self, restored: Restored) -> House {
        let pattern = Regex::new("^(.*?)pc").unwrap();
        let rules = Rules { rules: vec![Rule { pattern, room: "$1".into() }], aliases: HashMap::new() };
        let plan = Plan { rooms: campus::plan(), rules, growth: self.growth };
        let remains = Remains { pcs: restored.pcs, sources: restored.sources, versions: restored.versions };
        let mut house = House::new(plan, remains, restored.digests, self.terms);
        if self.follows {
            house.set_following();
        }
        for (token, filter, ago) in restored.filters.into_iter().rev() {
            house.remember(token, filter, ago, self.now);
        }
        house
    }

    fn rows_on_disk(&mut self) -> usize {
        // What is planned to fail once may fail once.
        for _ in 0..2 {
            if let Some(count) = self.read() {
                return count;
            }
        }
        panic!("the rows cannot be read")
    }

    fn check_restored(&self, restored: Restored, clean: Option<bool>, from_clock: bool) {
        let Restored { pcs, sources, versions, digests, filters, adopted, salvaged, since: _ } = restored;
        let pcs: HashMap<PcName, Occupation> = pcs.into_iter().collect();
        let expected = self.campus.pcs.iter().map(|(pc, (_, is))| (pc.clone(), *is)).collect();
        assert_eq!(pcs, expected, "the last states of the rows");
        let sources: HashSet<String> = sources.iter().map(|source| source.as_str().to_owned()).collect();
        assert!(self.campus.sources.iter().eq(sources.iter().collect::<BTreeSet<_>>()), "{sources:?}");
        assert!(adopted.is_none());
        assert!(salvaged.is_none(), "no fault of a disk or a lock is damage: {salvaged:?}");
        if let Some(clean) = clean {
            let known = clean && self.started && !from_clock;
            assert_eq!(digests.is_some(), known, "whether the last stop was in order");
        }
        assert!(self.jumped || numbers(versions)[0] < CLOCK, "versions come from the clock: {versions:?}");
        if clean == Some(true) && !from_clock {
            assert_eq!(numbers(versions), self.highest, "a stop in order passes over no version");
        }
        for (index, client) in self.clients.iter().enumerate() {
            if client.known.is_none() {
                continue;
            }
            let all = || client.filter.clone();
            let filter = Filter { occupation: all(), room_map: all(), schedule: all() };
            let found = filters.iter().find(|(token, ..)| *token == client.reader.token);
            assert_eq!(
                found.map(|(_, filter, _)| filter),
                Some(&filter),
                "the filter of client {index} is kept"
            );
        }
    }

    /// What is lost is given back, and the client asks until it is held: then it shows the truth.
    fn settle(&mut self, index: usize) {
        self.say(|| format!("client {index} settles"));
        self.reliable = true;
        while let Some(receipt) = self.clients[index].lost.pop() {
            self.daemon().hub.give_back(receipt, self.now);
            self.take_arrivals();
        }
        for _ in 0..4 {
            self.poll(index);
        }
        self.reliable = false;
        let client = &self.clients[index];
        if client.held.is_none() {
            let census = self.daemon().hub.census();
            assert_eq!(census.channels, self.terms.max_channels, "client {index} has no channel: {census:?}");
            return;
        }
        let wrong = self.wrong(client);
        let forgotten = client.known.is_none() || self.terms.max_remembered < 100;
        assert!(
            wrong.is_none() || forgotten,
            "client {index} shows what is not true: {}",
            wrong.unwrap_or_default()
        );
        if wrong.is_some() {
            // Somebody loads that page again.
            let hold = self.clients[index].held.take();
            if let Some((channel, hold)) = hold {
                self.daemon().hub.withdraw(channel, hold, self.now);
            }
            let filter = campus::filter(&mut self.random);
            self.clients[index] = Client::new(&mut self.random, filter, self.now);
        }
    }

    /// What is wrong with what a client shows, if anything is.
    fn wrong(&self, client: &Client) -> Option<String> {
        let (shown, filter, campus) = (&client.reader, &client.filter, &self.campus);
        let (rooms, schedule) = (campus.room_map(filter), campus.schedule(filter));
        if shown.room_map != rooms {
            return Some(format!("the rooms {:?} and not {rooms:?}", shown.room_map));
        }
        if shown.schedule != schedule {
            return Some(format!("the schedule {:?} and not {schedule:?}", shown.schedule));
        }
        let wrong =
            campus.occupation(filter).into_iter().find(|(pc, is)| shown.occupation.get(pc) != Some(is));
        wrong.map(|(pc, is)| format!("{pc} as {:?} and not {is:?}", shown.occupation.get(&pc)))
    }

    fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap()
    }

    fn daemon_mut(&mut self) -> &mut Daemon {
        self.daemon.as_mut().unwrap()
    }

    fn say(&mut self, what: impl FnOnce() -> String) {
        let line = format!("{:>10.3} s: {}", (self.now - self.began).as_secs_f64(), what());
        if self.aloud {
            eprintln!("{line}");
        }
        self.told.push_back(line);
        if self.told.len() > TOLD {
            self.told.pop_front();
        }
    }
}

fn numbers(versions: Versions) -> [u64; 4] {
    [versions.occupation.0, versions.room_map.0, versions.schedule.0, versions.tag_map.0]
}

/// What a future comes to at once, if it does.
pub(crate) fn once<T>(future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Option<T> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Polling::Ready(done) => Some(done),
        Polling::Pending => None,
    }
}

fn send(deliveries: Deliveries) {
    assert!(once(Box::pin(deliveries.send()).as_mut()).is_some(), "nobody waits for a reader");
}

/// Closes the history while its writer does its steps. What they wait for is time of tokio's, which passes at once.
fn close(
    history: &History,
    driven: &mut Driven,
    versions: Versions,
    digests: Digests,
) -> Result<(), CloseError> {
    thread_local! {
        static RUNTIME: Runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    }
    let work = async {
        loop {
            let pause = match driven.write() {
                Step::Ended => std::future::pending().await,
                Step::Failed(pause) => pause,
                Step::Wrote | Step::Idle => Duration::from_millis(1),
            };
            driven.read();
            tokio::time::sleep(pause).await;
        }
    };
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            tokio::select! {
                biased;
                closed = history.close(versions, digests) => closed,
                never = work => never,
            }
        })
    })
}
