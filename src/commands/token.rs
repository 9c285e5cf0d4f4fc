//! `tkbd token`: a secret for those who push, or who look at how rooms were used.

use super::Failure;
use crate::core::token::Token;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::{Write, stdout};

/// Draws a token and prints it with the lines of a setup that admit it, and what each of them does.
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
        "Token (it is shown only now; keep it in a file that only who needs it can read):\n\n  \
         {secret}\n\n\
         The setup gets one of these. For who looks at how rooms were used (/insight), from any address:\n\n  \
         [insight]\n  tokens = [{{ sha256 = \"{digest}\" }}]\n\n\
         For who pushes. Once there is a token here, every push must bring one, from an address of push.allow:\n\n  \
         [push]\n  tokens = [{{ sha256 = \"{digest}\" }}]\n\n\
         With source = \"NAME\" behind the digest it is good for that source alone. Two of one source may be valid at\n\
         once, and two without a source, so that one can replace the other. Try it:\n\n  \
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
        let admitted = format!("tokens = [{{ sha256 = \"{digest}\" }}]");
        for table in ["[insight]", "[push]"] {
            let place = lines.iter().position(|line| *line == table).unwrap();
            assert_eq!(lines[place + 1], admitted, "{table}");
        }
        assert_eq!(text.matches(secret).count(), 1);
        assert_ne!(text, describe([8; 32]));
    }
}
