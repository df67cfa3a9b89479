//! Rows that start at a cache line, each at another distance from a page.
//!
//! An allocation starts anywhere (large ones 16 bytes after a page), so that wide registers would straddle
//! two cache lines at every load. Gathers, which do little but load, take up to a fifth longer then.
//!
//! A kernel walks along many rows at once. If all of them started at the same distance from a page, their elements
//! would share the same few places of the first cache, and a load would look as if it needed the store before it.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};

use rheobase_ir::real::Real;

/// The size of a cache line in bytes.
const LINE: usize = 64;

/// The size of a page in bytes; shorter rows start at any line.
const PAGE: usize = 4096;

/// From a row to the next, in lines: rows of one kernel are far from each other in a page.
const STAGGER: usize = 11;

/// How many long rows there were.
static ROWS: AtomicUsize = AtomicUsize::new(0);

/// A row of numbers whose first one is at the start of a cache line.
#[derive(Debug, Default)]
pub(crate) struct Aligned<R> {
    storage: Vec<R>,
    start: usize,
    len: usize,
}

impl<R: Real> Aligned<R> {
    /// An empty row.
    pub(crate) fn new() -> Aligned<R> {
        Aligned {
            storage: Vec::new(),
            start: 0,
            len: 0,
        }
    }

    /// Changes the length. What the row holds afterwards is not defined; memory is kept for later.
    pub(crate) fn resize(&mut self, len: usize) {
        if self.start + len > self.storage.len() || self.storage.is_empty() {
            let bytes = len * size_of::<R>();
            let (unit, lines) = if bytes < PAGE {
                (LINE, 0)
            } else {
                let row = ROWS.fetch_add(1, Ordering::Relaxed);
                (PAGE, row * STAGGER % (PAGE / LINE))
            };
            let slack = (unit + lines * LINE) / size_of::<R>();
            self.storage = vec![R::ZERO; len + slack];
            // Where the offset cannot be told, no alignment is correct, too.
            let aligned = self.storage.as_ptr().align_offset(unit);
            self.start = aligned
                .saturating_add(lines * LINE / size_of::<R>())
                .min(slack);
        }
        self.len = len;
    }

    /// Becomes a copy of these numbers.
    pub(crate) fn copy_from(&mut self, values: &[R]) {
        self.resize(values.len());
        self.copy_from_slice(values);
    }
}

impl<R> Deref for Aligned<R> {
    type Target = [R];

    fn deref(&self) -> &[R] {
        &self.storage[self.start..self.start + self.len]
    }
}

impl<R> DerefMut for Aligned<R> {
    fn deref_mut(&mut self) -> &mut [R] {
        &mut self.storage[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_start_at_a_line_and_hold_what_was_copied() {
        let mut row = Aligned::<f32>::new();
        for len in [1000, 3, 0, 5000] {
            let values: Vec<f32> = (0..len).map(|i| i as f32).collect();
            row.copy_from(&values);
            assert_eq!(row.as_ptr() as usize % LINE, 0);
            assert_eq!(row[..], values);
        }
    }
}
