//! Whether a daemon that is to start can go on with a history, found out without touching it: a daemon that takes the
//! place of another asks before it takes the sockets, since it cannot give them back.

use super::check::{self, Look};
use super::open::{Kind, foreign, kind, look, resolve};
use super::rights::BESIDE;
use super::{OpenError, lock, open::beside};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use std::io;
use std::path::Path;

/// Says what would keep a daemon from the history at `path`, as far as that can be told while another has it. It blocks.
///
/// # Errors
/// When the file, or its directory, cannot be written, or is not one that this release goes on with.
pub fn probe(path: &Path) -> Result<(), OpenError> {
    let path = resolve(path)?;
    writable(&path)?;
    match look(&path, lock::path(&path).exists())? {
        Look::Foreign => Err(foreign(&path)),
        // A start makes a new one, or one of what can be read.
        Look::Empty | Look::Damaged(_) => Ok(()),
        Look::Database => known(&path),
    }
}

/// Whether the database at `path` is one that this release can go on with.
pub(super) fn known(path: &Path) -> Result<(), OpenError> {
    match check::read_only(path).and_then(|connection| kind(&connection)) {
        Ok(Kind::Newer { found, known }) => Err(OpenError::Newer { path: path.to_owned(), found, known }),
        Ok(Kind::Foreign(reason)) => Err(OpenError::Foreign { path: path.to_owned(), reason: reason.into() }),
        Ok(Kind::New | Kind::Ours { .. } | Kind::Original) => Ok(()),
        // A start puts it aside, and goes on with what can be read of it.
        Err(error) if check::is_damage(&error) => Ok(()),
        Err(error) => match OpenError::sqlite(path, &error) {
            // A start waits for it, and serves without.
            OpenError::HeldByProgram(_) => Ok(()),
            error => Err(error),
        },
    }
}

fn writable(path: &Path) -> Result<(), OpenError> {
    for file in BESIDE.map(|suffix| beside(path, suffix)) {
        match may(&file, Access::READ_OK | Access::WRITE_OK) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(OpenError::io(&file, &error));
            }
            _ => {}
        }
    }
    let Some(directory) = path.parent() else { return Ok(()) };
    may(directory, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
        OpenError::io_at(path, &error, format!("its directory {}: {error}", directory.display()))
    })
}

fn may(path: &Path, access: Access) -> io::Result<()> {
    Ok(accessat(CWD, path, access, AtFlags::EACCESS)?)
}
