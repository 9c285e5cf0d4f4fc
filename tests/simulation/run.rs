//! One run: a house, the truth, and readers whose requests, departures and lost replies are drawn at
//! random. What each channel must be owed is kept here as plain lists of what changed (`Dirty`), not as
//! versions, so that the house's reckoning is held against another one.

use super::campus;
use super::random::Random;
use super::reader::Reader;
use super::truth::{RULES, Said, Truth};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};
use tkbd::core::channel::{ChannelId, HoldId};
use tkbd::core::house::{House, Terms};
use tkbd::core::message::{HistoricRange, Message};
use tkbd::core::origins::Share;
use tkbd::core::pc::PcName;
use tkbd::core::poll::{Ask, Delivery, Fate, Outcome, Poll, Receipt, Reply, Shortage};
use tkbd::core::push::Push;
use tkbd::core::room::RoomKey;
use tkbd::core::source::{Source, Timestamp};
use tkbd::core::state::{Plan, Remains};
use tkbd::core::tag::Filter;
use tkbd::core::token::Token;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Welcome,
    Tags,
    TagMap,
    RoomMap,
    Schedule,
    Occupation,
}

/// What was promised to a channel and not handed over.
#[derive(Debug, Clone, Default)]
struct Owed {
    kinds: BTreeSet<Kind>,
    historic: Vec<HistoricRange>,
}

impl Owed {
    fn add(&mut self, other: Owed) {
        self.kinds.extend(other.kinds);
        self.historic.extend(other.historic);
        self.historic.truncate(10);
    }
}

/// What changed under a channel's filter and was not handed over.
#[derive(Debug, Clone, Default)]
struct Dirty {
    pcs: BTreeSet<PcName>,
    grown: BTreeSet<RoomKey>,
    rescheduled: BTreeSet<RoomKey>,
    /// Rooms were rearranged such that the roomMap, the schedule of the filter that the channel had, the tagMap is
    /// another.
    remapped: bool,
    regrouped: bool,
    retagged: bool,
}

impl Dirty {
    fn is_empty(&self) -> bool {
        self.pcs.is_empty() && !self.maps() && !self.reschedules() && !self.retagged
    }

    fn maps(&self) -> bool {
        !self.grown.is_empty() || self.remapped
    }

    fn reschedules(&self) -> bool {
        !self.rescheduled.is_empty() || self.regrouped
    }

    /// Rooms are others now, so that it is not to be told any more which were meant.
    fn blur(&mut self) {
        self.remapped = self.maps();
        self.regrouped = self.reschedules();
        self.grown.clear();
        self.rescheduled.clear();
    }

    fn add(&mut self, other: Dirty) {
        self.remapped |= other.remapped;
        self.regrouped |= other.regrouped;
        self.retagged |= other.retagged;
        self.pcs.extend(other.pcs);
        self.grown.extend(other.grown);
        self.rescheduled.extend(other.rescheduled);
    }

    fn retain(&mut self, filter: &Filter, truth: &Truth) {
        self.pcs.retain(|pc| truth.pc_passes(&filter.occupation, pc));
        self.grown.retain(|room| truth.passes(&filter.room_map, room));
        self.rescheduled.retain(|room| truth.passes(&filter.schedule, room));
    }
}

/// A channel as it must be.
struct Channel {
    id: ChannelId,
    filter: Filter,
    owed: Owed,
    dirty: Dirty,
    held: Option<(HoldId, Instant)>,
    idle_since: Instant,
    /// More than is dirty may be told: the filter was changed while something was, or a reply was
    /// given back after others had been made.
    more: bool,
    /// Rises with every reply and every change of the filter.
    turn: u64,
    /// The PCs that its client was told of, or is owed, under the filter it has.
    pcs: BTreeSet<PcName>,
    /// Whether its client was told the roomMap, the schedule of the filter it has, or is owed it.
    mapped: bool,
    scheduled: bool,
    /// What it was told, and when that is to be told again whole.
    told: BTreeSet<Kind>,
    again: Option<Instant>,
    /// What is owed again if the last reply turns out to be lost after all.
    last: Promise,
}

/// A reply that did not arrive.
struct Lost {
    reader: usize,
    /// The filter under which it was made.
    filter: Filter,
    channel: ChannelId,
    receipt: Receipt,
    promise: Promise,
}

/// What is owed again if a reply is lost.
#[derive(Debug, Clone, Default)]
struct Promise {
    owed: Owed,
    dirty: Dirty,
    more: bool,
    turn: u64,
}

impl Promise {
    /// What of it is owed again where the reply was handed over and may be lost: wholes, and what changed of the
    /// occupation, but no parts of the history.
    fn in_doubt(&self) -> Promise {
        let mut kinds = self.owed.kinds.clone();
        if self.dirty.maps() {
            kinds.extend([Kind::RoomMap, Kind::Schedule]);
        }
        if self.dirty.reschedules() {
            kinds.insert(Kind::Schedule);
        }
        if self.dirty.retagged {
            kinds.insert(Kind::TagMap);
        }
        let owed = Owed { kinds, historic: Vec::new() };
        let dirty = Dirty { pcs: self.dirty.pcs.clone(), ..Dirty::default() };
        Promise { owed, dirty, ..*self }
    }
}

