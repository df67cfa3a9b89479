//! Rows that start at a cache line.
//!
//! An allocation starts anywhere (large ones 16 bytes after a page), so that wide registers would straddle
//! two cache lines at every load. Gathers, which do little but load, take up to a fifth longer then.

use std::ops::{Deref, DerefMut};

use rheobase_ir::real::Real;

/// The size of a cache line in bytes.
const LINE: usize = 64;

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
        let slack = LINE / size_of::<R>();
        if self.storage.len() < len + slack {
            self.storage = vec![R::ZERO; len + slack];
            // Where the offset cannot be told, no alignment is correct, too.
            self.start = self.storage.as_ptr().align_offset(LINE).min(slack);
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
