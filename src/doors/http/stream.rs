//! Server-sent events, as every door sends them: the head of such an answer, and how its reader's end is noticed.

use super::response::Response;
use std::time::Duration;

/// After how long a silence a stream says something, so that nothing on the way takes the connection for dead, and neither
/// do we: a client that has gone without a word is noticed when it does not answer to that.
pub const BEAT: Duration = Duration::from_secs(15);

/// How long what a stream has written may stay unanswered by the other side's kernel.
pub const UNANSWERED: Duration = Duration::from_secs(60);

/// What is answered to who asks for the head of a stream, and of which a stream writes the head itself
/// ([`Response::head_of_stream`]).
pub fn event_stream() -> Response {
    // Nobody on the way is to keep it, compress it or wait for more of it.
    Response::endless("text/event-stream; charset=utf-8")
        .with("Cache-Control", "no-store, no-transform")
        .with("X-Accel-Buffering", "no")
}