/// The reply a request must get.
struct Expected {
    said: Vec<Said>,
    more: bool,
    promise: Promise,
    asked_map: bool,
    /// What of it is told again.
    stale: BTreeSet<Kind>,
}

pub(crate) struct Run {
    random: Random,
    trace: bool,
    now: Instant,
    terms: Terms,
    house: House,
    truth: Truth,
    readers: Vec<Reader>,
    channels: HashMap<usize, Channel>,
    remembered: VecDeque<(Token, Filter, Instant, Owed)>,
    lost: Vec<Lost>,
    old_holds: Vec<(ChannelId, HoldId)>,
    all_holds: HashSet<HoldId>,
    /// How many of a hundred replies are lost.
    loss: usize,
    /// None is lost for now.
    reliable: bool,
    draining: bool,
}

impl Run {
    pub(crate) fn new(seed: u64, trace: bool) -> Run {
        let mut random = Random::new(seed);
        let plan = campus::plan(&mut random);
        let growth = campus::growth(&mut random, plan.len());
        let terms = Terms {
            hold: Duration::from_secs(20),
            channel_expiry: Duration::from_secs(300),
            max_channels: random.between(3, 14),
            share: Share { channels: 99, per_second: 99 },
            max_remembered: random.between(0, 8),
            refresh: Duration::from_secs(*random.pick(&[30, 120, 600])),
        };
        let house = House::new(
            Plan { rooms: plan.clone(), rules: campus::rules(0), growth },
            Remains::default(),
            None,
            terms,
        );
        let loss = *random.pick(&[0, 10, 30, 50]);
        let mut run = Run {
            random,
            trace,
            now: Instant::now(),
            terms,
            house,
            truth: Truth::new(plan, growth),
            readers: Vec::new(),
            channels: HashMap::new(),
            remembered: VecDeque::new(),
            lost: Vec::new(),
            old_holds: Vec::new(),
            all_holds: HashSet::new(),
            loss,
            reliable: false,
            draining: false,
        };
        for _ in 0..run.random.between(1, 8) {
            run.add_reader();
        }
        run
    }

    pub(crate) fn steps(&mut self, steps: usize) {
        for _ in 0..steps {
            self.step();
            self.check();
        }
        self.end();
    }

    fn step(&mut self) {
        match self.random.below(1000) {
            0..250 => self.push(),
            250..700 => self.poll_at_random(),
            700..740 => self.withdraw(),
            740..746 => self.withdraw_late(),
            746..750 => self.doubt(),
            750..820 => self.give_back_at_random(),
            820..850 => self.set_schedule(),
            850..860 => self.reload(),
            860..970 => self.pass_time(),
            970..980 => {
                let reader = self.random.below(self.readers.len());
                self.settle(reader);
            }
            980..990 => self.add_reader(),
            990..996 => {
                let reader = self.random.below(self.readers.len());
                self.readers[reader].gone = true;
            }
            _ => self.restart(),
        }
    }

    /// Every reader that is still there ends equal to the truth; and none is kept waiting by a stop.
    fn end(&mut self) {
        for reader in 0..self.readers.len() {
            self.settle(reader);
            self.check();
        }
        let held: HashSet<_> = self.house.drain(self.now).to.into_iter().collect();
        self.draining = true;
        let mut expected = HashSet::new();
        for channel in self.channels.values_mut() {
            if let Some((hold, _)) = channel.held.take() {
                expected.insert((channel.id, hold));
                channel.idle_since = self.now;
            }
        }
        assert_eq!(held, expected, "whose requests a stop answers");
        self.check();
        self.push();
        self.set_schedule();
        for reader in 0..self.readers.len() {
            self.settle(reader);
            self.check();
        }
    }

    fn check(&self) {
        assert_eq!(
            self.house.versions(),
            self.truth.versions,
            "versions rise by one a change, and only then"
        );
        let census = self.house.census();
        assert_eq!(census.channels, self.channels.len(), "channels");
        assert_eq!(census.held, self.channels.values().filter(|c| c.held.is_some()).count(), "held requests");
        let filters: HashSet<&Filter> = self.channels.values().map(|channel| &channel.filter).collect();
        assert_eq!(census.filters, filters.len(), "distinct filters");
        let first = self
            .channels
            .values()
            .map(|c| c.held.map_or(c.idle_since + self.terms.channel_expiry, |(_, deadline)| deadline))
            .min();
        if let Some(first) = first {
            let next = self.house.next_deadline();
            assert!(next.is_some_and(|next| next <= first), "called at {next:?}, when {first:?} is due");
        }
        for channel in self.channels.values().filter(|channel| channel.held.is_some()) {
            assert!(channel.owed.kinds.is_empty() && channel.owed.historic.is_empty(), "held and owed");
            assert!(channel.dirty.is_empty(), "held and owed {:?}", channel.dirty);
        }
    }

    fn add_reader(&mut self) {
        let bits = (u128::from(self.random.next()) << 64) | u128::from(self.random.next());
        let reader = Reader::new(Token::from_random(bits.to_be_bytes()), self.random.chance(50));
        self.readers.push(reader);
    }

