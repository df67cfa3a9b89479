//! `rheo data info PATH`: what a data file or folder holds, before a program is written for it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rheobase_data::{Kind, Spread, Summary, summarise};
use rheobase_ir::program::FileOptions;
use rheobase_lang::model::builtin::FILE_FORMATS;
use rheobase_train::open_file;
use serde_json::{Value, json};

use crate::console::Console;
use crate::failure::Failure;
use crate::names;

/// Options of `rheo data`.
#[derive(Clone, Debug, clap::Args)]
pub struct DataArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum What {
    /// Summarise a data file or folder
    Info(InfoArgs),
}

/// Options of `rheo data info`.
#[derive(Clone, Debug, clap::Args)]
struct InfoArgs {
    /// A file or folder in one of the formats that `data = …` reads
    path: PathBuf,
    /// The format, as in a program (`shd`, `nmnist`, `npz_events`, …) [default: found out]
    #[arg(long, value_name = "NAME")]
    format: Option<String>,
    /// The labels of an NPY file
    #[arg(long, value_name = "FILE")]
    labels: Option<String>,
    /// Divide values by this
    #[arg(long, value_name = "NUMBER")]
    scale: Option<f64>,
    /// The second axis of the array is time
    #[arg(long)]
    time: bool,
    /// Rows of the sensor of `npz_events`
    #[arg(long, value_name = "N", default_value_t = 0)]
    height: usize,
    /// Columns of the sensor of `npz_events`
    #[arg(long, value_name = "N", default_value_t = 0)]
    width: usize,
    /// As one line of JSON
    #[arg(long)]
    json: bool,
}

/// Reads the whole data set and prints a summary.
///
/// # Errors
///
/// The format is not known or the file is not of it. Damaged samples are named in the summary, and the command then
/// fails at the end.
pub fn data(args: &DataArgs, console: &Console) -> Result<(), Failure> {
    let What::Info(args) = &args.what;
    let format = match &args.format {
        Some(format) if FILE_FORMATS.contains(&format.as_str()) => format.clone(),
        Some(format) => {
            let known = FILE_FORMATS.iter().copied();
            return Err(Failure::Usage(names::unknown("format", format, known)));
        }
        None => detect(&args.path)?.to_string(),
    };
    let options = FileOptions {
        labels: args.labels.clone(),
        scale: args.scale,
        time: args.time,
        sensor: (args.height, args.width),
        time_unit_ms: None,
    };
    let set = open_file(&format, &args.path, &options, Path::new(""))?;
    let found = summarise(set.as_ref())?;
    if args.json {
        console.print(&format!("{}\n", as_json(&format, &found)))?;
    } else {
        console.print(&page(&format, &found))?;
    }
    match found.damaged {
        0 => Ok(()),
        n => Err(Failure::Run(format!(
            "{n} of {} samples are damaged",
            found.samples
        ))),
    }
}

/// The format of a path, by its first bytes, its name, or what is in the folder.
fn detect(path: &Path) -> Result<&'static str, Failure> {
    let failed = |error| Failure::file("read", path, &error);
    if path.is_dir() {
        return detect_folder(path)
            .map_err(failed)?
            .ok_or_else(|| unknown(path));
    }
    let mut start = [0; 8];
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let n = std::io::Read::read(&mut file, &mut start).map_err(failed)?;
    let start = &start[..n];
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    let by_bytes = [
        (&b"\x89HDF\r\n\x1a\n"[..], "shd"),
        (b"PK\x03\x04", "npz"),
        (b"\x93NUMPY", "npy"),
        (b"\0\0\x08\x03", "idx"),
    ];
    let by_bytes = by_bytes
        .into_iter()
        .find(|(mark, _)| start.starts_with(mark));
    match by_bytes {
        Some((_, format)) => Ok(format),
        None if plain.contains("idx3") => Ok("idx"),
        None if plain.ends_with(".csv") || plain.ends_with(".tsv") => Ok("csv"),
        None if plain.ends_with(".txt") => Ok("dvs_gesture"),
        None => Err(unknown(path)),
    }
}

