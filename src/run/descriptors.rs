//! How many files may be open, and how many of them the web port may have (reliability.md O4).

use crate::doors::ingest;
use crate::setup::{Setup, Tls};
use rustix::process::{Resource, getrlimit};
use std::net::SocketAddr;

/// What is kept from the web port besides the push port's share, so that a full house is still told what changes and
/// nothing of it is lost: for the history (two connections with three files each, and a copy of an old database),
/// timetables (four requests at once), a master, the log, the runtime, and what they open besides.
const OTHERS: usize = 64;

/// With fewer than this the web port is of no use.
const LEAST: usize = 64;

/// There are too few open files to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{limit} files may be open, and {needed} are needed: {reserved} for pushes, the history and others, and \
     {connections} for connections of pages{}; raise the limit (ulimit -n, LimitNOFILE= of systemd){}",
    if *.is_asked { " (http.max_connections)" } else { "" },
    if *.is_asked { " or lower http.max_connections" } else { "" },
    needed = reserved + connections
)]
pub struct TooFewFiles {
    limit: usize,
    reserved: usize,
    connections: usize,
    is_asked: bool,
}

/// How many connections the web port may have, as far as this process may open files now.
///
/// # Errors
/// When they are fewer than the setup asks for, or than any setup needs.
pub(crate) fn connections(setup: &Setup) -> Result<usize, TooFewFiles> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    plan(setup, usize::try_from(limit).unwrap_or(usize::MAX))
}

/// The same, as far as it may raise its limit, which the daemon does.
///
/// # Errors
/// The same.
pub(crate) fn attainable(setup: &Setup) -> Result<usize, TooFewFiles> {
    let limit = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    plan(setup, usize::try_from(limit).unwrap_or(usize::MAX))
}

fn plan(setup: &Setup, limit: usize) -> Result<usize, TooFewFiles> {
    /// As many as `http.max_connections` may say.
    const MOST: usize = 1_000_000;
    let (http, push) = (&setup.http, &setup.push);
    let listeners =
        |plain: &[SocketAddr], tls: Option<&Tls>| plain.len() + tls.map_or(0, |tls| tls.listen.len());
    let doors = listeners(&push.listen, push.tls.as_ref());
    let pushes = if doors == 0 { 0 } else { ingest::accepted(push.max_connections) };
    let reserved = OTHERS + listeners(&http.listen, http.tls.as_ref()) + doors + pushes;
    let asked = setup.http.crowd.max_connections;
    let left = limit.saturating_sub(reserved);
    let connections = asked.unwrap_or(LEAST);
    if left < connections {
        return Err(TooFewFiles { limit, reserved, connections, is_asked: asked.is_some() });
    }
    Ok(asked.unwrap_or(left.min(MOST)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::load;

    fn setup(sets: &[&str]) -> Setup {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        load(None, std::iter::empty(), &sets).unwrap()
    }

    #[test]
    fn o4_the_web_port_has_what_is_left_of_the_open_files() {
        // 64 for the history and others, two listeners, and of pushes 64 served, 64 waiting, 16 strangers.
        let reserved = 64 + 2 + 64 + 64 + 16;
        assert_eq!(plan(&setup(&[]), 20_000), Ok(20_000 - reserved));
        assert_eq!(plan(&setup(&["push.listen=[]"]), 20_000), Ok(20_000 - 65));
        assert_eq!(plan(&setup(&[]), usize::MAX), Ok(1_000_000));
        assert_eq!(plan(&setup(&["http.max_connections=500"]), 20_000), Ok(500));
        assert_eq!(plan(&setup(&[]), reserved + LEAST), Ok(LEAST));
    }

    #[test]
    fn o4_where_too_few_files_may_be_open_the_numbers_are_told() {
        let why = plan(&setup(&["http.max_connections=20000"]), 20_000).unwrap_err().to_string();
        for part in ["20000 files", "20210 are needed", "http.max_connections", "LimitNOFILE="] {
            assert!(why.contains(part), "{part}: {why}");
        }
        let why = plan(&setup(&[]), 256).unwrap_err().to_string();
        assert!(why.contains("256 files") && !why.contains("max_connections"), "{why}");
    }
}
