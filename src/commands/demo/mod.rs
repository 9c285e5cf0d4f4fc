//! `tkbd demo`: a real daemon, and a campus day that is made up.

mod chance;
mod day;
mod directory;
mod status;

use super::arguments::DemoArguments;
use super::signals::{self, Hangups, Signals};
use super::{Failure, logging, run};
use crate::client::{PushError, Pusher, Retries, Server};
use crate::core::pc::{Occupation, PcName};
use crate::core::poll::Ask;
use crate::core::room::{RoomKey, RoomPlan};
use crate::core::source::Source;
use crate::core::tag::{FilterChange, TagFilter};
use crate::setup::{self, Setup, SetupError};
use crate::wire::client::{push_body, request};
use crate::{Listeners, RunError};
use day::Day;
use directory::Scratch;
use status::Status;
use std::io::{Write, stdout};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// The simulated time at which it begins: the rooms have just opened, and soon fill.
const BEGIN: u64 = 8 * 3600 + 15 * 60;

/// Runs the daemon and the day until a signal comes.
pub(super) async fn demo(arguments: DemoArguments) -> Result<(), Failure> {
    let scratch = Scratch::new()?;
    let load = loader(&scratch, &arguments)?;
    let setup = load()?;
    let (_logging, log) = logging::start(&setup.log)?;
    let rooms = setup.rooms.clone();

    let shutdown = CancellationToken::new();
    signals::watch(Signals::new()?, shutdown.clone());
    // Where the terminal is gone, the next line to it ends the day, and all is tidied up.
    let (reload, reloads) = crate::reloads(load, move |to| log.set(to));
    signals::reload(Hangups::new()?, reload);
    let listeners = Listeners::bind(&setup)?;
    let http = address(&listeners.http_addrs(), "http.listen")?;
    let push = address(&listeners.push_addrs(), "push.listen")?;
    let mut daemon = tokio::spawn(crate::run(setup, listeners, reloads, shutdown.clone()));
    writeln!(stdout(), "{}", introduction(http, push, &rooms, &arguments))?;

    let pusher = Server::new(&format!("http://{push}"), Duration::from_secs(10))
        .map_err(|error| Failure::other(error.to_string()))
        .map(|server| Pusher::new(server, None))?
        .ok_or_else(|| Failure::other("cannot push to the daemon"))?;
    // Enough simulated time a push that something has changed, and a few pushes a second.
    let step = step_of(arguments.speed);
    let day = Day::new(&rooms_of(&rooms), arguments.seed, BEGIN, step);
    let every = Duration::from_secs_f64(step as f64 / arguments.speed);

    let ended = tokio::select! {
        told = simulate(day, &pusher, every) => {
            shutdown.cancel();
            told.and(finish((&mut daemon).await))
        }
        // It ends at a signal, or when it cannot go on.
        ended = &mut daemon => finish(ended),
    };
    writeln!(stdout())?;
    ended
}

fn loader(
    scratch: &Scratch,
    arguments: &DemoArguments,
) -> Result<impl Fn() -> Result<Setup, SetupError> + Send + Sync + 'static, Failure> {
    let file = scratch.write("demo.toml", setup::DEMO)?;
    // The status line stays where it is as long as nothing else is written. Of two values the last counts.
    let quietly = "log.level=warn".to_owned();
    let sets: Vec<String> = std::iter::once(quietly).chain(arguments.set.iter().cloned()).collect();
    let db = arguments.db.clone().unwrap_or_else(|| scratch.path().join("history.sqlite"));
    Ok(move || {
        let mut setup = setup::load(Some(&file), run::environment(), &sets)?;
        setup.history.db.clone_from(&db);
        Ok(setup)
    })
}

fn finish(ended: Result<Result<(), RunError>, tokio::task::JoinError>) -> Result<(), Failure> {
    match ended {
        Ok(done) => Ok(done?),
        Err(_) => Err(Failure::other("the daemon ended in a panic")),
    }
}

/// How a program on this machine reaches the first listener.
fn address(addresses: &[SocketAddr], setting: &str) -> Result<SocketAddr, Failure> {
    let first = addresses.first().ok_or_else(|| Failure::other(format!("the demo needs a {setting}")))?;
    let ip = match first.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Ok(SocketAddr::new(ip, first.port()))
}

/// The rooms that have PCs, with how many: between 12 and 63, always the same for a key.
fn rooms_of(plans: &[RoomPlan]) -> Vec<(RoomKey, usize)> {
    let seats = |key: &RoomKey| {
        let sum = key.as_str().bytes().fold(7u32, |sum, byte| sum.wrapping_mul(31) + u32::from(byte));
        12 + (sum % 52) as usize
    };
    plans
        .iter()
        .filter(|plan| plan.key != RoomKey::none())
        .map(|plan| (plan.key.clone(), seats(&plan.key)))
        .collect()
}

