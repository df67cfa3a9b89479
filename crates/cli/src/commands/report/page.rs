//! The page: sections of charts, each with a sentence that says how to read it.

use std::fmt::Write;

use rheobase_ir::program::Unit;
use rheobase_plot::svg::{escaped, fragment, style};
use rheobase_plot::{Figure, Heat, Panel};
use serde_json::Value;

use crate::commands::plot::visited_surrogates;
use crate::failure::Failure;
use crate::pictures::activity::{Seen, Watched};
use crate::pictures::{confusion, curves, parameters};
use crate::trained::Trained;

/// Samples whose spikes are counted, and those that are shown.
const SAMPLES: (usize, usize) = (16, 3);

/// The width of a row of charts.
const WIDTH: f64 = 1072.0;

/// A page that is being written.
struct Page {
    body: String,
}

/// The whole page.
pub(super) fn page(trained: &Trained) -> Result<String, Failure> {
    let mut page = Page {
        body: String::new(),
    };
    let rows = trained.folder.metrics()?;
    let evaluation = trained.folder.evaluation()?;
    page.head(trained, &rows, evaluation.as_ref());
    page.learning(&rows, evaluation.as_ref());
    let watched = Watched::new(&trained.trainer)?;
    let seen = watched.see_first(SAMPLES.0)?;
    page.activity(&watched, &seen);
    page.parameters(trained);
    page.surrogates(&watched, &seen);
    page.program(trained)?;
    let name = escaped(&trained.plan.origin.train);
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{name} · rheo report</title><style>{CSS}{}</style></head>\n\
         <body><main>\n{}</main></body></html>\n",
        style(),
        page.body
    ))
}

/// The look of the page; the colours of charts come from the charts.
const CSS: &str = "\
:root{--text:#1f2328;--soft:#59636e;--paper:#fff;--card:#f6f8fa;--edge:#d8dee4}\
@media(prefers-color-scheme:dark){:root{--text:#e6eaef;--soft:#9aa4b0;--paper:#15191f;--card:#1c222a;--edge:#323a45}}\
body{margin:0;background:var(--paper);color:var(--text);font:15px/1.5 system-ui,'DejaVu Sans',sans-serif}\
main{max-width:1120px;margin:0 auto;padding:24px}\
h1{font-size:26px;margin:0 0 4px}h2{font-size:19px;margin:36px 0 4px;border-top:1px solid var(--edge);padding-top:20px}\
h3{font-size:15px;margin:18px 0 0}p{margin:4px 0 12px;color:var(--soft);max-width:80ch}\
svg{max-width:100%;height:auto;display:block}\
.tiles{display:flex;flex-wrap:wrap;gap:12px;margin:16px 0}\
.tile{background:var(--card);border:1px solid var(--edge);border-radius:8px;padding:10px 16px;min-width:96px}\
.tile b{display:block;font-size:21px}.tile span{color:var(--soft);font-size:13px}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{text-align:right;padding:3px 14px 3px 0;border-bottom:1px solid var(--edge)}\
th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:500}\
pre{background:var(--card);border:1px solid var(--edge);border-radius:8px;padding:14px;overflow:auto;\
font:13px/1.45 'DejaVu Sans Mono',ui-monospace,monospace}\
.wide{overflow-x:auto}";

impl Page {
    fn add(&mut self, html: &str) {
        self.body.push_str(html);
        self.body.push('\n');
    }

    fn section(&mut self, title: &str, how_to_read: &str) {
        self.add(&format!("<h2>{}</h2>", escaped(title)));
        self.add(&format!("<p>{}</p>", escaped(how_to_read)));
    }

    fn charts<P: Into<Panel>>(&mut self, columns: usize, charts: impl IntoIterator<Item = P>) {
        let panels: Vec<Panel> = charts.into_iter().map(Into::into).collect();
        if panels.is_empty() {
            return;
        }
        let width = WIDTH / columns as f64;
        let height = if columns == 1 { 340.0 } else { 290.0 };
        let figure = Figure::grid(columns, (width, height), panels);
        self.add(&fragment(&figure.scene()));
    }