    fn push(&mut self) {
        let familiar: Vec<PcName> = self.truth.pcs.keys().cloned().collect();
        let states = campus::states(&mut self.random, &familiar);
        let source = *self.random.pick(&["watcher", "slave", "hand", "<new>"]);
        let at = Timestamp(self.random.next() as i64);
        self.say(|| format!("push {source} {states:?}"));
        let push = Push::new(Source::parse(source).unwrap(), at, states.clone()).unwrap();
        let got = self.house.push(push, self.now);
        let news = match (self.truth.push(source, &states), got) {
            (Err(expected), Err(got)) => {
                assert_eq!(got, expected, "why a push is refused");
                return;
            }
            (Ok(None), Ok(None)) => return,
            (Ok(Some(news)), Ok(Some((change, deliveries)))) => {
                assert_eq!(change.versions, self.truth.versions);
                assert_eq!((change.source.as_str(), change.at), (source, at));
                assert_eq!(*change.states, *news.changed, "what changed, in the order of the push");
                (news, deliveries)
            }
            (expected, got) => {
                panic!(
                    "a push brings {got:?}, and {} news were expected",
                    expected.is_ok_and(|n| n.is_some())
                )
            }
        };
        let (news, deliveries) = news;
        let dirty = Dirty {
            pcs: news.changed.iter().map(|(pc, _)| pc.clone()).collect(),
            grown: news.grown,
            ..Dirty::default()
        };
        self.changed(&passing(dirty), deliveries);
    }

    fn set_schedule(&mut self) {
        let schedule = campus::schedule(&mut self.random);
        self.say(|| format!("schedule {schedule:?}"));
        let got = self.house.set_schedule(&schedule, self.now);
        let rescheduled = self.truth.set_schedule(&schedule);
        assert_eq!(got.is_some(), !rescheduled.is_empty(), "a schedule is news where it is another");
        let Some((versions, deliveries)) = got else { return };
        assert_eq!(versions, self.truth.versions);
        self.changed(&passing(Dirty { rescheduled, ..Dirty::default() }), deliveries);
    }

    /// The setup is read again, and is another in some ways or none.
    fn reload(&mut self) {
        let rooms = campus::reloaded(&mut self.random, &self.truth.plan);
        let rules = if self.random.chance(50) { self.truth.rules } else { self.random.below(RULES) };
        if self.random.chance(30) {
            let second = Duration::from_secs(1);
            self.terms.hold = *self.random.pick(&[second, 20 * second, 30 * second]);
            self.terms.channel_expiry = *self.random.pick(&[100 * second, 300 * second]);
            self.terms.max_channels = self.random.between(3, 14);
        }
        self.say(|| format!("reload {rooms:?} with rules {rules}"));
        let survey = self.house.survey();
        let growth = self.truth.growth;
        let plan = Plan { rooms: rooms.clone(), rules: campus::rules(rules), growth };
        let moves = survey.moves(&plan.rules);
        if self.random.chance(30) {
            // Another push comes while it is found out whom the rules move.
            self.push();
        }
        let got = self.house.reload(plan, moves, self.terms, self.now);
        let rearranged = self.truth.reload(rooms, rules);
        assert_eq!(got.is_some(), rearranged.is_some(), "a setup is news where it is another");
        let latest = self.now + self.terms.hold;
        for (_, deadline) in self.channels.values_mut().filter_map(|channel| channel.held.as_mut()) {
            *deadline = latest.min(*deadline);
        }
        let (Some((change, deliveries)), Some(rearranged)) = (got, rearranged) else { return };
        assert_eq!(change.versions, self.truth.versions);
        for channel in self.channels.values_mut() {
            channel.dirty.blur();
            let due = channel.dirty.pcs.len();
            channel.dirty.retain(&channel.filter, &self.truth);
            // What was due of them stays so, and is told where another filter lets it pass.
            channel.more |= channel.dirty.pcs.len() < due;
            let (pcs, filter, truth) = (&mut channel.pcs, &channel.filter, &self.truth);
            pcs.retain(|pc| truth.pc_passes(&filter.occupation, pc));
        }
        for lost in &mut self.lost {
            lost.promise.dirty.blur();
        }
        let news = |filter: &Filter, truth: &Truth| {
            let (remapped, regrouped) = rearranged.concerns(filter, truth);
            let (pcs, retagged) = (rearranged.retold.clone(), rearranged.retagged);
            let mut dirty = Dirty { pcs, remapped, regrouped, retagged, ..Dirty::default() };
            dirty.retain(filter, truth);
            dirty
        };
        self.changed(&news, deliveries);
    }

