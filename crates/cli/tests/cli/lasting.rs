//! No work is lost: processes that are killed at random moments, interrupted, without room on the disk, or
//! given checkpoints that are damaged or not theirs.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::place::{Place, fixture, skipped};

/// Many short steps.
const SETTINGS: [&str; 6] = ["--set", "epochs=2", "--set", "batch=4", "--save-every", "2"];

fn start(place: &Place, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_rheo"))
        .args(args)
        .current_dir(place.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts")
}

/// The arguments of a first start in a folder.
fn train(file: &str, out: &'static str) -> Vec<String> {
    let args = ["train", file, "--out", out];
    args.iter()
        .chain(&SETTINGS)
        .map(|s| s.to_string())
        .collect()
}

fn slices(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

fn resume(folder: &'static str) -> [&'static str; 5] {
    ["train", "--resume", folder, "--save-every", "3"]
}

/// What a run decided: its weights, its checkpoint and its metrics without the times.
fn result(folder: &Path) -> (Vec<u8>, Vec<u8>, Vec<Value>) {
    let read = |name: &str| std::fs::read(folder.join(name)).expect("written");
    let metrics = String::from_utf8(read("metrics.jsonl")).expect("text");
    let rows = metrics.lines().map(|line| {
        let mut row: Value = serde_json::from_str(line).expect("a whole row");
        let seconds = row.as_object_mut().and_then(|row| row.remove("seconds"));
        assert!(seconds.is_some_and(|s| s.is_f64()));
        row
    });
    (read("best.safetensors"), read("last.ckpt"), rows.collect())
}

/// Presses Ctrl-C and expects what must follow.
fn interrupt(child: Child) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.expect("kill runs").success());
    let ended = child.wait_with_output().expect("ends");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(130), "{said}");
    assert!(said.contains("rheo train --resume "), "{said}");
}

