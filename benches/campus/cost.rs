//! What processes have cost so far: CPU and memory, as the system counts them.

use crate::failure::{Failure, Outcome, While};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::{Pid, SysconfVar, sysconf};
use std::ops::Sub;
use std::time::Instant;

/// Seconds of CPU.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    /// In the program itself.
    pub(crate) user: f64,
    /// In the kernel, for the program.
    pub(crate) system: f64,
}

impl Cpu {
    /// Of these processes, threads that have ended included.
    ///
    /// The sum is that of their clocks, to the nanosecond; how it is shared is known by ticks of 10 ms.
    pub(crate) fn of(pids: &[Pid]) -> Outcome<Cpu> {
        let mut cpu = Cpu::default();
        for &pid in pids {
            let all = seconds(clock_getcpuclockid(pid)?)?;
            let [user, system] = [11, 12].map(|at| stat(pid, at));
            let (user, system) = (user.unwrap_or(0.0), system.unwrap_or(0.0));
            let share = if user + system > 0.0 { user / (user + system) } else { 0.5 };
            cpu.user += all * share;
            cpu.system += all * (1.0 - share);
        }
        Ok(cpu)
    }

    /// All of it.
    pub(crate) fn sum(self) -> f64 {
        self.user + self.system
    }
}

impl Sub for Cpu {
    type Output = Cpu;

    fn sub(self, before: Cpu) -> Cpu {
        Cpu { user: self.user - before.user, system: self.system - before.system }
    }
}

fn seconds(clock: ClockId) -> Outcome<f64> {
    let time = clock_gettime(clock)?;
    Ok(time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9)
}

/// The proportional set size of these processes, in KiB: what they have alone, and their part of what is shared.
///
/// Without pages of files, which are the program itself: its part of those changes with each process of the same
/// program that begins or ends.
pub(crate) fn pss(pids: &[Pid]) -> Outcome<f64> {
    let mut sum = 0.0;
    for pid in pids {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = std::fs::read_to_string(&path).when(&path)?;
        let size = |key: &str| -> Option<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(key))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let all = size("Pss:").ok_or_else(|| Failure::new(format!("{path} tells no Pss")))?;
        sum += all - size("Pss_File:").unwrap_or(0.0);
    }
    Ok(sum)
}

/// What a server has in memory, in MiB.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// All of it, with pages of files (the program, and what of the history is mapped).
    pub(crate) resident: f64,
    /// What is its own: heap and stacks.
    pub(crate) anonymous: f64,
}

impl Memory {
    /// Of these processes.
    pub(crate) fn of(pids: &[Pid]) -> Outcome<Memory> {
        let mut memory = Memory::default();
        for pid in pids {
            let path = format!("/proc/{pid}/status");
            let text = std::fs::read_to_string(&path).when(&path)?;
            let size = |key: &str| -> Outcome<f64> {
                let line = text.lines().find_map(|line| line.strip_prefix(key));
                let size = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
                size.map(|size| size / 1024.0).ok_or_else(|| Failure::new(format!("{path} tells no {key}")))
            };
            memory.resident += size("VmRSS:")?;
            memory.anonymous += size("RssAnon:")?;
        }
        Ok(memory)
    }
}

/// Whether no thread of these processes runs or could run: each has read all that was sent to it.
pub(crate) fn are_asleep(pids: &[Pid]) -> bool {
    pids.iter().all(|pid| {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
        tasks.flatten().all(|task| {
            let text = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            // A thread that has ended in between has nothing left to read, either.
            text.is_empty() || fields(&text).next() == Some("S")
        })
    })
}

/// Who has started this process.
pub(crate) fn parent(pid: Pid) -> Option<Pid> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    fields(&text).nth(1)?.parse().ok().map(Pid::from_raw)
}

/// What follows a process's name in its `stat`: the name is in parentheses, and may hold anything.
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace()
}

/// A field of a process's `stat`, by its place after the name, in seconds where it is a time.
fn stat(pid: Pid, at: usize) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(fields(&text).nth(at)?.parse::<f64>().ok()? / ticks())
}

fn ticks() -> f64 {
    sysconf(SysconfVar::CLK_TCK).ok().flatten().map_or(100.0, |ticks| ticks as f64)
}

/// What has been spent between two moments, and by whom.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    /// By the server.
    pub(crate) server: Cpu,
    /// By processes that are no part of the measurement: the share of the machine that they had.
    pub(crate) others: f64,
}

/// Notes what is spent from a moment on.
pub(crate) struct Meter {
    server: Vec<Pid>,
    load: Vec<Pid>,
    begun: Reading,
}

struct Reading {
    at: Instant,
    server: Cpu,
    /// Of the load programs and of this process.
    ours: f64,
    machine: f64,
}

impl Meter {
    /// From now on, of this server and these load programs.
    pub(crate) fn start(server: &[Pid], load: &[Pid]) -> Outcome<Meter> {
        Ok(Meter { server: server.to_vec(), load: load.to_vec(), begun: Reading::now(server, load)? })
    }

    /// Until now.
    pub(crate) fn read(&self) -> Outcome<Spent> {
        let now = Reading::now(&self.server, &self.load)?;
        let server = now.server - self.begun.server;
        let measured = server.sum() + now.ours - self.begun.ours;
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let whole = (now.at - self.begun.at).as_secs_f64() * cores;
        let others = (now.machine - self.begun.machine - measured) / whole;
        Ok(Spent { server, others: others.max(0.0) })
    }
}

impl Reading {
    fn now(server: &[Pid], load: &[Pid]) -> Outcome<Reading> {
        let text = std::fs::read_to_string("/proc/stat")?;
        let numbers = text.lines().next().unwrap_or("").split_whitespace().skip(1);
        let numbers: Vec<f64> = numbers.filter_map(|number| number.parse().ok()).collect();
        // user, nice, system, irq, softirq and steal; without idle and iowait.
        let busy: f64 = [0, 1, 2, 5, 6, 7].iter().filter_map(|&at: &usize| numbers.get(at)).sum();
        Ok(Reading {
            at: Instant::now(),
            server: Cpu::of(server)?,
            ours: Cpu::of(load)?.sum() + seconds(ClockId::CLOCK_PROCESS_CPUTIME_ID)?,
            machine: busy / ticks(),
        })
    }
}
