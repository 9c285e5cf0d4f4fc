//! What people see: core types become HTML and texts in three languages. Pure: it is told the time, and does no I/O.
//!
//! `design/` is what a designer needs: templates, styles, scripts and icons, with a page on what they agree on.
//! Who serves it is `doors/page`. Guarded as `core` is.
#![deny(clippy::disallowed_methods, clippy::disallowed_types, clippy::disallowed_macros)]

mod alert;
mod embed;
mod filter;
mod frame;
pub mod insight;
mod kiosk;
mod language;
mod missing;
mod overview;
pub mod plots;
mod room;
mod row;
mod search;
pub mod texts;

pub use alert::Alert;
pub use embed::Embed;
pub use filter::{Filter, PageQuery};
pub use frame::Frame;
pub use kiosk::Kiosk;
pub use language::Language;
pub use missing::Missing;
pub use overview::{Overview, Shown};
pub use room::{Plots, RoomPage};
pub use row::Row;
