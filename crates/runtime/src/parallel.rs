//! The only file that knows threads.
//!
//! Work is cut into items before it comes here, and results come back in the order of the items, so no
//! result depends on the number of threads.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rayon::{ThreadPool, Yield};

use crate::error::RuntimeError;

/// The results of `work(thread, 0)` to `work(thread, items - 1)`, computed on at most `threads` threads. `thread` counts
/// them; no result may depend on it, but what a thread has in its cache may.
pub(crate) fn map<T: Send>(
    items: usize,
    threads: usize,
    work: impl Fn(usize, usize) -> Result<T, RuntimeError> + Sync,
) -> Result<Vec<T>, RuntimeError> {
    let mut results: Vec<_> = (0..items).map(|i| (i, None)).collect();
    share(
        results.iter_mut().collect(),
        threads,
        |thread, (i, result)| {
            *result = Some(work(thread, *i));
        },
    );
    let results = results.into_iter().filter_map(|(_, result)| result);
    results.collect()
}

/// The same for work that gives a result and a part of a total, with the total. Parts are added in the order of the items
/// by `add(thread, total, part)`: each as soon as those before it are there, so no more of them are in memory than threads that
/// are at work and parts that came too early.
pub(crate) fn map_and_fold<T: Send, P: Send>(
    items: usize,
    threads: usize,
    work: impl Fn(usize, usize) -> Result<(T, P), RuntimeError> + Sync,
    add: impl Fn(usize, &mut P, P) + Sync,
) -> Result<(Vec<T>, Option<P>), RuntimeError> {
    let early: Mutex<Early<P>> = Mutex::new(Early {
        added: 0,
        total: None,
        parts: Vec::new(),
    });
    let locked = || early.lock().unwrap_or_else(PoisonError::into_inner);
    let results = map(items, threads, |thread, i| {
        let (result, part) = work(thread, i)?;
        locked().parts.push((i, part));
        // One thread adds, and the others go on.
        let mut next = locked().take();
        while let Some((mut total, part)) = next {
            if let Some(part) = part {
                add(thread, &mut total, part);
            }
            let mut early = locked();
            early.total = Some(total);
            early.added += 1;
            next = early.take();
        }
        Ok(result)
    })?;
    Ok((
        results,
        early
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .total,
    ))
}

/// A total, and parts that wait for those before them.
struct Early<P> {
    /// The parts that the total has.
    added: usize,
    /// `None` before the first one, and while a thread adds to it.
    total: Option<P>,
    parts: Vec<(usize, P)>,
}

impl<P> Early<P> {
    /// The total and the part that is to be added next, if it is there and no thread is adding; the first part is a total by itself.
    fn take(&mut self) -> Option<(P, Option<P>)> {
        let next = self.parts.iter().position(|(i, _)| *i == self.added)?;
        if self.added == 0 {
            return Some((self.parts.swap_remove(next).1, None));
        }
        let total = self.total.take()?;
        Some((total, Some(self.parts.swap_remove(next).1)))
    }
}

/// The results of work on every item, on at most `threads` threads.
pub(crate) fn each<T: Send, U: Send>(
    items: &mut [T],
    threads: usize,
    work: impl Fn(&mut T) -> Result<U, RuntimeError> + Sync,
) -> Result<Vec<U>, RuntimeError> {
    let mut results: Vec<_> = items.iter_mut().map(|item| (item, None)).collect();
    share(
        results.iter_mut().collect(),
        threads,
        |_, (item, result)| {
            *result = Some(work(item));
        },
    );
    let results = results.into_iter().filter_map(|(_, result)| result);
    results.collect()
}

/// Calls `work` with every item, on at most `threads` threads. The calling thread is one of them, so a pool has one
/// thread less. Each thread begins with items of its own, the same ones at every call, and then takes what the
/// others have left.
fn share<T: Send>(items: Vec<T>, threads: usize, work: impl Fn(usize, T) + Sync) {
    let used = threads.min(items.len());
    if used <= 1 {
        return items.into_iter().for_each(|item| work(0, item));
    }
    let items: Vec<_> = items
        .into_iter()
        .map(|item| Mutex::new(Some(item)))
        .collect();
    let worker = |thread: usize| {
        let own = (thread..items.len()).step_by(used);
        for i in own.chain(0..items.len()) {
            // The lock is held while the item is taken, not while it is worked on.
            let item = items[i]
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(item) = item {
                work(thread, item);
            }
        }
    };
    let (worker, spin) = (&worker, threads <= *CORES);
    let (done, others) = (&AtomicUsize::new(0), used - 1);
    pool(threads - 1).in_place_scope(|scope| {
        for thread in 1..used {
            scope.spawn(move |_| {
                worker(thread);
                if spin {
                    stay_awake();
                }
                done.fetch_add(1, Ordering::Release);
            });
        }
        worker(0);
        if spin {
            wait(|| done.load(Ordering::Acquire) == others);
        }
    });
}

/// The threads that the machine runs at the same time.
static CORES: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));

/// How long a thread without work looks for some before it sleeps. To wake one takes 0.1 to 0.2 ms on a virtual machine,
/// and a training step of a small network a few, with work for all threads twice in it.
const AWAKE: Duration = Duration::from_micros(500);

/// Waits until something is so, but not longer than [`AWAKE`].
fn wait(mut ready: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !ready() && begin.elapsed() < AWAKE {
        std::hint::spin_loop();
    }
}

