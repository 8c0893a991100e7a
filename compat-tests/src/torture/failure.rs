//! Why a run could not be judged, in words for the person who reads the output. An anomaly is not a failure.

pub use crate::suites::{Failure, Outcome};
