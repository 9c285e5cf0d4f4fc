//! Where log lines go, and in which form.

use super::{Failure, may_colour};
use crate::setup::{EX_CONFIG, Log, LogFormat};
use std::io::{IsTerminal, stderr};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::debug_fn;

mod lines;
mod writer;

pub(super) use writer::Logging;

/// How much is logged, which may change while the daemon runs.
pub(super) struct LogLevel(Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>);

impl LogLevel {
    /// Logs as much as this says from now on.
    pub(super) fn set(&self, log: &Log) -> Result<(), String> {
        (self.0)(filter(&log.level)?)
    }
}

/// Logs to standard error from now on, and until the first of what it returns is dropped: lines for people on a
/// terminal, JSON for machines elsewhere.
pub(super) fn start(log: &Log) -> Result<(Logging, LogLevel), Failure> {
    let filter = filter(&log.level)
        .map_err(|error| Failure::Daemon(format!("log.level {:?}: {error}", log.level), EX_CONFIG))?;
    let human = match log.format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => stderr().is_terminal(),
    };
    let failed = |error: &dyn std::fmt::Display| Failure::other(format!("cannot start logging: {error}"));
    let (lines, logging) = writer::start(stderr(), !human).map_err(|error| failed(&error))?;
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines).log_internal_errors(false);
    let (started, level) = if human {
        let lines = lines.with_ansi(may_colour(&stderr())).with_target(false);
        let lines = lines.fmt_fields(debug_fn(lines::field).delimited(" ")).with_filter_reloading();
        let level = lines.reload_handle();
        (lines.try_init(), LogLevel(Box::new(move |to| level.reload(to).map_err(|error| error.to_string()))))
    } else {
        let lines = lines.json().flatten_event(true).with_filter_reloading();
        let level = lines.reload_handle();
        (lines.try_init(), LogLevel(Box::new(move |to| level.reload(to).map_err(|error| error.to_string()))))
    };
    started.map_err(|error| failed(&error))?;
    Ok((logging, level))
}

fn filter(level: &str) -> Result<EnvFilter, String> {
    let filter = EnvFilter::try_new(level).map_err(|error| error.to_string())?;
    // It tells every step of a migration, with paths of the machine that built us; that the history was opened says enough.
    let filter = match "refinery_core=warn".parse() {
        Ok(quiet) if !level.contains("refinery") => filter.add_directive(quiet),
        _ => filter,
    };
    // It has a line for every rule of a calendar that goes nowhere; the feed counts them.
    Ok(match "rrule=error".parse() {
        Ok(quiet) if !level.contains("rrule") => filter.add_directive(quiet),
        _ => filter,
    })
}
