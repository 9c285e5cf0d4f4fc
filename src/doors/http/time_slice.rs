//! Time slices: what many ask for at once, and takes long, gives way to all else in between.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::yield_now;

/// How one kind of long work shares the thread with all else.
///
/// One thread serves everybody, and its tasks run in the order in which they were woken: where a thousand clients ask for
/// whole states, a push that comes then would wait for all of their answers. Through this they pass one by one, so that
/// whatever else can run does so between any two; and after [`TimeSlice::LENGTH`] of them it is seen what has come.
#[derive(Debug)]
pub struct TimeSlice {
    turns: Semaphore,
    /// What was spent of the slice that is going on, in nanoseconds.
    spent: AtomicU64,
}

impl Default for TimeSlice {
    fn default() -> TimeSlice {
        TimeSlice { turns: Semaphore::new(1), spent: AtomicU64::new(0) }
    }
}

impl TimeSlice {
    /// How much work is done before the network is looked at again: less than anybody notices, and a hundred times what
    /// a look takes.
    pub const LENGTH: Duration = Duration::from_micros(200);

    /// Does a piece of work, when all have had theirs that asked before.
    pub async fn spend<T>(&self, work: impl FnOnce() -> T) -> T {
        // It is never closed. If it were, all would have their turn at once, and none would be left out.
        let _turn = self.turns.acquire().await.ok();
        let begun = Instant::now();
        let done = work();
        let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let spent = self.spent.load(Ordering::Relaxed).saturating_add(took);
        let is_over = u128::from(spent) >= Self::LENGTH.as_nanos();
        self.spent.store(if is_over { 0 } else { spent }, Ordering::Relaxed);
        if is_over {
            // The turn is kept meanwhile: the next has it after whatever else has come.
            yield_now().await;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize};
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    fn work() {
        let begun = Instant::now();
        while begun.elapsed() < TimeSlice::LENGTH {
            std::hint::spin_loop();
        }
    }

    #[tokio::test]
    async fn c12_what_comes_from_the_network_is_served_between_pieces_of_long_work() {
        let slice = Arc::new(TimeSlice::default());
        let (all, done) = (200, Arc::new(AtomicUsize::new(0)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
        let pushed = Arc::new(AtomicBool::new(false));
        let works = (0..all).map(|_| {
            let (slice, done, pushed) = (slice.clone(), done.clone(), pushed.clone());
            let push = client.try_clone().unwrap();
            tokio::spawn(async move {
                slice
                    .spend(|| {
                        work();
                        done.fetch_add(1, Ordering::SeqCst);
                        if !pushed.swap(true, Ordering::SeqCst) {
                            std::io::Write::write_all(&mut &push, b"x").unwrap();
                        }
                    })
                    .await;
            })
        });
        let works: Vec<_> = works.collect();
        stream.read_exact(&mut [0]).await.unwrap();
        let before = done.load(Ordering::SeqCst);
        assert!((1..10).contains(&before), "{before} of {all} were done when it came");
        for work in works {
            work.await.unwrap();
        }
        assert_eq!(done.load(Ordering::SeqCst), all);
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_leaves_its_turn_to_the_next() {
        let slice = Arc::new(TimeSlice::default());
        let first = tokio::spawn({
            let slice = slice.clone();
            async move { slice.spend(work).await }
        });
        yield_now().await;
        first.abort();
        assert_eq!(slice.spend(|| 7).await, 7);
    }
}
