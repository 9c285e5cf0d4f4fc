//! The results as files: one page, in which each section is replaced when it is measured again, and its pictures.

use super::Measured;
use crate::failure::{Outcome, While};
use crate::sections::Section;
use std::fs;
use std::path::Path;

const HEADING: &str = "# Measured

Written by `cargo bench --bench campus -- --write docs/performance`; what is measured, and how, is told in
`benches/campus/main.rs`. Figures are the medians of the turns, with the lowest and the highest in parentheses. Ratios
are taken within a turn.
";

/// Puts a section into `results.md` in `directory`, and its pictures beside that.
pub(crate) fn write(directory: &Path, section: &str, measured: &Measured) -> Outcome<()> {
    fs::create_dir_all(directory).when(directory.display())?;
    let page = directory.join("results.md");
    let before = fs::read_to_string(&page).unwrap_or_default();
    let mut text = HEADING.to_owned();
    for of in Section::EACH.map(Section::name) {
        let body =
            if of == section { Some(with_pictures(measured)) } else { found(&before, of).map(str::to_owned) };
        if let Some(body) = body {
            text.push_str(&format!("\n{}\n{body}\n{}\n", begins(of), ends(of)));
        }
    }
    for picture in &measured.pictures {
        fs::write(directory.join(&picture.file), &picture.svg).when(&picture.file)?;
    }
    fs::write(&page, text).when(page.display())
}

fn with_pictures(measured: &Measured) -> String {
    let pictures =
        measured.pictures.iter().map(|picture| format!("\n![{}]({})\n", picture.shows, picture.file));
    format!("{}\n{}", measured.markdown.trim(), pictures.collect::<String>()).trim().to_owned()
}

/// What a page says of a section.
fn found<'a>(page: &'a str, section: &str) -> Option<&'a str> {
    let (_, rest) = page.split_once(&begins(section))?;
    Some(rest.split_once(&ends(section))?.0.trim())
}

fn begins(section: &str) -> String {
    format!("<!-- {section} -->")
}

fn ends(section: &str) -> String {
    format!("<!-- end of {section} -->")
}
