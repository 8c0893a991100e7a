//! Drives the release binary with real clients.
