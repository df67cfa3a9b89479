//! Samples that cannot be read, in a run that leaves them out instead of ending with the first.
//!
//! They are found when they are met, so nothing is read twice for it. What is left out is left out for good: it is in
//! the checkpoint, with the decision to leave samples out, and a resume needs no flag.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::error::TrainError;
use crate::samples::Subset;

/// What is known of damaged samples. Any thread may add to it.
#[derive(Debug, Default)]
pub(crate) struct Damage(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Whether damaged samples are left out.
    skip: bool,
    /// Subset, index in the data set, and what is wrong.
    found: BTreeMap<(Subset, usize), String>,
    /// What was found since the last look.
    news: Vec<String>,
}

impl Damage {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Every change is whole when the lock is given back, also by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on damaged samples are left out.
    pub(crate) fn skip(&self) {
        self.known().skip = true;
    }

    /// How many samples were left out so far.
    pub(crate) fn count(&self) -> usize {
        self.known().found.len()
    }

    /// What was found since the last call, each with file, index and reason.
    pub(crate) fn news(&self) -> Vec<String> {
        std::mem::take(&mut self.known().news)
    }

    /// What reading a sample gives; `None` if it is damaged and left out.
    pub(crate) fn unless_left_out<T>(
        &self,
        (subset, index): (Subset, usize),
        read: impl FnOnce() -> Result<T, TrainError>,
    ) -> Result<Option<T>, TrainError> {
        let known = self.known();
        let skip = known.skip;
        if skip && known.found.contains_key(&(subset, index)) {
            return Ok(None);
        }
        drop(known);
        match read() {
            Err(TrainError::Data(error)) if skip && error.is_damage() => {
                let mut known = self.known();
                let message = error.to_string();
                let before = known.found.insert((subset, index), message.clone());
                if before.is_none() {
                    known.news.push(message);
                }
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    /// For the checkpoint; `None` if nothing is ever left out.
    pub(crate) fn to_json(&self) -> Option<Value> {
        let known = self.known();
        let entry = |((subset, index), message): (&(Subset, usize), &String)| {
            json!([subset.name(), index, message])
        };
        known.skip.then(|| known.found.iter().map(entry).collect())
    }

    /// Takes over what a checkpoint knows, and with it the decision to leave samples out. `None` if it is none.
    pub(crate) fn restore(&self, value: &Value) -> Option<()> {
        let mut found = BTreeMap::new();
        for entry in value.as_array()? {
            let subset = Subset::named(entry.get(0)?.as_str()?)?;
            let index = usize::try_from(entry.get(1)?.as_u64()?).ok()?;
            found.insert((subset, index), entry.get(2)?.as_str()?.to_string());
        }
        let mut known = self.known();
        known.skip = true;
        known.found.extend(found);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rheobase_data::DataError;
    use std::io::ErrorKind;
    use std::path::PathBuf;

    fn broken(index: u64) -> Result<u32, TrainError> {
        Err(TrainError::Data(DataError::Sample {
            file: PathBuf::from("a.bin"),
            index,
            reason: "cut off".into(),
            help: "fetch it again".into(),
        }))
    }

    #[test]
    fn damage_ends_the_run_unless_it_is_to_be_left_out() {
        let damage = Damage::default();
        let place = (Subset::Train, 7);
        assert!(damage.unless_left_out(place, || broken(7)).is_err());
        assert_eq!(damage.to_json(), None);
        damage.skip();
        let of = |read: Result<u32, TrainError>| damage.unless_left_out(place, || read);
        assert!(matches!(of(broken(7)), Ok(None)));
        // It is not read again, and told of once.
        assert!(matches!(of(Ok(3)), Ok(None)));
        assert_eq!(damage.news().len(), 1);
        assert!(damage.news().is_empty());
        let other = damage.unless_left_out((Subset::Test, 7), || Ok(3));
        assert!(matches!(other, Ok(Some(3))));
    }

    #[test]
    fn what_is_no_damage_ends_the_run_in_any_case() {
        let damage = Damage::default();
        damage.skip();
        let full = || {
            Err::<u32, _>(TrainError::Data(DataError::Io {
                path: PathBuf::from("/"),
                action: "unpack a data file into",
                kind: ErrorKind::StorageFull,
                reason: "no space".into(),
            }))
        };
        assert!(damage.unless_left_out((Subset::Train, 0), full).is_err());
    }

    #[test]
    fn a_checkpoint_brings_it_back() {
        let damage = Damage::default();
        damage.skip();
        for (subset, index) in [(Subset::Valid, 2), (Subset::Train, 9)] {
            let read = || broken(index as u64);
            let _ = damage.unless_left_out((subset, index), read);
        }
        let text = damage.to_json().expect("samples are left out").to_string();
        let again = Damage::default();
        let value = serde_json::from_str(&text).expect("JSON");
        again.restore(&value).expect("whole");
        assert_eq!(again.count(), 2);
        assert!(again.news().is_empty());
        assert_eq!(again.to_json(), damage.to_json());
        assert_eq!(again.restore(&json!([["other", 1, "x"]])), None);
    }
}
