//! The figures, as Prometheus reads them (OpenMetrics 1.0): every family with what it means.
//!
//! They are gathered when they are asked for. The hub's lock is held for one pass over the PCs; all else, and all
//! writing, is done without it. How much there is, is bounded by the limits of the state: eight lines a room, which
//! makes 350 KB of a thousand rooms.

use super::process::Process;
use crate::core::pc::Occupation;
use crate::health::Timed;
use crate::hub::Hub;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;
use std::time::Instant;

/// All figures of a hub.
pub(super) fn registry(hub: Arc<Hub>) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Sheet(hub)));
    registry
}

struct Sheet(Arc<Hub>);

impl Debug for Sheet {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Sheet")
    }
}

impl Collector for Sheet {
    fn encode(&self, out: DescriptorEncoder) -> fmt::Result {
        let mut out = Writer(out);
        self.pushes(&mut out)?;
        self.channels(&mut out)?;
        self.rooms(&mut out)?;
        self.history(&mut out)?;
        self.feeds(&mut out)?;
        self.conditions(&mut out)?;
        process(&mut out)
    }
}

impl Sheet {
    fn pushes(&self, out: &mut Writer) -> fmt::Result {
        let counts = &self.0.health().counts;
        let outcomes = [
            ("applied", counts.pushed.applied.so_far()),
            ("unchanged", counts.pushed.unchanged.so_far()),
            ("pending", counts.pushed.pending.so_far()),
            ("refused", counts.refused.at("push")),
        ];
        let mut pushes = out.family(
            "tkbd_pushes",
            "Pushes by outcome: recorded, changing nothing, answered before they were recorded (202), refused",
            MetricType::Counter,
        )?;
        for (outcome, count) in outcomes {
            count_of(&mut pushes, &[("outcome", outcome)], count)?;
        }
        let mut refused =
            out.family("tkbd_refused", "Requests refused, by door and reason", MetricType::Counter)?;
        for (door, reason, count) in counts.refused.all() {
            count_of(&mut refused, &[("door", door), ("reason", reason)], count)?;
        }
        out.counter("tkbd_changes", "States of PCs that changed, whoever told them", counts.changes.so_far())
    }

    fn channels(&self, out: &mut Writer) -> fmt::Result {
        let (counts, census) = (&self.0.health().counts, self.0.census());
        out.gauge("tkbd_channels", "Channels", census.channels as u64)?;
        out.gauge("tkbd_held_requests", "Requests that are held until there is news", census.held as u64)?;
        out.gauge("tkbd_filters", "Distinct filters of channels", census.filters as u64)?;
        out.gauge("tkbd_page_streams", "Browsers with the page open, live", counts.streams.now())?;
        out.counter(
            "tkbd_alerts",
            "Free seats that were told to who waited for one",
            counts.alerts.so_far(),
        )?;
        out.counter(
            "tkbd_deliveries",
            "Held requests that were answered with news",
            counts.deliveries.so_far(),
        )?;
        out.histogram(
            "tkbd_delivery_seconds",
            "From the arrival of a change until the last held request it concerns was answered; one a fan-out",
            &counts.delivery.so_far(),
        )?;
        out.counter(
            "tkbd_conflated",
            "Replies whose one update told what more than one version had changed meanwhile, in all rooms",
            counts.conflated.so_far(),
        )?;
        out.counter(
            "tkbd_given_back",
            "Replies that could not be handed over; what they told is told again",
            counts.given_back.so_far(),
        )?;
        out.counter(
            "tkbd_ignored_messages",
            "Messages of clients that were of no known type or form",
            counts.ignored.so_far(),
        )
    }

    fn rooms(&self, out: &mut Writer) -> fmt::Result {
        let (versions, tally) = self.0.figures();
        let mut of = out.family("tkbd_version", "The versions of the state", MetricType::Gauge)?;
        for (name, version) in [
            ("occupation", versions.occupation),
            ("room_map", versions.room_map),
            ("schedule", versions.schedule),
            ("tag_map", versions.tag_map),
        ] {
            gauge_of(&mut of, &[("of", name)], &version.0)?;
        }
        let mut pcs = out.family(
            "tkbd_room_pcs",
            "PCs of a room in each state: o off, x unknown; w Windows or l Linux with f free, u used, x unknown",
            MetricType::Gauge,
        )?;
        for room in &tally {
            for (state, count) in Occupation::ALL.iter().zip(room.pcs) {
                let labels = [("room", room.room.as_str()), ("state", state.code())];
                gauge_of(&mut pcs, &labels, &u64::from(count))?;
            }
        }
        Ok(())
    }