fn step_of(speed: f64) -> u64 {
    (speed * 0.4).round().clamp(1.0, 300.0) as u64
}

fn introduction(http: SocketAddr, push: SocketAddr, rooms: &[RoomPlan], arguments: &DemoArguments) -> String {
    let example = rooms_of(rooms).first().map_or_else(|| "roompc01".into(), |(key, _)| format!("{key}pc01"));
    let target = |default: &str, address: SocketAddr, option: &str| {
        if address.to_string() == default { String::new() } else { format!(" {option}http://{address}") }
    };
    let watch = target("127.0.0.1:8080", http, "");
    let to = target("127.0.0.1:1235", push, "--to ");
    let everything = FilterChange { occupation: Some(TagFilter::Everything), ..FilterChange::default() };
    let poll = request(None, &[Ask::SetFilter(everything), Ask::Occupation]);
    let poll = String::from_utf8_lossy(&poll);
    let kept = match &arguments.db {
        Some(file) => format!("The history is kept in {}.", file.display()),
        None => "The history is thrown away at the end.".into(),
    };
    format!(
        "A campus day at {speed} times its speed, seed {seed}. {kept} Ctrl-C ends it.\n\n  \
         in a browser    http://{http}/\n  \
         in a terminal   tkbd watch{watch}\n  \
         as a client     curl -g 'http://{http}/?m={poll}'\n  \
         take a part     tkbd push{to} {example}=used:linux\n",
        speed = arguments.speed,
        seed = arguments.seed,
    )
}

/// Pushes what happens, for ever; an error only where nobody reads what we say.
async fn simulate(mut day: Day, pusher: &Pusher, every: Duration) -> Result<(), Failure> {
    let mut status = Status::new();
    // All states in one push: from here on, everything that is shown was pushed by us.
    push(pusher, &day.all(), &mut status).await;
    status.tell(&day)?;
    let mut clock = tokio::time::interval(every);
    // A day that fell behind goes on from there: nobody wants the missed hours in one second.
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let changes = day.step();
        push(pusher, &changes, &mut status).await;
        status.tell(&day)?;
    }
}

async fn push(pusher: &Pusher, states: &[(PcName, Occupation)], status: &mut Status) {
    let source = Source::parse("demo").unwrap_or_else(|_| Source::unknown());
    let retries = Retries { times: Some(4), least: Duration::from_millis(100) };
    for part in states.chunks(1000) {
        let body = push_body(Some(&source), part);
        let done = pusher.push_until_acknowledged(body.into(), retries, |_: &PushError, _| {}).await;
        if let Err(error) = &done {
            tracing::warn!(%error, "a push of the demo was not acknowledged");
        }
        status.pushed(part.len(), done.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_introduction_names_commands_that_work_for_these_ports() {
        let plan = RoomPlan { key: RoomKey::parse("lib").unwrap(), name: "Library".into(), tags: vec![] };
        let arguments = DemoArguments { speed: 30.0, seed: 1, db: None, set: vec![] };
        let at = |text: &str| text.parse().unwrap();
        let plans = [plan];
        let text = introduction(at("127.0.0.1:8080"), at("127.0.0.1:1235"), &plans, &arguments);
        assert!(text.contains("tkbd watch\n") && text.contains("tkbd push libpc01=used:linux\n"), "{text}");
        let text = introduction(at("127.0.0.1:9080"), at("[::1]:9235"), &plans, &arguments);
        assert!(text.contains("tkbd watch http://127.0.0.1:9080\n"), "{text}");
        assert!(text.contains("tkbd push --to http://[::1]:9235 libpc01"), "{text}");
        assert!(text.contains("curl -g 'http://127.0.0.1:9080/?m=[null,"), "{text}");
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_on_loopback() {
        for (bound, reached) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("10.0.0.1:80", "10.0.0.1:80")]
        {
            let bound = [bound.parse().unwrap()];
            assert_eq!(address(&bound, "http.listen").unwrap().to_string(), reached);
        }
        assert!(address(&[], "http.listen").is_err());
    }

    #[test]
    fn every_room_but_that_of_strays_has_seats() {
        let plan =
            |key: &str| RoomPlan { key: RoomKey::parse(key).unwrap(), name: String::new(), tags: vec![] };
        let rooms = rooms_of(&[plan("none"), plan("a"), plan("library.2")]);
        assert_eq!(rooms.len(), 2);
        assert!(rooms.iter().all(|(_, seats)| (12..64).contains(seats)));
    }
}
