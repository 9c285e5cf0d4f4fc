//! Tags, and the filters that clients make of them.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A name by which rooms are chosen, as `hg`: `[A-Za-z0-9._-]{1,64}`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

/// Why a text is no tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tag is 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-'")]
pub struct BadTag;

impl Tag {
    /// Takes `text` as a tag, as it stands.
    ///
    /// # Errors
    /// When it is not of the form above.
    pub fn parse(text: &str) -> Result<Tag, BadTag> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if fits { Ok(Tag(text.into())) } else { Err(BadTag) }
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Tag {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Several tags, each once, in their order. As many as there are channels may be kept, most of one tag: so it is a list
/// that is as long as it has to be, and not a tree.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Tags(Vec<Tag>);

impl Tags {
    /// No tag.
    pub const NONE: Tags = Tags(Vec::new());

    /// Whether it is one of them.
    pub fn contains(&self, tag: &str) -> bool {
        self.0.binary_search_by(|own| own.as_str().cmp(tag)).is_ok()
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Tag> {
        self.0.iter()
    }
}

impl FromIterator<Tag> for Tags {
    fn from_iter<I: IntoIterator<Item = Tag>>(tags: I) -> Tags {
        let mut tags: Vec<Tag> = tags.into_iter().collect();
        tags.sort_unstable();
        tags.dedup();
        tags.shrink_to_fit();
        Tags(tags)
    }
}

impl<const N: usize> From<[Tag; N]> for Tags {
    fn from(tags: [Tag; N]) -> Tags {
        tags.into_iter().collect()
    }
}

/// Which rooms a client wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TagFilter {
    /// Every room, untagged ones included (`null` on the wire).
    Everything,
    /// Rooms with at least one of these tags; none of them: no room.
    Tags(Tags),
}

impl TagFilter {
    /// What a new channel has: no room.
    pub const fn nothing() -> TagFilter {
        TagFilter::Tags(Tags::NONE)
    }

    /// Whether a room with `tags` passes.
    pub fn passes(&self, tags: &[Tag]) -> bool {
        match self {
            TagFilter::Everything => true,
            TagFilter::Tags(wanted) => tags.iter().any(|tag| wanted.contains(tag.as_str())),
        }
    }
}

/// The three filters of a channel (`set_msgFilter`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    /// For `occupation` and `occupation_update`.
    pub occupation: TagFilter,
    /// For `roomMap`.
    pub room_map: TagFilter,
    /// For `schedule`.
    pub schedule: TagFilter,
}

impl Filter {
    /// What a new channel has: it hears of nothing (reliability.md F4).
    pub const fn nothing() -> Filter {
        Filter {
            occupation: TagFilter::nothing(),
            room_map: TagFilter::nothing(),
            schedule: TagFilter::nothing(),
        }
    }
}

/// A change of filters: what is `None` stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilterChange {
    /// For `occupation` and `occupation_update`.
    pub occupation: Option<TagFilter>,
    /// For `roomMap`.
    pub room_map: Option<TagFilter>,
    /// For `schedule`.
    pub schedule: Option<TagFilter>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_passes_rooms_with_one_of_its_tags() {
        let tag = |text: &str| Tag::parse(text).unwrap();
        let of = |tags: &[&str]| TagFilter::Tags(tags.iter().map(|t| tag(t)).collect());
        let cases = [
            (TagFilter::Everything, vec![], true),
            (TagFilter::nothing(), vec![tag("hg")], false),
            (of(&["hg"]), vec![], false),
            (of(&["hg"]), vec![tag("hg")], true),
            (of(&["hg"]), vec![tag("HG")], false),
            (of(&["a", "b"]), vec![tag("c"), tag("b")], true),
        ];
        for (filter, tags, passes) in cases {
            assert_eq!(filter.passes(&tags), passes, "{filter:?} {tags:?}");
        }
    }

    #[test]
    fn a_tag_has_a_bounded_form() {
        for (text, fits) in
            [("hg", true), ("HG-1.x_y", true), ("", false), ("a b", false), ("*", false), ("\u{e9}", false)]
        {
            assert_eq!(Tag::parse(text).is_ok(), fits, "{text:?}");
        }
        assert!(Tag::parse(&"a".repeat(65)).is_err());
    }
}
