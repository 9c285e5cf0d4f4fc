//! A trial: pages and a pusher that live through restarts, and what became of them.

use crate::ledger::Ledger;
use crate::pages::{self, Page, Patience, Setting, Tally, Watched};
use crate::service::{GUARD, Mode, Service};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// How much of what.
pub(crate) struct Plan {
    pub(crate) mode: Mode,
    pub(crate) restarts: usize,
    pub(crate) pages: usize,
    /// Pushes that are acknowledged between two restarts, on average.
    pub(crate) pushes: usize,
    /// The pause after each push.
    pub(crate) pause: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Findings {
    /// What pages died of, the first of them.
    pub(crate) frozen: Vec<String>,
    /// Pages that do not show what the daemon does.
    pub(crate) wrong: usize,
    /// Of all pages together.
    pub(crate) tally: Tally,
    pub(crate) pushes: usize,
    /// Pushes on a connection of their own that were not answered; nobody would send those again.
    pub(crate) lost_pushes: Vec<String>,
    /// Pushes that were sent again.
    pub(crate) repeated_pushes: usize,
    /// What the history has otherwise than it was pushed.
    pub(crate) history: Option<String>,
    pub(crate) took: Duration,
}

impl Findings {
    /// That nobody has noticed anything.
    #[track_caller]
    pub(crate) fn assert_unnoticed(&self) {
        assert!(self.frozen.is_empty(), "pages are frozen: {:?}", self.frozen);
        assert_eq!(self.wrong, 0, "pages show something else than the daemon");
        assert!(self.lost_pushes.is_empty(), "pushes were not answered: {:?}", self.lost_pushes);
        assert_eq!(self.history, None);
    }
}

/// Runs a trial.
pub(crate) fn run(plan: &Plan, binary: &Path) -> Findings {
    let begun = Instant::now();
    let mut service = Service::start(plan.mode, binary);
    let base = whole(service.http());
    assert_eq!(base.occupation, json!({}), "a new daemon");
    let ledger = Arc::new(Ledger::new(base.version));
    let watched = Arc::new(Watched::default());
    let patience = if plan.mode == Mode::Kill { Patience::Cuts } else { Patience::None };
    let setting = Setting {
        address: service.http(),
        patience,
        ledger: Arc::clone(&ledger),
        watched: Arc::clone(&watched),
    };
    let count = plan.pages;
    let pages = std::thread::spawn(move || pages::run(count, setting).unwrap());
    await_that(|| watched.begun.load(SeqCst) + watched.frozen.load(SeqCst) == count);
    if patience == Patience::Cuts {
        // A filter is saved within a second of being set (C3), and nothing outside says when.
        std::thread::sleep(Duration::from_secs(2));
    }

    let pusher = Arc::new(Pusher {
        to: service.push(),
        patience,
        ledger: Arc::clone(&ledger),
        pause: plan.pause,
        stop: AtomicBool::default(),
        acknowledged: AtomicUsize::default(),
    });
    let pushing = std::thread::spawn({
        let pusher = Arc::clone(&pusher);
        move || pusher.run()
    });
    for restart in 0..plan.restarts {
        // Every third comes while the pages are still on their way to the daemon before.
        let pushes = plan.pushes * (restart % 3);
        let before = pusher.acknowledged.load(SeqCst);
        await_that(|| pusher.acknowledged.load(SeqCst) >= before + pushes);
        service.restart();
    }
    let before = pusher.acknowledged.load(SeqCst);
    await_that(|| pusher.acknowledged.load(SeqCst) >= before + plan.pushes);
    pusher.stop.store(true, SeqCst);
    let (lost_pushes, repeated_pushes) = pushing.join().unwrap();

    let truth = whole(service.http());
    watched.awaited.store(truth.digest(), SeqCst);
    let until = Instant::now() + Duration::from_secs(20);
    while watched.arrived.load(SeqCst) + watched.frozen.load(SeqCst) < count && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    watched.stop.store(true, SeqCst);
    let pages = pages.join().unwrap();
    if patience == Patience::None {
        assert_eq!(truth.version, ledger.version(), "every push has spent one version");
    }
    let history = history_differs(service.http(), &ledger);
    service.end();
    let frozen = pages.iter().filter_map(|page| page.frozen.clone()).take(5).collect();
    let wrong = pages.iter().filter(|page| page.frozen.is_none() && !truth.is_shown_by(page)).count();
    Findings {
        frozen,
        wrong,
        tally: pages.iter().fold(Tally::default(), |sum, page| sum.and(page.tally)),
        pushes: ledger.len(),
        lost_pushes,
        repeated_pushes,
        history,
        took: begun.elapsed(),
    }
}

impl Tally {
    fn and(self, other: Tally) -> Tally {
        Tally {
            answers: self.answers + other.answers,
            updates: self.updates + other.updates,
            snapshots: self.snapshots + other.snapshots,
            welcomes: self.welcomes + other.welcomes,
            last_answers: self.last_answers + other.last_answers,
            repeated: self.repeated + other.repeated,
            longest_gap: self.longest_gap.max(other.longest_gap),
            longest_update: self.longest_update.max(other.longest_update),
        }
    }
}

#[track_caller]
fn await_that(holds: impl Fn() -> bool) {
    let until = Instant::now() + GUARD;
    while !holds() {
        assert!(Instant::now() < until, "it does not come to that");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Pushes one after the other, in the ledger's order, as login watchers do: half of them on a connection of their
/// own, which nobody sends again.
struct Pusher {
    to: SocketAddr,
    patience: Patience,
    ledger: Arc<Ledger>,
    pause: Duration,
    stop: AtomicBool,
    acknowledged: AtomicUsize,
}

impl Pusher {
    /// Returns what was lost on connections of their own, and how many pushes were sent again.
    fn run(&self) -> (Vec<String>, usize) {
        let (mut lost, mut repeated, mut kept) = (Vec::new(), 0, None);
        while !self.stop.load(SeqCst) {
            let body = self.ledger.next();
            let keeps = self.ledger.len().is_multiple_of(2);
            loop {
                let (mut stream, used) = match kept.take().filter(|_| keeps) {
                    Some(stream) => (Ok(stream), true),
                    None => (TcpStream::connect(self.to), false),
                };
                let answered = stream
                    .as_mut()
                    .map_err(|error| io::Error::from(error.kind()))
                    .and_then(|stream| post(stream, &body, keeps));
                match (answered, stream) {
                    (Ok((200, stays)), Ok(stream)) => {
                        kept = Some(stream).filter(|_| keeps && stays);
                        break;
                    }
                    (Ok((status, _)), _) => lost.push(format!("answered {status}")),
                    (Err(_), _) if self.patience == Patience::Cuts => {}
                    (Err(error), _) if used && error.kind() == ErrorKind::UnexpectedEof => {}
                    (Err(error), _) => lost.push(error.to_string()),
                }
                repeated += 1;
                assert!(lost.len() < 100, "{lost:?}");
            }
            self.acknowledged.fetch_add(1, SeqCst);
            std::thread::sleep(self.pause);
        }
        (lost, repeated)
    }
}

/// Status, and whether the connection goes on. An end before the first byte is `UnexpectedEof`.
fn post(stream: &mut TcpStream, body: &[u8], keeps: bool) -> io::Result<(u16, bool)> {
    let connection = if keeps { "keep-alive" } else { "close" };
    let head = format!(
        "POST /push HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.set_read_timeout(Some(GUARD))?;
    let unheard = |error: io::Error| match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => io::Error::from(ErrorKind::UnexpectedEof),
        _ => error,
    };
    stream.write_all(&[head.as_bytes(), body].concat()).map_err(unheard)?;
    let (status, stays, _) = answer(stream).map_err(unheard)?;
    Ok((status, stays))
}

fn answer(stream: &mut TcpStream) -> io::Result<(u16, bool, Vec<u8>)> {
    let (mut read, mut buffer) = (Vec::new(), [0; 65_536]);
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Err(if read.is_empty() {
                ErrorKind::UnexpectedEof.into()
            } else {
                io::Error::other("cut within an answer")
            });
        }
        read.extend_from_slice(&buffer[..n]);
        let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let length: usize = header("content-length:").and_then(|text| text.parse().ok()).unwrap_or(0);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        if let Some(body) = read.get(end + 4..end + 4 + length) {
            return Ok((status, header("connection:") != Some("close"), body.to_vec()));
        }
    }
}

/// All that a reader under the filter "everything" is told.
struct Whole {
    version: u64,
    occupation: Value,
    rooms: Value,
}

fn ask(to: SocketAddr, messages: &Value) -> Vec<Value> {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(GUARD)).unwrap();
    let body = messages.to_string();
    let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).unwrap();
    let (status, _, body) = answer(&mut stream).unwrap();
    assert_eq!(status, 200);
    let reply: Value = serde_json::from_slice(&body).unwrap();
    reply[1].as_array().unwrap().clone()
}

