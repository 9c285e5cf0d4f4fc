//! `tkbd restore`: a copy of the history that the next start is to go on with.

use super::arguments::RestoreArguments;
use super::backup::{Teller, mebibytes};
use super::text::plain;
use super::{Failure, run};
use crate::run::backup;
use std::io::{Write, stdout};

/// Lays the copy ready beside the history that the setup names.
pub(super) fn restore(arguments: &RestoreArguments) -> Result<(), Failure> {
    let setup = run::load(&arguments.setup)?;
    let mut teller = Teller::new();
    let ready = backup::restore(&setup, &arguments.file, |progress| teller.tell(progress.done, progress.all))
        .map_err(|error| Failure::other(error.to_string()))?;
    let (from, at) = (arguments.file.display().to_string(), ready.path.display().to_string());
    writeln!(
        stdout(),
        "{} is checked and lies ready ({}): restart tkbd, and it goes on with this. The history that there is now is \
         kept as {}.replaced-…; until then `rm {}` leaves all as it is",
        plain(&from),
        mebibytes(ready.size),
        plain(&setup.history.db.display().to_string()),
        plain(&at),
    )?;
    Ok(())
}
