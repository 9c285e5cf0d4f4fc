//! What can be written on the command line.

use chrono::NaiveDate;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Knows which computer-lab seats are free now, and tells everyone who watches within milliseconds.
#[derive(Debug, Parser)]
#[command(
    version,
    args_conflicts_with_subcommands = true,
    override_usage = "tkbd [run] [SETUP] [--set KEY=VALUE]...\n       tkbd <COMMAND> ...",
    after_help = "Without a command it runs the daemon. `tkbd demo` shows what it does in a minute:\n\n  \
        tkbd demo                              a simulated campus day, on this machine only\n  \
        tkbd watch                             look at it from another terminal\n  \
        tkbd setups/campus.toml                the daemon, with a setup of your own\n  \
        tkbd check setups/campus.toml          every mistake of a setup, with line and column\n  \
        tkbd push hg075pc47=used:linux         report one PC\n\n\
        Exit codes: 0 done, 1 failed, 2 wrong usage, 78 mistakes in the setup."
)]
pub struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) run: RunArguments,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the daemon (what happens without a command, too)
    #[command(
        after_help = "SIGTERM or SIGINT ends it cleanly: every held request is answered and every push \
        written down. A second one ends it at once. SIGHUP has it read its setup again: one with mistakes \
        changes nothing, and the log says why; `tkbd reload` does the same, and says it here.\n\nTo put a new version in place: start it with \
        --take-over while the old one runs. No client is refused meanwhile."
    )]
    Run(RunArguments),
    /// Say every mistake of a setup, or what it means
    Check(CheckArguments),
    /// Have the daemon that runs read its setup again, and say what has changed
    Reload(ReloadArguments),
    /// Say who runs, and where it listens; exit code 1 if nobody does
    Status(StatusArguments),
    /// Print what is reserved today, by room
    Schedule(ScheduleArguments),
    /// Report the states of PCs to a daemon
    Push(PushArguments),
    /// Look at the free seats in the terminal, live
    Watch(WatchArguments),
    /// Run a daemon with a simulated campus day
    Demo(DemoArguments),
    /// Copy the history to a file, while the daemon runs
    Backup(BackupArguments),
    /// Lay a copy of the history ready, with which the next start goes on
    Restore(RestoreArguments),
    /// Print the history, or export it as CSV or JSON, while the daemon runs
    History(HistoryArguments),
    /// Print what a shell needs to complete the commands
    Completions(CompletionsArguments),
    /// Print a page of the manual, for man
    Man(ManArguments),
    /// Draw a secret for those who push or look at /insight, and the lines of a setup that let them in
    Token,
}

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    pub(super) setup: SetupArguments,
    /// Take the place of the daemon that runs with this history: its sockets, and then its history, when it has ended
    #[arg(long)]
    pub(super) take_over: bool,
}

