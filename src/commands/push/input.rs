//! What there is to push: arguments, a file, standard input.

use super::super::Failure;
use super::super::arguments::PushArguments;
use super::entry;
use crate::core::pc::{Occupation, PcName};
use bytes::Bytes;
use std::fs::File;
use std::io::{Read, stdin};

/// Something to push.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Batch {
    /// States, in their order.
    States(Vec<(PcName, Occupation)>),
    /// A whole push in JSON. It goes as it stands: the daemon says best what is wrong with it.
    Body(Bytes),
}

/// More input than this is not read: it would be 300,000 states or more.
const LONGEST: u64 = 16 << 20;

/// Reads all there is to push. Nothing is pushed before all of it has been read and found good.
pub(super) fn read(arguments: &PushArguments) -> Result<Vec<Batch>, Failure> {
    if let Some(file) = &arguments.file {
        if file.as_os_str() == "-" {
            return Ok(vec![whole("standard input", stdin())?]);
        }
        let name = file.display().to_string();
        let file = File::open(file).map_err(|error| Failure::other(format!("{name}: {error}")))?;
        return Ok(vec![whole(&name, file)?]);
    }
    let mut batches = Vec::new();
    let mut states = Vec::new();
    let mut mistakes = Vec::new();
    for argument in &arguments.states {
        if argument == "-" {
            batches.push(whole("standard input", stdin())?);
            continue;
        }
        match entry::entry(argument) {
            Ok(entry) => states.push(entry),
            Err(mistake) => mistakes.push(mistake.to_string()),
        }
    }
    refuse(mistakes).map_err(Failure::Usage)?;
    if !states.is_empty() {
        batches.insert(0, Batch::States(states));
    }
    Ok(batches)
}

fn whole(name: &str, input: impl Read) -> Result<Batch, Failure> {
    let cannot = |why: String| Failure::other(format!("{name}: {why}"));
    let mut bytes = Vec::new();
    input.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| cannot(error.to_string()))?;
    if bytes.len() as u64 > LONGEST {
        return Err(cannot(format!("longer than {} MiB; --follow reads without end", LONGEST >> 20)));
    }
    let text = String::from_utf8(bytes).map_err(|_| cannot("it is not UTF-8 text".into()))?;
    if text.trim_start().starts_with('{') {
        return Ok(Batch::Body(text.into()));
    }
    let mut states = Vec::new();
    let mut mistakes = Vec::new();
    for (number, line) in text.lines().enumerate() {
        match entry::line(line) {
            Ok(entry) => states.extend(entry),
            Err(mistake) => mistakes.push(format!("{name}:{}: {mistake}", number + 1)),
        }
    }
    refuse(mistakes).map_err(Failure::Other)?;
    if states.is_empty() {
        return Err(cannot("there is no state in it".into()));
    }
    Ok(Batch::States(states))
}

/// All mistakes at once, so that they can be mended at once; of very many the first.
fn refuse(mut mistakes: Vec<String>) -> Result<(), String> {
    const SHOWN: usize = 20;
    if mistakes.is_empty() {
        return Ok(());
    }
    let more = mistakes.len().saturating_sub(SHOWN);
    mistakes.truncate(SHOWN);
    if more > 0 {
        mistakes.push(format!("and {more} more"));
    }
    Err(format!("nothing was pushed:\n  {}", mistakes.join("\n  ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_whole_pushes_are_told_apart() {
        let Ok(Batch::States(states)) = whole("f", "a wf\n# b\n\nb=o\r\n".as_bytes()) else { panic!() };
        assert_eq!(states.len(), 2);
        let body = "\n {\"data\": {}}";
        assert_eq!(whole("f", body.as_bytes()).unwrap(), Batch::Body(body.into()));
    }

    #[test]
    fn every_mistake_is_told_with_its_line_before_anything_is_pushed() {
        let told = |text: &[u8]| match whole("f", text) {
            Err(Failure::Other(told)) => told,
            other => panic!("{other:?}"),
        };
        let text = told(b"a wf\nb\nc=off\nd=fee\n");
        assert!(text.contains("f:2: \"b\" names no state") && text.contains("f:4: \"fee\""), "{text}");
        assert!(told(b"# nothing\n").contains("no state in it"));
        assert!(told(b"a=\xff").contains("not UTF-8"));
        assert!(told(&b"x\n".repeat(50)).ends_with("and 30 more"));
        assert!(told(&vec![b'#'; 17 << 20]).contains("longer than 16 MiB"));
    }
}
