//! The name of a channel.

use smol_str::SmolStr;
use std::borrow::Borrow;
use std::fmt;

/// The name of a channel: `[A-Za-z0-9+/=_-]{1,64}` (reliability.md C7). It is all a client needs to take
/// the channel over, so it is shown in no log.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(SmolStr);

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token is 1 to 64 characters of A-Z, a-z, 0-9, '+', '/', '=', '_' and '-'")]
pub struct BadToken;

impl Token {
    /// Takes `text` as a token, as it stands.
    ///
    /// # Errors
    /// When it is not of the form above.
    pub fn parse(text: &str) -> Result<Token, BadToken> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=_-".contains(&b));
        if fits { Ok(Token(text.into())) } else { Err(BadToken) }
    }

    /// A token of 128 bits that the caller drew at random: 22 URL-safe characters.
    pub fn from_random(bits: [u8; 16]) -> Token {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut rest = u128::from_be_bytes(bits);
        let text: String = std::iter::repeat_with(|| {
            let digit = DIGITS[(rest & 63) as usize];
            rest >>= 6;
            char::from(digit)
        })
        .take(22)
        .collect();
        Token(text.into())
    }

    /// The token as text; it needs no escaping in JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Token {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_a_bounded_form() {
        for text in ["a", "LbF+31V/", "AVQIuVAZ==", "my-own_token", &"x".repeat(64)] {
            assert!(Token::parse(text).is_ok(), "{text:?}");
        }
        for text in ["", "a b", "a\"b", "t\u{f6}k", "a<b", "a\n", &"x".repeat(65)] {
            assert!(Token::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_token_of_ours_holds_all_the_bits_and_reads_as_a_token() {
        let one = Token::from_random([7; 16]);
        assert_eq!(one.as_str().len(), 22);
        assert!(Token::parse(one.as_str()).is_ok());
        for bit in 0..128 {
            assert_ne!(Token::from_random((1u128 << bit).to_be_bytes()), Token::from_random([0; 16]));
        }
    }

    #[test]
    fn a_token_is_not_shown_in_logs() {
        assert!(!format!("{:?}", Token::parse("secret").unwrap()).contains("secret"));
    }
}
