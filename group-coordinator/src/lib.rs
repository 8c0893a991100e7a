//! Consumer groups and offsets as pure state machines over records.
