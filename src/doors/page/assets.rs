//! The files of the design: in the program, and packed once for all who ask. In debug builds they are read from the disk
//! each time, so that who draws sees at once what is drawn.

use super::answer::{gzip, hex};
use bytes::Bytes;
use flate2::Compression;
use rust_embed::RustEmbed;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, OnceLock};

/// Smaller files are not worth it.
const PACKED_FROM: usize = 256;

#[derive(RustEmbed)]
#[folder = "src/page/design/"]
struct Design;

/// The files as they are now.
pub(super) struct Assets(Arc<Files>);

/// The files of one edition.
pub(super) struct Files {
    /// A digest of all of them, with the templates.
    pub(super) edition: String,
    /// What is served, by name.
    files: BTreeMap<String, File>,
}

/// A file.
pub(super) struct File {
    /// Its media type.
    pub(super) kind: &'static str,
    /// What it holds.
    pub(super) bytes: Bytes,
    /// A digest of that.
    pub(super) digest: String,
    gzip: OnceLock<Option<Bytes>>,
    brotli: OnceLock<Option<Bytes>>,
}

/// How many letters an edition has.
const EDITION: usize = 12;

/// Whether a part of a path may name an edition.
pub(super) fn is_edition(text: &str) -> bool {
    text.len() == EDITION && text.bytes().all(|b| b.is_ascii_hexdigit())
}

impl Assets {
    pub(super) fn new() -> Assets {
        Assets(Arc::new(Files::read()))
    }

    pub(super) fn now(&self) -> Arc<Files> {
        if cfg!(debug_assertions) { Arc::new(Files::read()) } else { self.0.clone() }
    }
}

impl Files {
    fn read() -> Files {
        let mut files = BTreeMap::new();
        let mut all = env!("CARGO_PKG_VERSION").to_owned();
        let mut names: Vec<_> = Design::iter().collect();
        names.sort_unstable();
        for name in names {
            let Some(file) = Design::get(&name) else { continue };
            let bytes = Bytes::from(file.data.into_owned());
            all.push_str(&hex(&bytes));
            if let Some(kind) = kind(&name) {
                let bytes = lean(&name, bytes);
                let digest = hex(&bytes);
                let (gzip, brotli) = (OnceLock::new(), OnceLock::new());
                files.insert(name.into_owned(), File { kind, bytes, digest, gzip, brotli });
            }
        }
        let mut edition = hex(all.as_bytes());
        edition.truncate(EDITION);
        Files { edition, files }
    }

    /// The file of that name.
    pub(super) fn file(&self, name: &str) -> Option<&File> {
        self.files.get(name)
    }
}

/// The media type of a file; none where it is none to be served.
fn kind(name: &str) -> Option<&'static str> {
    let (folder, file) = name.split_once('/')?;
    let (_, extension) = file.rsplit_once('.')?;
    match (folder, extension) {
        ("styles", "css") => Some("text/css; charset=utf-8"),
        ("scripts", "js") => Some("text/javascript; charset=utf-8"),
        ("icons", "svg") => Some("image/svg+xml"),
        ("icons", "png") => Some("image/png"),
        _ => None,
    }
}

/// What stands in a file for who reads the folder is not sent to who looks at the page: lines that are comments, space at
/// the beginning of others, and in styles around signs. Nothing else is changed.
fn lean(name: &str, bytes: Bytes) -> Bytes {
    let Ok(text) = str::from_utf8(&bytes) else { return bytes };
    let (is_script, is_style) = (name.ends_with(".js"), name.ends_with(".css"));
    if !is_script && !is_style {
        return bytes;
    }
    let mut lean = String::with_capacity(text.len());
    let mut in_comment = false;
    for line in text.lines().map(str::trim) {
        in_comment |= is_style && line.starts_with("/*") && (line.ends_with("*/") || !line.contains("*/"));
        if !(in_comment || line.is_empty() || is_script && line.starts_with("//")) {
            lean.push_str(&if is_style { tight(line) } else { line.into() });
            lean.push('\n');
        }
        in_comment &= !line.ends_with("*/");
    }
    lean.into()
}