    /// A matrix that grows with its rows, so that each of them has room for its name.
    fn matrix(&mut self, matrix: Heat) {
        let side = (18.0 * matrix.rows as f64 + 150.0).clamp(290.0, WIDTH);
        let figure = Figure::grid(1, (side + 80.0, side), vec![matrix.into()]);
        self.add(&fragment(&figure.scene()));
    }

    /// Name, result, and what it took.
    fn head(&mut self, trained: &Trained, rows: &[Value], evaluation: Option<&Value>) {
        let origin = &trained.plan.origin;
        let network = trained.trainer.network();
        self.add(&format!("<h1>{}</h1>", escaped(&origin.train)));
        self.add(&format!(
            "<p>A run of <code>{}</code>, network {}, by rheo {}.</p>",
            escaped(&origin.file.display().to_string()),
            escaped(&network.name),
            env!("CARGO_PKG_VERSION")
        ));
        let planned = trained
            .plan
            .program
            .training
            .as_ref()
            .map_or(0, |t| t.epochs);
        let number = |row: Option<&Value>, key: &str| row.and_then(|r| r.get(key)?.as_f64());
        let mut tiles = Vec::new();
        let subset = evaluation.and_then(|e| e.get("subset")?.as_str());
        let subset = subset.unwrap_or("test");
        match number(evaluation, "accuracy") {
            Some(accuracy) => {
                tiles.push((
                    format!("{:.2} %", 100.0 * accuracy),
                    format!("{subset} accuracy"),
                ));
            }
            None => tiles.extend(
                number(evaluation, "loss")
                    .map(|loss| (format!("{loss:.4}"), format!("{subset} loss"))),
            ),
        }
        let top = evaluation.and_then(|e| e.get("top")?.as_object());
        if let Some((k, share)) = top.into_iter().flatten().next_back() {
            let share = format!("{:.2} %", 100.0 * share.as_f64().unwrap_or(0.0));
            tiles.push((share, format!("among the best {k}")));
        }
        for (key, name) in [
            ("spikes_per_inference", "spikes per inference"),
            (
                "synaptic_operations_per_inference",
                "synaptic operations per inference",
            ),
        ] {
            tiles.extend(number(evaluation, key).map(|n| (format!("{n:.0}"), name.to_string())));
        }
        if let Some(loss) = number(rows.last(), "train_loss") {
            tiles.push((format!("{loss:.4}"), "last training loss".to_string()));
        }
        tiles.push((format!("{} of {planned}", rows.len()), "epochs".to_string()));
        let seconds: f64 = rows.iter().filter_map(|r| r.get("seconds")?.as_f64()).sum();
        let places = if seconds < 10.0 { 2 } else { 0 };
        let time = format!("{seconds:.places$} s");
        tiles.push((time, "training time".to_string()));
        if !rows.is_empty() {
            let epoch = seconds / rows.len() as f64;
            tiles.push((format!("{epoch:.2} s"), "per epoch".to_string()));
        }
        let parameters = trained.trainer.parameters();
        let trained_values = parameters.trained_len().to_string();
        tiles.push((trained_values, "trained values".to_string()));
        let tile = |(value, name): &(String, String)| {
            format!(
                "<div class=\"tile\"><b>{}</b><span>{}</span></div>",
                escaped(value),
                escaped(name)
            )
        };
        let tiles: String = tiles.iter().map(tile).collect();
        self.add(&format!("<div class=\"tiles\">{tiles}</div>"));
        let left_out = trained.trainer.samples().left_out();
        if left_out > 0 {
            self.add(&format!(
                "<p>{left_out} damaged samples were left out (<code>--skip-corrupted</code>).</p>"
            ));
        }
        // The last look at the samples is taken at the end, also of a run that stopped early.
        if rows.len() < planned && evaluation.is_none() {
            self.add(&format!(
                "<p>The run is not at its end. It goes on with <code>rheo train --resume {}</code>.</p>",
                escaped(&trained.folder.path.display().to_string())
            ));
        }
    }

