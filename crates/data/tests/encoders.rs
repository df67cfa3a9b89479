//! Encoders: exact times, statistics, reproducibility, and every way in which input can be wrong.

use ndarray::Array2;
use proptest::prelude::*;
use rheobase_data::{Dataset, EncodeKey, Encoder, LatencyMode, Raw, SpikeTrain, digits};

const KEY: EncodeKey = EncodeKey {
    seed: 5,
    epoch: 0,
    sample: 17,
};
const MS: f64 = 1e-3;

fn image(pixels: &[f32]) -> Raw {
    Raw::Image {
        pixels: pixels.to_vec(),
        height: 1,
        width: pixels.len() as u32,
        channels: 1,
    }
}

fn events(time_s: &[f64], channel: &[u32]) -> Raw {
    Raw::Events {
        time_s: time_s.to_vec(),
        channel: channel.to_vec(),
        n_channels: 4,
    }
}

/// (step, channel) of every event.
fn cells(train: &SpikeTrain) -> Vec<(usize, u32)> {
    (0..train.steps())
        .flat_map(|step| {
            train
                .events_at(step)
                .0
                .iter()
                .map(move |&channel| (step, channel))
        })
        .collect()
}

fn latency(mode: LatencyMode, tau_ms: f64, threshold: f64) -> Encoder {
    Encoder::Latency {
        tau_ms,
        threshold,
        mode,
    }
}

#[test]
fn linear_latency_is_exact() {
    // t = 10 ms · (1 − x): 0, 2.5, 5, 10 ms; 0.1 is not above the threshold.
    let raw = image(&[1.0, 0.75, 0.5, 0.0, 0.1, 0.25]);
    let train = latency(LatencyMode::Linear, 10.0, f64::from(0.1f32))
        .encode(&raw, 20, MS, KEY)
        .expect("good");
    assert_eq!(cells(&train), [(0, 0), (2, 1), (5, 2), (7, 5)]);
    assert_eq!(
        (train.steps(), train.channels(), train.values()),
        (20, 6, None)
    );
    // With threshold 0 a black pixel has no spike either; one too late is dropped.
    let train = latency(LatencyMode::Linear, 10.0, 0.0)
        .encode(&raw, 5, MS, KEY)
        .expect("good");
    assert_eq!(cells(&train), [(0, 0), (2, 1)]);
}

#[test]
fn log_latency_is_exact() {
    // t = 20 ms · ln(x / (x − 0.2)): 4.46, 10.22, 32.19 ms (past the end); 0.2 never fires.
    let raw = image(&[1.0, 0.5, 0.25, 0.2]);
    let train = latency(LatencyMode::Log, 20.0, f64::from(0.2f32))
        .encode(&raw, 30, MS, KEY)
        .expect("good");
    assert_eq!(cells(&train), [(4, 0), (10, 1)]);
}

#[test]
fn a_time_on_a_boundary_belongs_to_the_later_step() {
    // 0.3 / 0.1 is 2.9999999999999996 in f64.
    let encoder = Encoder::BinSpikes { clip: None };
    let times: Vec<f64> = (0..10).map(|k| f64::from(k) / 10.0).collect();
    let train = encoder
        .encode(&events(&times, &[0; 10]), 10, 0.1, KEY)
        .expect("good");
    assert_eq!(
        cells(&train),
        (0..10).map(|step| (step, 0)).collect::<Vec<_>>()
    );
}

#[test]
fn rate_has_the_asked_mean_and_is_independent_of_order() {
    let raw = image(&[0.0, 0.1, 0.5, 1.0, 0.25]);
    let encoder = Encoder::Rate { max_rate_hz: 200.0 };
    let steps = 20_000;
    let train = encoder.encode(&raw, steps, MS, KEY).expect("good");
    let mut counts = [0.0; 5];
    cells(&train)
        .iter()
        .for_each(|&(_, channel)| counts[channel as usize] += 1.0);
    for (count, x) in counts.iter().zip([0.0, 0.1, 0.5, 1.0, 0.25]) {
        let p = 0.2 * x;
        let mean = p * steps as f64;
        let deviation = (mean * (1.0 - p)).sqrt();
        assert!(
            (count - mean).abs() <= 4.0 * deviation,
            "{count} for {mean}"
        );
    }
    // The first steps do not depend on how many follow, and a pixel does not depend on its neighbours.
    let short = encoder.encode(&raw, 100, MS, KEY).expect("good");
    assert_eq!(cells(&short), cells(&train)[..short.n_events()]);
    let alone = encoder
        .encode(&image(&[0.0, 0.0, 0.0, 1.0, 0.0]), steps, MS, KEY)
        .expect("good");
    let of_three: Vec<_> = cells(&train)
        .into_iter()
        .filter(|cell| cell.1 == 3)
        .collect();
    assert_eq!(cells(&alone), of_three);
}