fn detect_folder(folder: &Path) -> std::io::Result<Option<&'static str>> {
    let entries = |folder: &Path| -> std::io::Result<Vec<PathBuf>> {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<_>>()?;
        paths.sort();
        Ok(paths)
    };
    let has = |paths: &[PathBuf], end: &str| {
        paths
            .iter()
            .any(|p| p.extension().is_some_and(|found| found == end))
    };
    let top = entries(folder)?;
    if has(&top, "aedat") {
        return Ok(Some("dvs_gesture"));
    }
    for class in top.iter().filter(|path| path.is_dir()) {
        let files = entries(class)?;
        let by_extension = [("bin", "nmnist"), ("raw", "prophesee")];
        let found = by_extension.into_iter().find(|(end, _)| has(&files, end));
        if let Some((_, format)) = found {
            return Ok(Some(format));
        }
        if let Some(first) = files
            .iter()
            .find(|p| p.extension().is_some_and(|end| end == "npz"))
        {
            let is_frames =
                rheobase_data::npz::read(first).is_ok_and(|arrays| arrays.contains_key("frames"));
            return Ok(Some(if is_frames { "frames" } else { "npz_events" }));
        }
    }
    Ok(None)
}

fn unknown(path: &Path) -> Failure {
    Failure::Usage(format!(
        "the format of `{}` is not recognised; name it with `--format`, for example `--format shd`",
        path.display()
    ))
}

fn page(format: &str, found: &Summary) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        writeln!(text, "{name:<12} {value}").expect("writing to a string does not fail");
    };
    let (unit, per) = match found.kind {
        Some(Kind::Steps) => ("steps", "step"),
        Some(Kind::Events | Kind::Pictures) | None => ("s", "second"),
    };
    let spread = |s: &Spread| format!("{:.4} to {:.4}, median {:.4}", s.min, s.max, s.median);
    line("format", format.to_string());
    line("samples", found.samples.to_string());
    let picture = found
        .picture
        .map(|[h, w, c]| format!(" (picture of {h} × {w} × {c})"));
    line(
        "channels",
        format!("{}{}", found.channels, picture.unwrap_or_default()),
    );
    line(
        "silent",
        format!("{} of the channels", found.silent_channels),
    );
    let sizes = |edge: Option<&usize>| edge.copied().unwrap_or(0);
    let (min, max) = (
        sizes(found.classes.iter().min()),
        sizes(found.classes.iter().max()),
    );
    line(
        "classes",
        format!("{}, of {min} to {max} samples", found.classes.len()),
    );
    if !found.class_names.is_empty() {
        line("names", found.class_names.join(", "));
    }
    if let Some(groups) = found.groups {
        line("groups", groups.to_string());
    }
    if let Some(duration) = &found.duration {
        line("duration", format!("{} {unit}", spread(duration)));
    }
    if let Some(events) = &found.events {
        line(
            "events",
            format!(
                "{} to {}, median {} per sample",
                events.min, events.max, events.median
            ),
        );
    }
    if let Some(rate) = found.rate {
        line("rate", format!("{rate:.4} events per channel and {per}"));
    }
    if let Some(intensity) = found.intensity {
        line("intensity", format!("{intensity:.4} on average"));
    }
    if found.damaged > 0 {
        line("damaged", found.damaged.to_string());
        found
            .damage
            .iter()
            .for_each(|error| line("", error.to_string()));
    }
    text
}

fn as_json(format: &str, found: &Summary) -> Value {
    let spread = |s: &Option<Spread>| match s {
        Some(s) => json!({ "min": s.min, "median": s.median, "max": s.max }),
        None => Value::Null,
    };
    let kind = found.kind.map(|kind| match kind {
        Kind::Pictures => "pictures",
        Kind::Events => "events",
        Kind::Steps => "steps",
    });
    let damage: Vec<String> = found.damage.iter().map(ToString::to_string).collect();
    json!({
        "format": format,
        "kind": kind,
        "samples": found.samples,
        "channels": found.channels,
        "silent_channels": found.silent_channels,
        "picture": found.picture,
        "classes": found.classes,
        "class_names": found.class_names,
        "groups": found.groups,
        "duration": spread(&found.duration),
        "events": spread(&found.events),
        "rate": found.rate,
        "intensity": found.intensity,
        "damaged": found.damaged,
        "damage": damage,
    })
}
