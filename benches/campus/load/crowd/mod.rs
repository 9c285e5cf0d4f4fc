//! Clients that live: they come, hear of all that is pushed, leave in the middle of a held request, come back to
//! their channel, or too late for it, or never. Every answer is held against what was pushed.

mod campus;
mod client;
mod heard;
mod pusher;
mod random;
mod reads;
mod told;
mod truth;

pub(crate) use campus::setup;
pub(crate) use told::{Conduct, Errors, Lived};

use super::answer::Answer;
use super::orders::thousandths;
use super::socket;
use crate::failure::{Failure, Outcome};
use campus::Interest as Filter;
use client::{Client, Expects, Person, Phase, shown};
use mio::{Events, Interest, Poll, Token};
use pusher::Pusher;
use random::Random;
use reads::Reads;
use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};
use truth::{Fault, Truth};

/// How many clients may be about to enter: fewer than there are places in the server's queue.
const ENTERING: usize = 256;

/// How long an answer to what is answered at once may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What every PC is at first: free, under Windows.
const FIRST: u8 = 2;

const READER: usize = usize::MAX - 1;
/// That of the first of its lines.
const PUSHER: usize = READER - pusher::LINES;

/// The clients of one server, and who pushes to it.
pub(super) struct Crowd {
    conduct: Conduct,
    poll: Poll,
    /// By their tokens; a gap is the place of the next one.
    clients: Vec<Option<Client>>,
    gaps: Vec<usize>,
    entering: usize,
    staying: usize,
    /// Those that will leave: when, from which place, and who.
    leaving: BinaryHeap<Reverse<(Instant, usize, u64)>>,
    /// Those that will come back.
    away: BinaryHeap<Away>,
    /// When those have left that do not come back while their channel lasts.
    left_behind: VecDeque<Instant>,
    persons: usize,
    serial: u64,
    truth: Truth,
    pusher: Pusher,
    reads: Reads,
    random: Random,
    lived: Lived,
    latency: Vec<f64>,
    buffer: Vec<u8>,
}

/// Somebody who will come back.
struct Away {
    due: Instant,
    person: Person,
    how: Return,
}

/// How somebody comes back.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Return {
    /// With the token alone: the channel has kept what was missed.
    Knowing,
    /// Asking for everything: an answer may have been lost with the connection.
    Asking,
    /// With the token alone, after the channel has ended.
    Late,
}

impl Crowd {
    /// Tells the daemon of all PCs, and lets all clients in.
    pub(super) fn new(conduct: Conduct) -> Outcome<Crowd> {
        let poll = Poll::new()?;
        let mut pusher = Pusher::new(conduct.publish, PUSHER, conduct.pushes, conduct.sweep);
        pusher.prime(poll.registry(), FIRST)?;
        let reads = Reads::new(conduct.at, Token(READER), conduct.reads);
        let mut crowd = Crowd {
            conduct,
            poll,
            clients: Vec::new(),
            gaps: Vec::new(),
            entering: 0,
            staying: 0,
            leaving: BinaryHeap::new(),
            away: BinaryHeap::new(),
            left_behind: VecDeque::new(),
            persons: 0,
            serial: 0,
            truth: Truth::new(FIRST),
            pusher,
            reads,
            random: Random::new(1),
            lived: Lived::default(),
            latency: Vec::new(),
            buffer: vec![0; 64 * 1024],
        };
        let until = Instant::now() + PATIENCE;
        while crowd.staying < crowd.conduct.clients {
            crowd.let_in(Instant::now())?;
            crowd.pump(PATIENCE)?;
            if crowd.lived.errors.count() > 0 || Instant::now() > until {
                let (staying, errors) = (crowd.staying, &crowd.lived.errors.first);
                return Err(Failure::new(format!("{staying} clients are in: {errors:?}")));
            }
        }
        Ok(crowd)
    }

