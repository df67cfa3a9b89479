//! Charts of all kinds in both formats: well formed, the same bytes every time, and with nothing outside.

use rheobase_plot::axis::Spacing;
use rheobase_plot::{Chart, Figure, Heat, Mark, Names, Scale, Theme, png, svg};

fn figure() -> Figure {
    let wave = |phase: f64| -> Vec<(f64, f64)> {
        (0..200)
            .map(|t| (f64::from(t), (f64::from(t) * 0.1 + phase).sin()))
            .collect()
    };
    let traces = Chart::new("Membrane potential", "time (ms)", "v (mV)")
        .with("one", Mark::Line, wave(0.0))
        .with("other & <more>", Mark::Dashed, wave(1.0));
    let raster = Chart::new("Raster", "time (ms)", "neuron").with(
        "",
        Mark::Spikes,
        (0..300)
            .map(|i| (f64::from(i * 7 % 100), f64::from(i % 40)))
            .collect(),
    );
    let values: Vec<f64> = (0..500).map(|i| (f64::from(i) * 1.7).sin()).collect();
    let histogram =
        Chart::new("Weights", "weight", "count").with_histogram("after", &values, (-1.0, 1.0), 30);
    let mut curve = Chart::new("Loss", "epoch", "loss").with(
        "train",
        Mark::Dots,
        (1..9).map(|e| (f64::from(e), 10f64.powi(-e))).collect(),
    );
    curve.spacing.1 = Spacing::Log;
    let heat = Heat {
        title: "Confusion".into(),
        x: "prediction".into(),
        y: "label".into(),
        rows: 3,
        columns: 3,
        values: vec![9.0, 0.0, 1.0, 0.0, 10.0, 0.0, 2.0, 0.0, f64::NAN],
        scale: Scale::Sequential,
        numbers: true,
        square: true,
        names: Names::Words(vec!["null".into(), "eins & zwei".into()]),
    };
    Figure::grid(
        2,
        (420.0, 280.0),
        vec![
            traces.into(),
            raster.into(),
            histogram.into(),
            curve.into(),
            heat.into(),
        ],
    )
}

#[test]
fn an_svg_is_well_formed_and_says_everything() {
    let text = svg::document(&figure().scene());
    for words in [
        "Membrane potential",
        "other &amp; &lt;more&gt;",
        "time (ms)",
        ">null<",
        ">eins &amp; zwei<",
        ">2<",
        "10⁻⁴",
        "data:image/png;base64,",
        "prefers-color-scheme:dark",
    ] {
        assert!(text.contains(words), "no `{words}`");
    }
    assert!(!text.contains("NaN") && !text.contains("\"inf"));
    // Every element that opens closes.
    let opened = text.matches('<').count() - text.matches("</").count();
    let closed = text.matches("</").count() + text.matches("/>").count();
    assert_eq!(opened, closed);
    assert_eq!(text, svg::document(&figure().scene()));
    assert!(!svg::fragment(&figure().scene()).contains("<style"));
}

#[test]
fn a_png_has_its_size_its_paper_and_its_ink() {
    let scene = figure().scene();
    for theme in [Theme::Light, Theme::Dark] {
        let bytes = png::render(&scene, theme, 2.0);
        let picture = tiny_skia::Pixmap::decode_png(&bytes).expect("a PNG");
        assert_eq!((picture.width(), picture.height()), (1680, 1680));
        let corner = picture.pixel(0, 0).expect("a pixel");
        let bright = corner.red() > 128;
        assert_eq!(bright, theme == Theme::Light);
        // The title of the first panel is text in the upper left corner.
        let of_title = (20..400).flat_map(|x| (20..50).map(move |y| (x, y)));
        let inked = of_title.filter(|&(x, y)| picture.pixel(x, y) != Some(corner));
        assert!(inked.count() > 500);
    }
}

#[test]
fn data_without_an_end_does_no_harm() {
    let wild = vec![
        (f64::NAN, 1.0),
        (0.0, f64::INFINITY),
        (1e308, -1e308),
        (-1e308, 1e308),
        (0.0, 0.0),
    ];
    let marks = [Mark::Line, Mark::Dots, Mark::Spikes, Mark::Bars, Mark::Band];
    for mark in marks {
        for spacing in [Spacing::Linear, Spacing::Log] {
            for points in [wild.clone(), Vec::new(), vec![(1.0, 1.0)]] {
                let mut chart = Chart::new("", "", "").with("s", mark, points);
                chart.spacing = (spacing, spacing);
                let scene = Figure::of(chart).scene();
                let text = svg::document(&scene);
                assert!(!text.contains("NaN"), "{mark:?} {spacing:?}");
                png::render(&scene, Theme::Light, 1.0);
            }
        }
    }
}