#[derive(Debug, Args)]
pub(super) struct SetupArguments {
    /// The setup (TOML); without one, the one that is built in (setups/default.toml)
    pub(super) setup: Option<PathBuf>,
    /// Override one setting, as in `--set http.listen=127.0.0.1:8081`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The daemon is asked over its control socket, which the setup tells: it lies beside the history, or where control.socket \
says. Where that has changed since the daemon was started, --socket names the one it has. It reads what it was started \
with, as at SIGHUP. Whoever asks must be its user, or root.

Exit codes: 0 it counts, 1 it cannot be had now or nobody runs, 78 the setup has mistakes; then all stays as it was.

Examples:
  tkbd reload /etc/tkbd/campus.toml
  tkbd reload --socket /var/lib/tkbd/control")]
pub(super) struct ReloadArguments {
    #[command(flatten)]
    pub(super) daemon: DaemonArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The daemon is asked over its control socket, which the setup tells: it lies beside the history, or where control.socket \
says. With --socket no setup is read, and so mistakes in it change nothing. Whoever asks must be the daemon's user, or \
root. What is wrong with a daemon that runs, /readyz tells.

Examples:
  tkbd status /etc/tkbd/campus.toml
  tkbd status --socket /var/lib/tkbd/control")]
pub(super) struct StatusArguments {
    #[command(flatten)]
    pub(super) daemon: DaemonArguments,
}

#[derive(Debug, Args)]
pub(super) struct DaemonArguments {
    #[command(flatten)]
    pub(super) setup: SetupArguments,
    /// The control socket of the daemon, instead of the one that the setup names, which is not read then
    #[arg(long, value_name = "FILE", conflicts_with_all = ["setup", "set"])]
    pub(super) socket: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    #[command(flatten)]
    pub(super) setup: SetupArguments,
    /// Ask the master and every timetable, too, and say what they have; exit code 1 if one of them cannot be had
    #[arg(long)]
    pub(super) online: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The copy is the history as it was at one moment. The daemon goes on meanwhile; pushes do not wait. A file that is \
there is never overwritten, and a copy that is there is whole: it was checked, and is on the disk.

`tkbd restore` brings it back.

Examples:
  tkbd backup /var/backups/tkbd-$(date +%F).sqlite3 /etc/tkbd/campus.toml")]
pub(super) struct BackupArguments {
    /// The copy; its directory must be there, and the file must not
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) setup: SetupArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The file is checked and laid beside the history, and the next start goes on with it; the daemon that runs until then \
goes on with what it has. The history that there was is kept under another name, with all that was pushed until the \
restart. Versions go on past all that clients have seen.

Examples:
  tkbd restore /var/backups/tkbd-2026-11-21.sqlite3 /etc/tkbd/campus.toml && systemctl restart tkbd")]
pub(super) struct RestoreArguments {
    /// The copy, as `tkbd backup` makes them; it stays where it is
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) setup: SetupArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Times are dates (2026-11-23), dates with a time (2026-11-23T10:45, in the zone of the setup; with an offset or Z, in \
that one), or how long ago (90m, 2h, 7d). Rows are told oldest first, in the order in which they came.

On a terminal it is a table, elsewhere CSV. In CSV a text that a spreadsheet would take for a formula has a ' before \
it. The room is the one that the rules of the setup imply now.

Examples:
  tkbd history --last 20
  tkbd history --since 2h --room hg075
  tkbd history --since 2026-09-01 --until 2026-10-01 --format csv /etc/tkbd/campus.toml > september.csv
  tkbd history --format jsonl | jq -r .pc | sort | uniq -c")]
pub(super) struct HistoryArguments {
    #[command(flatten)]
    pub(super) setup: SetupArguments,
    /// From then on
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// Before then
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<String>,
    /// Only this PC
    #[arg(long, value_name = "NAME")]
    pub(super) pc: Option<String>,
    /// Only PCs of this room
    #[arg(long, value_name = "KEY")]
    pub(super) room: Option<String>,
    /// Only what this source reported
    #[arg(long, value_name = "NAME")]
    pub(super) source: Option<String>,
    /// Only the newest rows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) last: Option<u32>,
    /// How it is printed: by default a table on a terminal, and CSV elsewhere
    #[arg(long, value_enum)]
    pub(super) format: Option<HistoryFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum HistoryFormat {
    /// For people
    Table,
    /// With a header
    Csv,
    /// One array of objects
    Json,
    /// One object a line
    Jsonl,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tkbd completions bash > /usr/share/bash-completion/completions/tkbd
  tkbd completions zsh > /usr/share/zsh/site-functions/_tkbd
  tkbd completions fish > /usr/share/fish/vendor_completions.d/tkbd.fish")]
pub(super) struct CompletionsArguments {
    /// Which shell
    pub(super) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tkbd man | man -l -
  tkbd man > /usr/share/man/man1/tkbd.1
  tkbd man push > /usr/share/man/man1/tkbd-push.1")]
pub(super) struct ManArguments {
    /// Of which command; without one, the page of the program
    pub(super) command: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Every timetable of the setup is asked once, as the daemon would ask it. What cannot be had is said on \
standard error, and the exit code is 1.

Examples:
  tkbd schedule setups/campus.toml
  tkbd schedule setups/campus.toml --date 2026-12-24 --json")]
pub(super) struct ScheduleArguments {
    #[command(flatten)]
    pub(super) setup: SetupArguments,
    /// Another day than today
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(super) date: Option<NaiveDate>,
    /// The message that clients get, in JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
States: o x wf lf wu lu wx lx (off, unknown; Windows or Linux: free, used, on), or in words:
  offline  unknown  free  used  logon  logoff, with a session where it matters: used:linux

Examples:
  tkbd push hg075pc47=used:linux hg075pc48=offline
  tkbd push --to http://tk.example:1235 --token-file /etc/tkbd/push.token -f states.txt
  watch-logins | tkbd push --follow -          # each line as it comes, for ever

Input is one PC a line (`hg075pc47 used`, `hg075pc47=wf`, `#` for comments), or a whole push in JSON.
The token is never an argument: arguments are visible to everybody on the machine.
Exit code 0 says that every state was acknowledged.")]
pub(super) struct PushArguments {
    /// Where the daemon listens for pushes
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:1235")]
    pub(super) to: String,
    /// A file with the push token, which others must not be able to read; without it, the token is what TKBD_PUSH_TOKEN holds
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// For https://: a file (PEM) with the authorities to trust, instead of those that this system trusts
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// Who reports, as it will stand in the history
    #[arg(long, value_name = "NAME", default_value = "tkbd-push")]
    pub(super) source: String,
    /// How often to try again when the daemon cannot be reached or is busy [default: 5; for ever with --follow]
    #[arg(long, value_name = "N")]
    pub(super) retry: Option<usize>,
    /// How long to wait for an answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(super) timeout: u64,
    /// Read the states from a file
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["states", "follow"])]
    pub(super) file: Option<PathBuf>,
    /// Push each line of standard input as it comes
    #[arg(long)]
    pub(super) follow: bool,
    /// Say nothing when all is well
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// States to report; `-` reads them from standard input
    #[arg(value_name = "PC=STATE", required_unless_present_any = ["file", "follow"])]
    pub(super) states: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Keys: s sorts by free seats or by name, t goes through the tags, arrows scroll, q quits.
When the output is no terminal, or with --plain: a table of the rooms, then one line a change.

Examples:
  tkbd watch https://terminalkamer.example/ --tag hg
  tkbd watch --once | tail -n 1                # the sum of all rooms, once
  tkbd watch --plain | grep --line-buffered hg075

NO_COLOR is honoured: every state has a shape of its own, too.")]
pub(super) struct WatchArguments {
    /// The daemon to watch
    #[arg(value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub(super) url: String,
    /// For https://: a file (PEM) with the authorities to trust, instead of those that this system trusts
    #[arg(long, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// Only rooms with this tag; may be repeated
    #[arg(long, value_name = "TAG")]
    pub(super) tag: Vec<String>,
    /// Print the table of rooms once; exit code 1 if the daemon cannot be reached
    #[arg(long)]
    pub(super) once: bool,
    /// Plain lines, even on a terminal
    #[arg(long)]
    pub(super) plain: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The daemon is a real one, fed by real pushes; only the people are made up. Its history is thrown away \
at the end, unless --db names a file.

Examples:
  tkbd demo
  tkbd demo --speed 600                        # ten minutes a second: a day in 2½ minutes
  tkbd demo --set http.listen=127.0.0.1:9080   # when port 8080 is taken")]
pub(super) struct DemoArguments {
    /// Simulated seconds per second
    #[arg(long, value_name = "X", default_value_t = 30.0, value_parser = speed)]
    pub(super) speed: f64,
    /// Another seed is another day; the same seed and speed give the same pushes
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    /// Keep the history in this file
    #[arg(long, value_name = "FILE")]
    pub(super) db: Option<PathBuf>,
    /// Override one setting; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.1..=3600.0).contains(&speed) => Ok(speed),
        _ => Err("a speed is a number from 0.1 to 3600".into()),
    }
}

impl Command {
    /// The command whose name `word` seems to be meant for.
    pub(super) fn like(word: &str) -> Option<&'static str> {
        const NAMES: [&str; 15] = [
            "run",
            "check",
            "reload",
            "status",
            "backup",
            "restore",
            "history",
            "schedule",
            "push",
            "watch",
            "demo",
            "token",
            "completions",
            "man",
            "help",
        ];
        NAMES
            .into_iter()
            .map(|name| (strsim::damerau_levenshtein(word, name), name))
            .filter(|(distance, _)| *distance <= 2)
            .min()
            .map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(std::iter::once("tkbd").chain(line.split_whitespace()))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_daemon_runs_with_and_without_its_name() {
        for line in [
            "",
            "run",
            "x.toml",
            "run x.toml",
            "--set a=1 x.toml",
            "run x.toml --set a=1 --set b=2",
            "run --take-over x.toml",
        ] {
            let arguments = parse(line).unwrap();
            let run = match &arguments.command {
                None => &arguments.run,
                Some(Command::Run(run)) => run,
                other => panic!("{line}: {other:?}"),
            };
            assert_eq!(run.setup.setup.is_some(), line.contains("x.toml"), "{line}");
            assert_eq!(run.setup.set.len(), line.matches("--set").count(), "{line}");
            assert_eq!(run.take_over, line.contains("--take-over"), "{line}");
        }
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in [
            "a.toml b.toml",
            "push",
            "push --token secret a=o",
            "push --file x a=o",
            "push --timeout 0 a=o",
            "demo --speed 0",
            "demo --speed inf",
            "demo --speed fast",
            "token x",
            "schedule --date tomorrow",
            "check --offline",
            "backup",
            "restore",
            "history --last 0",
            "history --format xml",
            "completions tcsh",
            "man push pull",
            "status --socket a x.toml",
            "reload --socket a --set b=c",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_mistyped_command_is_recognised() {
        for (word, command) in [
            ("puhs", Some("push")),
            ("wathc", Some("watch")),
            ("chekc", Some("check")),
            ("bakcup", Some("backup")),
            ("relaod", Some("reload")),
            ("stauts", Some("status")),
            ("campus", None),
        ] {
            assert_eq!(Command::like(word), command, "{word}");
        }
    }
}