/// Waits until metrics have this many rows.
fn wait_for_rows(place: &Place, file: &str, rows: usize) {
    let begun = Instant::now();
    let count = || std::fs::read_to_string(place.path(file)).map_or(0, |t| t.lines().count());
    while count() < rows {
        assert!(begun.elapsed() < Duration::from_secs(60), "{rows} rows");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a file is there.
fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "{path:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn killed_at_any_moment_a_run_ends_with_the_same_bits() {
    killed("tiny.snn", 8);
}

/// The width of delays that are spread depends on the epoch.
#[test]
fn a_run_with_learned_delays_that_is_killed_ends_with_the_same_bits() {
    killed("delays.snn", 4);
}

/// Dropout draws by epoch and sample, and running averages are among the parameters.
#[test]
fn a_run_with_dropout_and_normalisations_that_is_killed_ends_with_the_same_bits() {
    killed("normalised.snn", 4);
}

/// What a map gave before is part of where it goes on.
#[test]
fn a_run_with_weights_through_functions_that_is_killed_ends_with_the_same_bits() {
    killed("maps.snn", 4);
}

/// Damaged samples are left out by all of the processes; some batches have no others.
#[test]
fn a_run_that_leaves_out_damage_and_is_killed_ends_with_the_same_bits() {
    let place = Place::new();
    let folder = place.path("events/0");
    std::fs::create_dir_all(&folder).expect("made");
    for i in 0..120u8 {
        let event = [i % 30, i % 7, 0x80, 0x03, i];
        let bytes = if i % 4 == 0 { &event } else { &event[..2] };
        std::fs::write(folder.join(format!("{i:03}.bin")), bytes).expect("written");
    }
    place.file("events.snn", EVENTS);
    let mut args = train("events.snn", "whole");
    args.push("--skip-corrupted".to_string());
    killed_in(&place, &args, 5);
    let found = place.ok(&["eval", "killed", "--json"]).out;
    let found: Value = serde_json::from_str(&found).expect("one document");
    assert!(found["left_out"].as_u64() > Some(0), "{found}");
}

const EVENTS: &str = r#"import "std/neurons.snn"

network Net {
  step 1 ms
  input inp[2, 34, 34]
  layer out : LI[10]
  connect inp -> out.x : dense(w = normal(0, 0.3))
}

train plan of Net {
  data      = nmnist("events")
  valid     = holdout(0.2)
  duration  = 5 ms
  encode    = bin_spikes()
  loss      = cross_entropy(max_over_time(out.v), label)
  optimizer = adam(lr = 1e-2)
  batch     = 2
  epochs    = 2
}
"#;

fn killed(file: &str, kills: u32) {
    let place = Place::new();
    killed_in(&place, &train(&fixture(file), "whole"), kills);
}

/// Runs with these arguments, which write into `whole`, and again into `killed` with kills in between.
fn killed_in(place: &Place, whole: &[String], kills: u32) {
    let begun = Instant::now();
    place.ok(&slices(whole));
    let whole_time = begun.elapsed();
    // A linear congruential generator: other moments at every kill, the same ones in every test.
    let mut random = 12345u64;
    let mut killed = 0;
    for kill in 0..kills {
        let args = if kill == 0 {
            let other = |arg: &String| arg.replace("whole", "killed");
            whole.iter().map(other).collect()
        } else {
            resume("killed").map(str::to_string).to_vec()
        };
        let mut child = start(place, &slices(&args));
        if kill == 0 {
            wait_for(&place.path("killed/config.snn"));
        }
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let share = (random >> 33) as f64 / f64::from(1u32 << 31);
        std::thread::sleep(whole_time.mul_f64(0.6 * share));
        // SIGKILL; of a process that is at its end already it is none.
        child.kill().expect("a child can be killed");
        killed += usize::from(child.wait().expect("ends").code().is_none());
    }
    assert!(killed > 0, "every process was faster than its kill");
    place.ok(&resume("killed"));
    assert!(result(&place.path("killed")) == result(&place.path("whole")));
    let left: Vec<String> = std::fs::read_dir(place.path("killed"))
        .expect("a folder")
        .map(|e| {
            e.expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name.starts_with(".rheo-"))
        .collect();
    assert_eq!(left, [""; 0], "temporary files are left");
}

#[test]
fn an_interrupted_run_says_how_to_go_on_and_another_process_waits_its_turn() {
    let place = Place::new();
    let file = fixture("tiny.snn");
    let endless = ["train", &file, "--out", "run", "--set", "epochs=100000"];
    let child = start(&place, &endless);
    wait_for(&place.path("run/metrics.jsonl"));
    place.fails(
        3,
        &["another process is training there"],
        &["train", "--resume", "run"],
    );
    interrupt(child);
    let rows = place.text("run/metrics.jsonl").lines().count();
    let child = start(&place, &["train", "--resume", "run"]);
    wait_for_rows(&place, "run/metrics.jsonl", rows + 1);
    interrupt(child);
    for (row, line) in place.text("run/metrics.jsonl").lines().enumerate() {
        let found: Value = serde_json::from_str(line).expect("a whole row");
        assert_eq!(found["epoch"], row + 1);
    }
}

#[test]
fn a_full_disk_leaves_the_old_checkpoint() {
    let place = Place::new();
    let file = fixture("tiny.snn");
    let endless = ["train", &file, "--out", "long", "--set", "epochs=100000"];
    let child = start(&place, &endless);
    wait_for(&place.path("long/metrics.jsonl"));
    interrupt(child);
    let rows = place.text("long/metrics.jsonl").lines().count();
    let before = std::fs::read(place.path("long/last.ckpt")).expect("written");
    let limited = |args: &str| {
        // A file may not become longer than 48 blocks of 512 bytes; the signal that says so is ignored.
        let script = format!(
            "trap '' XFSZ; ulimit -f 48; exec '{}' {args}",
            env!("CARGO_BIN_EXE_rheo")
        );
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(place.path(""))
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains("cannot write"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        said
    };
    limited("train --resume long");
    let after = std::fs::read(place.path("long/last.ckpt")).expect("still there");
    assert!(before == after);
    // A new run notices before its first step.
    let said = limited(&format!("train '{file}' --out new"));
    assert!(
        said.contains("last.ckpt") && !said.contains("epoch 1"),
        "{said}"
    );
    // With room again it goes on.
    let child = start(&place, &["train", "--resume", "long"]);
    // One row more may be from the run that had no room for its checkpoint.
    wait_for_rows(&place, "long/metrics.jsonl", rows + 2);
    interrupt(child);
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_first() {
    let place = Place::new();
    place.file("file", "not a folder");
    let out = ["train", &fixture("tiny.snn"), "--out", "file/run"];
    let ran = place.fails(3, &["cannot make the folder `file/run`"], &out);
    assert!(!ran.err.contains("epoch"), "{}", ran.err);
}

#[test]
fn damaged_and_foreign_checkpoints_are_refused_and_stay() {
    let place = Place::new();
    let file = fixture("tiny.snn");
    place.ok(&["train", &file, "--out", "run", "--set", "epochs=1"]);
    let path = place.path("run/last.ckpt");
    let whole = std::fs::read(&path).expect("written");
    let middle = whole.len() / 2;
    let mut flipped = whole.clone();
    flipped[whole.len() - 6] ^= 1;
    let mut longer = whole.clone();
    longer.push(0);
    let weights = std::fs::read(place.path("run/best.safetensors")).expect("written");
    let damages: [(&str, Vec<u8>); 7] = [
        ("not a whole safetensors file", Vec::new()),
        ("not a whole safetensors file", whole[..7].to_vec()),
        ("not a whole safetensors file", whole[..middle].to_vec()),
        ("not a whole safetensors file", longer),
        ("checksum", flipped),
        ("not a checkpoint", weights),
        ("not a whole safetensors file", b"{\"epoch\": 3}".to_vec()),
    ];
    for (words, bytes) in damages {
        std::fs::write(&path, &bytes).expect("written");
        let ran = place.fails(3, &[words, "last.ckpt"], &["train", "--resume", "run"]);
        assert!(!ran.err.contains("internal"), "{}", ran.err);
        assert!(std::fs::read(&path).expect("still there") == bytes);
    }
    std::fs::write(&path, &whole).expect("written");
    let config = place.text("run/config.snn");
    let changed = ["train", &file, "--resume", "run", "--set", "epochs=2"];
    place.fails(3, &["the program has changed"], &changed);
    assert_eq!(place.text("run/config.snn"), config);
    assert!(std::fs::read(&path).expect("still there") == whole);
    place.ok(&["train", "--resume", "run"]);
    // Metrics that lost rows are not silently continued.
    std::fs::write(place.path("run/metrics.jsonl"), "").expect("written");
    place.fails(
        3,
        &["metrics.jsonl", "0 rows"],
        &["train", "--resume", "run"],
    );
}

/// A folder that may be read but not written, by a user who is not root: root may write anywhere.
#[test]
fn a_read_only_folder_is_refused_and_stays() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    std::fs::copy(fixture("tiny.snn"), place.path("tiny.snn")).expect("copied");
    place.ok(&["train", "tiny.snn", "--out", "run", "--set", "epochs=1"]);
    let mode = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("changed");
    };
    mode(&place.path(""), 0o755);
    mode(&place.path("run"), 0o555);
    let nobody = |args: &[&str]| {
        let id = Command::new("id").arg("-u").output().expect("id runs");
        let mut command = match id.stdout.starts_with(b"0\n") {
            true => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
                command.arg(env!("CARGO_BIN_EXE_rheo"));
                command
            }
            false => Command::new(env!("CARGO_BIN_EXE_rheo")),
        };
        command.args(args).current_dir(place.path("")).output()
    };
    if !nobody(&["--version"]).is_ok_and(|ran| ran.status.success()) {
        skipped("no other user can run the command here");
        return;
    }
    let before = std::fs::read(place.path("run/last.ckpt")).expect("written");
    for (words, args) in [
        ("cannot write to `run`", ["train", "--resume", "run"]),
        (
            "cannot make the folder `new`",
            ["train", "tiny.snn", "--out=new"],
        ),
        ("cannot write", ["train", "tiny.snn", "--out=run"]),
    ] {
        let ran = nobody(&args).expect("runs");
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(3), "{said}");
        assert!(said.contains(words) && !said.contains("epoch 1"), "{said}");
    }
    assert!(std::fs::read(place.path("run/last.ckpt")).expect("still there") == before);
    mode(&place.path("run"), 0o755);
}