    /// Something changed: the held requests that it concerns, and no others, are answered with it.
    fn changed(&mut self, news: &dyn Fn(&Filter, &Truth) -> Dirty, deliveries: Vec<Delivery>) {
        let mut expected = HashMap::new();
        for (reader, channel) in &mut self.channels {
            let dirty = news(&channel.filter, &self.truth);
            if dirty.is_empty() {
                continue;
            }
            channel.pcs.extend(dirty.pcs.iter().cloned());
            channel.mapped |= dirty.maps();
            channel.scheduled |= dirty.maps() || dirty.reschedules();
            let Some((hold, _)) = channel.held.take() else {
                channel.dirty.add(dirty);
                continue;
            };
            channel.turn += 1;
            channel.more = false;
            channel.idle_since = self.now;
            let mut said = Vec::new();
            if dirty.retagged {
                said.push(tag_map(&self.truth));
            }
            if dirty.maps() {
                said.push(room_map(&self.truth, &channel.filter));
            }
            if dirty.maps() || dirty.reschedules() {
                said.push(schedule(&self.truth, &channel.filter));
            }
            if !dirty.pcs.is_empty() {
                said.push(update(&self.truth, &dirty.pcs));
            }
            channel.told.extend(said.iter().filter_map(lasting));
            let promise = Promise { dirty, turn: channel.turn, ..Promise::default() };
            expected.insert(hold, (*reader, said, promise));
        }
        let mut arriving = Vec::new();
        for delivery in deliveries {
            let said = said(&delivery.messages);
            assert!(!delivery.to.is_empty(), "a delivery is to somebody");
            for (id, hold) in &delivery.to {
                let Some((reader, expected, promise)) = expected.remove(hold) else {
                    panic!("{said:?} answers a request that is not held, or not concerned");
                };
                assert_eq!(self.channels[&reader].id, *id, "a request answered is of its channel");
                assert_eq!(said, expected, "what reader {reader} is told of a change");
                arriving.push((reader, said.clone(), delivery.receipt(*id), promise));
            }
        }
        assert!(expected.is_empty(), "held requests that a change concerns are answered: {expected:?}");
        // In an order that follows from the seed.
        arriving.sort_by_key(|(reader, ..)| *reader);
        for (reader, said, receipt, promise) in arriving {
            self.arrive(reader, &said, receipt, promise, false);
        }
    }

    fn poll_at_random(&mut self) {
        let reader = self.random.below(self.readers.len());
        if self.readers[reader].gone {
            return;
        }
        let asks = campus::asks(&mut self.random, self.readers[reader].newest_first);
        self.poll(reader, &asks);
    }

    /// True where the request is held now.
    fn poll(&mut self, reader: usize, asks: &[Ask]) -> bool {
        self.say(|| format!("reader {reader} asks {asks:?}"));
        let token = self.readers[reader].token.clone();
        // Where its channel is said to be: of its own or another, there still or ended.
        let near = self.random.below(self.old_holds.len() + 1);
        let near = self.old_holds.get(near).map(|(channel, _)| *channel);
        let poll = Poll { token: token.clone(), near, asks: asks.to_vec(), origin: None };
        let polled = self.house.poll(poll, self.now);
        let is_new = !self.channels.contains_key(&reader);
        if is_new && self.channels.len() >= self.terms.max_channels {
            let none = polled.unwrap_err();
            assert_eq!(none.why, Shortage::InAll(self.terms.max_channels));
            self.turned_away(&token, asks, none.fate);
            return false;
        }
        let polled = polled.unwrap();
        let mut restored = false;
        if is_new {
            let place = self.remembered.iter().position(|(of, ..)| *of == token);
            let kept = place.and_then(|at| self.remembered.remove(at));
            restored = kept.is_some();
            let (filter, owed) = kept
                .map_or_else(|| (Filter::nothing(), Owed::default()), |(_, filter, _, owed)| (filter, owed));
            let mut channel = Channel::new(polled.channel, filter, restored, self.now);
            channel.owed.add(owed);
            self.channels.insert(reader, channel);
        }
        let channel = self.channels.get_mut(&reader).unwrap();
        assert_eq!(channel.id, polled.channel, "a channel stays the same");
        let older = channel.held.take().map(|(hold, _)| hold);
        assert_eq!(polled.superseded, older, "the older of two requests is answered");
        self.old_holds.extend(older.map(|hold| (channel.id, hold)));
        let before = channel.filter.clone();
        let stale = channel.stale(self.terms, self.now);
        let expected = channel.expect(asks, stale, &self.truth);
        let set = channel.filter != before;
        if set || restored {
            assert_eq!(
                polled.filter.as_deref(),
                Some(&channel.filter),
                "a filter that was set is to be saved"
            );
        } else if let Some(filter) = &polled.filter {
            assert_eq!(**filter, channel.filter);
        }
        match polled.outcome {
            Outcome::Answer(reply) => {
                self.answered(reader, reply, expected);
                false
            }
            Outcome::Hold(hold) => {
                assert!(!self.draining, "nothing is held while the daemon stops");
                assert!(expected.said.is_empty(), "held, and {:?} is owed", expected.said);
                assert!(self.all_holds.insert(hold), "two requests are held under one number");
                channel.held = Some((hold, self.now + self.terms.hold));
                true
            }
        }
    }

    fn answered(&mut self, reader: usize, reply: Reply, expected: Expected) {
        let said = said(&reply.messages);
        let channel = self.channels.get_mut(&reader).unwrap();
        if said.is_empty() {
            assert!(self.draining, "an answer at once says something");
        }
        check_reply(&said, &expected, &channel.filter, &self.truth);
        channel.owed = Owed::default();
        channel.dirty = Dirty::default();
        channel.more = false;
        channel.turn += 1;
        channel.idle_since = self.now;
        let told = said.iter().filter_map(lasting);
        channel.told.extend(told.filter(|kind| !expected.stale.contains(kind)));
        let promise = Promise { turn: channel.turn, ..expected.promise };
        self.arrive(reader, &said, reply.receipt, promise, expected.asked_map);
    }