/// After its job, a thread of a pool looks for the next one for a while before it goes to sleep.
fn stay_awake() {
    thread_local! {
        /// Whether this thread does so already: the job that it has just done was found by looking.
        static LOOKING: Cell<bool> = const { Cell::new(false) };
    }
    if LOOKING.get() {
        return;
    }
    rayon::spawn(|| {
        // It may be another thread that has taken this job.
        if LOOKING.replace(true) {
            return;
        }
        let mut found = true;
        while std::mem::take(&mut found) {
            wait(|| {
                found = rayon::yield_now() == Some(Yield::Executed);
                found
            });
        }
        LOOKING.set(false);
    });
}

/// Numbers that one thread works on at a time: enough that waking another one pays.
pub const CHUNK: usize = 1 << 14;

/// Calls `work` with every item, on at most `threads` threads, of which the calling one is one.
pub fn for_each<T: Send>(items: Vec<T>, threads: usize, work: impl Fn(T) + Sync) {
    share(items, threads, |_, item| work(item));
}

/// Calls `work` with pieces of `numbers` and the position of the first number of each, on at most `threads` threads.
pub(crate) fn chunks<R: Send>(
    numbers: &mut [R],
    threads: usize,
    work: impl Fn(usize, &mut [R]) + Sync,
) {
    if threads <= 1 || numbers.len() <= 2 * CHUNK {
        return work(0, numbers);
    }
    let pieces = numbers.chunks_mut(CHUNK).enumerate().collect();
    share(pieces, threads, |_, (k, piece)| work(k * CHUNK, piece));
}

/// A pool of so many threads, kept for the next call that asks for the same.
fn pool(threads: usize) -> Arc<ThreadPool> {
    static POOLS: Mutex<Vec<(usize, Arc<ThreadPool>)>> = Mutex::new(Vec::new());
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, pool)) = pools.iter().find(|(n, _)| *n == threads) {
        return pool.clone();
    }
    let built = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = Arc::new(
        built
            .or_else(|_| rayon::ThreadPoolBuilder::new().build())
            .expect("threads can be started"),
    );
    pools.push((threads, pool.clone()));
    pool
}

/// Memory that is kept from call to call, each piece for the place where it was used before: there it is in a cache.
#[derive(Debug)]
pub(crate) struct Pool<T>(Mutex<Vec<(usize, T)>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool(Mutex::new(Vec::new()))
    }
}

impl<T> Pool<T> {
    /// What was kept for a place, or else for another one, if there is anything.
    pub(crate) fn take(&self, place: usize) -> Option<T> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = kept.iter().position(|(p, _)| *p == place);
        let last = kept.len().checked_sub(1)?;
        let (_, item) = kept.swap_remove(own.unwrap_or(last));
        Some(item)
    }

    /// Whether nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.is_empty()
    }

    /// Keeps it for a place.
    pub(crate) fn give(&self, place: usize, item: T) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push((place, item));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_find_work_whether_they_look_for_it_or_sleep() {
        for round in 0..40 {
            // Longer than a thread stays awake, now and then.
            if round % 8 == 7 {
                std::thread::sleep(2 * AWAKE);
            }
            let mut numbers: Vec<usize> = (0..5).collect();
            for_each(numbers.iter_mut().collect(), 2, |n| *n += round);
            assert_eq!(numbers, (round..round + 5).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_panic_of_another_thread_comes_to_the_caller_and_the_next_work_is_done() {
        let caller = std::thread::current().id();
        let strange = |_: usize| {
            // The caller leaves work for the other one.
            assert!(std::thread::current().id() == caller, "another thread");
            std::thread::sleep(AWAKE);
        };
        let failed = std::panic::catch_unwind(|| for_each((0..8).collect(), 2, strange));
        assert!(failed.is_err());
        let done = AtomicUsize::new(0);
        for_each((0..8).collect::<Vec<usize>>(), 2, |_| {
            done.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(done.into_inner(), 8);
    }

    #[test]
    fn parts_are_added_in_the_order_of_the_items_also_those_that_come_early() {
        for threads in [1, 2, 3, 8] {
            let done = AtomicUsize::new(0);
            let work = |_: usize, i: usize| {
                // The first item is not ready before others are.
                while i == 0 && threads > 1 && done.load(Ordering::SeqCst) < 5 {
                    std::thread::yield_now();
                }
                done.fetch_add(1, Ordering::SeqCst);
                Ok((10 * i, vec![i]))
            };
            let add = |_: usize, total: &mut Vec<usize>, part: Vec<usize>| total.extend(part);
            let (results, total) = map_and_fold(12, threads, work, add).expect("no item fails");
            assert_eq!(results, (0..12).map(|i| 10 * i).collect::<Vec<_>>());
            assert_eq!(total, Some((0..12).collect::<Vec<_>>()));
        }
    }

    #[test]
    fn an_error_is_that_of_the_first_item_that_has_one() {
        let work = |_: usize, i: usize| match i {
            0 | 1 => Ok(((), i)),
            _ => Err(RuntimeError::Input(format!("item {i}"))),
        };
        let found = map_and_fold(5, 2, work, |_, total, part| *total += part);
        assert!(matches!(found, Err(RuntimeError::Input(text)) if text == "item 2"));
    }
}