    /// Lives on for so many seconds; what has happened until then.
    pub(super) fn live(&mut self, seconds: f64) -> Outcome<Lived> {
        let mut now = Instant::now();
        let until = now + Duration::from_secs_f64(seconds);
        self.pusher.begin(now);
        while now < until {
            if self.pusher.due(&self.truth).is_some_and(|due| due <= now) {
                let registry = self.poll.registry();
                let is_late = self.pusher.push(registry, &mut self.truth, &mut self.random, now)?;
                self.lived.late += u64::from(is_late);
            }
            self.come_back(now)?;
            self.let_in(now)?;
            self.let_out(now)?;
            self.reads.ask(self.poll.registry(), &self.truth, &mut self.random, now)?;
            let next = [
                Some(until),
                self.pusher.due(&self.truth),
                self.leaving.peek().map(|Reverse((due, ..))| *due),
                self.away.peek().map(|away| away.due),
                self.reads.due(),
            ];
            now = Instant::now();
            let next = next.into_iter().flatten().min().unwrap_or(until);
            self.pump(next.saturating_duration_since(now))?;
            now = Instant::now();
        }
        Ok(self.told())
    }

    /// Pushes no more, waits until all have heard of all, and looks at what each sees.
    pub(super) fn settle(&mut self) -> Outcome<Lived> {
        let begun = Instant::now();
        let mut quiet_since = begun;
        while quiet_since.elapsed() < Duration::from_secs(2) && begun.elapsed() < PATIENCE {
            let before = (self.lived.answers, self.lived.pushes);
            self.pump(Duration::from_millis(200))?;
            let is_busy = self.pusher.is_waiting() || self.entering > 0;
            let is_owed = || self.persons_here().any(|person| person.owed(&self.truth) > 0);
            let is_done = !is_busy && (before == (self.lived.answers, self.lived.pushes) || !is_owed());
            if !is_done {
                // Whoever is owed something still has so long.
                quiet_since = Instant::now();
            }
        }
        let (mut owed, mut blind) = (0, 0);
        for person in self.persons_here() {
            owed += person.owed(&self.truth);
            blind += u64::from(!person.sees(&self.truth));
        }
        if owed > 0 {
            self.lived.errors.note(|errors| &mut errors.lost, owed, "changes did not come to the end".into());
        }
        if blind > 0 {
            self.lived.errors.note(|errors| &mut errors.views, blind, "views are not the truth".into());
        }
        Ok(self.told())
    }

    fn persons_here(&self) -> impl Iterator<Item = &Person> {
        let staying = |client: &&Client| client.phase == Phase::Staying;
        self.clients.iter().flatten().filter(staying).map(|client| &client.person)
    }

    /// What has happened so far.
    fn told(&mut self) -> Lived {
        let expiry = Duration::from_secs_f64(self.conduct.expiry);
        while self.left_behind.front().is_some_and(|left| left.elapsed() > expiry) {
            self.left_behind.pop_front();
        }
        let waiting = self.away.iter().filter(|away| away.how != Return::Late).count();
        self.lived.held = self.staying as u64;
        self.lived.channels = (self.staying + self.entering + waiting + self.left_behind.len()) as u64;
        self.lived.rows = self.truth.acknowledged() as u64;
        self.lived.latency = thousandths(std::mem::take(&mut self.latency));
        self.lived.clone()
    }

    /// Those come back whose time it is.
    fn come_back(&mut self, now: Instant) -> Outcome<()> {
        while self.away.peek().is_some_and(|away| away.due <= now) && self.entering < ENTERING {
            let Some(Away { person, how, .. }) = self.away.pop() else { break };
            match how {
                Return::Late => self.lived.revived += 1,
                Return::Knowing | Return::Asking => self.lived.returned += 1,
            }
            self.enter(person, Some(how), now)?;
        }
        Ok(())
    }

    /// New ones come, as long as there is room.
    fn let_in(&mut self, now: Instant) -> Outcome<()> {
        while self.staying + self.entering < self.conduct.clients && self.entering < ENTERING {
            let person = Person::new(self.persons, Filter::draw(&mut self.random), self.random.bits());
            self.persons += 1;
            self.lived.entered += 1;
            self.enter(person, None, now)?;
        }
        Ok(())
    }