    /// A reply is on its way: it arrives, or is lost and given back at once or later.
    fn arrive(&mut self, reader: usize, said: &[Said], receipt: Receipt, promise: Promise, asked_map: bool) {
        self.say(|| format!("reader {reader} is told {said:?}"));
        self.channels.get_mut(&reader).unwrap().last = promise.in_doubt();
        let channel = &self.channels[&reader];
        if !self.reliable && self.random.chance(self.loss) {
            self.say(|| "  which is lost".into());
            let lost = Lost { reader, filter: channel.filter.clone(), channel: channel.id, receipt, promise };
            if self.random.chance(30) {
                self.give_back(lost);
            } else {
                self.lost.push(lost);
            }
            return;
        }
        let in_doubt = self.lost.iter().any(|lost| lost.channel == channel.id);
        if !asked_map {
            let map = said.iter().position(|said| matches!(said, Said::RoomMap(..)));
            let schedule = said.iter().rposition(|said| matches!(said, Said::Schedule(..)));
            assert!(map.is_none() || schedule > map, "a roomMap is followed by the schedule: {said:?}");
        }
        if channel.mapped && !in_doubt {
            let last_map = said.iter().rev().find_map(|said| match said {
                Said::RoomMap(_, map) => Some(map),
                _ => None,
            });
            for (at, this) in said.iter().enumerate() {
                let Said::Update(_, update) = this else { continue };
                assert_eq!(at, said.len() - 1, "an update comes after all else");
                for pc in update.keys().filter(|pc| self.truth.pc_passes(&channel.filter.room_map, pc)) {
                    let named = match last_map {
                        Some(map) => map.values().any(|(_, pcs)| pcs.contains(pc)),
                        None => self.readers[reader].maps(pc),
                    };
                    assert!(named, "reader {reader} hears of {pc} before a roomMap names it");
                }
            }
        }
        self.readers[reader].receive(said);
    }

    fn give_back_at_random(&mut self) {
        if !self.lost.is_empty() {
            let at = self.random.below(self.lost.len());
            let lost = self.lost.swap_remove(at);
            self.give_back(lost);
        }
    }

    fn give_back(&mut self, mut lost: Lost) {
        let reader = lost.reader;
        self.say(|| format!("reader {reader} did not get {:?}", lost.promise));
        let channel = self.channels.get(&reader).filter(|channel| channel.id == lost.channel);
        if channel.is_some_and(|channel| channel.filter != lost.filter) {
            (lost.promise.dirty.remapped, lost.promise.dirty.regrouped) = (false, false);
        }
        let reply = self.house.give_back(lost.receipt, self.now);
        self.given_back(reader, lost.channel, lost.promise, reply);
    }

    fn given_back(
        &mut self,
        reader: usize,
        of: ChannelId,
        promise: Promise,
        reply: Option<(ChannelId, HoldId, Reply)>,
    ) {
        let Some(channel) = self.channels.get_mut(&reader).filter(|channel| channel.id == of) else {
            assert!(reply.is_none(), "what an ended channel was owed is forgotten");
            return;
        };
        channel.more |= promise.more || promise.turn != channel.turn;
        channel.owed.add(promise.owed);
        channel.dirty.add(promise.dirty);
        let due = channel.dirty.pcs.len();
        channel.dirty.retain(&channel.filter, &self.truth);
        channel.more |= channel.dirty.pcs.len() < due;
        let Some((hold, _)) = channel.held else {
            assert!(reply.is_none(), "no request is held");
            return;
        };
        let stale = channel.stale(self.terms, self.now);
        let expected = channel.expect(&[], stale, &self.truth);
        match reply {
            Some((_, answered, reply)) => {
                assert_eq!(answered, hold);
                channel.held = None;
                self.answered(reader, reply, expected);
            }
            None => assert!(expected.said.is_empty(), "held, and {:?} was given back", expected.said),
        }
    }

    fn withdraw(&mut self) {
        let reader = self.random.below(self.readers.len());
        let Some(channel) = self.channels.get_mut(&reader) else { return };
        let Some((hold, _)) = channel.held.take() else { return };
        channel.idle_since = self.now;
        self.house.withdraw(channel.id, hold, self.now);
        self.old_holds.push((channel.id, hold));
        self.say(|| format!("reader {reader} leaves"));
    }

    /// A known reader found no channel: what it asked takes effect all the same, and once.
    fn turned_away(&mut self, token: &Token, asks: &[Ask], fate: Fate) {
        let Some((_, filter, _, owed)) = self.remembered.iter_mut().find(|(of, ..)| of == token) else {
            let Fate::Again(poll) = fate else { panic!("nobody knows {token:?}, and it was put off") };
            assert_eq!((&poll.token, poll.asks.as_slice()), (token, asks), "nothing was done");
            return;
        };
        let before = filter.clone();
        for ask in asks {
            match ask {
                Ask::SetFilter(change) => {
                    let set = self.truth.changed_filter(filter, change);
                    // A tag that no room carries any more stays where it is: a later setup may have it again.
                    if change.occupation.is_some() {
                        filter.occupation = set.occupation;
                    }
                    if change.room_map.is_some() {
                        filter.room_map = set.room_map;
                    }
                    if change.schedule.is_some() {
                        filter.schedule = set.schedule;
                    }
                }
                Ask::HistoricUpdates(range) => {
                    owed.add(Owed { historic: vec![*range], ..Owed::default() });
                }
                Ask::Occupation => drop(owed.kinds.insert(Kind::Occupation)),
                Ask::RoomMap => drop(owed.kinds.insert(Kind::RoomMap)),
                Ask::Schedule => drop(owed.kinds.insert(Kind::Schedule)),
                Ask::Tags => drop(owed.kinds.insert(Kind::Tags)),
                Ask::TagMap => drop(owed.kinds.insert(Kind::TagMap)),
            }
        }
        let Fate::PutOff { filter: set } = fate else { panic!("{token:?} is known, and was not put off") };
        assert_eq!(
            set.as_deref(),
            (*filter != before).then_some(&*filter),
            "a filter that was set is to be saved"
        );
    }