#[test]
fn rate_depends_on_seed_epoch_and_sample_only() {
    let raw = digits().get(0).expect("there is one");
    let encode = |key| {
        Encoder::Rate { max_rate_hz: 300.0 }
            .encode(&raw, 25, MS, key)
            .expect("good")
    };
    assert_eq!(encode(KEY), encode(KEY));
    assert_ne!(encode(KEY), encode(EncodeKey { seed: 6, ..KEY }));
    assert_ne!(encode(KEY), encode(EncodeKey { epoch: 1, ..KEY }));
    assert_ne!(encode(KEY), encode(EncodeKey { sample: 18, ..KEY }));
    assert_ne!(
        encode(KEY),
        encode(EncodeKey {
            sample: 17 + (1 << 32),
            ..KEY
        })
    );
    let everywhere = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3).map(|_| scope.spawn(|| encode(KEY))).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"))
            .collect::<Vec<_>>()
    });
    assert!(everywhere.iter().all(|train| *train == encode(KEY)));
}

#[test]
fn rate_1_fires_always_and_rate_0_never() {
    let raw = image(&[1.0; 6]);
    let encode = |max_rate_hz| {
        Encoder::Rate { max_rate_hz }
            .encode(&raw, 50, MS, KEY)
            .expect("good")
            .n_events()
    };
    assert_eq!((encode(1000.0), encode(0.0)), (300, 0));
}

#[test]
fn constant_gives_graded_events_every_step() {
    let train = Encoder::Constant { gain: 2.0 }
        .encode(&image(&[0.5, 0.0, 1.0]), 3, MS, KEY)
        .expect("good");
    let row = [1.0, 0.0, 2.0];
    assert_eq!(
        train.to_dense(),
        Array2::from_shape_fn((3, 3), |at| row[at.1])
    );
    assert_eq!(train.n_events(), 6, "a black pixel has no events");
}

#[test]
fn bins_count_clip_and_drop() {
    let raw = events(
        &[
            0.0019,
            0.0001,
            0.0002,
            0.0003,
            0.0030,
            0.0001,
            -1e-4,
            0.0040,
            f64::NAN,
            f64::INFINITY,
        ],
        &[1, 3, 3, 3, 0, 2, 0, 0, 0, 0],
    );
    let encode = |clip| {
        Encoder::BinSpikes { clip }
            .encode_counted(&raw, 4, MS, KEY)
            .expect("good")
    };
    let counted = encode(None);
    assert_eq!(counted.dropped, 4);
    assert_eq!(cells(&counted.train), [(0, 2), (0, 3), (1, 1), (3, 0)]);
    assert_eq!(counted.train.values(), Some(&[1.0, 3.0, 1.0, 1.0][..]));
    assert_eq!(
        encode(Some(2)).train.values(),
        Some(&[1.0, 2.0, 1.0, 1.0][..])
    );
    assert_eq!(encode(Some(1)).train.values(), None);
    assert_eq!(cells(&encode(Some(1)).train), cells(&counted.train));
}

#[test]
fn trains_are_cut_or_padded_to_the_duration() {
    let train =
        SpikeTrain::new(3, vec![0, 1, 3], vec![2, 0, 1], Some(vec![5.0, 0.5, 1.0])).expect("good");
    let encode = |steps, clip| {
        let encoded =
            Encoder::BinSpikes { clip }.encode_counted(&Raw::Spikes(train.clone()), steps, MS, KEY);
        encoded.expect("good")
    };
    assert_eq!(encode(2, None).train, train);
    assert_eq!(
        (encode(1, None).dropped, encode(1, None).train.n_events()),
        (2, 1)
    );
    assert_eq!(
        encode(4, Some(2)).train.values(),
        Some(&[2.0, 0.5, 1.0][..])
    );
    assert_eq!(
        encode(4, Some(1)).train.values(),
        Some(&[1.0, 0.5, 1.0][..])
    );
    assert_eq!(encode(1, Some(1)).train.values(), Some(&[1.0][..]));
    assert_eq!(encode(4, None).train.offsets(), [0, 1, 3, 3, 3]);
}

fn message(encoder: Encoder, raw: &Raw, step_s: f64) -> String {
    encoder
        .encode(raw, 10, step_s, KEY)
        .expect_err("wrong on purpose")
        .to_string()
}

