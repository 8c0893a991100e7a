//! Why a scenario failed, in words for the person who reads the log.

use std::fmt;

pub type Outcome<T> = Result<T, Failure>;

/// One line says what went wrong; more lines may show how.
#[derive(Debug, Clone)]
pub struct Failure {
    message: String,
}

impl Failure {
    pub fn new(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
        }
    }

    /// Puts what was being done before what went wrong.
    pub fn during(self, activity: impl fmt::Display) -> Self {
        Self::new(format!("{activity}: {}", self.message))
    }

    /// The first line, for the summary.
    pub fn headline(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(error)
    }
}

impl From<crate::server_process::ServerError> for Failure {
    fn from(error: crate::server_process::ServerError) -> Self {
        Self::new(error)
    }
}