    /// A connection broke on which some channel was told something last.
    fn doubt(&mut self) {
        let reader = self.random.below(self.readers.len());
        let Some(channel) = self.channels.get_mut(&reader) else { return };
        let promise = std::mem::take(&mut channel.last);
        let id = channel.id;
        self.say(|| format!("reader {reader} may not have got {promise:?}"));
        let reply = self.house.doubt(id, self.now);
        self.given_back(reader, id, promise, reply);
    }

    fn withdraw_late(&mut self) {
        if !self.old_holds.is_empty() {
            let (channel, hold) = *self.random.pick(&self.old_holds);
            self.house.withdraw(channel, hold, self.now);
        }
    }

    fn pass_time(&mut self) {
        let millis = match self.random.below(100) {
            0..70 => self.random.below(2_000),
            70..92 => self.random.below(25_000),
            92..99 => self.random.below(400_000),
            _ => 25 * 60 * 60 * 1000,
        };
        self.now += Duration::from_millis(millis as u64);
        self.say(|| format!("{millis} ms pass"));
        if self.random.chance(80) {
            self.tick();
        }
    }

    fn tick(&mut self) {
        let now = self.now;
        let ticked = self.house.tick(now);
        let mut timed_out = HashSet::new();
        for channel in self.channels.values_mut() {
            if let Some((hold, deadline)) = channel.held
                && deadline <= now
            {
                timed_out.insert((channel.id, hold));
                channel.held = None;
                channel.last = Promise { turn: channel.turn, ..Promise::default() };
                channel.idle_since = now;
            }
        }
        assert_eq!(ticked.timed_out.to.iter().copied().collect::<HashSet<_>>(), timed_out, "holds that end");
        assert_eq!(ticked.timed_out.to.len(), timed_out.len(), "a request is answered once");
        self.old_holds.extend(ticked.timed_out.to);

        let expiry = self.terms.channel_expiry;
        let over = |c: &Channel| c.held.is_none() && c.idle_since + expiry <= now;
        let over: HashSet<usize> = self.channels.iter().filter(|(_, c)| over(c)).map(|(r, _)| *r).collect();
        assert_eq!(ticked.ended.len(), over.len(), "channels that end");
        for token in ticked.ended {
            let reader = self.readers.iter().position(|reader| reader.token == token).unwrap();
            assert!(over.contains(&reader), "the channel of reader {reader} ends before its time");
            let channel = self.channels.remove(&reader).unwrap();
            self.remember(token, channel.filter, now + DAY);
        }
        self.remembered.retain(|(_, _, until, _)| *until > now);
        assert!(self.house.next_deadline().is_none_or(|next| next > now), "a tick leaves nothing undone");
    }

    fn remember(&mut self, token: Token, filter: Filter, until: Instant) {
        if filter != Filter::nothing() {
            self.remembered.push_back((token, filter, until, Owed::default()));
            while self.remembered.len() > self.terms.max_remembered {
                self.remembered.pop_front();
            }
        }
    }

    /// The daemon stops and starts again, maybe with another setup. Filters were saved.
    fn restart(&mut self) {
        self.say(|| "restart".into());
        let plan = campus::other_plan(&mut self.random, &self.truth.plan);
        let mut pcs: Vec<_> = self.truth.pcs.iter().map(|(pc, (_, is))| (pc.clone(), *is)).collect();
        let at = self.random.below(pcs.len() + 1);
        pcs.rotate_left(at);
        let remains = Remains {
            pcs,
            sources: self.truth.sources.iter().map(|source| Source::parse(source).unwrap()).collect(),
            versions: self.house.versions(),
        };
        let then = self.house.digests();
        let rooms =
            Plan { rooms: plan.clone(), rules: campus::rules(self.truth.rules), growth: self.truth.growth };
        self.house = House::new(rooms, remains, Some(then), self.terms);
        self.truth.replan(plan);
        let mut channels: Vec<(usize, Channel)> = self.channels.drain().collect();
        channels.sort_by_key(|(reader, _)| *reader);
        for (reader, channel) in channels {
            let token = self.readers[reader].token.clone();
            self.remember(token, channel.filter, self.now + DAY);
        }
        for (token, filter, until, owed) in &mut self.remembered {
            // What was asked without a channel is remembered no longer than the daemon runs.
            *owed = Owed::default();
            let ago = DAY.saturating_sub(*until - self.now);
            self.house.remember(token.clone(), filter.clone(), ago, self.now);
        }
        self.lost.clear();
        self.old_holds.clear();
        self.all_holds.clear();
    }

