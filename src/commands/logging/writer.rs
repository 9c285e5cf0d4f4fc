//! Who writes the log: a thread of its own, so that nobody waits for a log that is not read; and what it leaves out
//! (reliability.md O6).

use super::lines;
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};
use tracing::callsite::Identifier;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How many lines may wait. Of more than these, who reads the log is told the number.
const WAITING: usize = 1024;

/// How many lines of one kind are written within a time; the rest of them is counted.
const OF_A_KIND: u32 = 20;
const WITHIN: Duration = Duration::from_secs(10);

/// How long the end of the program waits for the last lines.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where the lines go that were made.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    to: SyncSender<Said>,
    lost: Arc<AtomicU64>,
}

/// The log, as long as it is kept: its end waits until it is written.
#[derive(Debug)]
pub(in super::super) struct Logging(SyncSender<Said>);

#[derive(Debug)]
enum Said {
    /// A line, and what kind of lines it is one of, where these are counted.
    Line(Option<Identifier>, Vec<u8>),
    /// All before this are to be written.
    End(SyncSender<()>),
}

/// Starts the thread, which writes to `out`.
pub(super) fn start(out: impl Write + Send + 'static, is_json: bool) -> io::Result<(Lines, Logging)> {
    let (to, said) = mpsc::sync_channel(WAITING);
    let lost = Arc::new(AtomicU64::new(0));
    let writer = Writer { out, is_json, kinds: HashMap::new(), lost: lost.clone() };
    thread::Builder::new().name("log".into()).spawn(move || writer.run(&said))?;
    Ok((Lines { to: to.clone(), lost }, Logging(to)))
}

impl Drop for Logging {
    fn drop(&mut self) {
        const LOOK: Duration = Duration::from_millis(10);
        let end = Instant::now() + LAST_WORDS;
        let (done, is_done) = mpsc::sync_channel(1);
        // As many lines may wait as can, and nobody may read them.
        while let Err(TrySendError::Full(_)) = self.0.try_send(Said::End(done.clone())) {
            if Instant::now() > end {
                return;
            }
            thread::sleep(LOOK);
        }
        let _ = is_done.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { lines: self, kind: None, bytes: Vec::new() }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line<'a> {
        // Who asks for the details wants all of them; and a start tells each damaged row once.
        let is_counted = *meta.level() <= Level::INFO && meta.target() != "tkbd::run";
        Line { lines: self, kind: is_counted.then(|| meta.callsite()), bytes: Vec::new() }
    }
}

