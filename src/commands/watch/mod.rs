//! `tkbd watch`: the free seats in the terminal, live.

mod bar;
mod board;
mod draw;
mod plain;
mod screen;
mod terminal;

use super::Failure;
use super::arguments::WatchArguments;
use crate::client::{Client, Conversation, Pace, Server};
use crate::core::tag::{Tag, TagFilter};
use std::io::{IsTerminal, stdin, stdout};

/// Watches a daemon until somebody has seen enough.
pub(super) async fn watch(arguments: WatchArguments) -> Result<(), Failure> {
    let server = Server::trusting(&arguments.url, Server::HELD_REPLY, arguments.ca.as_deref())
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let filter = filter(&arguments.tag)?;
    let address = server.address();
    let client = Client::new(server, Conversation::watching(filter.clone()), Pace::WATCHING);
    if arguments.once {
        plain::once(client, &filter, &address).await
    } else if arguments.plain || !stdout().is_terminal() || !stdin().is_terminal() {
        plain::follow(client, &filter, &address).await
    } else {
        terminal::show(client, address).await
    }
}

fn filter(tags: &[String]) -> Result<TagFilter, Failure> {
    if tags.is_empty() {
        return Ok(TagFilter::Everything);
    }
    let tag =
        |text: &String| Tag::parse(text).map_err(|bad| Failure::Usage(format!("--tag {text:?}: {bad}")));
    Ok(TagFilter::Tags(tags.iter().map(tag).collect::<Result<_, _>>()?))
}
