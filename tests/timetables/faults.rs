//! Servers that hang, fail, lie and lead elsewhere: what was known stays, and the token stays at home.

use crate::server::{Answer, Server, data, gzipped};
use chrono_tz::Europe::Amsterdam;
use reqwest::Url;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::HashMap;
use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tkbd::core::room::RoomKey;
use tkbd::feeds::timetable::coverage::Coverage;
use tkbd::feeds::timetable::day::Day;
use tkbd::feeds::timetable::fetch::{Credential, FetchError, Fetcher, Terms};
use tkbd::feeds::timetable::ical::{Ical, Place, Plan, Source, Template};
use tkbd::feeds::timetable::mytimetable::MyTimetable;
use tkbd::feeds::timetable::ruuster::Ruuster;
use tkbd::feeds::timetable::{Error, Provider, Pull, Room, TextRule, Timetable};

/// The largest document, so that a test can have a larger one.
const LARGEST: usize = 200_000;

/// How long a test waits for a server that says nothing.
const PATIENCE: Duration = Duration::from_millis(300);

const MINUTE: Duration = Duration::from_secs(60);

fn text() -> TextRule {
    TextRule { cut: None, placeholder: "Reserved".into() }
}

fn room(key: &str, name: &str) -> Room {
    Room { key: RoomKey::parse(key).unwrap(), name: name.into() }
}

fn fetcher(url: &str, token: Option<&str>) -> Fetcher {
    let terms = Terms { connect: PATIENCE, total: PATIENCE, max_size: LARGEST };
    let credential = token.and_then(|token| Credential::new("authorization", &format!("Bearer {token}")));
    Fetcher::new(terms, &[Url::parse(url).unwrap()], credential)
}

fn ical(source: Source, fetcher: Fetcher) -> Ical {
    let coverage = Coverage::default();
    Ical::new(Plan { source, coverage, text: text(), zone: None, max_size: LARGEST }, Some(fetcher))
}

/// A calendar at `path` that is all about hg075.
fn calendar(server: &Server, path: &str, token: Option<&str>) -> Ical {
    let url = server.url(path);
    let each = vec![(RoomKey::parse("hg075").unwrap(), Place::Url(Url::parse(&url).unwrap()))];
    ical(Source::Each(each), fetcher(&url, token))
}

/// A provider, and the time as it is told.
struct Asker {
    provider: Arc<dyn Provider>,
    pull: Pull,
}

impl Asker {
    fn new(provider: impl Provider + 'static) -> Asker {
        let day = Day { date: "2026-11-23".parse().unwrap(), zone: Amsterdam };
        let rooms = Arc::from([room("hg075", "HG00.075")]);
        let pull = Pull { day, rooms, now: Instant::now(), fresh: 15 * MINUTE };
        Asker { provider: Arc::new(provider), pull }
    }

    /// Asks again, that much later.
    async fn after(&mut self, time: Duration) -> Result<Timetable, Error> {
        self.pull.now += time;
        self.provider.fetch(&self.pull).await
    }

    /// The texts of today, in their order.
    fn texts(&self, timetable: &Timetable) -> Vec<String> {
        let today = |booking: &&_| {
            let booking: &tkbd::feeds::timetable::Booking = booking;
            self.pull.day.minutes(booking.start, booking.end).is_some()
        };
        let mut bookings: Vec<_> = timetable.bookings.iter().filter(today).collect();
        bookings.sort();
        bookings.iter().map(|booking| booking.text.clone()).collect()
    }
}

fn ics(summary: &str, head: &str) -> Vec<u8> {
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{head}BEGIN:VEVENT\r\nUID:1\r\nSUMMARY:{summary}\r\n\
         DTSTART:20261122T090000Z\r\nDTEND:20261130T100000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    .into_bytes()
}

fn problems(timetable: &Timetable) -> Vec<Error> {
    timetable.problems.iter().map(|problem| problem.error.clone()).collect()
}

