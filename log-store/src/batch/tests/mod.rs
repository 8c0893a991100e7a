//! What the batch format promises, seen from outside.

mod acceptance;
mod codecs;
mod golden;
mod properties;
mod refusals;
mod retaining;
mod support;
