//! What can be written on the command line.

use crate::contestants::Part;
use crate::sections::Section;
use clap::{CommandFactory, FromArgMatches, Parser};
use std::path::PathBuf;

/// Measures the daemon as a whole, beside a floor, plain hyper, and Nchan where it is installed.
#[derive(Debug, Parser)]
#[command(
    name = "campus",
    bin_name = "cargo bench --bench campus --",
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Arguments {
    /// What to measure
    #[arg(value_enum, value_name = "SECTION", default_value = "all", hide_possible_values = true)]
    chosen: Vec<Section>,
    /// How many turns; the figures are their medians [default: 5, and 1 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    turns: Option<u16>,
    /// How long `soak` takes [default: 60]
    #[arg(long, value_name = "N")]
    pub(crate) minutes: Option<f64>,
    /// Small numbers: shows that the benchmark works, and nothing about the daemon
    #[arg(long)]
    pub(crate) quick: bool,
    /// The daemon to measure, instead of the one that cargo has built
    #[arg(long, value_name = "PATH")]
    pub(crate) bin: Option<PathBuf>,
    /// nginx, where it is not on the path
    #[arg(long, value_name = "PATH")]
    pub(crate) nginx: Option<PathBuf>,
    /// Nchan's module, where it is in none of the usual places
    #[arg(long, value_name = "PATH")]
    pub(crate) nchan: Option<PathBuf>,
    /// Keep the results here, too: results.md, in which the sections that were measured are replaced, and SVG
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) write: Option<PathBuf>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
    /// What this process plays in the benchmark of another one.
    #[command(subcommand)]
    pub(crate) part: Option<Part>,
}

impl Arguments {
    /// The sections, each once, in their order.
    pub(crate) fn sections(&self) -> Vec<Section> {
        let is_chosen = |section: &Section| {
            // An hour is no part of all that is measured in minutes: it has to be asked for.
            self.chosen.contains(section)
                || self.chosen.contains(&Section::All) && !matches!(section, Section::Soak)
        };
        Section::EACH.into_iter().filter(is_chosen).collect()
    }

    /// How many turns each section takes.
    pub(crate) fn turns(&self) -> usize {
        self.turns.map_or(if self.quick { 1 } else { 5 }, usize::from)
    }
}

/// Reads the command line; ends the process where it makes no sense, or asks for help.
pub(crate) fn parse() -> Arguments {
    let width = Section::EACH.iter().map(|section| section.name().len()).max().unwrap_or(0);
    let lines = [Section::All].into_iter().chain(Section::EACH);
    let lines: Vec<String> =
        lines.map(|section| format!("  {:width$}  {}", section.name(), section.about())).collect();
    let help = format!("Sections:\n{}", lines.join("\n"));
    let matches = Arguments::command().after_help(help).get_matches();
    Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}
