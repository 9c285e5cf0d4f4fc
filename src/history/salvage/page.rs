//! The first page of a database holds its header and says where each table begins. Where it is damaged the rest cannot
//! be found; but every file that this program has made is laid out alike, and a new one has the page that is missing.

use super::super::open::{beside, schema};
use super::super::rights::create;
use super::Failure;
use rusqlite::Connection;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The size of our pages: SQLite's own choice.
const PAGE: u64 = 4096;

/// The new file that the page is taken from, after the name of the copy.
pub(super) const FIRST: &str = "-first";

/// Copies the file at `path`, and its log, to `mended`, with the first page of a new file. False where there is
/// nothing to mend.
pub(super) fn mend(path: &Path, mended: &Path) -> Result<bool, Failure> {
    let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let log = beside(path, "-wal");
    let has_log = fs::metadata(&log).is_ok_and(|log| log.len() > 0);
    if size <= PAGE && !has_log {
        return Ok(false);
    }
    // What was created to be written is its owner's; a copy would have the rights of what it was made from.
    let copy = create(mended)?;
    if size > 0 {
        io::copy(&mut fs::File::open(path)?, &mut &copy)?;
    }
    let mut first = first_page(mended)?;
    let pages = u32::try_from(size.div_ceil(PAGE).max(1)).unwrap_or(u32::MAX);
    first[28..32].copy_from_slice(&pages.to_be_bytes());
    // No page is taken for a free one, and the number of pages is believed: both counters of changes agree.
    first[32..40].fill(0);
    let counter: [u8; 4] = first[24..28].try_into().unwrap_or_default();
    first[92..96].copy_from_slice(&counter);
    if has_log {
        // Read and written with a log.
        first[18..20].fill(2);
        io::copy(&mut fs::File::open(&log)?, &mut create(&beside(mended, "-wal"))?)?;
    }
    copy.write_all_at(&first, 0)?;
    // A file whose last page was cut short ends before it.
    copy.set_len(u64::from(pages) * PAGE)?;
    Ok(true)
}

/// The first page of a file as this program makes it.
fn first_page(beside_this: &Path) -> Result<Vec<u8>, Failure> {
    let new = beside(beside_this, FIRST);
    create(&new)?;
    let mut connection = Connection::open(&new)?;
    connection.pragma_update(None, "journal_mode", "MEMORY")?;
    schema::runner().set_grouped(true).run(&mut connection)?;
    connection.close().map_err(|(_, error)| error)?;
    let mut first = fs::read(&new)?;
    fs::remove_file(&new)?;
    first.truncate(usize::try_from(PAGE).unwrap_or_default());
    Ok(first)
}
