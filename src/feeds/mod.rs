//! What we ask others for: each feed has its own task, asks in its own time, and speaks to the hub.

pub mod master;
pub mod timetable;
