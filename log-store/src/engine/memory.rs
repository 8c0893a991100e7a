//! A log in memory, for ephemeral use and for tests.
