//! `rheo plot`: pictures of a run folder, of arrays, or of a program, as SVG or PNG.

use std::path::{Path, PathBuf};

use rheobase_data::npz;
use rheobase_plot::{Figure, Panel, Theme, png, svg};
use rheobase_train::replace;
use serde_json::{Value, json};

use crate::console::Console;
use crate::failure::Failure;
use crate::names::unknown;
use crate::pictures::activity::Watched;
use crate::pictures::{arrays, confusion, curves, parameters, response, surrogate};
use crate::pipeline::{Front, compile};
use crate::trained::{RunFolder, Trained};

/// Options of `rheo plot`.
#[derive(Clone, Debug, clap::Args)]
pub struct PlotArgs {
    /// A run folder, arrays of `rheo run` (.npz), or a program (.snn)
    #[arg(value_name = "RUN_DIR|NPZ|FILE")]
    pub target: PathBuf,
    /// What is drawn [default: curves of a run, raster of arrays, surrogate of a program]
    #[arg(long, value_enum)]
    pub what: Option<Picture>,
    /// The picture, .svg or .png [default: SVG on standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Which sample, counted from 0: of the test samples of a run, or of the arrays
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub sample: usize,
    /// Only this neuron of a program
    #[arg(long, value_name = "NAME")]
    pub neuron: Option<String>,
    /// The input port of an f–I curve [default: the first]
    #[arg(long, value_name = "NAME")]
    pub port: Option<String>,
    /// The numbers of the picture, as one JSON document on standard output
    #[arg(long, conflicts_with = "out")]
    pub json: bool,
    /// The paper of a PNG; an SVG follows its viewer
    #[arg(long, value_enum, default_value_t = Paper::Light)]
    pub theme: Paper,
}

/// What can be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Picture {
    /// Spikes of the input and of every layer, for one sample
    Raster,
    /// States over time, for one sample
    Traces,
    /// Loss, accuracy, firing rates and norms of gradients over epochs
    Curves,
    /// The confusion matrix
    Confusion,
    /// Distributions before and after training, and matrices
    Weights,
    /// Weights from the input as pictures of the input's shape
    Fields,
    /// Surrogate derivative and primitive; of a run with the margins that it visits
    Surrogate,
    /// Spikes per second over a constant input
    Fi,
}

/// Bright or dark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Paper {
    /// Dark ink on bright paper
    Light,
    /// Bright ink on dark paper
    Dark,
}

/// Draws a picture.
///
/// # Errors
///
/// The target has nothing of the kind, or the picture cannot be written.
pub fn plot(args: &PlotArgs, console: &Console) -> Result<(), Failure> {
    let kind = Kind::of(args.out.as_deref())?;
    let ends_with = |end: &str| args.target.extension().is_some_and(|e| e == end);
    let panels = if args.target.is_dir() {
        of_run(args, console)?
    } else if ends_with("npz") {
        of_arrays(args)?
    } else {
        of_program(args, console)?
    };
    if panels.is_empty() {
        let target = args.target.display();
        return Err(Failure::Run(format!(
            "`{target}` has nothing to draw of this kind"
        )));
    }
    if args.json {
        let document = json!({ "panels": panels.iter().map(numbers).collect::<Vec<_>>() });
        return console.print(&format!("{document:#}\n"));
    }
    let figure = match panels.len() {
        1 => Figure {
            columns: 1,
            panel: (680.0, 420.0),
            panels,
        },
        _ => Figure::grid(2, (520.0, 320.0), panels),
    };
    let scene = figure.scene();
    let Some(out) = &args.out else {
        return console.print(&svg::document(&scene));
    };
    let bytes = match kind {
        Kind::Svg => svg::document(&scene).into_bytes(),
        Kind::Png => {
            let theme = match args.theme {
                Paper::Light => Theme::Light,
                Paper::Dark => Theme::Dark,
            };
            png::render(&scene, theme, 2.0)
        }
    };
    Ok(replace(out, &bytes)?)
}

/// What a panel shows; what is not finite becomes `null`.
fn numbers(panel: &Panel) -> Value {
    match panel {
        Panel::Chart(chart) => {
            let series = chart.series.iter().map(|series| {
                let (x, y): (Vec<f64>, Vec<f64>) = series.points.iter().copied().unzip();
                json!({ "name": series.name, "x": x, "y": y })
            });
            json!({
                "title": chart.title,
                "x": chart.x,
                "y": chart.y,
                "series": series.collect::<Vec<_>>(),
            })
        }
        Panel::Heat(heat) => {
            let rows: Vec<&[f64]> = heat.values.chunks(heat.columns.max(1)).collect();
            json!({ "title": heat.title, "x": heat.x, "y": heat.y, "rows": rows })
        }
    }
}

/// The format of a picture.
enum Kind {
    Svg,
    Png,
}

impl Kind {
    fn of(out: Option<&Path>) -> Result<Kind, Failure> {
        let Some(out) = out else {
            return Ok(Kind::Svg);
        };
        let end = out.extension().map(|e| e.to_string_lossy().to_lowercase());
        match end.as_deref() {
            Some("svg") => Ok(Kind::Svg),
            Some("png") => Ok(Kind::Png),
            Some(_) | None => Err(Failure::Usage(format!(
                "`{}` is neither .svg nor .png",
                out.display()
            ))),
        }
    }
}