#[test]
fn wrong_settings_say_what_to_write() {
    let picture = image(&[0.5]);
    let of = |encoder| message(encoder, &picture, MS);
    for tau_ms in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(of(latency(LatencyMode::Linear, tau_ms, 0.1)).contains("latency.tau"));
    }
    assert!(of(latency(LatencyMode::Log, 1.0, 0.0)).contains("latency.threshold"));
    assert!(of(latency(LatencyMode::Linear, 1.0, 1.0)).contains("latency.threshold"));
    assert!(of(latency(LatencyMode::Linear, 1.0, f64::NAN)).contains("latency.threshold"));
    assert!(of(Encoder::Rate { max_rate_hz: -1.0 }).contains("0 Hz or more"));
    assert!(
        of(Encoder::Rate {
            max_rate_hz: 1001.0
        })
        .contains("give at most 1000 Hz")
    );
    assert!(of(Encoder::Constant { gain: 1e300 }).contains("constant.gain"));
    assert!(of(Encoder::BinSpikes { clip: Some(0) }).contains("bin_spikes.clip"));
    for step_s in [0.0, -1.0, f64::NAN] {
        assert!(
            message(Encoder::Constant { gain: 1.0 }, &picture, step_s).contains("positive time")
        );
    }
    assert!(of(Encoder::BinSpikes { clip: None }).contains("use `latency`, `rate` or `constant`"));
    let spoken = message(Encoder::Constant { gain: 1.0 }, &events(&[], &[]), MS);
    assert!(
        spoken.contains("`constant` needs pictures") && spoken.contains("use `bin_spikes`"),
        "{spoken}"
    );
}

#[test]
fn wrong_samples_are_named() {
    let constant = Encoder::Constant { gain: 1.0 };
    for pixel in [-0.1, 1.5, f32::NAN] {
        let message = message(constant, &image(&[0.0, pixel]), MS);
        assert!(
            message.starts_with("sample 17: pixel 1 has the intensity"),
            "{message}"
        );
    }
    let shape = Raw::Image {
        pixels: vec![0.0; 5],
        height: 2,
        width: 3,
        channels: 1,
    };
    assert!(message(constant, &shape, MS).contains("5 pixels for a picture of 2 × 3 × 1"));
    let huge = Raw::Image {
        pixels: vec![],
        height: u32::MAX,
        width: u32::MAX,
        channels: u32::MAX,
    };
    assert!(message(constant, &huge, MS).contains("0 pixels"));
    let bins = Encoder::BinSpikes { clip: None };
    assert!(message(bins, &events(&[0.0], &[4]), MS).contains("event 0 is on channel 4 of 4"));
    assert!(message(bins, &events(&[0.0], &[]), MS).contains("1 times for 0 channels"));
    let error = bins
        .encode(&events(&[0.0], &[4]), 10, MS, KEY)
        .expect_err("bad channel")
        .in_dataset("x.h5");
    assert!(
        error
            .to_string()
            .starts_with("sample 17 of `x.h5`: event 0"),
        "{error}"
    );
    let many = bins
        .encode(&events(&[], &[]), usize::MAX, MS, KEY)
        .expect_err("too many steps")
        .to_string();
    assert!(many.contains("duration"), "{many}");
    assert!(
        constant
            .encode(&image(&[1.0; 1000]), 1 << 24, MS, KEY)
            .is_err()
    );
}

#[test]
fn every_digit_can_be_encoded_by_every_encoder_of_pictures() {
    let encoders = [
        latency(LatencyMode::Linear, 25.0, 0.1),
        latency(LatencyMode::Log, 20.0, 0.2),
        Encoder::Rate { max_rate_hz: 200.0 },
        Encoder::Constant { gain: 1.0 },
    ];
    let set = digits();
    for i in 0..set.len() {
        let raw = set.get(i).expect("in range");
        for encoder in encoders {
            let train = encoder.encode(&raw, 25, MS, KEY).expect("good");
            assert_eq!((train.steps(), train.channels()), (25, 64));
            assert!(train.n_events() > 0, "{encoder:?} leaves sample {i} empty");
        }
    }
}

proptest! {
    #[test]
    fn bins_keep_every_event_inside(
        list in prop::collection::vec((-0.01f64..0.05, 0u32..4), 0..200), steps in 0usize..60,
    ) {
        let (times, channels): (Vec<f64>, Vec<u32>) = list.into_iter().unzip();
        let raw = events(&times, &channels);
        let encoded = Encoder::BinSpikes { clip: None }.encode_counted(&raw, steps, MS, KEY).expect("good");
        let total: f32 = encoded.train.to_dense().sum();
        prop_assert_eq!(total as usize + encoded.dropped, times.len());
    }

    #[test]
    fn dense_round_trip(rows in prop::collection::vec(prop::array::uniform5(0u8..4), 0..20)) {
        let dense = Array2::from_shape_fn((rows.len(), 5), |at| f32::from(rows[at.0][at.1]));
        let train = SpikeTrain::from_dense(dense.view()).expect("finite");
        prop_assert_eq!(train.to_dense(), dense);
    }
}