    /// What is lost is given back, the reader polls until it is held, and then knows the truth.
    fn settle(&mut self, reader: usize) {
        if self.readers[reader].gone {
            return;
        }
        self.say(|| format!("reader {reader} settles"));
        self.reliable = true;
        while let Some(at) = self.lost.iter().position(|lost| lost.reader == reader) {
            let lost = self.lost.remove(at);
            self.give_back(lost);
        }
        let held = self.poll(reader, &[]) || self.poll(reader, &[]);
        self.reliable = false;
        let Some(channel) = self.channels.get(&reader) else { return };
        assert!(held || self.draining, "a reader that was told all is held");
        let (shown, truth, filter) = (&self.readers[reader], &self.truth, &channel.filter);
        for pc in &channel.pcs {
            let is = shown.occupation.get(pc);
            assert_eq!(is, Some(&truth.pcs[pc].1), "what reader {reader} shows of {pc}");
        }
        if channel.mapped {
            assert_eq!(shown.room_map, truth.room_map(&filter.room_map), "the roomMap of reader {reader}");
        }
        if channel.scheduled {
            assert_eq!(shown.schedule, truth.schedule(&filter.schedule), "the schedule of reader {reader}");
        }
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{}", what());
        }
    }
}

impl Channel {
    fn new(id: ChannelId, filter: Filter, restored: bool, now: Instant) -> Channel {
        let mut owed = Owed::default();
        owed.kinds.extend([Kind::Welcome, Kind::Tags]);
        if restored {
            owed.kinds.extend([Kind::RoomMap, Kind::Schedule, Kind::Occupation]);
        }
        Channel {
            id,
            filter,
            owed,
            dirty: Dirty::default(),
            held: None,
            idle_since: now,
            more: false,
            turn: 0,
            pcs: BTreeSet::new(),
            mapped: false,
            scheduled: false,
            told: BTreeSet::new(),
            again: None,
            last: Promise::default(),
        }
    }

    /// What is to be told again now: what was told, after half of the time or more.
    fn stale(&mut self, terms: Terms, now: Instant) -> BTreeSet<Kind> {
        if self.told.is_empty() {
            return BTreeSet::new();
        }
        let half = terms.refresh / 2;
        let within = half.max(terms.refresh.saturating_sub(terms.hold));
        let share = within / 2 + self.id.share(within - within / 2);
        let again = *self.again.get_or_insert(self.idle_since + share);
        if again > now {
            return BTreeSet::new();
        }
        self.again = None;
        let mut stale = std::mem::take(&mut self.told);
        if stale.contains(&Kind::RoomMap) {
            stale.insert(Kind::Schedule);
        }
        stale
    }

    /// Takes the asks of a request, and says what must answer it.
    fn expect(&mut self, asks: &[Ask], mut stale: BTreeSet<Kind>, truth: &Truth) -> Expected {
        let before = self.filter.clone();
        let map_due = self.dirty.maps();
        let mut is_set = false;
        let mut answers = Vec::new();
        let mut promise = Promise::default();
        let mut asked_pcs = None;
        let mut asked_maps = Vec::new();
        let mut asked_schedules = Vec::new();
        for ask in asks {
            let filter = &self.filter;
            let (kind, said) = match ask {
                Ask::SetFilter(change) => {
                    let new = truth.changed_filter(filter, change);
                    if new != *filter {
                        is_set = true;
                        // What was told under another filter is not told again under this one.
                        self.told.clear();
                        self.again = None;
                        stale.clear();
                    }
                    self.filter = new;
                    continue;
                }
                Ask::HistoricUpdates(range) => {
                    promise.owed.historic.push(*range);
                    answers.push(Said::Historic(*range));
                    continue;
                }
                Ask::Occupation => {
                    asked_pcs = Some(filter.occupation.clone());
                    (Kind::Occupation, occupation(truth, filter))
                }
                Ask::RoomMap => {
                    asked_maps.push(filter.room_map.clone());
                    (Kind::RoomMap, room_map(truth, filter))
                }
                Ask::Schedule => {
                    asked_schedules.push(filter.schedule.clone());
                    (Kind::Schedule, schedule(truth, filter))
                }
                Ask::Tags => (Kind::Tags, Said::Tags(truth.versions.tag_map, truth.tags())),
                Ask::TagMap => (Kind::TagMap, tag_map(truth)),
            };
            promise.owed.kinds.insert(kind);
            answers.push(said);
        }
        if is_set {
            self.turn += 1;
            self.more |= !self.dirty.is_empty();
            // What of it the filter lets pass now is not known any more.
            (self.dirty.remapped, self.dirty.regrouped) = (false, false);
        }
        self.dirty.retain(&self.filter, truth);
        if map_due {
            self.owed.kinds.extend([Kind::RoomMap, Kind::Schedule]);
        }
        if self.dirty.reschedules() {
            self.owed.kinds.insert(Kind::Schedule);
        }
        if self.dirty.retagged && !asks.contains(&Ask::TagMap) {
            self.owed.kinds.insert(Kind::TagMap);
        }

        self.owed.kinds.extend(stale.iter().copied());
        let filter = &self.filter;
        let mut said: Vec<Said> = self
            .owed
            .kinds
            .iter()
            .map(|kind| match kind {
                Kind::Welcome => Said::Welcome,
                Kind::Tags => Said::Tags(truth.versions.tag_map, truth.tags()),
                Kind::TagMap => tag_map(truth),
                Kind::RoomMap => room_map(truth, filter),
                Kind::Schedule => schedule(truth, filter),
                Kind::Occupation => occupation(truth, filter),
            })
            .collect();
        said.extend(self.owed.historic.iter().map(|range| Said::Historic(*range)));
        said.extend(answers);
        let whole = asked_pcs.is_some() || self.owed.kinds.contains(&Kind::Occupation);
        if !whole && !self.dirty.pcs.is_empty() {
            said.push(update(truth, &self.dirty.pcs));
        }
        while said.iter().filter(|said| said.bears_occupation()).count() > 1 {
            let first = said.iter().position(Said::bears_occupation).unwrap();
            said.remove(first);
        }

        // What the client may be judged by from now on.
        if whole {
            self.pcs = truth.occupation(&filter.occupation).into_keys().collect();
            if let Some(asked) = &asked_pcs {
                self.pcs.retain(|pc| truth.pc_passes(asked, pc));
            }
        } else {
            self.pcs.retain(|pc| truth.pc_passes(&filter.occupation, pc));
        }
        let kinds = &self.owed.kinds;
        self.mapped = if asked_maps.is_empty() {
            kinds.contains(&Kind::RoomMap) || self.mapped && filter.room_map == before.room_map
        } else {
            asked_maps.iter().all(|asked| *asked == filter.room_map)
        };
        self.scheduled = if asked_schedules.is_empty() {
            kinds.contains(&Kind::Schedule) || self.scheduled && filter.schedule == before.schedule
        } else {
            asked_schedules.iter().all(|asked| *asked == filter.schedule)
        };

        // One that was asked for by itself, lost, and is told again.
        let alone = kinds.contains(&Kind::RoomMap) && !kinds.contains(&Kind::Schedule);
        let mut owed = self.owed.clone();
        owed.add(promise.owed);
        promise.owed = owed;
        promise.dirty = self.dirty.clone();
        promise.more = self.more;
        Expected { said, more: self.more, promise, asked_map: alone || !asked_maps.is_empty(), stale }
    }
}

