//! What the board promises of providers that fail, hang and panic.

use super::super::testing::{lines, pull, room};
use super::super::{Fetching, Problem};
use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A provider that does as it is told: the outcomes of its pulls, in turn; then it hangs.
struct Scripted {
    outcomes: Vec<Outcome>,
    asked: AtomicUsize,
}

#[derive(Clone, Copy)]
enum Outcome {
    Books(&'static str),
    Half(&'static str),
    Fails,
    Panics,
}

impl Scripted {
    fn new(outcomes: &[Outcome]) -> Arc<Scripted> {
        Arc::new(Scripted { outcomes: outcomes.to_vec(), asked: AtomicUsize::new(0) })
    }
}

impl Provider for Scripted {
    fn fetch<'a>(&'a self, pull: &'a Pull) -> Fetching<'a> {
        let outcome = self.outcomes.get(self.asked.fetch_add(1, Ordering::SeqCst)).copied();
        Box::pin(async move {
            let timetable = |text: &str| {
                let start = pull.day.start() + chrono::TimeDelta::hours(9);
                let (room, text) = (pull.rooms[0].key.clone(), text.to_owned());
                let booking = Booking { room, start, end: start + chrono::TimeDelta::hours(1), text };
                Timetable { bookings: vec![booking], ..Timetable::default() }
            };
            let down = || Error::Fetch(FetchError::Status(500));
            match outcome {
                Some(Outcome::Books(text)) => Ok(timetable(text)),
                Some(Outcome::Half(text)) => {
                    Ok(Timetable { problems: vec![Problem { room: None, error: down() }], ..timetable(text) })
                }
                Some(Outcome::Fails) => Err(down()),
                Some(Outcome::Panics) => panic!("a defect, made on purpose"),
                None => std::future::pending().await,
            }
        })
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const PACE: Pace = Pace { every: Duration::from_secs(16 * 60), retry: Duration::from_secs(5 * 60) };

fn board(providers: &[Arc<Scripted>], now: Instant) -> Board {
    let feed = |provider: &Arc<Scripted>| Feed { label: "x".into(), provider: provider.clone() };
    Board::new(&providers.iter().map(feed).collect::<Vec<_>>(), Arc::default(), PACE, now)
}

/// Pulls who is due, and waits until `count` of them are done.
async fn pulled(board: &mut Board, count: usize, now: Instant, chance: f64) -> Vec<Pulled> {
    let pull = pull("2026-11-23", &[room("a", "A")]);
    board.start(pull.day, &pull.rooms, now);
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(board.next(|| now, || chance).await.unwrap());
    }
    all
}

fn texts(board: &Board) -> Vec<String> {
    let pull = pull("2026-11-23", &[room("a", "A")]);
    let schedule = board.schedule(pull.day, &pull.rooms);
    schedule.into_values().flatten().map(|reservation| reservation.text).collect()
}

#[tokio::test]
async fn t1_what_was_known_stays_and_is_asked_for_again_in_five_minutes_give_or_take() {
    use Outcome::{Books, Fails};
    let now = Instant::now();
    let provider = Scripted::new(&[Books("one"), Fails, Fails, Fails, Books("two")]);
    let mut board = board(std::slice::from_ref(&provider), now);
    assert_eq!(board.next_due(), Some(now));
    assert!(pulled(&mut board, 1, now, 0.5).await[0].is_good);
    assert_eq!(board.next_due(), Some(now + 16 * MINUTE));
    // Before it is due, nothing is asked.
    board.start(pull("2026-11-23", &[]).day, &Arc::from([]), now + 15 * MINUTE);
    assert!(!board.is_busy());

    let mut then = now + 16 * MINUTE;
    for (chance, minutes) in [(0.0, 4), (0.5, 5), (1.0, 6)] {
        let failed = &pulled(&mut board, 1, then, chance).await[0];
        assert_eq!(failed.bookings, Err(Error::Fetch(FetchError::Status(500))));
        assert_eq!(texts(&board), ["one"]);
        assert_eq!(board.next_due(), Some(then + minutes * MINUTE));
        then += minutes * MINUTE;
    }
    assert!(pulled(&mut board, 1, then, 0.5).await[0].is_good);
    assert_eq!(texts(&board), ["two"]);
    assert_eq!(board.next_due(), Some(then + 16 * MINUTE));
}

#[tokio::test]
async fn t1_a_provider_that_panics_or_hangs_ends_neither_itself_nor_another() {
    use Outcome::{Books, Panics};
    let now = Instant::now();
    let (wild, calm, hung) = (
        Scripted::new(&[Books("w"), Panics, Panics, Books("w2")]),
        Scripted::new(&[Books("c"); 4]),
        Scripted::new(&[]),
    );
    let mut board = board(&[wild.clone(), calm.clone(), hung.clone()], now);
    pulled(&mut board, 2, now, 0.5).await;
    let mut then = now;
    for expected in [["c", "w"], ["c", "w"], ["c", "w2"]] {
        then += 16 * MINUTE;
        pulled(&mut board, 2, then, 0.5).await;
        let mut found = texts(&board);
        found.sort();
        assert_eq!(found, expected);
    }
    assert_eq!([&wild, &calm, &hung].map(|it| it.asked.load(Ordering::SeqCst)), [4, 4, 1]);
}

#[tokio::test(start_paused = true)]
async fn t1_a_pull_that_hangs_has_failed_at_last() {
    let now = Instant::now();
    let mut board = board(&[Scripted::new(&[])], now);
    let hung = pulled(&mut board, 1, now, 0.5).await;
    assert_eq!(hung[0].bookings, Err(Error::Fetch(FetchError::TimedOut)));
    assert_eq!(board.next_due(), Some(now + 5 * MINUTE));
}

#[tokio::test]
async fn what_became_due_during_a_pull_is_asked_again_after_it() {
    use Outcome::Books;
    let now = Instant::now();
    let mut board = board(&[Scripted::new(&[Books("one"), Books("two")])], now);
    let pull = pull("2026-11-23", &[room("a", "A")]);
    board.start(pull.day, &pull.rooms, now);
    board.expire(now);
    board.next(|| now, || 0.5).await;
    assert_eq!(board.next_due(), Some(now));
    pulled(&mut board, 1, now, 0.5).await;
    assert_eq!((texts(&board), board.next_due()), (vec!["two".to_owned()], Some(now + 16 * MINUTE)));
}

#[tokio::test]
async fn half_a_timetable_counts_and_is_asked_for_again_soon() {
    let now = Instant::now();
    let mut board = board(&[Scripted::new(&[Outcome::Half("half")])], now);
    let half = pulled(&mut board, 1, now, 0.5).await;
    assert_eq!((half[0].bookings.clone(), half[0].is_good), (Ok(1), false));
    assert_eq!(half[0].remarks, ["status 500 Internal Server Error"]);
    assert_eq!((texts(&board), board.next_due()), (vec!["half".to_owned()], Some(now + 5 * MINUTE)));
    assert_eq!(lines(&board.feeds[0].bookings).len(), 1);
}

#[tokio::test]
async fn under_another_plan_who_was_there_and_who_is_called_the_same_keep_what_they_knew() {
    use Outcome::{Books, Fails};
    let now = Instant::now();
    let feed =
        |label: &str, provider: &Arc<Scripted>| Feed { label: label.into(), provider: provider.clone() };
    let (stays, changes, goes) = (
        Scripted::new(&[Books("stays"), Books("stays on")]),
        Scripted::new(&[Books("old")]),
        Scripted::new(&[Books("goes")]),
    );
    let feeds = [feed("goes", &goes), feed("changes", &changes), feed("stays", &stays)];
    let mut board = Board::new(&feeds, Arc::default(), PACE, now);
    pulled(&mut board, 3, now, 0.5).await;

    let (changed, new) = (Scripted::new(&[Fails, Books("new")]), Scripted::new(&[Books("more")]));
    let feeds = [feed("stays", &stays), feed("new", &new), feed("changes", &changed)];
    board.replan(&feeds, Arc::default(), PACE, now);
    let sorted = |board: &Board| {
        let mut texts = texts(board);
        texts.sort();
        texts
    };
    assert_eq!(sorted(&board), ["old", "stays"], "who is asked no more is not shown");
    assert_eq!(board.next_due(), Some(now), "all are asked");
    pulled(&mut board, 3, now, 0.5).await;
    assert_eq!(sorted(&board), ["more", "old", "stays on"]);
    pulled(&mut board, 1, now + 5 * MINUTE, 0.5).await;
    assert_eq!(sorted(&board), ["more", "new", "stays on"]);
}

#[tokio::test]
async fn a_pull_that_is_under_way_comes_to_whom_it_is_of_under_another_plan() {
    use Outcome::Books;
    let now = Instant::now();
    let feed =
        |label: &str, provider: &Arc<Scripted>| Feed { label: label.into(), provider: provider.clone() };
    let (stays, goes) = (Scripted::new(&[Books("one"), Books("two")]), Scripted::new(&[Books("goes")]));
    let mut board = Board::new(&[feed("goes", &goes), feed("stays", &stays)], Arc::default(), PACE, now);
    let pull = pull("2026-11-23", &[room("a", "A")]);
    board.start(pull.day, &pull.rooms, now);
    board.replan(&[feed("stays", &stays)], Arc::default(), PACE, now);
    let both = [board.next(|| now, || 0.5).await, board.next(|| now, || 0.5).await];
    let labels: Vec<String> = both.into_iter().flatten().map(|pulled| pulled.label).collect();
    assert_eq!((labels, texts(&board)), (vec!["stays".to_owned()], vec!["one".to_owned()]));
    assert_eq!(board.next_due(), Some(now), "it is asked again, for the rooms of now");
}
