//! NPZ archives: what NumPy wrote (`fixtures/`, made by `numpy.savez` and `savez_compressed`), round trips, damage.

use ndarray::{ArrayD, IxDyn};
use proptest::prelude::*;
use rheobase_data::{DataError, npz};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn array(shape: &[usize], values: &[f64]) -> ArrayD<f64> {
    ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).expect("the shape fits")
}

#[test]
fn archives_of_numpy_are_read_stored_and_compressed() {
    for name in ["numpy_stored.npz", "numpy_compressed.npz"] {
        let contents = npz::read_contents(&fixture(name)).expect("numpy wrote it");
        let expected = BTreeMap::from([
            (
                "x".to_owned(),
                array(&[2, 3], &[0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
            ),
            (
                "fortran".to_owned(),
                array(&[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
            ),
            ("flags".to_owned(), array(&[3], &[1.0, 0.0, 1.0])),
            ("scalar".to_owned(), array(&[], &[2.5])),
            (
                "counts".to_owned(),
                array(&[2], &[-1.0, 1_099_511_627_776.0]),
            ),
            ("big".to_owned(), array(&[2], &[1.5, -2.0])),
            ("half".to_owned(), array(&[2], &[0.5, 65_504.0])),
            ("empty".to_owned(), array(&[0, 4], &[])),
        ]);
        assert_eq!(contents.arrays, expected, "{name}");
        assert!(
            contents
                .arrays
                .values()
                .all(|array| array.as_slice().is_some())
        );
        let skipped: Vec<&str> = contents
            .skipped
            .iter()
            .map(|entry| entry.name.as_str())
            .collect();
        assert_eq!(skipped, ["meta", "mixed", "z"]);
        assert_eq!(contents.skipped[0].reason, "type <U17");
        assert_eq!(npz::read(&fixture(name)), Ok(expected));
    }
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("run.npz");
    let arrays = BTreeMap::from([
        (
            "v".to_owned(),
            array(&[2, 2], &[0.1, -0.0, f64::INFINITY, 1e-300]),
        ),
        ("a.b/c".to_owned(), array(&[], &[7.0])),
    ]);
    npz::write(&path, &arrays, npz::Precision::F64).expect("writable");
    assert_eq!(npz::read(&path), Ok(arrays.clone()));
    let first = fs::read(&path).expect("written");
    npz::write(&path, &arrays, npz::Precision::F64).expect("writable");
    assert_eq!(
        fs::read(&path).expect("written"),
        first,
        "the same arrays give the same bytes"
    );
    npz::write(&path, &arrays, npz::Precision::F32).expect("writable");
    let rounded = arrays
        .iter()
        .map(|(name, array)| (name.clone(), array.mapv(|v| f64::from(v as f32))));
    assert_eq!(npz::read(&path), Ok(rounded.collect()));
    let left: Vec<_> = fs::read_dir(folder.path()).expect("readable").collect();
    assert_eq!(left.len(), 1, "no temporary file is left");
}

#[test]
fn a_failed_write_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let missing = folder.path().join("missing/run.npz");
    let message = npz::write(&missing, &BTreeMap::new(), npz::Precision::F32)
        .expect_err("no such folder")
        .to_string();
    assert!(message.starts_with("cannot write `"), "{message}");
    assert!(message.contains("missing/run.npz"), "{message}");
    // A folder in the place of the target cannot be replaced; the temporary file must go.
    let target = folder.path().join("run.npz");
    fs::create_dir(&target).expect("a folder");
    assert!(npz::write(&target, &BTreeMap::new(), npz::Precision::F32).is_err());
    assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
}

#[cfg(unix)]
#[test]
fn a_written_file_has_the_permissions_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (ours, plain) = (folder.path().join("ours.npz"), folder.path().join("plain"));
    npz::write(&ours, &BTreeMap::new(), npz::Precision::F32).expect("writable");
    fs::write(&plain, b"").expect("writable");
    let mode = |path: &Path| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
    assert_eq!(mode(&ours), mode(&plain));
}

#[test]
fn errors_name_file_and_reason() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("in.npz");
    let missing = npz::read(&path).expect_err("not there").to_string();
    assert!(
        missing.contains("in.npz") && missing.contains("check the path"),
        "{missing}"
    );
    fs::write(&path, b"no archive at all").expect("writable");
    let garbage = npz::read(&path).expect_err("garbage");
    assert!(
        matches!(&garbage, DataError::Format { format: "NPZ", .. }),
        "{garbage}"
    );
    assert!(garbage.to_string().contains("numpy.savez"), "{garbage}");
    assert!(npz::read(folder.path()).is_err());
}

#[test]
fn every_truncation_is_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("cut.npz");
    let whole = fs::read(fixture("numpy_compressed.npz")).expect("the fixture");
    for length in (0..whole.len()).step_by(37) {
        fs::write(&path, &whole[..length]).expect("writable");
        assert!(
            npz::read(&path).is_err(),
            "{length} of {} bytes",
            whole.len()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]
    #[test]
    fn damage_never_panics(
        stored in any::<bool>(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("damaged.npz");
        let name = if stored { "numpy_stored.npz" } else { "numpy_compressed.npz" };
        let mut bytes = fs::read(fixture(name)).expect("the fixture");
        for (at, byte) in hits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        fs::write(&path, &bytes).expect("writable");
        // Damage may hit a byte that does not matter; what counts is that the call returns.
        if let Err(error) = npz::read(&path) {
            prop_assert!(error.to_string().contains("damaged.npz"));
        }
    }
}
