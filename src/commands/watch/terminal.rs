//! The live view on a real terminal: keys and news in, frames out.

use super::draw::draw;
use super::plain::time_of_day;
use super::screen::{Flow, Screen};
use crate::client::Client;
use crate::commands::signals::Signals;
use crate::commands::{Failure, no_colour};
use chrono::Local;
use ratatui::crossterm::event::{self, Event as Input};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

/// News that have been heard and not yet shown. The client waits when there are so many, and the daemon
/// merges what comes meanwhile.
const AHEAD: usize = 16;

/// Frames follow each other no faster: more than the eye can tell, and cheap over a slow line.
const FRAME: Duration = Duration::from_millis(40);

/// Shows the view until somebody quits.
pub(super) async fn show(mut client: Client, address: String) -> Result<(), Failure> {
    // Before the terminal is changed: from here on a signal must not end us without changing it back.
    let mut signals = Signals::of_terminal()?;
    let mut terminal = ratatui::try_init()
        .map_err(|error| Failure::other(format!("cannot use this terminal ({error}); try --plain")))?;
    let _restore = Restore;

    let (sender, mut news) = mpsc::channel(AHEAD);
    let link = tokio::spawn(async move {
        loop {
            let event = client.next().await;
            if sender.send(event).await.is_err() {
                return;
            }
        }
    });
    let mut inputs = inputs();
    let mut screen = Screen::new(address, !no_colour());
    // For the clock, "down for 12 s", and highlights that end.
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        terminal.draw(|frame| draw(frame, &mut screen, Instant::now(), time_of_day(&Local::now())))?;
        tokio::time::sleep(FRAME).await;
        tokio::select! {
            Some(event) = news.recv() => {
                screen.heard(event, Instant::now());
                while let Ok(event) = news.try_recv() {
                    screen.heard(event, Instant::now());
                }
            }
            input = inputs.recv() => match input {
                Some(Input::Key(key)) if screen.key(key) == Flow::Quit => break,
                Some(_) => {}
                // The terminal is gone.
                None => break,
            },
            _ = second.tick() => {}
            _ = signals.next() => break,
        }
        screen.tick(Instant::now());
    }
    link.abort();
    Ok(())
}

/// Gives the terminal back as it was, however the view ends; of a panic, ratatui's hook does.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Keys and changes of size, read on a thread of its own: waiting for a key blocks.
fn inputs() -> mpsc::Receiver<Input> {
    let (sender, inputs) = mpsc::channel(64);
    std::thread::spawn(move || {
        // Woken now and then to see whether anybody still listens.
        while !sender.is_closed() {
            match event::poll(Duration::from_millis(200)) {
                Ok(false) => {}
                Ok(true) => match event::read() {
                    Ok(input) => {
                        if sender.blocking_send(input).is_err() {
                            return;
                        }
                    }
                    Err(_) => return,
                },
                Err(_) => return,
            }
        }
    });
    inputs
}