/// Starts in a process group of its own, as a shell does.
fn start_group(place: &Place, args: &[&str]) -> Child {
    use std::os::unix::process::CommandExt as _;
    Command::new(env!("CARGO_BIN_EXE_rheo"))
        .args(args)
        .current_dir(place.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .expect("the command starts")
}

#[test]
fn an_interrupted_sweep_goes_on_to_the_runs_that_it_would_have_made() {
    let place = Place::new();
    let file = fixture("tiny.snn");
    let set = ["--set", "epochs=25", "--set", "batch=16"];
    let sweep = [
        "sweep",
        &file,
        "--grid",
        "seed=0..3",
        "--jobs",
        "2",
        "--out",
        "all",
    ];
    let sweep = [&sweep[..], &set].concat();
    let child = start_group(&place, &sweep);
    wait_for(&place.path("all/seed=0/metrics.jsonl"));
    // Ctrl-C reaches every process of the group.
    let group = format!("-{}", child.id());
    let sent = Command::new("kill").args(["-INT", "--", &group]).status();
    assert!(sent.expect("kill runs").success());
    let ended = child.wait_with_output().expect("ends");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(130), "{said}");
    assert!(said.contains("continue with the same command"), "{said}");
    assert!(!place.path("all/seed=3/result.json").exists(), "{said}");
    place.ok(&sweep);
    let table: Value = serde_json::from_str(&place.text("all/sweep.json")).expect("JSON");
    assert_eq!(table["rows"][0]["scores"].as_array().map(Vec::len), Some(4));
    let alone = [
        "train", &file, "--out", "alone", "--set", "seed=0", "--quiet",
    ];
    place.ok(&[&alone[..], &set].concat());
    let weights = |folder: &str| {
        let path = place.path(&format!("{folder}/best.safetensors"));
        rheobase_train::weights::load(&path).expect("weights")
    };
    assert!(weights("all/seed=0") == weights("alone"));
    let rows = place.text("all/seed=0/metrics.jsonl").lines().count();
    assert_eq!(rows, 25);
}

