//! The simulated disk as SQLite's own file system. It is the default of this process, so every connection that the
//! history opens comes here, and nothing in the history knows of it.
//!
//! There is one disk at a time, of the machine that is simulated at present.

use super::disk::{Disk, End};
use sqlite_vfs::wip::{WalIndex, WalIndexLock};
use sqlite_vfs::{DatabaseHandle, LockKind, OpenKind, OpenOptions, Vfs};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::ops::Range;
use std::path::Path;
use std::sync::{LazyLock, Mutex, Once, PoisonError};
use std::time::Duration;

/// How many locks the index of a log has.
const LOCKS: usize = 8;

static MACHINE: LazyLock<Mutex<Machine>> = LazyLock::new(|| Mutex::new(Machine::new(0)));

/// A disk, and what the memory of its machine holds of open files.
struct Machine {
    disk: Disk,
    last_handle: u64,
    /// Who holds which lock on which file.
    locks: HashMap<u64, HashMap<u64, LockKind>>,
    /// The shared memory of each log, by the file of its database.
    indexes: HashMap<u64, Index>,
}

struct Index {
    /// Who has it open. When nobody does it is gone, and the next has to read the log again.
    users: HashSet<u64>,
    regions: HashMap<u32, Box<[u8; 32768]>>,
    locks: [HashMap<u64, WalIndexLock>; LOCKS],
}

impl Machine {
    fn new(seed: u64) -> Machine {
        Machine { disk: Disk::new(seed), last_handle: 0, locks: HashMap::new(), indexes: HashMap::new() }
    }

    fn index(&mut self, file: u64) -> &mut Index {
        let empty = || Index { users: HashSet::new(), regions: HashMap::new(), locks: Default::default() };
        self.indexes.entry(file).or_insert_with(empty)
    }

    fn lock(&mut self, file: u64, handle: u64, wanted: LockKind) -> bool {
        let holders = self.locks.entry(file).or_default();
        let others = |above: LockKind| holders.iter().any(|(of, lock)| *of != handle && *lock >= above);
        let granted = match wanted {
            LockKind::None => true,
            LockKind::Shared => !others(LockKind::Pending),
            LockKind::Reserved | LockKind::Pending => !others(LockKind::Reserved),
            LockKind::Exclusive => !others(LockKind::Shared),
        };
        if granted {
            holders.insert(handle, wanted);
        }
        granted
    }
}

/// A new machine with an empty disk.
pub(crate) fn replace(seed: u64) {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| sqlite_vfs::register("faults", Files, true).unwrap());
    with(|machine| *machine = Machine::new(seed));
}

/// The process ends, or the machine; it starts again, and of its memory nothing is left.
pub(crate) fn restart(end: End) {
    with(|machine| {
        machine.disk.restart(end);
        machine.locks.clear();
        machine.indexes.clear();
    });
}

/// Has the real files say what the simulated ones do: the history looks at them by itself, before SQLite does. Only the
/// lock file is a real one alone.
pub(crate) fn show(database: &Path) {
    for suffix in ["", "-wal", "-journal"] {
        let name = format!("{}{suffix}", database.display());
        match disk(|disk| disk.content(&name).map(<[u8]>::to_vec)) {
            Some(content) => fs::write(&name, content).unwrap(),
            None => drop(fs::remove_file(&name)),
        }
    }
}

/// The disk of the machine. Nothing that reads or writes files may be called in `act`.
pub(crate) fn disk<T>(act: impl FnOnce(&mut Disk) -> T) -> T {
    with(|machine| act(&mut machine.disk))
}

fn with<T>(act: impl FnOnce(&mut Machine) -> T) -> T {
    act(&mut MACHINE.lock().unwrap_or_else(PoisonError::into_inner))
}

struct Files;

impl Vfs for Files {
    type Handle = Open;

    fn open(&self, name: &str, opts: OpenOptions) -> Result<Open> {
        with(|machine| {
            // A database exists where the history made its file, which is on the real disk and stays empty.
            let make = opts.kind == OpenKind::MainDb || opts.access != sqlite_vfs::OpenAccess::Write;
            if !make && !machine.disk.exists(name) {
                return Err(ErrorKind::NotFound.into());
            }
            let file = machine.disk.open(name)?;
            machine.last_handle += 1;
            Ok(Open { file, handle: machine.last_handle, boot: machine.disk.boot })
        })
    }

    fn delete(&self, name: &str) -> Result<()> {
        with(|machine| machine.disk.delete(name))
    }

    fn exists(&self, name: &str) -> Result<bool> {
        Ok(with(|machine| machine.disk.exists(name)))
    }

    fn temporary_name(&self) -> String {
        with(|machine| {
            machine.last_handle += 1;
            format!("temporary-{}", machine.last_handle)
        })
    }

    fn random(&self, buffer: &mut [i8]) {
        buffer.fill(7);
    }

    /// Time is made up here: nobody waits.
    fn sleep(&self, duration: Duration) -> Duration {
        duration
    }
}

/// An open file. Of a machine that has been started again since, it is of no use.
struct Open {
    file: u64,
    handle: u64,
    boot: u64,
}

