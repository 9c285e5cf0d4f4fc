//! Another setup for a daemon that runs: what has changed, and what of it has to wait for the next start.

use super::{
    Control, Crowd, HistoryFile, Http, Insight, Limits, Log, Metrics, Mirror, Push, Schedule, Setup,
};

/// What is another than before, by its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// What counts from now on.
    pub now: Vec<&'static str>,
    /// The tables whose files hold another certificate, which is served from now on.
    pub renewed: Vec<&'static str>,
    /// What takes effect at the next start.
    pub later: Vec<&'static str>,
}

/// Notes which fields of a table differ; of those that have to wait, the new setup gets the old value. It names every
/// field, so that a new key is not forgotten here; those `below` have a line of their own.
macro_rules! table {
    ($differ:ident, $name:literal, $old:expr, $new:expr, $Table:ident,
     later: [$($later:ident),*], now: [$($now:ident),*] $(, below: [$($below:ident),*])?) => {{
        let $Table { $($later,)* $($now,)* $($($below: _,)*)? } = &$old;
        $(if *$later != $new.$later {
            $differ.later.push(concat!($name, ".", stringify!($later)));
            $new.$later.clone_from($later);
        })*
        $(if *$now != $new.$now {
            $differ.now.push(concat!($name, ".", stringify!($now)));
        })*
    }};
}

impl Setup {
    /// Takes `new` as the setup of a daemon that runs with this one: returns what it runs with then, and what differs.
    pub fn reloaded(&self, mut new: Setup) -> (Setup, Difference) {
        let mut differ = Difference::default();
        let Setup {
            timezone,
            http,
            push,
            history,
            rooms,
            rules,
            schedule,
            timetables,
            closures,
            opening_hours,
            seats,
            claim,
            mirror,
            metrics,
            insight,
            control,
            limits,
            log,
        } = self;
        table!(differ, "http", *http, new.http, Http,
            later: [listen, path, max_streams, tls],
            now: [hold, channel_expiry, max_channels, idle, head_timeout, max_head, body_timeout, max_body,
                stalled, answer_timeout, refresh],
            below: [crowd]);
        table!(differ, "http", http.crowd, new.http.crowd, Crowd,
            later: [max_connections, connections_per_address],
            now: [channels_per_address, new_channels_per_second, wait, exempt, trusted_proxies]);
        table!(differ, "push", *push, new.push, Push,
            later: [listen, max_connections, tls],
            now: [allow, tokens, trusted_proxies, hosts, max_body, timeout]);
        table!(differ, "history", *history, new.history, HistoryFile,
            later: [enabled, db, backlog], now: [acknowledge_within, keep]);
        table!(differ, "schedule", *schedule, new.schedule, Schedule,
            later: [], now: [every, retry, connect_timeout, timeout]);
        table!(differ, "limits", *limits, new.limits, Limits, later: [bodies, unsent],
            now: [pcs, rooms, sources]);
        table!(differ, "log", *log, new.log, Log, later: [format], now: [level]);
        table!(differ, "metrics", *metrics, new.metrics, Metrics, later: [], now: [allow, trusted_proxies]);
        table!(differ, "insight", *insight, new.insight, Insight,
            later: [], now: [allow, trusted_proxies, hosts, tokens]);
        table!(differ, "control", *control, new.control, Control, later: [socket], now: []);
        follow(mirror.as_ref(), &mut new.mirror, &mut differ);
        if self.mirror.is_some() && self.has_schedule() != new.has_schedule() {
            // Its master's reservations are shown, or its own; which of them, it has decided at its start.
            differ.later.push("timetables, closures and opening hours of a mirror");
            new.timetables.clone_from(timetables);
            new.closures.clone_from(closures);
            new.opening_hours.clone_from(opening_hours);
        }
        let whole = [
            ("timezone", *timezone != new.timezone),
            ("rooms", *rooms != new.rooms),
            ("rules and aliases", *rules != new.rules),
            ("timetables", *timetables != new.timetables),
            ("closures", *closures != new.closures),
            ("opening hours", *opening_hours != new.opening_hours),
            // What stands in the schedule while rooms are closed follows from those above.
            ("seats.claim", *claim != new.claim),
            ("seats", (seats.free, seats.margin) != (new.seats.free, new.seats.margin)),
        ];
        differ.now.extend(whole.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name));
        (new, differ)
    }

    /// Whether there is anything in it by which rooms can be reserved.
    pub fn has_schedule(&self) -> bool {
        !self.timetables.is_empty() || !self.closures.is_empty() || !self.opening_hours.is_always()
    }
}

