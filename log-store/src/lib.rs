//! Ordered record batches with offsets.
