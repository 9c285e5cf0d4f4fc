//! A token that a request brings: as a bearer, or as the password that a browser asks its reader for.

use hyper::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// The SHA-256 of what was brought.
#[derive(Debug, Clone, Copy)]
pub struct Brought([u8; 32]);

impl Brought {
    /// What the request brings in `Authorization: Bearer TOKEN`, or `Basic` with the token as the password (RFC 7617);
    /// what name goes with that does not matter.
    pub fn of(headers: &HeaderMap) -> Option<Brought> {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, rest) = value.split_once(' ')?;
        let rest = rest.trim();
        let digest = if scheme.eq_ignore_ascii_case("bearer") {
            Sha256::digest(rest)
        } else if scheme.eq_ignore_ascii_case("basic") {
            let pair = base64(rest)?;
            let colon = pair.iter().position(|byte| *byte == b':')?;
            Sha256::digest(pair.get(colon + 1..)?)
        } else {
            return None;
        };
        Some(Brought(digest.into()))
    }

    /// Whether it is one of these, of which the digests are known. All are compared, each in constant time, so that an
    /// answer's delay tells nothing of them.
    pub fn is_one_of(&self, digests: &[[u8; 32]]) -> bool {
        digests.iter().fold(Choice::from(0), |found, digest| found | self.0.ct_eq(digest)).into()
    }
}

/// The longest that is decoded, in letters: no token and name are.
const LONGEST: usize = 1024;

/// Base64 as RFC 4648 (section 4) has it; none where it is something else.
fn base64(text: &str) -> Option<Vec<u8>> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letters = text.trim_end_matches('=');
    let padding = text.len() - letters.len();
    if text.len() > LONGEST || text.len() % 4 != 0 || padding > 2 {
        return None;
    }
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::with_capacity(text.len() / 4 * 3));
    for letter in letters.bytes() {
        let six = LETTERS.iter().position(|of| *of == letter)?;
        bits = bits << 6 | six as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            // What is above is cut off.
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str) -> [u8; 32] {
        Sha256::digest(text).into()
    }

    fn is_let_in(value: &str, tokens: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        let digests: Vec<_> = tokens.iter().map(|token| digest(token)).collect();
        Brought::of(&headers).is_some_and(|brought| brought.is_one_of(&digests))
    }

    #[test]
    fn a_token_is_brought_as_a_bearer_or_as_a_password() {
        for value in [
            "Bearer hunter2",
            "bearer  hunter2 ",
            "Basic Omh1bnRlcjI=",
            "basic bWU6aHVudGVyMg==",
            "Basic aHVudGVyMjpodW50ZXIy",
        ] {
            assert!(is_let_in(value, &["another", "hunter2"]), "{value}");
            assert!(!is_let_in(value, &["another"]), "{value}");
            assert!(!is_let_in(value, &[]), "{value}");
        }
        for value in [
            "Bearer hunter",
            "Bearer",
            "hunter2",
            "Digest hunter2",
            "Basic hunter2",
            "Basic aHVudGVyMg==",
            "Basic aHVudGVyMjp4",
            "Basic OmhbnRlcjI=",
            "Basic OmhbnRl-jI",
            "Basic =====",
        ] {
            assert!(!is_let_in(value, &["hunter2"]), "{value}");
        }
        assert!(!is_let_in(&format!("Basic {}", "A".repeat(4096)), &[""]));
    }
}
