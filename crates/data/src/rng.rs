//! Counter-based random numbers: Philox4x32-10.
//!
//! Every random decision of the crate is a function of a key and a counter, never of a hidden state that calls
//! advance. A sample can therefore be encoded on any thread, in any order and after any resume, and gives the same
//! bits. The file uses nothing but the standard library.
//!
//! Generator: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
//! SC 2011. One block maps a 128-bit counter under a 64-bit key to 128 bits in ten rounds. The known answers of the
//! authors' Random123 library are in the tests.

/// Separates the uses of one seed, so that the shuffle of an epoch and the noise of an encoder never share numbers.
pub(crate) mod domain {
    /// Order of the samples in an epoch.
    pub(crate) const EPOCH_ORDER: u32 = 1;
    /// Splits of a data set.
    pub(crate) const SPLIT: u32 = 2;
    /// Stochastic encoders.
    pub(crate) const ENCODE: u32 = 3;
    /// The generator of random spikes.
    pub(crate) const RANDOM_SPIKES: u32 = 4;
    /// The tasks of `tasks/`.
    pub(crate) const YIN_YANG: u32 = 5;
    pub(crate) const MANIFOLDS: u32 = 6;
    pub(crate) const SPIKE_PATTERNS: u32 = 7;
    pub(crate) const DELAYED_XOR: u32 = 8;
    pub(crate) const STORE_RECALL: u32 = 9;
    /// Random changes of training samples.
    pub(crate) const AUGMENT: u32 = 10;
}

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const KEY_STEPS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// The Philox4x32-10 block: four random words for a key (low word first) and a counter.
pub fn philox4x32(key: u64, counter: [u32; 4]) -> [u32; 4] {
    let mut k = [key as u32, (key >> 32) as u32];
    let mut c = counter;
    for _ in 0..ROUNDS {
        let p0 = u64::from(MULTIPLIERS[0]) * u64::from(c[0]);
        let p1 = u64::from(MULTIPLIERS[1]) * u64::from(c[2]);
        c = [
            (p1 >> 32) as u32 ^ c[1] ^ k[0],
            p1 as u32,
            (p0 >> 32) as u32 ^ c[3] ^ k[1],
            p0 as u32,
        ];
        k = [
            k[0].wrapping_add(KEY_STEPS[0]),
            k[1].wrapping_add(KEY_STEPS[1]),
        ];
    }
    c
}

/// A key for one use (`domain`) of a seed and one number in it (an epoch, a class, a sample).
pub fn derive_key(seed: u64, domain: u32, index: u64) -> u64 {
    // The last word keeps these blocks apart from the ones that a caller makes directly under the seed.
    let block = philox4x32(
        seed,
        [index as u32, (index >> 32) as u32, domain, 0x6B65_7931],
    );
    u64::from(block[0]) | u64::from(block[1]) << 32
}

/// A stream of random numbers that starts at a given key and counter.
///
/// The position is explicit: two streams made with the same arguments give the same numbers, and a stream that
/// started at counter `c` continues with the block of `c + 1` (the counter is one 128-bit number, low word first).
#[derive(Debug, Clone)]
pub struct Philox {
    key: u64,
    counter: u128,
    block: [u32; 4],
    used: usize,
}

impl Philox {
    /// The stream under `key` whose first block is the one of `counter`.
    pub fn at(key: u64, counter: [u32; 4]) -> Self {
        let joined = counter
            .iter()
            .rev()
            .fold(0u128, |joined, &word| joined << 32 | u128::from(word));
        Philox {
            key,
            counter: joined,
            block: [0; 4],
            used: 4,
        }
    }