    /// Those leave whose time it is.
    fn let_out(&mut self, now: Instant) -> Outcome<()> {
        while let Some(Reverse((due, at, serial))) = self.leaving.peek().copied()
            && due <= now
        {
            self.leaving.pop();
            let place = self.clients.get_mut(at);
            let Some(client) = place.and_then(Option::as_mut).filter(|client| client.serial == serial) else {
                continue;
            };
            if client.phase != Phase::Staying {
                // It has not got what it came for.
                self.leaving.push(Reverse((now + Duration::from_secs(1), at, serial)));
                continue;
            }
            let soon = 1.0 + self.random.lasting(10.0).min(self.conduct.expiry / 3.0);
            self.lived.left += 1;
            match self.random.below(100) {
                0..30 => {
                    // What is on its way is heard still; so nothing may be missing afterwards.
                    client.stream.shutdown(Shutdown::Write)?;
                    client.phase = Phase::Leaving(soon);
                    self.staying -= 1;
                }
                30..45 => self.go(at, now, Some((soon, Return::Asking)))?,
                45..60 => {
                    let late = self.conduct.expiry + 5.0 + self.random.lasting(30.0);
                    self.go(at, now, Some((late, Return::Late)))?;
                }
                _ => self.go(at, now, None)?,
            }
        }
        Ok(())
    }

    /// Somebody leaves without a word, half of them in order, half as from a machine that is switched off.
    fn go(&mut self, at: usize, now: Instant, back: Option<(f64, Return)>) -> Outcome<()> {
        let Some(client) = self.remove(at)? else { return Ok(()) };
        if self.random.below(2) == 0 {
            socket::close_in_order(&client.stream)?;
        }
        match back {
            Some((after, how)) => self.send_away(client.person, after, how, now),
            None => {
                self.lived.abandoned += 1;
                self.left_behind.push_back(now);
            }
        }
        Ok(())
    }

    fn send_away(&mut self, person: Person, after: f64, how: Return, now: Instant) {
        if how == Return::Late {
            self.left_behind.push_back(now);
        }
        self.away.push(Away { due: now + Duration::from_secs_f64(after), person, how });
    }

    fn enter(&mut self, person: Person, back: Option<Return>, now: Instant) -> Outcome<()> {
        let mut stream = match socket::connect_from_own(self.conduct.at, person.number) {
            Ok(stream) => stream,
            Err(failure) => {
                self.lived.errors.note(|errors| &mut errors.broken, 1, failure.to_string());
                return Ok(());
            }
        };
        let asks_all = matches!(back, None | Some(Return::Asking));
        let request = if asks_all { person.asks_all() } else { person.asks() };
        let expects = Expects {
            welcome: matches!(back, None | Some(Return::Late)),
            snapshot: match back {
                None | Some(Return::Asking) => true,
                Some(Return::Knowing) => false,
                Some(Return::Late) => person.has_filter(),
            },
        };
        stream.write_all(&request)?;
        let at = self.gaps.pop().unwrap_or(self.clients.len());
        self.poll.registry().register(&mut stream, Token(at), Interest::READABLE)?;
        self.serial += 1;
        let mut client = Client::new(person, stream, expects, self.serial);
        if back == Some(Return::Knowing) {
            client.phase = Phase::Staying;
            self.staying += 1;
        } else {
            self.entering += 1;
        }
        if let Some(stay) = self.conduct.stay {
            let stay = Duration::from_secs_f64(self.random.lasting(stay));
            self.leaving.push(Reverse((now + stay, at, self.serial)));
        }
        if at == self.clients.len() {
            self.clients.push(None);
        }
        if let Some(place) = self.clients.get_mut(at) {
            *place = Some(client);
        }
        Ok(())
    }

    /// Takes a client out of its place.
    fn remove(&mut self, at: usize) -> Outcome<Option<Client>> {
        let Some(mut client) = self.clients.get_mut(at).and_then(Option::take) else { return Ok(None) };
        self.poll.registry().deregister(&mut client.stream)?;
        match client.phase {
            Phase::Entering => self.entering -= 1,
            Phase::Staying => self.staying -= 1,
            Phase::Leaving(_) => {}
        }
        self.gaps.push(at);
        Ok(Some(client))
    }

    /// Handles what there is, or what comes within `timeout`.
    fn pump(&mut self, timeout: Duration) -> Outcome<()> {
        let mut events = Events::with_capacity(1024);
        match self.poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in &events {
            match event.token() {
                Token(READER) => self.reads.ready(&self.truth, &mut self.lived)?,
                Token(line @ PUSHER..) => self.pushed(line - PUSHER)?,
                Token(at) => self.read(at)?,
            }
        }
        Ok(())
    }