    fn learning(&mut self, rows: &[Value], evaluation: Option<&Value>) {
        if !rows.is_empty() {
            self.section(
                "Learning",
                "Training values are means over an epoch while weights change; validation is after the epoch, \
                 test once at the end with the best weights.",
            );
            self.charts(2, curves::curves(rows));
        }
        if let Some(matrix) = evaluation.and_then(confusion::confusion) {
            self.section(
                "Confusion",
                "A row for each label, a column for each prediction.",
            );
            self.matrix(matrix);
        }
    }

    fn activity(&mut self, watched: &Watched<'_>, seen: &[Seen]) {
        if seen.is_empty() {
            return;
        }
        self.section(
            "Firing rates",
            &format!(
                "How often each neuron spikes, over {} samples that nothing was trained on where there are any.",
                seen.len()
            ),
        );
        self.charts(2, watched.rates(seen));
        self.section(
            "Samples",
            "The input, the spikes of every layer, and states of the neurons that spike most. The numbers in \
             a legend are those of neurons.",
        );
        for sample in distinct(seen) {
            let caption = watched.caption(sample).replacen('s', "S", 1);
            self.add(&format!("<h3>{}</h3>", escaped(&caption)));
            let rasters = watched.rasters(sample).into_iter();
            self.charts(2, rasters.chain(watched.traces(sample)));
        }
    }

    fn parameters(&mut self, trained: &Trained) {
        let network = trained.trainer.network();
        let current = trained.trainer.parameters();
        let before = parameters::shown(network, &trained.before);
        let after = parameters::shown(network, &current);
        self.section(
            "Weights and time constants",
            "Distributions before and after training, and the weights that the run ended with.",
        );
        self.charts(2, parameters::distributions(&before, &after));
        let pairs = before.iter().zip(&after).filter(|(b, _)| b.trained);
        let mut table = String::new();
        for (b, a) in pairs {
            let cells = [mean(b), spread(b), mean(a), spread(a)];
            let cells: String = cells.iter().map(|c| format!("<td>{c:.4}</td>")).collect();
            write!(
                table,
                "<tr><td>{}</td><td>{}</td><td>{}</td>{cells}</tr>",
                escaped(&b.name),
                b.values.len(),
                unit(&b.unit)
            )
            .expect("writing to a string does not fail");
        }
        self.add(&format!(
            "<div class=\"wide\"><table><tr><th>parameter</th><th>values</th><th>unit</th>\
             <th>mean before</th><th>spread before</th><th>mean after</th><th>spread after</th></tr>{table}</table></div>"
        ));
        self.charts(2, parameters::matrices(&after));
        self.charts(1, parameters::fields(network, &current));
    }

    fn surrogates(&mut self, watched: &Watched<'_>, seen: &[Seen]) {
        let charts = visited_surrogates(watched, seen);
        if charts.is_empty() {
            return;
        }
        self.section(
            "Surrogates",
            "What the backward sees at a threshold, over the margins that the samples above visit: where the \
             grey hill meets no derivative, neurons get no gradient.",
        );
        self.charts(2, charts);
    }

    fn program(&mut self, trained: &Trained) -> Result<(), Failure> {
        let path = trained.folder.config();
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|error| Failure::file("read", &path, &error))?;
        self.section("Program", "The exact text that ran, imports included.");
        self.add(&format!(
            "<details><summary>config.snn, {} lines</summary><pre>{}</pre></details>",
            text.lines().count(),
            escaped(&text)
        ));
        Ok(())
    }
}

/// The first samples with labels that differ; without classes the first ones.
fn distinct(seen: &[Seen]) -> Vec<&Seen> {
    let mut chosen: Vec<&Seen> = Vec::new();
    for sample in seen {
        if chosen.len() < SAMPLES.1
            && chosen
                .iter()
                .all(|s| s.label.is_none() || s.label != sample.label)
        {
            chosen.push(sample);
        }
    }
    chosen
}

fn unit(unit: &Unit) -> String {
    escaped(&unit.text)
}

fn mean(shown: &parameters::Shown) -> f64 {
    shown.values.sum() / shown.values.len().max(1) as f64
}

/// The standard deviation.
fn spread(shown: &parameters::Shown) -> f64 {
    let mean = mean(shown);
    let squares: f64 = shown.values.iter().map(|v| (v - mean).powi(2)).sum();
    (squares / shown.values.len().max(1) as f64).sqrt()
}
