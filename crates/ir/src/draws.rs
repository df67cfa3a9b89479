//! Random numbers as functions: what the ops `uniform` and `normal` compute.
//!
//! A simulation's random numbers must not depend on the order in which it is run. So there is no generator with a
//! state: a number is a hash of what it is for. The hash is Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror &
//! Shaw 2011), which passes the BigCrush tests and needs only additions, rotations and exclusive-ors, so that it
//! runs in vector registers.
//!
//! - The **key** of a lane has two words, a hash of seed, epoch and sample ([`sample_key`]) and then of layer and
//!   neuron ([`lane_key`]).
//! - The **counter** has two words: the step, and the number of the block. A block is two words of 32 random bits.
//!   `uniform.k` takes word k mod 2 of block k/2 of the uniform numbers; `normal.k` takes one of the two numbers
//!   that block k/2 of the normal numbers gives.
//!
//! **Words are reals.** Kernels compute with reals and booleans only. A word is given as a real, and what counts are the
//! 32 bits of that real in single precision, also in a double-precision kernel: [`word`] reads them, [`real`] makes
//! a real of 30 bits, which is always finite. Thus one and the same number is drawn in both precisions.
//!
//! **Uniform numbers** are k/2^24 with 24 random bits k, which both precisions hold exactly.
//!
//! **Normal numbers** are those of Box and Muller (1958): a radius √(−2 log u) and a direction. With u = (2k + 1)/2^24
//! and 23 random bits k the radius is at most 5.77; what is cut off has a probability of 8e-9. The direction is an
//! angle below π/4 with 23 random bits, and three more bits that swap the coordinates and choose their signs: no
//! argument has to be reduced, so that vector code needs two short polynomials.

/// The rotations of the eight kinds of rounds.
pub const ROTATIONS: [u32; 8] = [13, 15, 26, 6, 17, 29, 16, 24];
/// What the third word of the key is made with.
pub const PARITY: u32 = 0x1bd1_1bda;
/// The rounds, in fours, each of which is followed by adding words of the key.
pub const ROUNDS: usize = 20;
/// The second word of the counter of uniform numbers has this bit, that of normal numbers has not.
pub const UNIFORM: u32 = 1 << 31;
/// The step that initial values are drawn at.
pub const START: u32 = WORD_MASK;
/// A real that is made of a word holds these bits of it.
const WORD_MASK: u32 = (1 << 30) - 1;

/// Threefry-2x32 with 20 rounds.
pub fn threefry(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    let keys = [key[0], key[1], PARITY ^ key[0] ^ key[1]];
    let mut x = [
        counter[0].wrapping_add(keys[0]),
        counter[1].wrapping_add(keys[1]),
    ];
    for round in 0..ROUNDS {
        x[0] = x[0].wrapping_add(x[1]);
        x[1] = x[1].rotate_left(ROTATIONS[round % 8]) ^ x[0];
        if round % 4 == 3 {
            let injection = round / 4 + 1;
            x[0] = x[0].wrapping_add(keys[injection % 3]);
            x[1] = x[1].wrapping_add(keys[(injection + 1) % 3].wrapping_add(injection as u32));
        }
    }
    x
}

/// The key of a sample: the same for the same seed, epoch and sample, whatever runs beside it.
pub fn sample_key(seed: u64, epoch: u64, sample: u64) -> u64 {
    let [low, high] = threefry(split(seed), split(epoch));
    join(threefry([low, high], split(sample)))
}

/// The two words of the key of a neuron, as reals.
pub fn lane_key(sample: u64, layer: usize, neuron: usize) -> [f64; 2] {
    threefry(split(sample), [layer as u32, neuron as u32]).map(real)
}

/// The number that decides whether an element of what an operation of a connection gives is dropped from a
/// sample: between 0 (included) and 1 (excluded). Connections have counters that no layer has.
pub fn dropout(sample: u64, connection: usize, operation: usize, element: usize) -> f64 {
    let key = threefry(
        split(sample),
        [UNIFORM | connection as u32, operation as u32],
    );
    let [bits, _] = threefry(key, [element as u32, 0]);
    f64::from(bits >> 8) / f64::from(1 << 24)
}

fn split(x: u64) -> [u32; 2] {
    [x as u32, (x >> 32) as u32]
}

fn join([low, high]: [u32; 2]) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// The real whose word has the lower 30 bits of `bits`: between 0 and 2.
pub fn real(bits: u32) -> f64 {
    f64::from(f32::from_bits(bits & WORD_MASK))
}

/// The word of a real: its bits in single precision. There is one NaN.
pub fn word(x: f64) -> u32 {
    if x.is_nan() {
        0x7fc0_0000
    } else {
        (x as f32).to_bits()
    }
}

fn block(key: [f64; 2], step: f64, number: u32) -> [u32; 2] {
    threefry(key.map(word), [word(step), number])
}

/// `uniform.stream`: between 0 (included) and 1 (excluded).
pub fn uniform(stream: u32, key: [f64; 2], step: f64) -> f64 {
    let words = block(key, step, UNIFORM | (stream / 2));
    f64::from(words[(stream % 2) as usize] >> 8) / f64::from(1 << 24)
}