/// Holds a reply against what it must be; where more may be told, that must be true and pass the filter.
fn check_reply(said: &[Said], expected: &Expected, filter: &Filter, truth: &Truth) {
    for this in said {
        if let Said::Update(version, update) = this {
            assert!(*version <= truth.versions.occupation);
            assert!(!update.is_empty(), "an update says something");
            for (pc, is) in update {
                assert_eq!(truth.pcs[pc].1, *is, "an update says how {pc} is");
                assert!(truth.pc_passes(&filter.occupation, pc), "an update names {pc}, which does not pass");
            }
        }
    }
    let same = |this: &Said, expected: &Said| match (this, expected) {
        (Said::Update(_, this), Said::Update(_, expected)) => this == expected,
        _ => this == expected,
    };
    if !expected.more {
        let equal =
            said.len() == expected.said.len() && said.iter().zip(&expected.said).all(|(a, b)| same(a, b));
        assert!(equal, "told {said:?}\nand not {:?}", expected.said);
        return;
    }
    let mut rest = expected.said.iter().peekable();
    for this in said {
        let as_expected = rest.next_if(|expected| match (this, expected) {
            (Said::Update(_, this), Said::Update(_, expected)) => {
                expected.keys().all(|pc| this.contains_key(pc))
            }
            _ => same(this, expected),
        });
        let allowed = as_expected.is_some()
            || match this {
                Said::RoomMap(..) => *this == room_map(truth, filter),
                Said::Schedule(..) => *this == schedule(truth, filter),
                Said::TagMap(..) => *this == tag_map(truth),
                Said::Update(..) => true,
                _ => false,
            };
        assert!(allowed, "told {this:?} in {said:?}\nand not {:?}", expected.said);
    }
    assert!(rest.peek().is_none(), "told {said:?}\nand not {:?}", expected.said);
}

fn said(messages: &[std::sync::Arc<Message>]) -> Vec<Said> {
    messages.iter().map(|message| Said::of(message)).collect()
}

/// News as far as they pass a filter.
fn passing(news: Dirty) -> impl Fn(&Filter, &Truth) -> Dirty {
    move |filter, truth| {
        let mut dirty = news.clone();
        dirty.retain(filter, truth);
        dirty
    }
}

fn tag_map(truth: &Truth) -> Said {
    Said::TagMap(truth.versions.tag_map, truth.tag_map())
}

/// What is shown until something else is told, and so is told again.
fn lasting(said: &Said) -> Option<Kind> {
    match said {
        Said::Welcome | Said::Tags(..) | Said::Historic(_) => None,
        Said::TagMap(..) => Some(Kind::TagMap),
        Said::RoomMap(..) => Some(Kind::RoomMap),
        Said::Schedule(..) => Some(Kind::Schedule),
        Said::Occupation(..) | Said::Update(..) => Some(Kind::Occupation),
    }
}

fn occupation(truth: &Truth, filter: &Filter) -> Said {
    Said::Occupation(truth.versions.occupation, truth.occupation(&filter.occupation))
}

fn room_map(truth: &Truth, filter: &Filter) -> Said {
    Said::RoomMap(truth.versions.room_map, truth.room_map(&filter.room_map))
}

fn schedule(truth: &Truth, filter: &Filter) -> Said {
    Said::Schedule(truth.versions.schedule, truth.schedule(&filter.schedule))
}

fn update(truth: &Truth, pcs: &BTreeSet<PcName>) -> Said {
    let states = pcs.iter().map(|pc| (pc.clone(), truth.pcs[pc].1)).collect();
    Said::Update(truth.versions.occupation, states)
}