/// One line, while it is made.
#[derive(Debug)]
pub(super) struct Line<'a> {
    lines: &'a Lines,
    kind: Option<Identifier>,
    bytes: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let line = Said::Line(self.kind.take(), std::mem::take(&mut self.bytes));
        if let Err(TrySendError::Full(_)) = self.lines.to.try_send(line) {
            self.lines.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The thread that writes.
struct Writer<W> {
    out: W,
    is_json: bool,
    kinds: HashMap<Identifier, Kind>,
    lost: Arc<AtomicU64>,
}

/// What has been written of one kind of lines since a time.
struct Kind {
    since: Instant,
    written: u32,
    left_out: u64,
    newest: Vec<u8>,
}

impl<W: Write> Writer<W> {
    fn run(mut self, said: &Receiver<Said>) {
        loop {
            let next = self.kinds.values().map(|kind| kind.since + WITHIN).min();
            let wait = next.map_or(WITHIN, |next| next.saturating_duration_since(Instant::now()));
            match said.recv_timeout(wait) {
                Ok(Said::Line(kind, bytes)) => self.line(kind, bytes, Instant::now()),
                Ok(Said::End(done)) => {
                    self.sum_up(None);
                    let _ = done.try_send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.sum_up(Some(Instant::now()));
            self.tell_lost();
        }
    }

    fn line(&mut self, kind: Option<Identifier>, bytes: Vec<u8>, now: Instant) {
        if let Some(kind) = kind {
            let kind = self.kinds.entry(kind).or_insert_with(|| Kind {
                since: now,
                written: 0,
                left_out: 0,
                newest: Vec::new(),
            });
            if kind.written == OF_A_KIND {
                kind.left_out += 1;
                kind.newest = bytes;
                return;
            }
            kind.written += 1;
        }
        self.write(&bytes);
    }

    /// Tells what was left out of the kinds whose time is over; without a time, of all.
    fn sum_up(&mut self, now: Option<Instant>) {
        let over = |kind: &Kind| now.is_none_or(|now| kind.since + WITHIN <= now);
        let kinds: Vec<Kind> = self.kinds.extract_if(|_, kind| over(kind)).map(|(_, kind)| kind).collect();
        for Kind { left_out, newest, .. } in kinds {
            if left_out > 0 {
                self.write(&newest);
            }
            if left_out > 1 {
                // By the way of all lines, so that it has their form.
                tracing::warn!(target: "tkbd::run", "… and {} more like the line before", left_out - 1);
            }
        }
    }

    fn tell_lost(&self) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(target: "tkbd::run", lost, "lines of the log are lost: it is not read in time");
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        // Where nobody reads the log any more, that can be told to nobody.
        let _ = match std::str::from_utf8(bytes) {
            Ok(line) if self.is_json => self.out.write_all(lines::json(line).as_bytes()),
            _ => self.out.write_all(bytes),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::field::MakeExt;
    use tracing_subscriber::fmt::format::debug_fn;

    /// Keeps what is written, and takes no more while it is told to wait.
    #[derive(Clone, Default)]
    struct Page(Arc<AtomicU64>, Option<SyncSender<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            while self.0.load(Ordering::SeqCst) > 0 {
                thread::sleep(Duration::from_millis(1));
            }
            self.1.as_ref().unwrap().send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of what `say` says, while it says it with the log blocked or not.
    fn written(is_json: bool, is_blocked: bool, say: impl FnOnce()) -> Vec<String> {
        let (out, lines) = mpsc::sync_channel(10_000);
        let page = Page(Arc::new(AtomicU64::new(is_blocked.into())), Some(out));
        let (to, logging) = start(page.clone(), is_json).unwrap();
        let subscriber = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(to);
        let speak = || {
            say();
            page.0.store(0, Ordering::SeqCst);
        };
        if is_json {
            tracing::subscriber::with_default(subscriber.json().flatten_event(true).finish(), speak);
        } else {
            let subscriber = subscriber.with_ansi(false).fmt_fields(debug_fn(lines::field).delimited(" "));
            tracing::subscriber::with_default(subscriber.finish(), speak);
        }
        drop(logging);
        drop(page);
        lines.try_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn o6_text_from_outside_stays_on_its_line_and_ends() {
        let evil = format!("a\nINFO forged\r\x1b[31m\u{9b}2J\u{202e}{}", "x".repeat(10_000));
        let say = || {
            tracing::info!(shown = %evil, told = ?evil, text = evil.as_str(), "said {evil}");
            tracing::warn!("and on");
        };
        for is_json in [false, true] {
            let lines = written(is_json, false, say);
            assert_eq!(lines.len(), 2, "{lines:?}");
            for line in &lines {
                let line = line.strip_suffix('\n').unwrap();
                assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
            }
            assert!(lines[0].chars().count() < 5 * 256, "{}", lines[0]);
            assert!(lines[1].contains("and on"), "{lines:?}");
        }
    }

    #[test]
    fn o6_lines_of_one_kind_are_limited_and_counted_and_others_are_not() {
        let say = || {
            for i in 0..332 {
                tracing::warn!(i, "one kind");
            }
            tracing::warn!("another kind");
            (0..99).for_each(|i| tracing::debug!(i, "details"));
        };
        let lines = written(false, false, say);
        let count = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
        assert_eq!((count("one kind"), count("another kind"), count("details")), (21, 1, 99));
        assert!(lines.iter().any(|line| line.contains("one kind i=331")), "the newest is shown: {lines:?}");
    }

    #[test]
    fn o6_nobody_waits_for_a_log_that_is_not_read() {
        let lines = written(false, true, || (0..5_000).for_each(|i| tracing::debug!(i, "said")));
        assert!(lines.len() < 1_100 && lines[0].contains("said i=0"), "{} lines", lines.len());
    }
}
