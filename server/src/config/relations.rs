//! What broker settings must be to each other (`KafkaConfig.validateValues`, `GroupCoordinatorConfig`,
//! `ShareGroupConfig`, `LogConfig.validateBrokerLogConfigValues`).

use super::values::BrokerValues;

/// Settings that fit one by one, but not together: the one to change, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub key: String,
    pub reason: String,
}

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Configs of the group protocols that lie between bounds of their own: `group.share.session.timeout.ms` between
/// `group.share.min.session.timeout.ms` and the same with max.
const BOUNDED: &[(&str, &str)] = &[
    ("consumer", "heartbeat.interval.ms"),
    ("consumer", "session.timeout.ms"),
    ("consumer", "assignment.interval.ms"),
    ("share", "heartbeat.interval.ms"),
    ("share", "session.timeout.ms"),
    ("share", "assignment.interval.ms"),
    ("share", "delivery.count.limit"),
    ("share", "partition.max.record.locks"),
    ("share", "record.lock.duration.ms"),
    ("streams", "heartbeat.interval.ms"),
    ("streams", "session.timeout.ms"),
    ("streams", "assignment.interval.ms"),
];

/// The first of each pair must not be more than the second.
const NOT_MORE_THAN: &[(&str, &str)] = &[
    ("group.share.max.size", "group.share.max.share.sessions"),
    (
        "group.streams.num.standby.replicas",
        "group.streams.max.standby.replicas",
    ),
    ("replica.fetch.wait.max.ms", "replica.socket.timeout.ms"),
    ("replica.fetch.wait.max.ms", "replica.lag.time.max.ms"),
];

/// The first of each pair must be less than the second.
const LESS_THAN: &[(&str, &str)] = &[
    (
        "group.consumer.heartbeat.interval.ms",
        "group.consumer.session.timeout.ms",
    ),
    (
        "group.share.heartbeat.interval.ms",
        "group.share.session.timeout.ms",
    ),
    (
        "group.streams.heartbeat.interval.ms",
        "group.streams.session.timeout.ms",
    ),
];

/// Every conflict among `values`.
pub fn conflicts(values: &BrokerValues) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    let mut require = |fits: bool, key: &str, reason: &str| {
        if !fits {
            conflicts.push(Conflict {
                key: key.to_owned(),
                reason: reason.to_owned(),
            });
        }
    };
    let bounds = BOUNDED.iter().flat_map(|(protocol, name)| {
        let (value, min) = (
            format!("group.{protocol}.{name}"),
            format!("group.{protocol}.min.{name}"),
        );
        let max = format!("group.{protocol}.max.{name}");
        [(min, value.clone()), (value, max)]
    });
    let pairs = NOT_MORE_THAN
        .iter()
        .map(|&(lesser, greater)| (lesser.to_owned(), greater.to_owned()));
    for (lesser, greater) in bounds.chain(pairs) {
        let high = values.integer(&greater);
        require(
            values.integer(&lesser) <= high,
            &lesser,
            &format!("must not be more than {greater}, which is {high}"),
        );
    }
    for &(lesser, greater) in LESS_THAN {
        let high = values.integer(greater);
        require(
            values.integer(lesser) < high,
            lesser,
            &format!("must be less than {greater}, which is {high}"),
        );
    }
    require(
        values.integer("node.id") == values.integer("broker.id"),
        "broker.id",
        "must be the same as node.id",
    );
    let replicas = values.integer("default.replication.factor");
    let is_count = (1..=i64::from(i16::MAX)).contains(&replicas);
    require(
        is_count,
        "default.replication.factor",
        "must be from 1 to 32767",
    );
    let codec = values.integer("offsets.topic.compression.codec");
    require(
        (0..=4).contains(&codec),
        "offsets.topic.compression.codec",
        "must be from 0 to 4",
    );
    check_logs(values, &mut require);
    check_connections(values, &mut require);
    conflicts
}

fn check_logs(values: &BrokerValues, require: &mut impl FnMut(bool, &str, &str)) {
    require(roll_ms(values) >= 1, "log.roll.ms", "must be at least 1");
    require(
        roll_jitter_ms(values) >= 0,
        "log.roll.jitter.ms",
        "must be at least 0",
    );
    let retention_ms = retention_ms(values);
    require(
        retention_ms >= 1 || retention_ms == -1,
        "log.retention.ms",
        "must be -1 or at least 1",
    );
    let threads = values.integer("log.cleaner.threads");
    let enough =
        threads == 0 || values.integer("log.cleaner.dedupe.buffer.size") / threads > 1024 * 1024;
    require(
        enough,
        "log.cleaner.dedupe.buffer.size",
        "must be more than 1048576 for each of log.cleaner.threads",
    );
}

fn check_connections(values: &BrokerValues, require: &mut impl FnMut(bool, &str, &str)) {
    let queued = values.integer("queued.max.request.bytes");
    let longest = values.integer("socket.request.max.bytes");
    require(
        queued <= 0 || queued >= longest,
        "queued.max.request.bytes",
        &format!("must be -1 or at least socket.request.max.bytes, which is {longest}"),
    );
    let overrides = connections_per_ip_overrides(values);
    require(
        overrides.is_ok(),
        "max.connections.per.ip.overrides",
        "must be a comma-separated list of host:count",
    );
    require(
        values.integer("max.connections.per.ip") != 0
            || overrides.is_ok_and(|overrides| !overrides.is_empty()),
        "max.connections.per.ip",
        "may only be 0 where max.connections.per.ip.overrides lets somebody in",
    );
    let idle = values.integer("connections.max.idle.ms");
    require(
        idle < 0 || values.integer("connection.failed.authentication.delay.ms") < idle,
        "connection.failed.authentication.delay.ms",
        &format!("must be less than connections.max.idle.ms, which is {idle}"),
    );
}