    fn history(&self, out: &mut Writer) -> fmt::Result {
        let history = self.0.history_figures();
        out.gauge("tkbd_history_backlog", "Records that are not on the disk yet", history.backlog as u64)?;
        out.gauge_if(
            "tkbd_history_backlog_limit",
            "How many may wait before pushes are refused (history.backlog)",
            history.limit.map(|limit| limit as u64),
        )?;
        out.histogram(
            "tkbd_history_commit_seconds",
            "How long a transaction took that went well, its fsync included",
            &history.commits,
        )?;
        out.counter(
            "tkbd_history_failures",
            "Tries to write the history that failed; each is followed by another",
            history.failures,
        )
    }

    fn feeds(&self, out: &mut Writer) -> fmt::Result {
        let (feeds, now) = (&self.0.health().feeds, Instant::now());
        let mut ages = out.family(
            "tkbd_schedule_age_seconds",
            "How long ago each timetable was had whole, by its number in the setup",
            MetricType::Gauge,
        )?;
        for (number, age) in feeds.timetable_ages(now) {
            gauge_of(&mut ages, &[("timetable", number.to_string())], &age.as_secs_f64())?;
        }
        out.gauge_if(
            "tkbd_mirror_age_seconds",
            "How long ago the master answered",
            feeds.master_age(now).map(|age| age.as_secs_f64()),
        )
    }

    fn conditions(&self, out: &mut Writer) -> fmt::Result {
        self.0.look();
        let mut holds =
            out.family("tkbd_condition", "What is wrong, as /readyz names it", MetricType::Gauge)?;
        for noted in self.0.health().conditions.all() {
            gauge_of(&mut holds, &[("name", noted.condition.name.as_ref())], &1_u64)?;
        }
        Ok(())
    }
}

fn process(out: &mut Writer) -> fmt::Result {
    let process = Process::now();
    let mut cpu = out.family(
        "process_cpu_seconds",
        "Time on processors, of users and of the system",
        MetricType::Counter,
    )?;
    if let Some(seconds) = process.cpu {
        cpu.encode_counter::<NoLabelSet, f64, f64>(&seconds, None)?;
    }
    out.gauge_if("process_resident_memory_bytes", "Memory that is in RAM", process.resident)?;
    out.gauge_if("process_open_fds", "Open files, sockets among them", process.open_fds)?;
    out.gauge_if("process_max_fds", "How many there may be", process.max_fds)?;
    out.gauge_if("process_start_time_seconds", "When the process was started, since 1970", process.started)?;
    let mut build = out.family("tkbd_build", "Which version this is", MetricType::Info)?;
    build.encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
}

/// Writes families. One without a sample is named, too: who looks for it finds that it is there.
struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    fn family<'a>(
        &'a mut self,
        name: &'a str,
        help: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'a>, fmt::Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }

    fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        let mut family = self.family(name, help, MetricType::Counter)?;
        family.encode_counter::<NoLabelSet, u64, f64>(&count, None)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.gauge_if(name, help, Some(value))
    }

    fn gauge_if(&mut self, name: &str, help: &str, value: Option<impl EncodeGaugeValue>) -> fmt::Result {
        let mut family = self.family(name, help, MetricType::Gauge)?;
        value.map_or(Ok(()), |value| family.encode_gauge(&value))
    }

    fn histogram(&mut self, name: &str, help: &str, timed: &Timed) -> fmt::Result {
        let mut family = self.family(name, help, MetricType::Histogram)?;
        family.encode_histogram::<NoLabelSet>(timed.sum, timed.count, &timed.buckets, None)
    }
}

fn count_of(family: &mut MetricEncoder, labels: &impl EncodeLabelSet, count: u64) -> fmt::Result {
    family.encode_family(labels)?.encode_counter::<NoLabelSet, u64, f64>(&count, None)
}

fn gauge_of(
    family: &mut MetricEncoder,
    labels: &impl EncodeLabelSet,
    value: &impl EncodeGaugeValue,
) -> fmt::Result {
    family.encode_family(labels)?.encode_gauge(value)
}