/// Acts for what was opened when the machine was started for the `boot`th time.
fn since<T>(boot: u64, act: impl FnOnce(&mut Machine) -> Result<T>) -> Result<T> {
    with(|machine| {
        if machine.disk.boot != boot {
            return Err(Error::other("the machine was started again"));
        }
        act(machine)
    })
}

impl Open {
    fn act<T>(&self, act: impl FnOnce(&mut Machine) -> Result<T>) -> Result<T> {
        since(self.boot, act)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        with(|machine| machine.locks.entry(self.file).or_default().remove(&self.handle));
    }
}

impl DatabaseHandle for Open {
    type WalIndex = Shared;

    fn size(&self) -> Result<u64> {
        self.act(|machine| Ok(machine.disk.len(self.file)? as u64))
    }

    fn read_exact_at(&mut self, buffer: &mut [u8], at: u64) -> Result<()> {
        self.act(|machine| machine.disk.read(self.file, buffer, at as usize))
    }

    fn write_all_at(&mut self, data: &[u8], at: u64) -> Result<()> {
        self.act(|machine| machine.disk.write(self.file, data, at as usize))
    }

    fn sync(&mut self, _data_only: bool) -> Result<()> {
        self.act(|machine| machine.disk.sync(self.file))
    }

    fn set_len(&mut self, len: u64) -> Result<()> {
        self.act(|machine| machine.disk.set_len(self.file, len as usize))
    }

    fn lock(&mut self, lock: LockKind) -> Result<bool> {
        self.act(|machine| Ok(machine.lock(self.file, self.handle, lock)))
    }

    fn reserved(&mut self) -> Result<bool> {
        self.act(|machine| {
            let holders = machine.locks.entry(self.file).or_default();
            Ok(holders.values().any(|lock| *lock >= LockKind::Reserved))
        })
    }

    fn current_lock(&self) -> Result<LockKind> {
        self.act(|machine| {
            let holders = machine.locks.entry(self.file).or_default();
            Ok(holders.get(&self.handle).copied().unwrap_or_default())
        })
    }

    fn wal_index(&self, _readonly: bool) -> Result<Shared> {
        self.act(|machine| {
            machine.index(self.file).users.insert(self.handle);
            Ok(Shared { file: self.file, handle: self.handle, boot: self.boot })
        })
    }
}

/// A connection's part in the shared memory of a log.
struct Shared {
    file: u64,
    handle: u64,
    boot: u64,
}

impl Shared {
    fn act<T>(&self, act: impl FnOnce(&mut Machine) -> Result<T>) -> Result<T> {
        since(self.boot, act)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        with(|machine| {
            if machine.disk.boot == self.boot {
                let index = machine.index(self.file);
                for holders in &mut index.locks {
                    holders.remove(&self.handle);
                }
                index.users.remove(&self.handle);
                if index.users.is_empty() {
                    machine.indexes.remove(&self.file);
                }
            }
        });
    }
}

impl WalIndex for Shared {
    fn map(&mut self, region: u32) -> Result<[u8; 32768]> {
        self.act(|machine| {
            let new = || Box::new([0; 32768]);
            Ok(**machine.index(self.file).regions.entry(region).or_insert_with(new))
        })
    }

    fn lock(&mut self, locks: Range<u8>, lock: WalIndexLock) -> Result<bool> {
        self.act(|machine| {
            // The first of them is the one to write with. Who has that has put the index in order.
            let in_order = |index: &Index| index.regions.get(&0).is_some_and(|head| head[..4] != [0; 4]);
            let wanted = lock == WalIndexLock::Exclusive && locks.contains(&0);
            if machine.disk.locked && wanted && in_order(machine.index(self.file)) {
                machine.disk.failures += 1;
                return Ok(false);
            }
            let index = machine.index(self.file);
            let places = locks.start as usize..locks.end as usize;
            let taken = |holders: &HashMap<u64, WalIndexLock>| {
                let mut others = holders.iter().filter(|(of, _)| **of != self.handle);
                match lock {
                    WalIndexLock::None => false,
                    WalIndexLock::Shared => others.any(|(_, lock)| *lock == WalIndexLock::Exclusive),
                    WalIndexLock::Exclusive => others.next().is_some(),
                }
            };
            if index.locks[places.clone()].iter().any(taken) {
                return Ok(false);
            }
            for holders in &mut index.locks[places] {
                match lock {
                    WalIndexLock::None => drop(holders.remove(&self.handle)),
                    _ => drop(holders.insert(self.handle, lock)),
                }
            }
            Ok(true)
        })
    }

    fn delete(self) -> Result<()> {
        self.act(|machine| {
            machine.indexes.remove(&self.file);
            Ok(())
        })
    }

    fn pull(&mut self, region: u32, data: &mut [u8; 32768]) -> Result<()> {
        self.act(|machine| {
            if let Some(shared) = machine.index(self.file).regions.get(&region) {
                data.copy_from_slice(&**shared);
            }
            Ok(())
        })
    }

    fn push(&mut self, region: u32, data: &[u8; 32768]) -> Result<()> {
        self.act(|machine| {
            machine.index(self.file).regions.insert(region, Box::new(*data));
            Ok(())
        })
    }
}
