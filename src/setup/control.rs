//! How a running daemon is spoken to on its own machine: `[control]`.

use super::Setup;
use super::mistake::Refusal;
use super::near::quoted;
use super::reader::Reader;
use std::ffi::OsString;
use std::path::PathBuf;

/// How a running daemon is spoken to (`[control]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The socket; none: beside the history, if there is one.
    pub socket: Option<PathBuf>,
}

impl Setup {
    /// Where the control socket is; none where nothing says.
    pub fn control_socket(&self) -> Option<PathBuf> {
        if let Some(socket) = &self.control.socket {
            return Some(socket.clone());
        }
        let db = Some(&self.history.db).filter(|_| self.history.enabled)?;
        // Whichever name the history goes by, it has one socket.
        let mut path = OsString::from(std::fs::canonicalize(db).unwrap_or_else(|_| db.clone()));
        path.push(".control");
        Some(path.into())
    }
}

/// Resolves `[control]`.
pub(super) fn control(ask: &mut Reader) -> Control {
    Control { socket: ask.parsed("control.socket", "a path in quotes", None, |text| socket(text).map(Some)) }
}

fn socket(text: &str) -> Result<PathBuf, Refusal> {
    /// What Linux has room for in the address of a socket.
    const LONGEST: usize = 107;
    if text.is_empty() || text.contains('\0') {
        return Err(Refusal::new("names no file"));
    }
    if text.len() > LONGEST {
        let why = format!("{} has {} bytes; a socket's path has at most {LONGEST}", quoted(text), text.len());
        return Err(Refusal::new(why));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::super::load;

    #[test]
    fn the_control_socket_is_beside_the_history_unless_the_setup_says_otherwise() {
        let path = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
            load(None, std::iter::empty(), &sets).unwrap().control_socket()
        };
        assert_eq!(path(&["history.db=no-such/h.db"]), Some("no-such/h.db.control".into()));
        assert_eq!(path(&["history.enabled=false"]), None);
        assert_eq!(path(&["history.enabled=false", "control.socket=a.sock"]), Some("a.sock".into()));
        let long = format!("control.socket=/{}", "a".repeat(107));
        let error = load(None, std::iter::empty(), &[long]).unwrap_err().to_string();
        assert!(error.contains("at most 107"), "{error}");
    }
}
