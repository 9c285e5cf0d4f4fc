//! A setup in a dozen lines, for `tkbd check`.

use super::resolve::everybody;
use super::{Insight, LogFormat, Metrics, Mirror, Push, Setup, Timetable, Tls, duration::shown};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;

impl Setup {
    /// What it comes to, one fact a line; no secrets, no tokens.
    pub fn summary(&self) -> String {
        let http = &self.http;
        let lines = [
            ("pages", format!("{} at path {}", addresses(&http.listen, http.tls.as_ref()), http.path)),
            (
                "channels",
                format!(
                    "held {}, end {} after their last reply, at most {}",
                    shown(http.hold),
                    shown(http.channel_expiry),
                    http.max_channels
                ),
            ),
            ("push", addresses(&self.push.listen, self.push.tls.as_ref())),
            ("push from", peers(&self.push)),
            (
                "tokens",
                if self.push.tokens.is_empty() { "none".into() } else { self.push.tokens.len().to_string() },
            ),
            ("rooms", format!("{} (at most {})", self.rooms.len(), self.limits.rooms)),
            ("tags", self.tags()),
            ("rules", format!("{}, aliases {}", self.rules.rules.len(), self.rules.aliases.len())),
            ("timetables", self.timetables()),
            ("closures", self.closures()),
            ("mirror", self.mirror.as_ref().map_or("of nobody".into(), Mirror::summary)),
            ("metrics", format!("for {}", self.metrics.readers())),
            ("insight", format!("for {}", self.insight.readers())),
            ("timezone", self.timezone.name().into()),
            ("history", self.history()),
            ("limits", format!("{} PCs, {} sources", self.limits.pcs, self.limits.sources)),
            ("log", format!("{}, {}", self.log.level, self.log.format.name())),
        ];
        lines.iter().map(|(name, fact)| format!("{name:<10} {fact}\n")).collect()
    }

    fn tags(&self) -> String {
        let mut tags = BTreeMap::new();
        for tag in self.rooms.iter().flat_map(|room| &room.tags) {
            *tags.entry(tag).or_insert(0) += 1;
        }
        if tags.is_empty() {
            return "none".into();
        }
        let tags: Vec<String> =
            tags.iter().map(|(tag, rooms)| format!("{tag} ({})", rooms_of(*rooms))).collect();
        tags.join(", ")
    }

    fn timetables(&self) -> String {
        if self.timetables.is_empty() {
            return "none".into();
        }
        let labels: Vec<String> = self.timetables.iter().map(Timetable::label).collect();
        format!("{}; every {}", labels.join(", "), shown(self.schedule.every))
    }

    fn closures(&self) -> String {
        let closures = self.closures.len();
        if self.opening_hours.is_always() {
            closures.to_string()
        } else {
            format!("{closures}, and opening hours")
        }
    }

    fn history(&self) -> String {
        if !self.history.enabled {
            return "off: nothing survives a restart".into();
        }
        let within = shown(self.history.acknowledge_within);
        let kept = self.history.keep.map(|keep| format!(", kept {}", shown(keep))).unwrap_or_default();
        format!("{}, acknowledged within {within}{kept}", self.history.db.display())
    }
}

impl Metrics {
    fn readers(&self) -> String {
        readers(&self.allow, &self.trusted_proxies)
    }
}

impl Insight {
    fn readers(&self) -> String {
        let readers = readers(&self.allow, &self.trusted_proxies);
        match self.tokens.len() {
            0 => readers,
            1 => format!("{readers}; for everybody with the token"),
            tokens => format!("{readers}; for everybody with one of {tokens} tokens"),
        }
    }
}

fn readers(allow: &[IpNet], trusted_proxies: &[IpNet]) -> String {
    let mut readers = match allow {
        [] => "nobody".into(),
        nets if everybody(nets) => format!("EVERYBODY ({})", hosts(nets)),
        nets => hosts(nets),
    };
    if !trusted_proxies.is_empty() {
        readers.push_str(&format!("; through proxies {}", hosts(trusted_proxies)));
    }
    readers
}

fn peers(push: &Push) -> String {
    let mut peers = match push.allow.as_slice() {
        [] => "nobody".into(),
        nets if everybody(nets) && push.tokens.is_empty() => {
            format!("EVERYBODY ({}), without a token", hosts(nets))
        }
        nets => hosts(nets),
    };
    if !push.trusted_proxies.is_empty() {
        peers.push_str(&format!("; through proxies {}", hosts(&push.trusted_proxies)));
    }
    if !push.hosts.is_empty() {
        peers.push_str(&format!("; as host {}", joined(&push.hosts)));
    }
    peers
}

/// Where a door listens, and where it speaks TLS.
fn addresses(plain: &[SocketAddr], tls: Option<&Tls>) -> String {
    let over_tls = tls.map(|tls| format!("{} (TLS)", joined(&tls.listen)));
    match (plain, over_tls) {
        ([], None) => "off".into(),
        ([], Some(over_tls)) => over_tls,
        (plain, None) => joined(plain),
        (plain, Some(over_tls)) => format!("{}, {over_tls}", joined(plain)),
    }
}

/// Networks, those of one address as that address.
fn hosts(nets: &[IpNet]) -> String {
    let one = |net: &IpNet| net.prefix_len() == net.max_prefix_len();
    let shown = |net: &IpNet| if one(net) { net.addr().to_string() } else { net.to_string() };
    nets.iter().map(shown).collect::<Vec<_>>().join(", ")
}

fn rooms_of(count: usize) -> String {
    if count == 1 { "1 room".into() } else { format!("{count} rooms") }
}

fn joined<T: Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

impl LogFormat {
    fn name(self) -> &'static str {
        match self {
            LogFormat::Auto => "auto",
            LogFormat::Human => "human",
            LogFormat::Json => "json",
        }
    }
}