/// Whom a daemon follows, and how, it has decided at its start.
fn follow(old: Option<&Mirror>, new: &mut Option<Mirror>, differ: &mut Difference) {
    match (old, &mut *new) {
        (Some(old), Some(new)) => {
            if old.takes_pushes != new.takes_pushes {
                differ.now.push("mirror.pushes");
            }
            let Mirror { master, ca, takes_pushes: _, source, timeout, retry, retry_most, stale } = old;
            let keys = [
                ("mirror.master", *master != new.master),
                ("mirror.ca", *ca != new.ca),
                ("mirror.source", *source != new.source),
                ("mirror.timeout", *timeout != new.timeout),
                ("mirror.retry", *retry != new.retry),
                ("mirror.retry_most", *retry_most != new.retry_most),
                ("mirror.stale", *stale != new.stale),
            ];
            differ.later.extend(keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key));
            *new = Mirror { takes_pushes: new.takes_pushes, ..old.clone() };
        }
        (None, None) => {}
        (old, _) => {
            differ.later.push("mirror.master");
            *new = old.cloned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn setup(text: &str) -> Setup {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("setup.toml");
        std::fs::write(&file, text).unwrap();
        // Some hold a token.
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        load(Some(&file), std::iter::empty(), &[]).unwrap()
    }

    #[test]
    fn what_differs_is_named_and_what_cannot_change_stays() {
        let old = setup("");
        let mut log = setup("[log]\nformat = \"json\"\nlevel = \"debug\"\n");
        log.push.allow.clear();
        let cases: [(Setup, &[&str], &[&str]); 8] = [
            (setup(""), &[], &[]),
            (setup("[http]\nhold = \"5s\"\nlisten = \"127.0.0.1:1\"\n"), &["http.hold"], &["http.listen"]),
            (log, &["push.allow", "log.level"], &["log.format"]),
            (
                setup(
                    "[history]\ndb = \"x\"\nenabled = false\nbacklog = 1\nacknowledge_within = \"1s\"\nkeep = \"9d\"\n",
                ),
                &["history.acknowledge_within", "history.keep"],
                &["history.enabled", "history.db", "history.backlog"],
            ),
            (
                setup(
                    "timezone = \"Asia/Tokyo\"\n[[room]]\nkey = \"a\"\naliases = [\"b\"]\n[opening_hours]\nmonday = []\n",
                ),
                &["timezone", "rooms", "rules and aliases", "opening hours"],
                &[],
            ),
            (setup("[seats]\nclaim = \"5m\"\n"), &["seats.claim"], &[]),
            (setup("[seats]\nmargin = \"5m\"\n"), &["seats"], &[]),
            (setup("[mirror]\nmaster = \"http://a.example\"\n"), &[], &["mirror.master"]),
        ];
        for (new, now, later) in cases {
            let (runs, differ) = old.reloaded(new.clone());
            assert_eq!((&*differ.now, &*differ.later), (now, later));
            let (again, same) = runs.reloaded(runs.clone());
            assert_eq!(same, Difference::default(), "what it runs with is no news");
            let (_, differ) = again.reloaded(new);
            assert_eq!((&*differ.now, &*differ.later), (&[][..], later), "what waits is told again");
            assert_eq!(runs.http.listen, old.http.listen);
            assert_eq!(runs.history.db, old.history.db);
        }
    }

    #[test]
    fn the_reference_says_of_every_key_that_waits_that_it_does() {
        let reference = include_str!("../../setups/example.toml");
        let waiting = reference.split("\n#\n").find(|part| part.contains("wait for its next start")).unwrap();
        let said = |key: &str| {
            let mut words = waiting.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            words.any(|word| word == key)
        };
        // The lists that this file gives to its macro.
        let lists = include_str!("difference.rs").split(concat!("later", ": [")).skip(1);
        let keys = lists.filter_map(|rest| Some(rest.split_once(']')?.0)).flat_map(|list| list.split(", "));
        let keys: Vec<&str> = keys.filter(|key| !key.is_empty() && !key.starts_with('$')).collect();
        assert!(keys.contains(&"listen") && keys.contains(&"unsent"), "{keys:?}");
        let silent: Vec<&&str> =
            keys.iter().filter(|key| !said(if **key == "socket" { "control" } else { key })).collect();
        assert!(silent.is_empty(), "{silent:?} wait for the next start, and {waiting:?} does not say so");
    }

    #[test]
    fn a_mirror_goes_on_with_its_master_and_with_whose_reservations_it_shows() {
        let old = setup("[mirror]\nmaster = \"http://a.example\"\n");
        let new = setup(
            "[mirror]\nmaster = \"http://b.example\"\npushes = \"take\"\nretry = \"2s\"\n[opening_hours]\nmonday = []\n",
        );
        let (runs, differ) = old.reloaded(new);
        assert_eq!(differ.now, ["mirror.pushes"]);
        let own = "timetables, closures and opening hours of a mirror";
        assert_eq!(differ.later, ["mirror.master", "mirror.retry", own]);
        assert!(!runs.has_schedule());
        let mirror = runs.mirror.unwrap();
        assert!(mirror.takes_pushes && mirror.master.as_str() == "http://a.example/");
        assert_eq!(old.reloaded(setup("")).0.mirror.map(|it| it.master), old.mirror.map(|it| it.master));
    }

    #[test]
    fn timetables_are_the_same_where_they_are_written_the_same() {
        let of = |more: &str| {
            let text =
                "[[room]]\nkey = \"a\"\n[[timetable]]\nkind = \"ical\"\nurl = \"https://a.example/c.ics\"\n";
            setup(&format!("{text}{more}"))
        };
        assert_eq!(
            of("matcher = \"^(.)$\"\ncut = \"x\"").timetables,
            of("matcher = \"^(.)$\"\ncut = \"x\"").timetables
        );
        let differ = [
            "",
            "cut = \"y\"",
            "matcher = \"{room}\"",
            "rooms = [\"a\"]",
            "token = \"t\"",
            "max_size = 5000",
        ];
        for (i, one) in differ.iter().enumerate() {
            for (j, two) in differ.iter().enumerate() {
                assert_eq!(of(one).timetables == of(two).timetables, i == j, "{one} {two}");
            }
        }
    }
}
