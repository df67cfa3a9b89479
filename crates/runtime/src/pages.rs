//! Long rows in large pages.
//!
//! A processor finds the place of a page of memory in a small table, which has room for a few megabytes in pages of 4 KiB. What
//! is gone through column by column (panels of weights, sums of gradients) touches another page with every row, and each has to be
//! looked up. Linux has pages of 2 MiB, but many machines give them only to who asks. With them the fastest step of
//! `examples/bench/wide_ff_compact.snn` took 0.97 of the time on a noisy EPYC (Zen 3), that of `wide_ff.snn` the same.

#![allow(unsafe_code, reason = "the system is told about memory")]

use rheobase_ir::real::Real;

/// From this size on large pages are asked for: that of one.
#[cfg(target_os = "linux")]
const LARGE: usize = 1 << 21;

/// So many zeros, in large pages if they are many and there are such pages.
pub fn zeros<R: Real>(len: usize) -> Vec<R> {
    // The system gives pages when they are written to for the first time, so there is still time to ask.
    let numbers = vec![R::ZERO; len];
    #[cfg(target_os = "linux")]
    if size_of_val(&numbers[..]) >= LARGE {
        ask(&numbers);
    }
    numbers
}

/// Asks for large pages. Without any, or where the system does not want to, nothing changes.
#[cfg(target_os = "linux")]
fn ask<R>(numbers: &[R]) {
    let range = numbers.as_ptr_range();
    // Large pages begin at multiples of their size, rows do not: with what is beside a row, which is mostly other rows, its ends
    // are in such pages, too.
    let start = range.start.addr() & !(LARGE - 1);
    let end = range.end.addr().next_multiple_of(LARGE);
    let place = range.start.with_addr(start).cast_mut().cast();
    // SAFETY: advice about pages changes none of their bytes, whoever owns them; places without memory are passed over.
    let _refused = unsafe { libc::madvise(place, end - start, libc::MADV_HUGEPAGE) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_and_few_zeros_are_zeros_and_can_be_written() {
        for len in [0, 5, 1 << 20] {
            let mut numbers: Vec<f32> = zeros(len);
            assert_eq!(numbers.len(), len);
            assert!(numbers.iter().all(|&x| x == 0.0));
            numbers.fill(1.5);
            assert!(numbers.iter().all(|&x| x == 1.5));
        }
    }
}