/// A conflict that only counts when the broker starts: Kafka lets a dynamic change through that makes one
/// (`LogConfig.validateBrokerLogConfigValues`).
pub fn conflict_at_start(values: &BrokerValues) -> Option<Conflict> {
    let lag_max = values.integer("log.cleaner.max.compaction.lag.ms");
    let fits = values.integer("log.cleaner.min.compaction.lag.ms") <= lag_max;
    (!fits).then(|| Conflict {
        key: "log.cleaner.min.compaction.lag.ms".to_owned(),
        reason: format!(
            "must not be more than log.cleaner.max.compaction.lag.ms, which is {lag_max}"
        ),
    })
}

/// The entries of `max.connections.per.ip.overrides`: hosts and counts.
pub fn connections_per_ip_overrides(values: &BrokerValues) -> Result<Vec<(String, usize)>, ()> {
    let text = values
        .text("max.connections.per.ip.overrides")
        .unwrap_or_default();
    super::java::split_list(&text)
        .iter()
        .map(|entry| {
            let (host, count) = entry.rsplit_once(':').ok_or(())?;
            let count = count
                .trim()
                .parse::<i32>()
                .ok()
                .and_then(|count| usize::try_from(count).ok())
                .ok_or(())?;
            if super::value::is_host(host.trim()) {
                Ok((host.trim().to_owned(), count))
            } else {
                Err(())
            }
        })
        .collect()
}

/// `log.roll.ms`, else `log.roll.hours`.
pub fn roll_ms(values: &BrokerValues) -> i64 {
    values
        .optional_integer("log.roll.ms")
        .unwrap_or_else(|| HOUR_MS * values.integer("log.roll.hours"))
}

/// `log.roll.jitter.ms`, else `log.roll.jitter.hours`.
pub fn roll_jitter_ms(values: &BrokerValues) -> i64 {
    values
        .optional_integer("log.roll.jitter.ms")
        .unwrap_or_else(|| HOUR_MS * values.integer("log.roll.jitter.hours"))
}

/// `log.retention.ms`, else `log.retention.minutes`, else `log.retention.hours`; -1 for anything below zero.
pub fn retention_ms(values: &BrokerValues) -> i64 {
    let minutes = || {
        values
            .optional_integer("log.retention.minutes")
            .map(|minutes| MINUTE_MS * minutes)
    };
    let retention = values.optional_integer("log.retention.ms").or_else(minutes);
    retention
        .unwrap_or_else(|| HOUR_MS * values.integer("log.retention.hours"))
        .max(-1)
}

#[cfg(test)]
mod tests {
    use super::{conflict_at_start, conflicts, retention_ms, roll_ms};
    use crate::config::values::BrokerValues;

    fn values(settings: &[(&str, &str)]) -> BrokerValues {
        let node = [
            ("node.id".to_owned(), "1".to_owned()),
            ("broker.id".to_owned(), "1".to_owned()),
        ];
        let settings = settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        BrokerValues::from_texts(node.into_iter().chain(settings))
    }

    #[test]
    fn the_defaults_are_at_peace() {
        assert_eq!(conflicts(&values(&[])), []);
    }

    #[test]
    fn settings_that_contradict_each_other_are_named() {
        for (settings, key) in [
            (
                &[("group.consumer.session.timeout.ms", "70000")][..],
                "group.consumer.session.timeout.ms",
            ),
            (&[("log.retention.ms", "0")], "log.retention.ms"),
            (&[("log.roll.ms", "0")], "log.roll.ms"),
            (
                &[("queued.max.request.bytes", "1000")],
                "queued.max.request.bytes",
            ),
            (&[("max.connections.per.ip", "0")], "max.connections.per.ip"),
            (
                &[("max.connections.per.ip.overrides", "localhost")],
                "max.connections.per.ip.overrides",
            ),
            (&[("broker.id", "7")], "broker.id"),
        ] {
            let conflicts = conflicts(&values(settings));
            assert_eq!(
                conflicts
                    .iter()
                    .map(|conflict| conflict.key.as_str())
                    .collect::<Vec<_>>(),
                [key],
                "{conflicts:?}"
            );
        }
    }

    #[test]
    fn compaction_lags_are_compared_at_the_start() {
        let lags = [
            ("log.cleaner.min.compaction.lag.ms", "5"),
            ("log.cleaner.max.compaction.lag.ms", "4"),
        ];
        assert_eq!(conflicts(&values(&lags)), []);
        assert_eq!(
            conflict_at_start(&values(&lags)).map(|conflict| conflict.key),
            Some(lags[0].0.to_owned())
        );
        assert_eq!(conflict_at_start(&values(&[])), None);
    }

    #[test]
    fn milliseconds_go_before_minutes_and_hours() {
        assert_eq!(retention_ms(&values(&[])), 604_800_000);
        assert_eq!(
            retention_ms(&values(&[
                ("log.retention.hours", "1"),
                ("log.retention.minutes", "2")
            ])),
            120_000
        );
        assert_eq!(
            retention_ms(&values(&[
                ("log.retention.minutes", "2"),
                ("log.retention.ms", "3")
            ])),
            3
        );
        assert_eq!(
            retention_ms(&values(&[("log.retention.minutes", "-1")])),
            -1
        );
        assert_eq!(roll_ms(&values(&[("log.roll.hours", "1")])), 3_600_000);
    }
}