    /// The next 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            let c = self.counter;
            let words = [
                c as u32,
                (c >> 32) as u32,
                (c >> 64) as u32,
                (c >> 96) as u32,
            ];
            self.block = philox4x32(self.key, words);
            self.counter = c.wrapping_add(1);
            self.used = 0;
        }
        let word = self.block[self.used];
        self.used += 1;
        word
    }

    /// The next 64 random bits (two words, low word first).
    pub fn next_u64(&mut self) -> u64 {
        let low = u64::from(self.next_u32());
        low | u64::from(self.next_u32()) << 32
    }

    /// Uniform in [0, 1), a multiple of 2⁻²⁴. Takes one word.
    pub fn uniform_f32(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 * (1.0 / (1u32 << 24) as f32)
    }

    /// Uniform in [0, 1), a multiple of 2⁻⁵³. Takes two words.
    pub fn uniform_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Standard normal by Box–Muller, √(−2 ln u₁)·cos(2π u₂) with u₁ in (0, 1]. Takes four words; the sine half is
    /// not kept, so that the position after n calls is known.
    pub fn normal(&mut self) -> f64 {
        let u1 = 1.0 - self.uniform_f64();
        let u2 = self.uniform_f64();
        (-2.0 * u1.ln()).sqrt() * (std::f64::consts::TAU * u2).cos()
    }

    /// Uniform in 0..n without bias (D. Lemire, "Fast random integer generation in an interval", 2019); 0 for n = 0.
    pub fn below(&mut self, n: u64) -> u64 {
        let reject_under = if n == 0 { 0 } else { n.wrapping_neg() % n };
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= reject_under {
                return (product >> 64) as u64;
            }
        }
    }

    /// Fisher–Yates shuffle in place: every order is equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_of_random123() {
        let zero = philox4x32(0, [0; 4]);
        assert_eq!(zero, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let ones = philox4x32(u64::MAX, [u32::MAX; 4]);
        assert_eq!(ones, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi = philox4x32(
            0x299f_31d0_a409_3822,
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
        );
        assert_eq!(pi, [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn a_stream_is_its_blocks_in_counter_order() {
        let mut stream = Philox::at(7, [u32::MAX, 3, 0, 9]);
        let got: Vec<u32> = (0..8).map(|_| stream.next_u32()).collect();
        let first = philox4x32(7, [u32::MAX, 3, 0, 9]);
        let second = philox4x32(7, [0, 4, 0, 9]);
        assert_eq!(got, [first, second].concat());
    }

    #[test]
    fn moments_of_uniform_and_normal() {
        let mut stream = Philox::at(1, [0; 4]);
        let n = 40_000;
        let uniform: Vec<f64> = (0..n).map(|_| stream.uniform_f64()).collect();
        let single: Vec<f32> = (0..n).map(|_| stream.uniform_f32()).collect();
        let normal: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
        let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
        let square = |x: &[f64]| x.iter().map(|v| v * v).collect::<Vec<_>>();
        assert!(uniform.iter().all(|u| (0.0..1.0).contains(u)));
        assert!(single.iter().all(|u| (0.0..1.0).contains(u)));
        assert!((mean(&uniform) - 0.5).abs() < 0.01);
        assert!((mean(&square(&uniform)) - 1.0 / 3.0).abs() < 0.01);
        assert!(mean(&normal).abs() < 0.03);
        assert!((mean(&square(&normal)) - 1.0).abs() < 0.05);
        assert!((mean(&square(&square(&normal))) - 3.0).abs() < 0.3);
    }

    #[test]
    fn below_is_in_range_and_even() {
        let mut stream = Philox::at(2, [0; 4]);
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[stream.below(7) as usize] += 1;
        }
        assert!(
            counts.iter().all(|&c| (9_500..10_500).contains(&c)),
            "{counts:?}"
        );
        assert_eq!(stream.below(1), 0);
        assert_eq!(stream.below(0), 0);
        assert!(stream.below(u64::MAX) < u64::MAX);
    }

    #[test]
    fn shuffle_reaches_every_order_evenly() {
        let mut counts = std::collections::BTreeMap::new();
        for index in 0..12_000 {
            let mut items = [0, 1, 2];
            Philox::at(derive_key(3, 0, index), [0; 4]).shuffle(&mut items);
            *counts.entry(items).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(
            counts.values().all(|&c| (1_800..2_200).contains(&c)),
            "{counts:?}"
        );
    }

    #[test]
    fn derived_keys_differ() {
        let mut keys: Vec<u64> = Vec::new();
        for seed in 0..4 {
            for domain in 0..4 {
                keys.extend((0..4).map(|index| derive_key(seed, domain, index)));
            }
        }
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 64);
    }
}