/// `normal.stream`: mean 0, variance 1.
pub fn normal(stream: u32, key: [f64; 2], step: f64) -> f64 {
    let [first, second] = block(key, step, stream / 2);
    let odd = |k: u32| f64::from(2 * k + 1) / f64::from(1 << 24);
    let radius = (-2.0 * odd(first >> 9).ln()).sqrt();
    let (sine, cosine) = (std::f64::consts::FRAC_PI_4 * odd(second >> 3 & 0x007f_ffff)).sin_cos();
    // Bits 31 and 30 are the signs of the two numbers, bit 29 swaps them.
    let (second_half, swapped) = (stream % 2 == 1, second & 1 << 29 != 0);
    let magnitude = radius * if second_half == swapped { sine } else { cosine };
    let sign = second << (stream % 2) & 1 << 31;
    if sign == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_numbers_of_threefry() {
        // The known answers of Random123 for threefry2x32 with 20 rounds.
        let ones = [u32::MAX; 2];
        let (key, counter) = ([0x1319_8a2e, 0x0370_7344], [0x243f_6a88, 0x85a3_08d3]);
        assert_eq!(threefry([0; 2], [0; 2]), [0x6b20_0159, 0x99ba_4efe]);
        assert_eq!(threefry(ones, ones), [0x1cb9_96fc, 0xbb00_2be7]);
        assert_eq!(threefry(key, counter), [0xc492_3a9c, 0x483d_f7a0]);
    }

    #[test]
    fn words_come_back_from_reals() {
        for bits in [0, 1, 77, 0x007f_ffff, 0x0080_0000, 0x3fff_ffff] {
            let real = real(bits);
            assert!((0.0..2.0).contains(&real));
            assert_eq!(word(real), bits);
            assert_eq!(word(f64::from(real as f32)), bits);
        }
    }

    #[test]
    fn dropped_elements_are_as_many_as_wanted() {
        let keys = (0..64).map(|sample| sample_key(3, 1, sample));
        let drawn =
            keys.flat_map(|key| (0..1024).map(move |i| dropout(key, i % 4, i / 4 % 2, i / 8)));
        let share = drawn.filter(|&u| u < 0.3).count() as f64 / 65536.0;
        // Five standard errors.
        assert!(
            (share - 0.3).abs() < 5.0 * (0.21f64 / 65536.0).sqrt(),
            "{share}"
        );
    }

    #[test]
    fn keys_differ_in_every_part() {
        let mut keys: Vec<u64> = Vec::new();
        for seed in 0..4 {
            for epoch in 0..4 {
                keys.extend((0..64).map(|sample| sample_key(seed, epoch, sample)));
            }
        }
        let mut lanes: Vec<[u64; 2]> = Vec::new();
        for &key in &keys {
            for layer in 0..2 {
                lanes.extend((0..4).map(|n| lane_key(key, layer, n).map(f64::to_bits)));
            }
        }
        let count = (keys.len(), lanes.len());
        keys.sort();
        keys.dedup();
        lanes.sort();
        lanes.dedup();
        assert_eq!((keys.len(), lanes.len()), count);
    }

    /// Mean, variance, skewness and kurtosis, and the correlation of numbers that differ in one part only: each
    /// within five standard errors.
    #[test]
    fn normal_numbers_are_normal_and_independent() {
        let n = 1 << 16;
        let at = |stream, neuron, step| {
            let key = lane_key(sample_key(1, 0, 0), 0, neuron);
            normal(stream, key, real(step))
        };
        let draws: Vec<f64> = (0..n).map(|i| at(0, i % 256, (i / 256) as u32)).collect();
        let moment = |power| draws.iter().map(|x| x.powi(power)).sum::<f64>() / n as f64;
        // Standard errors of the moments of a standard normal distribution.
        let error = |variance: f64| 5.0 * (variance / n as f64).sqrt();
        assert!(moment(1).abs() < error(1.0), "mean {}", moment(1));
        assert!(
            (moment(2) - 1.0).abs() < error(2.0),
            "variance {}",
            moment(2)
        );
        assert!(moment(3).abs() < error(15.0), "skewness {}", moment(3));
        assert!(
            (moment(4) - 3.0).abs() < error(96.0),
            "kurtosis {}",
            moment(4)
        );
        let others: [&dyn Fn(usize, u32) -> f64; 4] = [
            &|neuron, step| at(1, neuron, step),
            &|neuron, step| at(2, neuron, step),
            &|neuron, step| at(0, neuron + 1, step),
            &|neuron, step| at(0, neuron, step + 1),
        ];
        for (k, other) in others.iter().enumerate() {
            let products = (0..n).map(|i| draws[i] * other(i % 256, (i / 256) as u32));
            let correlation = products.sum::<f64>() / n as f64;
            assert!(correlation.abs() < error(1.0), "{k}: {correlation}");
        }
    }

    /// The largest distance between the distribution and that of the draws (Kolmogorov & Smirnov) stays below its
    /// value of probability 1e-4.
    #[test]
    fn distributions_of_the_draws() {
        let n = 1 << 16;
        let key = |i: usize| lane_key(sample_key(7, 1, i as u64 / 64), 2, i % 64);
        let distance = |mut draws: Vec<f64>, below: &dyn Fn(f64) -> f64| {
            draws.sort_by(f64::total_cmp);
            let gaps = draws.iter().enumerate().map(|(i, &x)| {
                let (low, high) = (i as f64 / n as f64, (i + 1) as f64 / n as f64);
                (below(x) - low).abs().max((high - below(x)).abs())
            });
            gaps.fold(0.0, f64::max)
        };
        let critical = 2.23 / (n as f64).sqrt();
        for stream in 0..4 {
            let draws = (0..n).map(|i| normal(stream, key(i), real(5))).collect();
            let gaussian = |x: f64| 0.5 * (1.0 + libm::erf(x / std::f64::consts::SQRT_2));
            let gap = distance(draws, &gaussian);
            assert!(gap < critical, "normal.{stream}: {gap}");
            let draws = (0..n).map(|i| uniform(stream, key(i), real(5))).collect();
            let gap = distance(draws, &|x| x);
            assert!(gap < critical, "uniform.{stream}: {gap}");
        }
    }
}
