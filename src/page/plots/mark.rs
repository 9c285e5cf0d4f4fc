//! Pieces that plots are made of: text that stays text, shares of a width, key and table.

use std::fmt;

/// A share of a width, in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share(pub(super) f64);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A hundredth is less than a pixel of any wall.
        write!(f, "{}%", (self.0 * 100.0).round() / 100.0)
    }
}

/// Where labels at the left end, in pixels: in the margin.
pub(super) const LABEL: i16 = -8;

/// Text as it stands between tags, or in quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// How a shape looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shade {
    /// By its class alone.
    Plain(&'static str),
    /// By its class, and hatched above that.
    Hatched(&'static str),
    /// It is a line.
    Line(&'static str),
}

impl Shade {
    /// A shape of this look in the figure `id`.
    pub(super) fn shape(self, id: &str, element: &str, place: &str) -> String {
        match self {
            Shade::Plain(class) | Shade::Line(class) => format!(r#"<{element} class="{class}" {place}/>"#),
            // A class would go before an attribute of the same shape.
            Shade::Hatched(class) => {
                format!(r#"<{element} class="{class}" {place}/><{element} fill="url(#{id}-h)" {place}/>"#)
            }
        }
    }
}

/// How hatched shapes are hatched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hatching {
    /// Nothing is.
    None,
    /// Aslant.
    Aslant,
    /// Level, which an inner SVG that stretches does not change.
    Level,
}

impl Hatching {
    fn defined(self, id: &str) -> String {
        let (form, line) = match self {
            Hatching::None => return String::new(),
            Hatching::Aslant => (r#"width="6" height="6" patternTransform="rotate(45)""#, "M0 0V6"),
            Hatching::Level => (r#"width="60" height="4""#, "M0 0H60"),
        };
        format!(r#"<pattern id="{id}-h" {form} patternUnits="userSpaceOnUse"><path d="{line}"/></pattern>"#)
    }
}

/// A plot: its picture with a title and what it says in a sentence, what its shades mean, and its table.
pub(super) struct Figure<'a> {
    /// Of the element, and what those within it begin with.
    pub(super) id: &'static str,
    pub(super) title: &'a str,
    /// What is to be seen, in a sentence or a few, for those who do not see it.
    pub(super) says: &'a str,
    /// Whether that stands below the picture, too.
    pub(super) is_caption: bool,
    pub(super) height: u16,
    /// What is in the picture.
    pub(super) picture: &'a str,
    /// How hatched shapes are hatched.
    pub(super) hatching: Hatching,
    /// Shades, and what they mean.
    pub(super) key: &'a [(Shade, &'a str)],
    /// What opens the table.
    pub(super) opener: &'a str,
    /// The rows of the table, with its head.
    pub(super) table: &'a str,
}

impl fmt::Display for Figure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figure { id, title, says, height, picture, hatching, opener, table, .. } = self;
        let (title, says, opener) = (escaped(title), escaped(says), escaped(opener));
        write!(
            f,
            concat!(
                r#"<figure class="plot" id="{id}"><svg role="img" aria-labelledby="{id}-t {id}-d" width="100%" height="{height}">"#,
                r#"<title id="{id}-t">{title}</title><desc id="{id}-d">{says}</desc>"#,
                r#"<defs>{hatch}</defs>{picture}</svg>"#
            ),
            hatch = hatching.defined(id),
            id = id,
            height = height,
            title = title,
            says = says,
            picture = picture
        )?;
        f.write_str(r#"<ul class="p-key" aria-hidden="true">"#)?;
        for (shade, means) in self.key {
            let shape = match shade {
                Shade::Line(_) => shade.shape(id, "path", r#"d="M0 6H18""#),
                _ => shade.shape(id, "rect", r#"width="18" height="12""#),
            };
            let means = escaped(means);
            write!(f, r#"<li><svg width="18" height="12">{shape}</svg>{means}</li>"#)?;
        }
        f.write_str("</ul>")?;
        if self.is_caption {
            write!(f, "<figcaption>{says}</figcaption>")?;
        }
        write!(
            f,
            r#"<details><summary>{opener}</summary><div role="region" aria-label="{title}" tabindex="0"><table>{table}</table></div></details></figure>"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_short_and_text_is_text() {
        assert_eq!(Share(100.0 / 3.0).to_string(), "33.33%");
        assert_eq!(Share(11.0).to_string(), "11%");
        assert_eq!(escaped("<a b=\"c\">'&"), "&lt;a b=&quot;c&quot;&gt;&#39;&amp;");
    }
}
