//! What `tkbd` does from the command line: one file, or one directory, a command.

mod arguments;
mod backup;
mod check;
mod demo;
mod failure;
mod history;
mod logging;
mod manual;
mod push;
mod reload;
mod restore;
mod run;
mod schedule;
mod signals;
mod status;
mod take_over;
mod text;
mod token;
mod watch;

pub use arguments::Arguments;

use arguments::Command;
use failure::Failure;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Does what the arguments say.
pub fn execute(arguments: Arguments) -> ExitCode {
    let done = match arguments.command {
        None => run::run(&arguments.run),
        Some(Command::Run(arguments)) => run::run(&arguments),
        Some(Command::Check(arguments)) => check::check(&arguments),
        Some(Command::Reload(arguments)) => in_runtime(reload::reload(&arguments.daemon)),
        Some(Command::Status(arguments)) => in_runtime(status::status(&arguments.daemon)),
        Some(Command::Backup(arguments)) => backup::backup(&arguments),
        Some(Command::Restore(arguments)) => restore::restore(&arguments),
        Some(Command::History(arguments)) => history::history(&arguments),
        Some(Command::Schedule(arguments)) => in_runtime(schedule::schedule(arguments)),
        Some(Command::Push(arguments)) => in_runtime(push::push(arguments)),
        Some(Command::Watch(arguments)) => in_runtime(watch::watch(arguments)),
        Some(Command::Demo(arguments)) => in_runtime(demo::demo(arguments)),
        Some(Command::Completions(arguments)) => manual::completions(&arguments),
        Some(Command::Man(arguments)) => manual::man(&arguments),
        Some(Command::Token) => token::token(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell();
            failure.exit_code()
        }
    }
}

/// Runs a command to its end on this thread: nothing here needs a second one.
fn in_runtime(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("cannot start the runtime: {error}")))?;
    let done = runtime.block_on(command);
    // Whoever still reads standard input or the keyboard on a thread of its own is not waited for.
    runtime.shutdown_background();
    done
}

/// Whether what is written to `stream` may be coloured: people look at it, and they do not object
/// (<https://no-color.org>).
fn may_colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && !no_colour()
}

fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
