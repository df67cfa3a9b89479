//! The invariants of `crates/README.md`, checked on the files of the repository.
