//! What the whole module promises; what one file promises is tested beside it.

mod mistakes;
mod overrides;
mod shipped;
mod timetables;

use super::layers::Layers;
use super::place::Origin;
use super::reader::Reader;
use super::{Setup, SetupError, resolve};

/// Resolves `text` as the file `x.toml`, with variables and arguments.
fn resolved(text: &str, environment: &[(&str, &str)], sets: &[&str]) -> Result<Setup, SetupError> {
    let page = (Origin::File("x.toml".into()), text.to_owned());
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let layers = Layers::read(page, environment, &sets).map_err(SetupError::new)?;
    resolve::resolve(Reader::new(layers))
}

/// The plain lines with which it is refused; none, if it is a setup.
fn refused(text: &str, environment: &[(&str, &str)], sets: &[&str]) -> Vec<String> {
    let outcome = resolved(text, environment, sets);
    outcome.err().map(|error| error.to_string().lines().map(str::to_owned).collect()).unwrap_or_default()
}
