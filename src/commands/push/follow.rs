//! `tkbd push --follow`: a script that reports for ever.

use super::super::Failure;
use super::input::Batch;
use super::{MOST, Teller, entry};
use crate::core::pc::{Occupation, PcName};
use std::io::{BufRead, BufReader, Read, Write, stderr, stdin};
use tokio::sync::mpsc;

/// Lines that have been read and not yet pushed. When they are so many the script waits: its pipe fills,
/// and nothing is dropped.
const AHEAD: usize = 2 * MOST;

/// A line longer than this is no entry, and no push that a daemon would take (reliability.md P5).
const LONGEST: u64 = 1 << 20;

/// Pushes each line of standard input as it comes, until it ends. What is there is pushed together, so
/// that one slow push does not make the next ones late.
pub(super) async fn follow(teller: &mut Teller, states: &[String]) -> Result<(), Failure> {
    if states.iter().any(|argument| argument != "-") {
        return Err(Failure::Usage("--follow reads standard input; leave the states out".into()));
    }
    let (sender, mut lines) = mpsc::channel(AHEAD);
    // A thread: reading standard input cannot be given up, and the runtime would wait for it at the end.
    std::thread::spawn(move || read_lines(stdin().lock(), &sender));
    let mut batch = Vec::new();
    while lines.recv_many(&mut batch, MOST).await > 0 {
        for part in parts(batch.drain(..), &mut teller.all_acknowledged) {
            teller.push(part).await?;
        }
    }
    Ok(())
}

fn read_lines(input: impl Read, lines: &mpsc::Sender<String>) {
    let mut input = BufReader::new(input);
    loop {
        let mut line = Vec::new();
        match input.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                let _ = writeln!(stderr(), "standard input: {error}");
                return;
            }
        }
        if lines.blocking_send(String::from_utf8_lossy(&line).into_owned()).is_err() {
            return;
        }
    }
}

/// What to push of these lines, in their order. A bad line is told and left out: the script goes on, and
/// the exit code remembers.
fn parts(lines: impl Iterator<Item = String>, all_good: &mut bool) -> Vec<Batch> {
    let mut parts = Vec::new();
    let mut states: Vec<(PcName, Occupation)> = Vec::new();
    for line in lines {
        if line.trim_start().starts_with('{') {
            if !states.is_empty() {
                parts.push(Batch::States(std::mem::take(&mut states)));
            }
            parts.push(Batch::Body(line.into()));
            continue;
        }
        match entry::line(&line) {
            Ok(entry) => states.extend(entry),
            Err(mistake) => {
                *all_good = false;
                let _ = writeln!(stderr(), "not pushed: {mistake}");
            }
        }
    }
    if !states.is_empty() {
        parts.push(Batch::States(states));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_pushed_together_in_its_order() {
        let mut all_good = true;
        let lines = ["a wf\n", "\n", "b wf\n", "{\"data\":{}}\n", "c o\n", "# x\n"];
        let batches = parts(lines.iter().map(ToString::to_string), &mut all_good);
        let shape: Vec<usize> = batches
            .iter()
            .map(|batch| match batch {
                Batch::States(states) => states.len(),
                Batch::Body(_) => 100,
            })
            .collect();
        assert_eq!(shape, [2, 100, 1]);
        assert!(all_good);
    }

    #[test]
    fn a_bad_line_stops_nothing_and_is_not_forgotten() {
        let mut all_good = true;
        let batches = parts(["?\n", "a o"].iter().map(ToString::to_string), &mut all_good);
        assert_eq!(batches.len(), 1);
        assert!(!all_good);
    }

    #[test]
    fn lines_are_read_to_the_end_whatever_their_bytes() {
        let (sender, mut lines) = mpsc::channel(10);
        read_lines("a o\n\nb=\u{e9}\nlast".as_bytes(), &sender);
        drop(sender);
        let mut read = Vec::new();
        while let Ok(line) = lines.try_recv() {
            read.push(line);
        }
        assert_eq!(read, ["a o\n", "\n", "b=\u{e9}\n", "last"]);
    }
}
