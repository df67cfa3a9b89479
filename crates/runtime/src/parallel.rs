//! The only file that knows threads.
//!
//! Work is cut into items before it comes here, and results come back in the order of the items, so no
//! result depends on the number of threads.

use std::sync::Mutex;

use rayon::prelude::*;

use crate::error::RuntimeError;

/// The results of `work(0)` to `work(items - 1)`, computed on at most `threads` threads.
pub(crate) fn map<T: Send>(
    items: usize,
    threads: usize,
    work: impl Fn(usize) -> Result<T, RuntimeError> + Sync,
) -> Result<Vec<T>, RuntimeError> {
    if threads <= 1 || items <= 1 {
        return (0..items).map(work).collect();
    }
    pool(threads).install(|| (0..items).into_par_iter().map(&work).collect())
}

/// The results of work on every item, on at most `threads` threads.
pub(crate) fn each<T: Send, U: Send>(
    items: &mut [T],
    threads: usize,
    work: impl Fn(&mut T) -> Result<U, RuntimeError> + Sync,
) -> Result<Vec<U>, RuntimeError> {
    if threads <= 1 || items.len() <= 1 {
        return items.iter_mut().map(work).collect();
    }
    pool(threads).install(|| items.par_iter_mut().map(&work).collect())
}

/// A thread pool of this size, kept for the next call that asks for the same.
fn pool(threads: usize) -> std::sync::Arc<rayon::ThreadPool> {
    static POOLS: Mutex<Vec<(usize, std::sync::Arc<rayon::ThreadPool>)>> = Mutex::new(Vec::new());
    let mut pools = POOLS
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((_, pool)) = pools.iter().find(|(n, _)| *n == threads) {
        return pool.clone();
    }
    let built = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = std::sync::Arc::new(
        built
            .or_else(|_| rayon::ThreadPoolBuilder::new().build())
            .expect("threads can be started"),
    );
    pools.push((threads, pool.clone()));
    pool
}

/// Memory that is kept from call to call.
#[derive(Debug)]
pub(crate) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool(Mutex::new(Vec::new()))
    }
}

impl<T> Pool<T> {
    /// Something kept, if there is any.
    pub(crate) fn take(&self) -> Option<T> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .pop()
    }

    /// Keeps it.
    pub(crate) fn give(&self, item: T) {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(item);
    }
}