#[tokio::test]
async fn t1_a_server_that_hangs_or_fails_takes_nothing_away() {
    let server = Server::new(&[("/a.ics", Answer::Document(ics("good", "")))]);
    let mut asker = Asker::new(calendar(&server, "/a.ics", None));
    let first = asker.after(Duration::ZERO).await.unwrap();
    assert_eq!((asker.texts(&first), problems(&first)), (vec!["good".to_owned()], vec![]));
    for (answer, expected) in [
        (Answer::Silence, Some(FetchError::TimedOut)),
        (Answer::Status(500, vec![]), Some(FetchError::Status(500))),
        (Answer::Status(404, vec![]), Some(FetchError::Status(404))),
        (Answer::Status(204, vec![]), Some(FetchError::Status(204))),
        (Answer::CutShort(ics("cut", "")), None),
    ] {
        server.answer("/a.ics", answer);
        let kept = asker.after(16 * MINUTE).await.unwrap();
        assert_eq!(asker.texts(&kept), ["good"], "{expected:?}");
        match expected {
            Some(error) => assert_eq!(problems(&kept), [Error::Fetch(error)]),
            None => assert!(matches!(problems(&kept)[..], [Error::Fetch(FetchError::Unreachable(_))])),
        }
    }
    // Of a new day as well, and then it is back.
    asker.pull.day = asker.pull.day.plus(1);
    assert_eq!(asker.texts(&asker.provider.fetch(&asker.pull).await.unwrap()), ["good"]);
    server.answer("/a.ics", Answer::Document(ics("better", "")));
    let better = asker.after(5 * MINUTE).await.unwrap();
    assert_eq!((asker.texts(&better), problems(&better)), (vec!["better".to_owned()], vec![]));
}

#[tokio::test]
async fn t1_one_room_that_cannot_be_had_takes_no_other_along() {
    let server =
        Server::new(&[("/a.ics", Answer::Document(ics("A", ""))), ("/b.ics", Answer::Status(500, vec![]))]);
    let template = server.url("/{room}.ics");
    let provider = ical(Source::Template(Template::Url(template)), fetcher(&server.url("/"), None));
    let mut asker = Asker::new(provider);
    asker.pull.rooms = Arc::from([room("a", "A"), room("b", "B")]);
    let half = asker.after(Duration::ZERO).await.unwrap();
    assert_eq!(
        (asker.texts(&half), half.problems[0].room.clone()),
        (vec!["A".to_owned()], RoomKey::parse("b").ok())
    );
    // Five minutes later only what failed is asked for again.
    server.answer("/b.ics", Answer::Document(ics("B", "")));
    let whole = asker.after(5 * MINUTE).await.unwrap();
    assert_eq!((asker.texts(&whole), problems(&whole)), (vec!["A".to_owned(), "B".to_owned()], vec![]));
    let count = |path: &str| server.targets().iter().filter(|target| *target == path).count();
    assert_eq!((count("/a.ics"), count("/b.ics")), (1, 2));
}

#[tokio::test]
async fn t1_a_server_that_hangs_is_not_asked_for_every_room() {
    let server = Server::new(&[]);
    let rooms: Vec<Room> = (0..40).map(|n| room(&format!("r{n}"), "R")).collect();
    for room in &rooms {
        server.answer(&format!("/{}.ics", room.key), Answer::Silence);
    }
    let template = server.url("/{room}.ics");
    let mut asker =
        Asker::new(ical(Source::Template(Template::Url(template)), fetcher(&server.url("/"), None)));
    asker.pull.rooms = rooms.into();
    let nothing = asker.after(Duration::ZERO).await.unwrap();
    assert_eq!(nothing.problems.len(), 40);
    // Those that were under way when the second did not answer.
    assert!(server.targets().len() <= 8, "{:?}", server.targets());
}