fn whole(of: SocketAddr) -> Whole {
    let filter = json!({"type": "set_msgFilter", "occupation": null, "roomMap": null, "schedule": null});
    let messages = ask(of, &json!([null, filter, {"type": "get_roomMap"}, {"type": "get_occupation"}]));
    let one = |of: &str| messages.iter().find(|message| message["type"] == of).unwrap().clone();
    let occupation = one("occupation");
    Whole {
        version: occupation["version"].as_u64().unwrap(),
        occupation: occupation["occupation"].clone(),
        rooms: one("roomMap")["roomMap"].clone(),
    }
}

impl Whole {
    fn states(&self) -> HashMap<String, String> {
        let states = self.occupation.as_object().unwrap().iter();
        states.map(|(pc, state)| (pc.clone(), state.as_str().unwrap().to_owned())).collect()
    }

    fn digest(&self) -> u64 {
        self.states().iter().fold(0, |sum, (pc, state)| sum ^ crate::ledger::digest(pc, state))
    }

    fn is_shown_by(&self, page: &Page) -> bool {
        page.occupation == self.states() && page.rooms == self.rooms
    }
}

/// Where the history is not what was pushed, push by push.
fn history_differs(of: SocketAddr, ledger: &Ledger) -> Option<String> {
    let mut rows: Vec<(String, String)> = Vec::new();
    loop {
        let ask_for = json!({"type": "get_historic_updates", "offset": rows.len(), "count": 1000});
        let messages = ask(of, &json!([null, ask_for]));
        let updates = messages.last().unwrap()["updates"].as_array().unwrap().clone();
        if updates.is_empty() {
            break;
        }
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        rows.extend(updates.iter().map(|row| (text(&row[0]), text(&row[3]))));
    }
    let pushed = ledger.rows();
    let same = |(row, push): (&(String, String), &(String, &str))| row.0 == push.0 && row.1 == push.1;
    let differs = rows.iter().zip(&pushed).position(|pair| !same(pair));
    match differs {
        Some(at) => Some(format!("row {at} is {:?}, and {:?} was pushed", rows[at], pushed[at])),
        None if rows.len() != pushed.len() => Some(format!("{} rows of {} pushes", rows.len(), pushed.len())),
        None => None,
    }
}