/// The steps of the events of a file for TensorBoard.
fn steps_of_events(bytes: &[u8]) -> Vec<u64> {
    let mut steps = Vec::new();
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk::<8>() {
        let length = u64::from_le_bytes(*length) as usize;
        let event = &after[4..4 + length];
        // The time, 9 bytes, and then, in all events but the first, field 2: the step.
        if event[9] == 0x10 {
            let digits = event[10..].iter().take_while(|byte| **byte >= 0x80).count() + 1;
            let parts = event[10..10 + digits].iter().rev();
            steps.push(parts.fold(0, |step, byte| step << 7 | u64::from(byte & 0x7f)));
        }
        rest = &after[8 + length..];
    }
    steps
}

#[test]
fn event_files_of_a_resumed_run_have_every_epoch_once() {
    let place = Place::new();
    let file = fixture("tiny.snn");
    let set = ["--set", "epochs=30", "--set", "batch=16", "--tensorboard"];
    let child = start(
        &place,
        &[&["train", &file, "--out", "run"], &set[..]].concat(),
    );
    wait_for_rows(&place, "run/metrics.jsonl", 1);
    interrupt(child);
    place.ok(&["train", "--resume", "run", "--tensorboard"]);
    let files = std::fs::read_dir(place.path("run/tensorboard")).expect("a folder");
    let files: Vec<_> = files.map(|entry| entry.expect("readable").path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let bytes = std::fs::read(&files[0]).expect("readable");
    assert_eq!(steps_of_events(&bytes), (1..=30).collect::<Vec<u64>>());
}
