//! A disk in memory that knows what was written and what was synced, and fails by plan.
//!
//! What programs see of a file (`seen`) and what a loss of power leaves of it (`kept`) are apart. A write reaches the
//! one at once, the other when the file is synced, or by chance before. After an fsync that fails the writes it was
//! for count as done, as Linux has it: some were kept and some never will be, and the next fsync succeeds.

use super::random::Random;
use std::collections::{BTreeMap, HashMap};
use std::io::{Error, ErrorKind, Result};

/// What tears when power is lost in the middle of a write.
const SECTOR: usize = 512;

/// One thing that goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A write fails; part of it may have been done.
    Write,
    /// A read fails.
    Read,
    /// An fsync fails.
    Sync,
    /// The machine stops in the middle of what it was doing.
    Crash,
}

/// What an access does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
    Sync,
}

/// How a machine comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The process is killed: what it wrote stays.
    Kill,
    /// Power is lost: nothing that was not synced is kept.
    Loss,
    /// Power is lost: of what was not synced, each write is kept, lost or torn.
    Tear,
}

enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Default)]
struct File {
    seen: Vec<u8>,
    kept: Vec<u8>,
    unsynced: Vec<Change>,
}

/// The disk of one machine.
pub(crate) struct Disk {
    random: Random,
    files: HashMap<u64, File>,
    /// The directory: as programs see it, and as a loss of power leaves it.
    seen: BTreeMap<String, u64>,
    kept: BTreeMap<String, u64>,
    last_file: u64,
    /// After how many accesses of its kind what goes wrong.
    planned: Option<(u32, Fault)>,
    /// Files cannot grow.
    pub(crate) full: bool,
    /// Nothing can be written or synced.
    pub(crate) broken: bool,
    /// Writes work, and no fsync does: what most failing devices are like.
    pub(crate) unsyncable: bool,
    /// Another program has locked the database.
    pub(crate) locked: bool,
    /// The machine has stopped: nothing works until it is started again.
    crashed: bool,
    /// How often something went wrong.
    pub(crate) failures: u64,
    /// How often the machine was started.
    pub(crate) boot: u64,
}

impl Disk {
    pub(crate) fn new(seed: u64) -> Disk {
        Disk {
            random: Random::new(seed),
            files: HashMap::new(),
            seen: BTreeMap::new(),
            kept: BTreeMap::new(),
            last_file: 0,
            planned: None,
            full: false,
            broken: false,
            unsyncable: false,
            locked: false,
            crashed: false,
            failures: 0,
            boot: 0,
        }
    }

    /// Has `fault` happen at the `after`th access that it can happen to.
    pub(crate) fn plan(&mut self, after: u32, fault: Fault) {
        self.planned = Some((after, fault));
    }

    /// Whether the machine has stopped.
    pub(crate) fn has_crashed(&self) -> bool {
        self.crashed
    }

    /// Whether something is wrong with it now, or will be.
    pub(crate) fn is_well(&self) -> bool {
        let wrong = self.full || self.broken || self.unsyncable || self.locked;
        !(wrong || self.crashed || self.planned.is_some())
    }

    /// From now on nothing goes wrong.
    pub(crate) fn mend(&mut self) {
        (self.full, self.broken, self.unsyncable, self.locked) = (false, false, false, false);
        self.planned = None;
    }

    /// The machine stops, as it stands.
    pub(crate) fn stop(&mut self) {
        self.crashed = true;
    }

    /// It starts again.
    pub(crate) fn restart(&mut self, end: End) {
        self.crashed = false;
        self.planned = None;
        self.boot += 1;
        if end == End::Kill {
            return;
        }
        // In the order of their numbers: what is drawn follows from the seed.
        for id in 1..=self.last_file {
            let Some(file) = self.files.get_mut(&id) else { continue };
            for change in std::mem::take(&mut file.unsynced) {
                match end {
                    End::Kill | End::Loss => {}
                    End::Tear => match self.random.below(4) {
                        0 => {}
                        1 => tear(&mut self.random, &mut file.kept, &change),
                        _ => apply(&mut file.kept, &change),
                    },
                }
            }
            file.seen.clone_from(&file.kept);
        }
        // Names: what was made or removed last may be, or not.
        let names: Vec<String> = self.seen.keys().chain(self.kept.keys()).cloned().collect();
        for name in names {
            if self.random.chance(50) {
                match self.kept.get(&name) {
                    Some(id) => drop(self.seen.insert(name, *id)),
                    None => drop(self.seen.remove(&name)),
                }
            }
        }
        self.kept = self.seen.clone();
    }

    /// The file of this name; made where there is none.
    pub(crate) fn open(&mut self, name: &str) -> Result<u64> {
        self.alive()?;
        if let Some(id) = self.seen.get(name) {
            return Ok(*id);
        }
        self.last_file += 1;
        self.files.insert(self.last_file, File::default());
        self.seen.insert(name.to_owned(), self.last_file);
        Ok(self.last_file)
    }

