//! HTTP as both doors speak it: hyper reads a request, and we write the answer.
//!
//! Hyper is needed to *read* a request, not to hold one. A connection is given to it when bytes are
//! there, and taken back with the request in hand: while a request is held, nothing is left of it but
//! a socket. So ten thousand held requests cost no buffers, and whoever publishes can write to them
//! without waking a task (performance.md, "Parking").

mod admit;
pub mod certificate;
mod connection;
mod forwarded;
mod host;
mod places;
mod reader;
mod request;
mod response;
mod session;
mod socket;
mod tap;
mod time_slice;
mod token;

pub use admit::{Admit, Refusal};
pub use connection::{Came, Connection, Door, Limits};
pub use forwarded::{contains, is_forwarding, rightmost_untrusted};
pub use host::is_host;
pub use places::{Addresses, Counted, Place, Places, Shares};
pub use request::{Persistence, Request, Target};
pub use response::{Response, append_date};
pub use session::{Session, Tls};
pub use socket::{Patience, Socket, Turn, Written};
pub use time_slice::TimeSlice;
pub use token::Brought;
