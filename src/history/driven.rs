//! The history without its threads: who holds [`Driven`] makes the steps that they would make, one by one and in any
//! order. So a simulation decides when the disk is written to and when it is read, and every run of it can be
//! repeated; what is run is the code that the threads run.

use super::reader::{self, Reader, Request};
use super::writer::{Step, Writer, Writing};
use super::{Clock, Handle, History, OpenError, Options, Restored, open};
use tokio::sync::mpsc;

/// Opens the history as [`super::open`] does, and starts no threads. The wall clock is `clock`.
///
/// # Errors
/// See [`OpenError`].
pub fn open_driven(options: &Options, clock: Clock) -> Result<(History, Restored, Driven), OpenError> {
    let backlog = options.backlog();
    let opened = open::open(&options.path, backlog, &clock)?;
    let (reads, requests) = mpsc::channel(reader::WAITING);
    let (writing, writer) = Writing::new(opened.store, backlog, clock.clone());
    let mut reader = Reader::new(opened.path);
    reader.begin();
    let driven = Driven { writer: Some(writer), reader: Some(reader), requests };
    Ok((
        History(Some(Handle { writing, reads, watching: None, rolling: None, clock })),
        opened.restored,
        driven,
    ))
}

/// What the threads of a history would do. Dropped, all that waits is lost, as when the process is killed.
pub struct Driven {
    writer: Option<Writer>,
    reader: Option<Reader>,
    requests: mpsc::Receiver<Request>,
}

impl Driven {
    /// Takes what waits and writes it, or tries again what could not be written. After [`Step::Failed`] the writer
    /// would pause as long as that says.
    pub fn write(&mut self) -> Step {
        let Some(writer) = &mut self.writer else { return Step::Ended };
        let step = writer.step_at_once();
        if step == Step::Ended
            && let Some(writer) = self.writer.take()
        {
            writer.end();
        }
        step
    }

    /// Answers one read that waits; false where none does.
    pub fn read(&mut self) -> bool {
        let Some(reader) = &mut self.reader else { return false };
        let Ok(request) = self.requests.try_recv() else { return false };
        if let Some(done) = reader.serve(request) {
            self.reader = None;
            let _ = done.send(());
        }
        true
    }
}