/// What in styles means the same: that and this.
const SAME: [(&str, &str); 7] =
    [(": ", ":"), ("; ", ";"), (", ", ","), (" {", "{"), ("{ ", "{"), (" }", "}"), (";}", "}")];

/// A line of a style with no space around its signs.
fn tight(line: &str) -> Cow<'_, str> {
    SAME.into_iter().fold(line.into(), |line, (wide, narrow)| line.replace(wide, narrow).into())
}

impl File {
    /// Packed with gzip, where it is worth it.
    pub(super) fn gzip(&self) -> Option<Bytes> {
        self.packed(&self.gzip, |bytes| gzip(bytes, Compression::best()))
    }

    /// Packed with brotli, where it is worth it.
    pub(super) fn brotli(&self) -> Option<Bytes> {
        self.packed(&self.brotli, |bytes| {
            // Two steps below the best, which takes ten times as long for a part in a hundred.
            let mut out = brotli::CompressorWriter::new(Vec::new(), 4096, 9, 22);
            out.write_all(bytes).ok()?;
            out.flush().ok()?;
            Some(out.into_inner())
        })
    }

    fn packed(
        &self,
        place: &OnceLock<Option<Bytes>>,
        pack: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Option<Bytes> {
        let is_packed_already = self.kind == "image/png" || self.bytes.len() < PACKED_FROM;
        let packed = || pack(&self.bytes).map(Bytes::from).filter(|packed| packed.len() < self.bytes.len());
        place.get_or_init(|| if is_packed_already { None } else { packed() }).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_space_are_left_out_and_nothing_else_is() {
        let script = "// What.\n\nconst a = 'http://b'; // why\n  if (a)\n    // that\n    c(`//`);\n";
        let sent = lean("scripts/a.js", Bytes::from_static(script.as_bytes()));
        assert_eq!(sent, "const a = 'http://b'; // why\nif (a)\nc(`//`);\n");
        let style = "/* One. */\na { b: c; } /* d */\n/* Two\n   lines. */\n/* i */ j { }\n@media e {\n  f { g: h; }\n}\n";
        let sent = lean("styles/a.css", Bytes::from_static(style.as_bytes()));
        assert_eq!(sent, "a{b:c} /* d */\n/* i */ j{}\n@media e{\nf{g:h}\n}\n");
        let style = "a > b, c:not(d) :is(e) { f: calc(1px + 2px) g, h; content: \"· \"; }\n";
        let sent = lean("styles/a.css", Bytes::from_static(style.as_bytes()));
        assert_eq!(sent, "a > b,c:not(d) :is(e){f:calc(1px + 2px) g,h;content:\"· \"}\n");
        let picture = "  <svg>\n\n</svg>";
        assert_eq!(lean("icons/a.svg", Bytes::from_static(picture.as_bytes())), picture);
    }

    #[test]
    fn no_style_has_a_text_that_would_lose_its_space() {
        for name in Design::iter().filter(|name| name.ends_with(".css")) {
            let file = Design::get(&name).unwrap();
            for line in str::from_utf8(&file.data).unwrap().lines() {
                let mut texts = line.split('"').skip(1).step_by(2);
                assert!(texts.all(|text| tight(text) == text), "{name}: {line}");
            }
        }
    }

    #[test]
    fn no_script_has_a_text_of_several_lines_which_would_lose_its_space() {
        for name in Design::iter().filter(|name| name.ends_with(".js")) {
            let file = Design::get(&name).unwrap();
            for line in str::from_utf8(&file.data).unwrap().lines() {
                let is_comment = line.trim_start().starts_with("//");
                assert!(is_comment || line.matches('`').count() % 2 == 0, "{name}: {line}");
                assert!(!line.contains("/*"), "{name}: comments are lines with //: {line}");
            }
        }
    }
}