fn panels<P: Into<Panel>>(charts: impl IntoIterator<Item = P>) -> Vec<Panel> {
    charts.into_iter().map(Into::into).collect()
}

fn of_run(args: &PlotArgs, console: &Console) -> Result<Vec<Panel>, Failure> {
    let folder = RunFolder::at(&args.target)?;
    let what = args.what.unwrap_or(Picture::Curves);
    let trained = || Trained::load(&args.target, console);
    Ok(match what {
        Picture::Curves => {
            let rows = folder.metrics()?;
            if rows.is_empty() {
                return Err(Failure::Run("no epoch of this run is over yet".to_string()));
            }
            panels(curves::curves(&rows))
        }
        Picture::Confusion => {
            let evaluation = folder.evaluation()?;
            panels(evaluation.and_then(|e| confusion::confusion(&e)))
        }
        Picture::Weights => {
            let trained = trained()?;
            let network = trained.trainer.network();
            let before = parameters::shown(network, &trained.before);
            let after = parameters::shown(network, &trained.trainer.parameters());
            let mut all = panels(parameters::distributions(&before, &after));
            all.extend(panels(parameters::matrices(&after)));
            all
        }
        Picture::Fields => {
            let trained = trained()?;
            let network = trained.trainer.network();
            panels(parameters::fields(network, &trained.trainer.parameters()))
        }
        Picture::Raster => {
            let trained = trained()?;
            let watched = Watched::new(&trained.trainer)?;
            panels(watched.rasters(&watched.see(args.sample)?))
        }
        Picture::Traces => {
            let trained = trained()?;
            let watched = Watched::new(&trained.trainer)?;
            panels(watched.traces(&watched.see(args.sample)?))
        }
        Picture::Surrogate => {
            let trained = trained()?;
            let watched = Watched::new(&trained.trainer)?;
            let seen = [watched.see(args.sample)?];
            panels(visited_surrogates(&watched, &seen))
        }
        Picture::Fi => of_neurons(args, &compile(&folder.config(), console)?, what, console)?,
    })
}

/// The surrogates of all layers with the margins of some samples.
pub(super) fn visited_surrogates(
    watched: &Watched<'_>,
    seen: &[crate::pictures::activity::Seen],
) -> Vec<rheobase_plot::Chart> {
    let margins = watched.margins(seen);
    let layers = watched.network().layers.iter().enumerate();
    layers
        .flat_map(|(l, layer)| {
            let visited = |number| margins.get(&(l, number)).cloned().unwrap_or_default();
            let charts = surrogate::surrogates(&layer.neuron, visited);
            charts.into_iter().map(|mut chart| {
                chart.title = format!("{} in layer {}", chart.title, layer.name);
                chart
            })
        })
        .collect()
}

fn of_arrays(args: &PlotArgs) -> Result<Vec<Panel>, Failure> {
    let found = npz::read(&args.target)?;
    let default = if arrays::has_spikes(&found) {
        Picture::Raster
    } else {
        Picture::Traces
    };
    match args.what.unwrap_or(default) {
        Picture::Raster => Ok(panels(arrays::rasters(&found, args.sample))),
        Picture::Traces => Ok(panels(arrays::traces(&found, args.sample))),
        Picture::Curves
        | Picture::Confusion
        | Picture::Weights
        | Picture::Fields
        | Picture::Surrogate
        | Picture::Fi => Err(Failure::Usage(
            "arrays have rasters and traces; the other pictures are of a run folder or a program"
                .to_string(),
        )),
    }
}

fn of_program(args: &PlotArgs, console: &Console) -> Result<Vec<Panel>, Failure> {
    let what = args.what.unwrap_or(Picture::Surrogate);
    match what {
        Picture::Surrogate | Picture::Fi => {
            of_neurons(args, &compile(&args.target, console)?, what, console)
        }
        Picture::Raster
        | Picture::Traces
        | Picture::Curves
        | Picture::Confusion
        | Picture::Weights
        | Picture::Fields => Err(Failure::Usage(
            "a program has surrogates and f–I curves; the other pictures are of a run folder"
                .to_string(),
        )),
    }
}

/// Pictures of the neurons of a program, or of one of them.
fn of_neurons(
    args: &PlotArgs,
    front: &Front,
    what: Picture,
    console: &Console,
) -> Result<Vec<Panel>, Failure> {
    let names = match &args.neuron {
        Some(name) => vec![name.clone()],
        None => front.own_neurons(),
    };
    let mut all = Vec::new();
    for name in names {
        let neuron = front.neuron(&name, front.step_ms(), &[], console)?;
        if what == Picture::Surrogate {
            all.extend(panels(surrogate::surrogates(&neuron, |_| Vec::new())));
        } else if args.neuron.is_some() || !neuron.spikes.is_empty() {
            let ports = neuron.ports.iter().map(|p| p.name.as_str());
            let port = match &args.port {
                None if neuron.ports.is_empty() => {
                    let message = format!("`{name}` has no input port");
                    return Err(Failure::Usage(message));
                }
                None => 0,
                Some(port) => {
                    let found = neuron.ports.iter().position(|p| p.name == *port);
                    found.ok_or_else(|| Failure::Usage(unknown("input port", port, ports)))?
                }
            };
            let chart = response::response(&neuron, port, front.step_ms())?;
            all.push(chart.into());
        }
    }
    Ok(all)
}