#[tokio::test]
async fn t2_a_calendar_counts_whole_or_not_at_all() {
    let server = Server::new(&[("/a.ics", Answer::Document(ics("good", "")))]);
    let mut asker = Asker::new(calendar(&server, "/a.ics", None));
    asker.after(Duration::ZERO).await.unwrap();
    let whole = ics("cut", "");
    let bomb = vec![b'x'; 50_000_000];
    for (answer, why) in [
        (Answer::Document(whole[..whole.len() - 15].to_vec()), "it is truncated"),
        (Answer::Document(b"<!DOCTYPE html><title>Log in</title>".to_vec()), "no iCalendar file"),
        (Answer::Document(Vec::new()), "no iCalendar file"),
        (Answer::Document(vec![b'x'; LARGEST + 1]), "longer than 200000 bytes"),
        (gzipped(&bomb), "longer than 200000 bytes"),
    ] {
        server.answer("/a.ics", answer);
        let kept = asker.after(16 * MINUTE).await.unwrap();
        assert_eq!(asker.texts(&kept), ["good"], "{why}");
        assert_eq!(kept.problems[0].error.to_string(), why);
    }
    server.answer("/a.ics", Answer::With(vec![("Content-Encoding", "gzip".into())], b"no gzip".to_vec()));
    assert!(!problems(&asker.after(16 * MINUTE).await.unwrap()).is_empty());
    // An empty calendar is one: what it held is over.
    server.answer("/a.ics", Answer::Document(b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n".to_vec()));
    assert!(asker.after(16 * MINUTE).await.unwrap().bookings.is_empty());
}

#[tokio::test]
async fn t2_an_answer_of_mytimetable_counts_whole_or_not_at_all() {
    let (list, events) = ("/api/v0/timetables", "/api/v0/timetables/2026!location!49CB");
    let server = Server::new(&[
        (list, Answer::file("mytimetable-list.json")),
        (events, Answer::file("mytimetable-49CB.json")),
    ]);
    let base = Url::parse(&server.url("/")).unwrap();
    let provider = MyTimetable::new(&base, None, Coverage::default(), text(), fetcher(base.as_str(), None));
    let mut asker = Asker::new(provider);
    let good = ["NWI-IBC001 Calculus A", "Instruction of first-years"];
    assert_eq!(asker.texts(&asker.provider.fetch(&asker.pull).await.unwrap()), good);
    let bad = String::from_utf8(data("mytimetable-49CB.json")).unwrap().replacen("\"endDate\"", "\"end\"", 1);
    for (answer, why) in [
        (Answer::Document(bad.into_bytes()), "not what MyTimetable answers, at line"),
        (Answer::Document(b"[{\"startDate\": 1,".to_vec()), "not JSON, at line 1"),
        (Answer::Document(b"[] []".to_vec()), "not JSON, at line 1"),
        (Answer::Status(503, vec![]), "status 503"),
        (Answer::Silence, "no answer in time"),
    ] {
        server.answer(events, answer);
        let kept = asker.after(16 * MINUTE).await.unwrap();
        assert_eq!(asker.texts(&kept), good, "{why}");
        assert!(kept.problems[0].error.to_string().starts_with(why), "{:?}", kept.problems);
    }
    // Without a list nothing can be asked; what was known is for the board to keep.
    server.answer(list, Answer::Document(b"{\"timetable\": [{\"hostKey\": 5}]}".to_vec()));
    assert!(matches!(asker.after(61 * MINUTE).await, Err(Error::Malformed(_))));
}

/// A room list, and answers about rooms.
fn mytimetable(rooms: usize, answer: &str) -> (Server, Asker) {
    let server = Server::new(&[]);
    let key = |n: usize| format!("2026!location!{n}");
    let list: Vec<String> =
        (0..rooms).map(|n| format!(r#"{{"hostKey": "R{n}", "value": "{}"}}"#, key(n))).collect();
    server.answer("/api/v0/timetables", Answer::Document(format!("[{}]", list.join(",")).into_bytes()));
    for n in 0..rooms {
        server
            .answer(&format!("/api/v0/timetables/{}", key(n)), Answer::Document(answer.as_bytes().to_vec()));
    }
    let base = Url::parse(&server.url("/")).unwrap();
    let provider = MyTimetable::new(&base, None, Coverage::default(), text(), fetcher(base.as_str(), None));
    let mut asker = Asker::new(provider);
    asker.pull.rooms = (0..rooms).map(|n| room(&format!("r{n}"), &format!("R{n}"))).collect();
    (server, asker)
}

/// An event of the 23rd of November, or so many hours later, with something more.
fn activity(hours: i64, more: &str) -> String {
    let start = 1_795_424_400_000 + hours * 3_600_000;
    format!(r#"{{"startDate": {start}, "endDate": {}, "activityDescription": "E"{more}}}"#, start + 3_600_000)
}

#[tokio::test]
async fn t2_of_what_a_server_tells_only_the_days_that_were_asked_for_are_kept() {
    let all: Vec<String> = (-100..200).map(|day| activity(day * 24, "")).collect();
    let (_server, mut asker) = mytimetable(1, &format!("[{}]", all.join(",")));
    let timetable = asker.after(Duration::ZERO).await.unwrap();
    assert_eq!((timetable.bookings.len(), problems(&timetable)), (8, vec![]));
}

#[tokio::test]
async fn t2_an_answer_that_would_take_far_more_memory_than_it_is_long_is_refused() {
    let locations = |count: usize| format!(r#", "locations": [{}]"#, vec!["{}"; count].join(","));
    let ids = |count: usize| {
        format!(r#", "locations": [{{"avoidConcurrencyLocationIds": [{}]}}]"#, vec!["1"; count].join(","))
    };
    for (events, more, fits) in [
        (1, locations(64), true),
        (1, locations(65), false),
        (1, ids(64), true),
        (1, ids(65), false),
        (2_000, String::new(), true),
        (2_001, String::new(), false),
    ] {
        let all = vec![activity(1, &more); events].join(",");
        let (_server, mut asker) = mytimetable(1, &format!("[{all}]"));
        let problems = problems(&asker.after(Duration::ZERO).await.unwrap());
        assert_eq!(problems.is_empty(), fits, "{events} {more:.50} {problems:?}");
    }
    // Nor do many answers together, each of which is within the bounds.
    let all = vec![activity(1, &locations(64)); 650].join(",");
    let (_server, mut asker) = mytimetable(12, &format!("[{all}]"));
    let timetable = asker.after(Duration::ZERO).await.unwrap();
    let problems = problems(&timetable);
    assert!(!problems.is_empty() && problems.iter().all(|error| *error == Error::TooMuch), "{problems:?}");
    assert!(!timetable.bookings.is_empty(), "others have what they had");
}

#[tokio::test]
async fn the_lists_of_servers_are_kept_as_long_as_they_ask_for() {
    let server = Server::new(&[
        ("/api/v0/timetables", Answer::file("mytimetable-list.json")),
        ("/api/v0/timetables/2026!location!49CB", Answer::file("mytimetable-49CB.json")),
    ]);
    let base = Url::parse(&server.url("/api/v0/")).unwrap();
    let provider = MyTimetable::new(
        &base,
        Some("2026 x".into()),
        Coverage::default(),
        text(),
        fetcher(base.as_str(), None),
    );
    let mut asker = Asker::new(provider);
    let count = |part: &str| server.targets().iter().filter(|target| target.contains(part)).count();
    asker.after(Duration::ZERO).await.unwrap();
    // A page with what there is, and one with nothing new.
    assert_eq!((count("type=location"), count("49CB"), count("d=2026+x")), (2, 1, 3));
    asker.after(10 * MINUTE).await.unwrap();
    assert_eq!((count("type=location"), count("49CB")), (2, 1));
    asker.after(6 * MINUTE).await.unwrap();
    assert_eq!((count("type=location"), count("49CB")), (2, 2));
    asker.after(50 * MINUTE).await.unwrap();
    assert_eq!((count("type=location"), count("49CB")), (4, 3));
    // Keys hold the academic year: another day, another list.
    asker.pull.day = asker.pull.day.plus(1);
    asker.after(MINUTE).await.unwrap();
    assert_eq!((count("type=location"), count("49CB")), (6, 3));
}

#[tokio::test]
async fn t2_an_answer_of_ruuster_counts_whole_or_not_at_all() {
    let packed = |name: &str| -> Vec<u8> {
        let value: serde_json::Value = serde_json::from_slice(&data(name)).unwrap();
        rmp_serde::to_vec_named(&value).unwrap()
    };
    let week = packed("ruuster-31.json");
    let server = Server::new(&[
        ("/list/institutes", Answer::Document(packed("ruuster-institutes.json"))),
        ("/list/locations", Answer::Document(packed("ruuster-locations.json"))),
        ("/snapshot/head/3/location/31", Answer::Document(week.clone())),
    ]);
    let base = Url::parse(&server.url("/")).unwrap();
    let institute = Some("FNWI".to_owned());
    let provider = Ruuster::new(&base, institute, Coverage::default(), text(), fetcher(base.as_str(), None));
    let mut asker = Asker::new(provider);
    let good = ["NWI-IBC001 Calculus A", "NWI-X1 Software installation"];
    assert_eq!(asker.texts(&asker.provider.fetch(&asker.pull).await.unwrap()), good);
    let changed = |from: &str, to: &str| {
        let text = String::from_utf8(data("ruuster-31.json")).unwrap().replacen(from, to, 1);
        rmp_serde::to_vec_named(&serde_json::from_str::<serde_json::Value>(&text).unwrap()).unwrap()
    };
    for (document, why) in [
        (week[..week.len() - 1].to_vec(), "truncated"),
        ([week.as_slice(), b"\x01"].concat(), "something after its end"),
        (data("ruuster-31.json"), "not what Ruuster answers"),
        // A list of four thousand million, of which nothing comes.
        (b"\x81\xa6events\xdd\xff\xff\xff\xff".to_vec(), "truncated"),
        (changed("\"mo\"", "\"md\""), "a day or a time that is none"),
        (changed("08:45:00", "25:45:00"), "a day or a time that is none"),
    ] {
        server.answer("/snapshot/head/3/location/31", Answer::Document(document));
        let kept = asker.after(16 * MINUTE).await.unwrap();
        assert_eq!(asker.texts(&kept), good, "{why}");
        assert_eq!(kept.problems[0].error.to_string(), why);
    }
    let count = |part: &str| server.targets().iter().filter(|target| target.contains(part)).count();
    // Seven pulls in an hour and a half: the institutes once, the locations twice.
    assert_eq!((count("institutes"), count("locations"), count("snapshot")), (1, 2, 7));
}

#[tokio::test]
async fn t3_redirects_are_followed_on_their_host_three_times_and_the_token_stays_there() {
    let server = Server::new(&[("/0", Answer::Document(ics("good", "")))]);
    let elsewhere = Server::new(&[("/x", Answer::Document(ics("stolen", "")))]);
    for n in 1..=4 {
        server.answer(&format!("/{n}"), Answer::redirect(&format!("/{}", n - 1)));
    }
    server.answer("/away", Answer::redirect(&elsewhere.url("/x")));
    server.answer("/round", Answer::redirect(&server.url("/round")));
    for (path, expected) in [
        ("/3", None),
        ("/4", Some(FetchError::TooManyRedirects)),
        ("/round", Some(FetchError::TooManyRedirects)),
        ("/away", Some(FetchError::Redirected("127.0.0.1".into()))),
    ] {
        let mut asker = Asker::new(calendar(&server, path, Some("hunter2")));
        let timetable = asker.after(Duration::ZERO).await.unwrap();
        assert_eq!(
            problems(&timetable),
            expected.map(Error::Fetch).into_iter().collect::<Vec<_>>(),
            "{path}"
        );
        assert_eq!(asker.texts(&timetable).len(), usize::from(path == "/3"), "{path}");
    }
    assert!(server.asked().iter().all(|asked| asked.headers["authorization"] == "Bearer hunter2"));
    // Another port is another host, as far as tokens are concerned.
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn t3_a_certificate_that_nobody_vouches_for_is_refused() {
    let certificate = CertificateDer::from_pem_slice(&data("untrusted.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&data("untrusted.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/a.ics", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        // The token would be in what comes here.
        rustls::StreamOwned::new(connection, stream).read(&mut [0; 1000]).unwrap_or(0)
    });
    let each = vec![(RoomKey::parse("hg075").unwrap(), Place::Url(Url::parse(&url).unwrap()))];
    let mut asker = Asker::new(ical(Source::Each(each), fetcher(&url, Some("hunter2"))));
    let timetable = asker.after(Duration::ZERO).await.unwrap();
    assert!(matches!(problems(&timetable)[..], [Error::Fetch(FetchError::Unreachable(_))]), "{timetable:?}");
    assert_eq!(served.join().unwrap(), 0);
}

#[tokio::test]
async fn a_calendar_that_is_the_same_is_not_sent_again_unless_it_is_read_for_another_day() {
    for (validator, condition) in [("ETag", "if-none-match"), ("Last-Modified", "if-modified-since")] {
        let value = if validator == "ETag" { "\"v1\"" } else { "Mon, 23 Nov 2026 08:00:00 GMT" };
        let answer = Answer::With(vec![(validator, value.to_owned())], ics("good", ""));
        let server = Server::new(&[("/a.ics", answer.clone())]);
        let mut asker = Asker::new(calendar(&server, "/a.ics", None));
        asker.after(Duration::ZERO).await.unwrap();
        server.answer("/a.ics", Answer::Status(304, vec![]));
        for _ in 0..2 {
            let same = asker.after(16 * MINUTE).await.unwrap();
            assert_eq!((asker.texts(&same), problems(&same)), (vec!["good".to_owned()], vec![]));
        }
        server.answer("/a.ics", answer);
        asker.pull.day = asker.pull.day.plus(1);
        asker.after(16 * MINUTE).await.unwrap();
        let conditions: Vec<Option<String>> =
            server.asked().iter().map(|asked| asked.headers.get(condition).cloned()).collect();
        let value = Some(value.to_owned());
        assert_eq!(conditions, [None, value.clone(), value, None]);
    }
}

#[tokio::test]
async fn a_publisher_is_asked_no_sooner_than_it_wants_to_be_and_once_a_day_at_least() {
    // How long it says; after how many minutes it is asked, and whether it is then asked anew.
    let cases: [(&str, &[(u32, bool)]); 4] = [
        ("", &[(14, false), (2, true), (16, true)]),
        ("X-PUBLISHED-TTL:PT1M\r\n", &[(14, false), (2, true)]),
        ("X-PUBLISHED-TTL:PT20M\r\n", &[(16, false), (3, false), (2, true), (16, false)]),
        ("X-PUBLISHED-TTL:P1W\r\n", &[(1439, false), (2, true)]),
    ];
    for (head, times) in cases {
        let server = Server::new(&[("/a.ics", Answer::Document(ics("good", head)))]);
        let mut asker = Asker::new(calendar(&server, "/a.ics", None));
        asker.after(Duration::ZERO).await.unwrap();
        for (minutes, is_asked) in times {
            let before = server.asked().len();
            let timetable = asker.after(*minutes * MINUTE).await.unwrap();
            assert_eq!(asker.texts(&timetable), ["good"]);
            assert_eq!(server.asked().len() > before, *is_asked, "{head:?} {minutes}");
        }
    }
}

#[tokio::test]
async fn calendars_of_rooms_that_are_gone_are_forgotten() {
    let server = Server::new(&[
        ("/a.ics", Answer::Document(ics("A", ""))),
        ("/b.ics", Answer::Document(ics("B", ""))),
    ]);
    let names = HashMap::new();
    let coverage = Coverage { only: None, names };
    let source = Source::Template(Template::Url(server.url("/{room}.ics")));
    let plan = Plan { source, coverage, text: text(), zone: None, max_size: LARGEST };
    let mut asker = Asker::new(Ical::new(plan, Some(fetcher(&server.url("/"), None))));
    for (rooms, texts) in
        [(vec!["a", "b"], vec!["A", "B"]), (vec!["a"], vec!["A"]), (vec!["a", "b"], vec!["A", "B"])]
    {
        asker.pull.rooms = rooms.iter().map(|key| room(key, key)).collect();
        assert_eq!(asker.texts(&asker.provider.fetch(&asker.pull).await.unwrap()), texts);
    }
    assert_eq!(server.targets().iter().filter(|target| *target == "/b.ics").count(), 2);
}
