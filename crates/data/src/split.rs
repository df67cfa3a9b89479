//! Splitting a data set: stratified hold-out, hold-out of whole groups (speakers), and k folds.
//!
//! Each split is a function of the labels (or groups), the sizes and the seed. Both parts are in ascending order: a
//! split says what belongs to it, the order of training is `epoch_order`'s business.

use crate::rng::{Philox, derive_key, domain};
use std::collections::BTreeMap;

/// Splits `0..labels.len()` into (train, held out) so that each class is held out in the same proportion.
///
/// ⌈fraction · n⌉ samples are held out. Each class gives its share rounded down; the samples that are still missing
/// come from the classes with the largest remainders (of equal remainders, the smaller class number first). Which
/// samples of a class are taken is a seeded shuffle of that class alone. A fraction is cut to 0..=1, NaN is 0.
pub fn stratified_holdout(labels: &[u32], fraction: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let classes = shuffled_classes(labels, seed);
    let sizes: Vec<usize> = classes.values().map(Vec::len).collect();
    let shares = largest_remainder(&sizes, held_out_size(labels.len(), fraction));
    let mut held_out = Vec::new();
    for (members, share) in classes.values().zip(shares) {
        held_out.extend_from_slice(&members[..share]);
    }
    complement(labels.len(), held_out)
}

/// Splits `0..groups.len()` into (train, held out) so that no group is in both.
///
/// ⌈fraction · number of groups⌉ groups are held out, chosen by a seeded shuffle; groups differ in size, so the
/// fraction of samples may differ. A fraction is cut to 0..=1, NaN is 0.
pub fn group_holdout(groups: &[u32], fraction: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut names = groups.to_vec();
    names.sort_unstable();
    names.dedup();
    let taken = held_out_size(names.len(), fraction);
    Philox::at(derive_key(seed, domain::SPLIT, u64::MAX), [0; 4]).shuffle(&mut names);
    let chosen = &names[..taken];
    let held_out = (0..groups.len())
        .filter(|&i| chosen.contains(&groups[i]))
        .collect();
    complement(groups.len(), held_out)
}

/// Fold `fold` of `k` as (train, held out): stratified, disjoint over the folds, and together all samples.
///
/// The members of each class are dealt to the folds in turn after a seeded shuffle; dealing goes on where the class
/// before stopped, so that the folds' sizes differ by at most 1. No sample is held out if `fold` is not below `k`.
pub fn k_fold(labels: &[u32], k: usize, fold: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let classes = shuffled_classes(labels, seed);
    let dealt = classes.values().flatten().enumerate();
    let held_out = dealt
        .filter(|(turn, _)| turn.checked_rem(k) == Some(fold))
        .map(|(_, &i)| i)
        .collect();
    complement(labels.len(), held_out)
}

/// The samples of each class, classes in ascending order, each shuffled with its own stream.
fn shuffled_classes(labels: &[u32], seed: u64) -> BTreeMap<u32, Vec<usize>> {
    let mut classes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (i, &label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(i);
    }
    for (&class, members) in &mut classes {
        Philox::at(derive_key(seed, domain::SPLIT, u64::from(class)), [0; 4]).shuffle(members);
    }
    classes
}

/// ⌈fraction · n⌉, where a product that misses a whole number by rounding alone counts as that number.
fn held_out_size(n: usize, fraction: f64) -> usize {
    let exact = n as f64 * fraction.clamp(0.0, 1.0);
    ((exact - 1e-9 * exact.abs().max(1.0)).ceil().max(0.0) as usize).min(n)
}

/// `total` (at most the sum of `sizes`) divided in proportion to `sizes`, by the method of largest remainders.
fn largest_remainder(sizes: &[usize], total: usize) -> Vec<usize> {
    let n = sizes.iter().sum::<usize>().max(1) as u128;
    let exact: Vec<u128> = sizes
        .iter()
        .map(|&size| size as u128 * total as u128)
        .collect();
    let mut shares: Vec<usize> = exact
        .iter()
        .map(|&product| (product / n) as usize)
        .collect();
    let missing = total - shares.iter().sum::<usize>();
    let mut by_remainder: Vec<usize> = (0..sizes.len()).collect();
    by_remainder.sort_by_key(|&class| std::cmp::Reverse(exact[class] % n));
    for &class in &by_remainder[..missing] {
        shares[class] += 1;
    }
    shares
}

