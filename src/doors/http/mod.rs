//! HTTP as both doors speak it: how requests are read, and answers written.
//!
//! Plain requests are parsed where they were read to. All others are read by hyper, which is given the
//! connection when bytes are there, and from which it is taken back with the request in hand. We write
//! every answer. So while a request is held, nothing is left of it but a socket: ten thousand of them cost
//! no buffers, and whoever publishes can write to them without waking a task (ARCHITECTURE.md, "A held
//! request").

mod admit;
pub mod certificate;
mod connection;
mod forwarded;
mod host;
mod language;
mod places;
mod reader;
mod request;
mod response;
mod session;
mod socket;
mod stream;
mod tap;
mod time_slice;
mod token;

pub use admit::{Admit, Refusal};
pub use connection::{Came, Connection, Door, Limits};
pub use forwarded::{Hidden, contains, rightmost_untrusted, source};
pub use host::is_host;
pub use language::language;
pub use places::{Addresses, Counted, Place, Places, Shares};
pub use request::{Persistence, Request, Target};
pub use response::{Response, append_date};
pub use session::{Session, Tls};
pub use socket::{Patience, Socket, Turn, Written};
pub use stream::{BEAT, UNANSWERED, event_stream};
pub use time_slice::TimeSlice;
pub use token::Brought;