    /// What is in it, if it is there.
    pub(crate) fn content(&self, name: &str) -> Option<&[u8]> {
        self.files.get(self.seen.get(name)?).map(|file| file.seen.as_slice())
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.seen.contains_key(name)
    }

    pub(crate) fn delete(&mut self, name: &str) -> Result<()> {
        self.alive()?;
        match self.seen.remove(name) {
            Some(_) => Ok(()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(crate) fn len(&self, id: u64) -> Result<usize> {
        self.alive()?;
        self.files.get(&id).map(|file| file.seen.len()).ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// Fills `buffer`; beyond the end with zeros, and says so.
    pub(crate) fn read(&mut self, id: u64, buffer: &mut [u8], at: usize) -> Result<()> {
        self.alive()?;
        if self.strikes(Access::Read).is_some() {
            return Err(self.failure("a read fails"));
        }
        let file = self.files.get(&id).ok_or(ErrorKind::NotFound)?;
        let rest = file.seen.get(at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        buffer[count..].fill(0);
        if count == buffer.len() { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    pub(crate) fn write(&mut self, id: u64, data: &[u8], at: usize) -> Result<()> {
        self.alive()?;
        let len = self.len(id)?;
        if self.broken {
            return Err(self.failure("no write works"));
        }
        if self.full && at + data.len() > len {
            self.failures += 1;
            // What sqlite-vfs takes for a full disk.
            return Err(ErrorKind::WriteZero.into());
        }
        let strike = self.strikes(Access::Write);
        // All of it, or the part that was done when it went wrong.
        let done = if strike.is_some() { self.random.below(data.len() + 1) } else { data.len() };
        self.change(id, Change::Write(at, data[..done].to_vec()))?;
        match strike {
            Some(Fault::Crash) => Err(self.crash()),
            Some(_) => Err(self.failure("a write fails")),
            None => Ok(()),
        }
    }

    pub(crate) fn set_len(&mut self, id: u64, len: usize) -> Result<()> {
        self.alive()?;
        if self.broken {
            return Err(self.failure("no write works"));
        }
        self.change(id, Change::Length(len))?;
        match self.strikes(Access::Write) {
            Some(Fault::Crash) => Err(self.crash()),
            Some(_) => Err(self.failure("a change of length fails, and has taken effect")),
            None => Ok(()),
        }
    }

    pub(crate) fn sync(&mut self, id: u64) -> Result<()> {
        self.alive()?;
        let strike = self.strikes(Access::Sync);
        if strike == Some(Fault::Crash) {
            return Err(self.crash());
        }
        let fails = strike.is_some() || self.broken || self.unsyncable;
        let file = self.files.get_mut(&id).ok_or(ErrorKind::NotFound)?;
        for change in std::mem::take(&mut file.unsynced) {
            if !fails || self.random.chance(50) {
                apply(&mut file.kept, &change);
            }
        }
        if fails {
            return Err(self.failure("an fsync fails"));
        }
        // A file system with a journal has names in the order in which they changed.
        self.kept = self.seen.clone();
        Ok(())
    }

    fn change(&mut self, id: u64, change: Change) -> Result<()> {
        let file = self.files.get_mut(&id).ok_or(ErrorKind::NotFound)?;
        apply(&mut file.seen, &change);
        file.unsynced.push(change);
        Ok(())
    }

    /// Whether what is planned happens to this access.
    fn strikes(&mut self, access: Access) -> Option<Fault> {
        let (after, fault) = self.planned.as_mut()?;
        let fits = match fault {
            Fault::Write => access == Access::Write,
            Fault::Read => access == Access::Read,
            Fault::Sync => access == Access::Sync,
            Fault::Crash => access != Access::Read,
        };
        if !fits {
            return None;
        }
        *after = after.saturating_sub(1);
        if *after > 0 {
            return None;
        }
        self.planned.take().map(|(_, fault)| fault)
    }

    fn alive(&self) -> Result<()> {
        if self.crashed { Err(Error::other("the machine has stopped")) } else { Ok(()) }
    }

    fn crash(&mut self) -> Error {
        self.crashed = true;
        self.failure("the machine stops")
    }

    fn failure(&mut self, what: &'static str) -> Error {
        self.failures += 1;
        Error::other(what)
    }
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Length(len) => content.resize(*len, 0),
        Change::Write(at, data) => {
            let end = at + data.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*at..end].copy_from_slice(data);
        }
    }
}

/// Some sectors of a write are kept, in no order.
fn tear(random: &mut Random, content: &mut Vec<u8>, change: &Change) {
    let Change::Write(at, data) = change else { return };
    let mut from = 0;
    while from < data.len() {
        // Sectors are the disk's, and begin where a multiple of them does.
        let to = data.len().min(from + SECTOR - (at + from) % SECTOR);
        if random.chance(50) {
            apply(content, &Change::Write(at + from, data[from..to].to_vec()));
        }
        from = to;
    }
}
