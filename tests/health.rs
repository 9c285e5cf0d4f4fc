//! How the daemon says it is doing: `/healthz`, `/readyz`, `/metrics`, and what is made of them in `contrib`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;
#[path = "health/conditions.rs"]
mod conditions;
#[path = "health/contrib.rs"]
mod contrib;
#[path = "health/exposition.rs"]
mod exposition;
#[path = "health/figures.rs"]
mod figures;
#[path = "health/hidden.rs"]
mod hidden;
#[path = "health/readers.rs"]
mod readers;
#[path = "health/refusals.rs"]
mod refusals;
