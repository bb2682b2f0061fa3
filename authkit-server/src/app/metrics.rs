//! The figures of the library and the store, beside those of the HTTP shell.

use authkit_core::AuthKit;
use authkit_core::model::LimitScope;
use authkit_core::password::HashClass;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::durable::Durable;

/// Reads the figures when they are asked for.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) auth: AuthKit,
    pub(super) store: Durable,
}

impl Collector for Figures {
    #[expect(clippy::too_many_lines, reason = "one table, a line a figure")]
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let pool = self.auth.hashing();
        let gauges = [
            ("hashing_threads", "Threads that hash passwords", pool.threads),
            ("hashing_admitted", "Places in the hashing pool that are taken", pool.admitted),
            ("hashing_queued", "Hashes that wait", pool.queued),
            ("hashing_running", "Hashes that are computed", pool.running),
            ("revoked_sessions", "Revoked sessions that this node remembers", self.auth.revoked_sessions()),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let times = [
            ("hashing_mean_seconds", "Moving average of the time of a hash", pool.mean_hash_time),
            ("hashing_predicted_wait_seconds", "How long a login that came now would wait", pool.predicted_wait),
        ];
        for (name, help, value) in times {
            let gauge = ConstGauge::new(value.as_secs_f64());
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let (unsealed, stream) = self.auth.audit().progress();
        let audit_times = [
            ("audit_unsealed_seconds", "How long an event waits for its seal beyond its time", Some(unsealed)),
            (
                "audit_stream_behind_seconds",
                "How old the oldest event is that was not handed on",
                stream.map(|stream| stream.behind),
            ),
        ];
        for (name, help, value) in audit_times.into_iter().filter_map(|(name, help, value)| Some((name, help, value?))) {
            let gauge = ConstGauge::new(value.as_secs_f64());
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let audit_counts = stream.map(|stream| {
            [
                ("audit_stream_delivered", "Events that this node has handed on, repetitions included", stream.delivered),
                ("audit_stream_failures", "Deliveries that the receiver of the audit log has not taken", stream.failures),
            ]
        });
        let counters = [
            ("hashing_hashed", "Hashes that were computed", pool.hashed),
            ("hashing_expired", "Hashes whose turn did not come in time", pool.expired),
            ("hashing_abandoned", "Hashes whose client was gone before their turn", pool.abandoned),
        ];
        let writer = self.store.writer_stats().map(|writer| {
            [
                ("store_batches", "Transactions of the writer", writer.batches),
                ("store_change_sets", "Change sets in them", writer.change_sets),
            ]
        });
        for (name, help, value) in
            counters.into_iter().chain(writer.into_iter().flatten()).chain(audit_counts.into_iter().flatten())
        {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let limits = self.auth.rate_limits();
        let fallbacks = ConstCounter::new(limits.fallbacks);
        let help = "Requests that this node counted by itself because the shared limiter could not";
        fallbacks.encode(encoder.encode_descriptor("rate_limit_fallbacks", help, None, fallbacks.metric_type())?)?;
        let refused = ConstCounter::new(0_u64);
        let help = "Requests that a rate limit refused";
        let mut family = encoder.encode_descriptor("rate_limit_refused", help, None, refused.metric_type())?;
        for scope in LimitScope::ALL {
            let counter = ConstCounter::new(limits.refused(scope));
            counter.encode(family.encode_family(&[("scope", scope.as_str())])?)?;
        }
        let held_up = [
            ("guesses_delayed", "Passwords that were not evaluated because wrong ones came before them", limits.delayed),
            ("guesses_stopped", "Passwords that were not evaluated because too many wrong ones came before them", limits.stopped),
        ];
        for (name, help, value) in held_up {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let outbox = self.auth.outbox().stats();
        let messages = [
            ("outbox_delivered", "Messages that this node has sent or worked off", outbox.delivered),
            ("outbox_deferred", "Attempts to send a message that failed and are repeated", outbox.deferred),
            ("outbox_given_up", "Messages that this node has given up", outbox.given_up),
            ("outbox_expired", "Messages that were no longer true when their turn came", outbox.expired),
        ];
        for (name, help, value) in messages {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let waiting = [
            ("outbox_waiting", "Messages that wait, counted once a minute up to 200", outbox.waiting),
            ("outbox_dead", "Messages that were given up and are kept, counted once a minute up to 200", outbox.dead),
            ("outbox_overdue_seconds", "For how long the message that waits the longest has been due", outbox.overdue.as_secs()),
        ];
        for (name, help, value) in waiting {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let shed = ConstCounter::new(0_u64);
        let mut family = encoder.encode_descriptor("hashing_shed", "Requests that got no place", None, shed.metric_type())?;
        for class in HashClass::ALL {
            let counter = ConstCounter::new(pool.shed(class));
            counter.encode(family.encode_family(&[("class", class.as_str())])?)?;
        }
        Ok(())
    }
}
