//! The page as people meet it: Chromium without a window, at a real daemon that gets real pushes.
//!
//! A suite of its own, since it needs `chromium`, `chromedriver` and axe-core: `.ci/run browser` installs them and runs it.
//! Time-outs only end what has failed; the one that is promised (a push is seen within the second) is asserted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "browser/accessible.rs"]
mod accessible;
#[path = "browser/alerts.rs"]
mod alerts;
#[path = "browser/campus.rs"]
mod campus;
mod common;
#[path = "browser/driver.rs"]
mod driver;
#[path = "browser/filters.rs"]
mod filters;
#[path = "browser/keyboard.rs"]
mod keyboard;
#[path = "browser/link.rs"]
mod link;
#[path = "browser/live.rs"]
mod live;
#[path = "browser/pages.rs"]
mod pages;
#[path = "browser/past.rs"]
mod past;
#[path = "browser/plain.rs"]
mod plain;
#[path = "browser/screenshots.rs"]
mod screenshots;
#[path = "browser/shapes.rs"]
mod shapes;
#[path = "browser/sober.rs"]
mod sober;
#[path = "browser/tabs.rs"]
mod tabs;
#[path = "browser/view.rs"]
mod view;