/// (all numbers below n that are not held out, the held out ones), both ascending.
fn complement(n: usize, mut held_out: Vec<usize>) -> (Vec<usize>, Vec<usize>) {
    held_out.sort_unstable();
    let mut is_held_out = vec![false; n];
    held_out.iter().for_each(|&i| is_held_out[i] = true);
    ((0..n).filter(|&i| !is_held_out[i]).collect(), held_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Dataset;
    use crate::digits::digits;
    use proptest::prelude::*;

    fn class_sizes(labels: &[u32], part: &[usize]) -> Vec<usize> {
        let mut sizes = vec![0; labels.iter().max().map_or(0, |&max| max as usize + 1)];
        part.iter().for_each(|&i| sizes[labels[i] as usize] += 1);
        sizes
    }

    #[test]
    fn a_fifth_of_the_digits_is_360_and_stratified() {
        let labels = digits().labels();
        let (train, held_out) = stratified_holdout(&labels, 0.2, 0);
        assert_eq!((train.len(), held_out.len()), (1437, 360));
        // 360 / 1797 of the class sizes by largest remainder; classes 1 and 5 tie at 182, and the first one wins.
        assert_eq!(
            class_sizes(&labels, &held_out),
            [36, 37, 35, 37, 36, 36, 36, 36, 35, 36]
        );
        assert_eq!(
            stratified_holdout(&labels, 0.2, 0),
            (train, held_out.clone())
        );
        assert_ne!(stratified_holdout(&labels, 0.2, 1).1, held_out);
    }

    #[test]
    fn the_fraction_may_be_anything() {
        let labels = [0, 1, 0, 1, 2];
        assert_eq!(stratified_holdout(&labels, 0.0, 0).1, []);
        assert_eq!(stratified_holdout(&labels, f64::NAN, 0).1, []);
        assert_eq!(stratified_holdout(&labels, -3.0, 0).1, []);
        assert_eq!(stratified_holdout(&labels, 1.0, 0).1, [0, 1, 2, 3, 4]);
        assert_eq!(stratified_holdout(&labels, f64::INFINITY, 0).0, []);
        assert_eq!(stratified_holdout(&[], 0.5, 0), (Vec::new(), Vec::new()));
        // 0.1 · 30 is 3.0000000000000004 in f64, which must not become 4.
        assert_eq!(stratified_holdout(&[7; 30], 0.1, 0).1.len(), 3);
    }

    #[test]
    fn groups_stay_together() {
        let groups: Vec<u32> = (0..100).map(|i| 10 + i % 7).collect();
        let (train, held_out) = group_holdout(&groups, 0.25, 5);
        let held: std::collections::BTreeSet<u32> = held_out.iter().map(|&i| groups[i]).collect();
        assert_eq!(held.len(), 2);
        assert!(train.iter().all(|&i| !held.contains(&groups[i])));
        assert_eq!(train.len() + held_out.len(), 100);
        assert_eq!(group_holdout(&groups, 0.25, 5), (train, held_out));
    }

    proptest! {
        #[test]
        fn folds_partition_and_are_stratified(
            labels in prop::collection::vec(0u32..5, 0..80), k in 1usize..9, seed in any::<u64>(),
        ) {
            let folds: Vec<_> = (0..k).map(|fold| k_fold(&labels, k, fold, seed)).collect();
            let mut all: Vec<usize> = folds.iter().flat_map(|(_, held_out)| held_out.clone()).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
            let sizes = folds.iter().map(|(_, held_out)| class_sizes(&labels, held_out));
            let sizes: Vec<Vec<usize>> = sizes.collect();
            for class in 0..sizes[0].len() {
                let column = || sizes.iter().map(|fold| fold[class]);
                prop_assert!(column().max().unwrap_or(0) - column().min().unwrap_or(0) <= 1);
            }
            prop_assert!(k_fold(&labels, k, k, seed).1.is_empty());
            prop_assert!(k_fold(&labels, 0, 0, seed).1.is_empty());
        }

        #[test]
        fn every_class_gives_its_share(
            labels in prop::collection::vec(0u32..6, 0..200), fraction in 0.0f64..1.0, seed in any::<u64>(),
        ) {
            let (train, held_out) = stratified_holdout(&labels, fraction, seed);
            prop_assert_eq!(train.len() + held_out.len(), labels.len());
            let held = class_sizes(&labels, &held_out);
            let all = class_sizes(&labels, &(0..labels.len()).collect::<Vec<_>>());
            for (held, all) in held.iter().zip(all) {
                let share = all as f64 * held_out.len() as f64 / labels.len().max(1) as f64;
                prop_assert!((*held as f64 - share).abs() < 1.0);
            }
        }
    }
}
