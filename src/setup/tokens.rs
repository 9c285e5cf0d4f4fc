//! The tokens with which sources prove themselves: their digests, never the tokens.

use super::PushToken;
use super::fields::Fields;
use super::mistake::{Mistake, Refusal};
use super::near::quoted;
use super::reader::Reader;
use crate::core::source::Source;

/// How many tokens of one source may be valid: the old and the new one of a rotation. A third is
/// one that somebody forgot to take out.
const OF_ONE_SOURCE: usize = 2;

/// Resolves `push.tokens`. No message about them repeats a value (reliability.md O7).
pub(super) fn tokens(ask: &mut Reader) -> Vec<PushToken> {
    let mut mistakes: Vec<Mistake> = Vec::new();
    let mut tokens: Vec<PushToken> = Vec::new();
    for table in ask.tables("push.tokens") {
        let mut fields = Fields::new("push.tokens", &["sha256", "source"], table, &mut mistakes);
        let digest = fields.required("sha256", digest);
        let written = fields.find("source").is_some();
        let source = fields.parsed("source", |text| {
            Source::parse(text).map_err(|why| Refusal::new(format!("{}: {why}", quoted(text))))
        });
        let Some((sha256, place)) = digest else { continue };
        if written && source.is_none() {
            continue;
        }
        let source = source.map(|(source, _)| source);
        if tokens.iter().any(|token| token.sha256 == sha256) {
            fields.refuse(place, Refusal::new("this token is listed already"));
            continue;
        }
        if tokens.iter().filter(|token| token.source == source).count() == OF_ONE_SOURCE {
            let whose =
                source.as_ref().map_or("that fit any source".into(), |it| format!("of source {it:?}"));
            let why = format!("a third token {whose}: two are enough to change from one to the next");
            fields.refuse(place, Refusal::new(why).hint("take the oldest out"));
            continue;
        }
        tokens.push(PushToken { sha256, source });
    }
    ask.note(mistakes);
    tokens
}

pub(super) fn digest(text: &str) -> Result<[u8; 32], Refusal> {
    let mut digest = [0; 32];
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    match digits {
        Some(digits) if digits.len() == 64 => {
            for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
                *byte = pair.iter().fold(0, |byte, digit| byte << 4 | *digit as u8);
            }
            Ok(digest)
        }
        _ => {
            Err(Refusal::new("wants the token's SHA-256, which is 64 hexadecimal digits, and not the token")
                .hint("printf %s TOKEN | sha256sum"))
        }
    }
}
