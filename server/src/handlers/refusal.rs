//! An error of a request, or of one element of it: Kafka's code and a text for people.

use std::fmt;

use kafka_protocol::protocol::StrBytes;

use crate::config;
use crate::errors::ErrorCode;

/// Why something was not done. Where Kafka's answer has no text, this has none either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: ErrorCode,
    text: Option<String>,
}

impl Refusal {
    pub fn new(code: ErrorCode, text: impl Into<String>) -> Self {
        Self {
            code,
            text: Some(text.into()),
        }
    }

    /// A refusal that says no more than its code.
    pub fn bare(code: ErrorCode) -> Self {
        Self { code, text: None }
    }

    pub fn message(&self) -> Option<StrBytes> {
        self.text.clone().map(StrBytes::from_string)
    }
}

impl From<config::Refusal> for Refusal {
    fn from(refusal: config::Refusal) -> Self {
        match refusal {
            config::Refusal::InvalidRequest(text) => Self::new(ErrorCode::InvalidRequest, text),
            config::Refusal::InvalidConfig(text) => Self::new(ErrorCode::InvalidConfig, text),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(f, "{}: {text}", self.code),
            None => self.code.fmt(f),
        }
    }
}

/// The code and message fields of an outcome: 0 and null when all is well.
pub fn fields<T>(outcome: &Result<T, Refusal>) -> (i16, Option<StrBytes>) {
    match outcome {
        Ok(_) => (0, None),
        Err(refusal) => (refusal.code.code(), refusal.message()),
    }
}
