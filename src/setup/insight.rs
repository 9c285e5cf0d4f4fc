//! Who may see how rooms were used: `[insight]`.

use super::crowd::not_everybody;
use super::fields::Fields;
use super::mistake::{Mistake, Refusal};
use super::network::{host, loopback, network};
use super::reader::Reader;
use super::resolve::NETWORKS;
use super::tokens::digest;
use ipnet::IpNet;

/// Who may see how rooms were used (`[insight]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insight {
    /// From where, without more; IPv4 networks in IPv4 form.
    pub allow: Vec<IpNet>,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Names by which those addresses reach this host, besides its addresses and `localhost`.
    pub hosts: Vec<String>,
    /// The SHA-256 of tokens that let in from everywhere.
    pub tokens: Vec<[u8; 32]>,
}

/// Resolves `[insight]`.
pub(super) fn insight(ask: &mut Reader) -> Insight {
    let wants = "host names in quotes, as \"tk.example.org\"";
    let insight = Insight {
        allow: ask.list("insight.allow", NETWORKS, loopback(), network),
        trusted_proxies: ask.list("insight.trusted_proxies", NETWORKS, Vec::new(), network),
        hosts: ask.list("insight.hosts", wants, Vec::new(), host),
        tokens: tokens(ask),
    };
    not_everybody(ask, "insight.trusted_proxies", &insight.trusted_proxies, "insight.allow");
    insight
}

/// No message about them repeats a value (reliability.md O7).
fn tokens(ask: &mut Reader) -> Vec<[u8; 32]> {
    let (mut mistakes, mut tokens): (Vec<Mistake>, Vec<[u8; 32]>) = (Vec::new(), Vec::new());
    for table in ask.tables("insight.tokens") {
        let mut fields = Fields::new("insight.tokens", &["sha256"], table, &mut mistakes);
        match fields.required("sha256", digest) {
            Some((sha256, place)) if tokens.contains(&sha256) => {
                fields.refuse(place, Refusal::new("this token is listed already"));
            }
            Some((sha256, _)) => tokens.push(sha256),
            None => {}
        }
    }
    ask.note(mistakes);
    tokens
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;

    #[test]
    fn this_machine_alone_sees_it_unless_somebody_says_otherwise() {
        let insight = load(None, std::iter::empty(), &[]).unwrap().insight;
        assert_eq!(insight.allow, loopback());
        assert!(insight.trusted_proxies.is_empty() && insight.hosts.is_empty() && insight.tokens.is_empty());
    }

    #[test]
    fn a_token_is_written_as_its_digest_and_once() {
        let of = |text: &str| {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("setup.toml");
            std::fs::write(&file, text).unwrap();
            load(Some(&file), std::iter::empty(), &[]).map(|setup| setup.insight.tokens)
        };
        let (one, two) = ("ab".repeat(32), "cd".repeat(32));
        let text = format!("[insight]\ntokens = [{{ sha256 = \"{one}\" }}, {{ sha256 = \"{two}\" }}]\n");
        assert_eq!(of(&text).unwrap(), [[0xab; 32], [0xcd; 32]]);
        for (text, says) in [
            (
                format!("[insight]\ntokens = [{{ sha256 = \"{one}\" }}, {{ sha256 = \"{one}\" }}]\n"),
                "already",
            ),
            ("[insight]\ntokens = [{ sha256 = \"hunter2\" }]\n".to_owned(), "wants the token's SHA-256"),
            ("[insight]\ntokens = [{ source = \"a\" }]\n".to_owned(), "unknown key"),
            ("[insight]\ntrusted_proxies = \"0.0.0.0/0\"\n".to_owned(), "voids insight.allow"),
        ] {
            let error = of(&text).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(says) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
