//! Configs of a client metrics subscription (KIP-714).

use crate::config::def::Kind::{Int, List};
use crate::config::def::reason::OWN_METRICS;
use crate::config::def::{Definition, def};

pub(super) static CLIENT_METRICS: &[Definition] = &[
    def("metrics", List, "")
        .distinct()
        .inert(OWN_METRICS)
        .doc("Prefixes of the metrics that matching clients push."),
    def("interval.ms", Int, "300000")
        .inert(OWN_METRICS)
        .doc("How often matching clients push."),
    def("match", List, "")
        .distinct()
        .inert(OWN_METRICS)
        .doc("Which clients push, as name=pattern."),
];
