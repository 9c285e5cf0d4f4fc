//! Whether a request is let in, decided on its head: before any of its body is read.

use super::response::Response;
use hyper::StatusCode;
use hyper::http::request::Parts;

/// Decides on the head of a request.
pub trait Admit: Send + Sync + 'static {
    /// Whether the body is to be read.
    ///
    /// # Errors
    /// The answer to a request that is not let in.
    fn admit(&self, head: &Parts) -> Result<(), Refusal>;

    /// The answer to a request that cannot be read: one plain line, unless the door answers otherwise.
    fn refusal(&self, status: StatusCode, line: &str) -> Refusal {
        Refusal(Response::text(status, line))
    }

    /// Something came that hyper has refused by itself, as no HTTP.
    fn is_no_http(&self) {}
}

/// A request that is answered without being acted on; the connection ends with it, since bytes of the
/// request may still be on their way.
#[derive(Debug)]
pub struct Refusal(pub Response);