    fn pushed(&mut self, line: usize) -> Outcome<()> {
        let Some(pushed) = self.pusher.ready(self.poll.registry(), line)? else { return Ok(()) };
        let Some(line) = pushed.refused else {
            self.lived.pushes += 1;
            self.lived.changes += u64::from(pushed.is_change);
            self.truth.acknowledge(pushed.rows);
            return Ok(());
        };
        // 202: it is in the state, and not on the disk yet. The versions go on with it.
        if pushed.is_change && !line.contains("answered 202") {
            self.truth.refuse();
        }
        self.lived.errors.note(|errors| &mut errors.refused, 1, line);
        Ok(())
    }

    fn read(&mut self, at: usize) -> Outcome<()> {
        loop {
            let Some(client) = self.clients.get_mut(at).and_then(Option::as_mut) else { return Ok(()) };
            let length = match client.stream.read(&mut self.buffer) {
                Ok(length) if length > 0 => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                end => return self.ended(at, &end),
            };
            client.part.extend_from_slice(self.buffer.get(..length).unwrap_or_default());
            let part = std::mem::take(&mut client.part);
            match Answer::first(&part) {
                Ok(None) => client.part = part,
                Ok(Some(answer)) if answer.length() == part.len() => self.answered(at, &answer)?,
                Ok(Some(_)) => self.fault(at, Fault::Wrong("more than one answer".into()))?,
                Err(why) => self.fault(at, Fault::Wrong(format!("{why}: {}", shown(&part))))?,
            }
        }
    }

    fn answered(&mut self, at: usize, answer: &Answer<'_>) -> Outcome<()> {
        let Some(client) = self.clients.get_mut(at).and_then(Option::as_mut) else { return Ok(()) };
        if answer.status != 200 {
            let line = format!("status {}: {}", answer.status, shown(answer.body));
            self.lived.errors.note(|errors| &mut errors.refused, 1, line);
            self.remove(at)?;
            return Ok(());
        }
        let hold = Duration::from_secs_f64(self.conduct.hold);
        match client.take(answer.body, &mut self.truth, &mut self.lived, hold) {
            Ok(latency) => self.latency.extend(latency.map(|latency| latency.as_secs_f64() * 1e3)),
            Err(fault) => return self.fault(at, fault),
        }
        match client.phase {
            Phase::Leaving(_) => return Ok(()),
            Phase::Staying => {}
            Phase::Entering => {
                client.phase = Phase::Staying;
                self.entering -= 1;
                self.staying += 1;
            }
        }
        client.has_asked();
        match client.stream.write_all(&client.person.asks()) {
            Ok(()) => Ok(()),
            Err(error) => self.ended(at, &Err(error)),
        }
    }

    /// A connection is over: as it should be, if the client has ended its side.
    fn ended(&mut self, at: usize, end: &io::Result<usize>) -> Outcome<()> {
        let Some(client) = self.remove(at)? else { return Ok(()) };
        match (client.phase, end) {
            (Phase::Leaving(after), Ok(0)) => {
                self.send_away(client.person, after, Return::Knowing, Instant::now());
            }
            _ => {
                let line = format!("a connection ended: {end:?}");
                self.lived.errors.note(|errors| &mut errors.broken, 1, line);
            }
        }
        Ok(())
    }

    /// A client was told what is not right: another one takes its place, since all that follows would be wrong, too.
    fn fault(&mut self, at: usize, fault: Fault) -> Outcome<()> {
        let errors = &mut self.lived.errors;
        match fault {
            Fault::Lost(count, what) => errors.note(|errors| &mut errors.lost, count, what),
            Fault::Doubled(what) => errors.note(|errors| &mut errors.doubled, 1, what),
            Fault::Wrong(what) => errors.note(|errors| &mut errors.wrong, 1, what),
        }
        self.remove(at)?;
        Ok(())
    }
}

impl Ord for Away {
    /// Who comes back first is the greatest.
    fn cmp(&self, other: &Away) -> Ordering {
        other.due.cmp(&self.due)
    }
}

impl PartialOrd for Away {
    fn partial_cmp(&self, other: &Away) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Away {
    fn eq(&self, other: &Away) -> bool {
        self.due == other.due
    }
}

impl Eq for Away {}
