//! Placeholder line replaced by the crate page.
