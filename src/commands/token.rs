//! `tkbd token`: a secret for those who push, or who look at how rooms were used.

use super::Failure;
use crate::core::token::Token;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::{Write, stdout};

/// Draws a token and prints it with the line of the setup that admits it.
pub(super) fn token() -> Result<(), Failure> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).map_err(|error| Failure::other(format!("no randomness: {error}")))?;
    let text = describe(bits);
    stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// The secret of 256 bits, URL-safe, and its SHA-256: the setup knows the secret only by its digest, so
/// that whoever reads the setup cannot push.
fn describe(bits: [u8; 32]) -> String {
    let (first, second) = bits.split_at(16);
    let half = |bytes: &[u8]| {
        let mut half = [0; 16];
        half.copy_from_slice(bytes);
        Token::from_random(half)
    };
    let secret = format!("{}{}", half(first).as_str(), half(second).as_str());
    let digest = Sha256::digest(secret.as_bytes()).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    format!(
        "Token, for whoever pushes (it is shown only now; keep it in a file that only they can read):\n\n  \
         {secret}\n\n\
         For the setup, where up to two are valid at once so that one can replace the other:\n\n  \
         [push]\n  tokens = [{{ sha256 = \"{digest}\" }}]\n\n\
         Try it:\n\n  \
         TKBD_PUSH_TOKEN=… tkbd push hg075pc47=free\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setup_gets_the_digest_of_the_secret_and_not_the_secret() {
        let text = describe([7; 32]);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let secret = lines[2];
        assert_eq!(secret.len(), 44);
        let digest: String = Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect();
        let line = lines.iter().find(|line| line.starts_with("tokens")).unwrap();
        assert_eq!(*line, format!("tokens = [{{ sha256 = \"{digest}\" }}]"));
        assert_eq!(text.matches(secret).count(), 1);
        assert_ne!(text, describe([8; 32]));
    }
}
