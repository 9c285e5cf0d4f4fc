//! Why a measurement was not to be had: a line for who runs it.

use std::fmt::{self, Display};

/// What most of the benchmark returns.
pub(crate) type Outcome<T> = Result<T, Failure>;

/// A line that says what failed. It is no [`std::error::Error`], so that every such error can become one.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    /// A failure of our own.
    pub(crate) fn new(line: impl Into<String>) -> Failure {
        Failure(line.into())
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure(error.to_string())
    }
}

/// Says what was being done when something failed.
pub(crate) trait While<T> {
    /// Puts `what` in front of the line.
    fn when(self, what: impl Display) -> Outcome<T>;
}

impl<T, E: Into<Failure>> While<T> for Result<T, E> {
    fn when(self, what: impl Display) -> Outcome<T> {
        self.map_err(|error| Failure(format!("{what}: {}", error.into())))
    }
}
