//! Files of every format, from the text of a program to encoded samples: the digits written in four formats are the
//! built-in digits, and recordings have the channels that the reference says.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::{Array3, ArrayD, IxDyn};
use rheobase::console::Console;
use rheobase::pipeline::front;
use rheobase_data::{Dataset, Raw, digits, npz};
use rheobase_ir::program::Program;
use rheobase_train::{Samples, Subset, load};

/// A network with this many inputs and a plan with these lines.
fn program(folder: &Path, inputs: usize, plan: &str) -> Program {
    let text = format!(
        r#"
import "std/neurons.snn"

network Net {{
  step 1 ms
  input inp[{inputs}]
  layer out : LIDelta[11]
  connect inp -> out.x : dense(w = normal(0, 1 / sqrt(fan_in)))
}}

train plan of Net {{
  loss      = cross_entropy(max_over_time(out.v), label)
  optimizer = adam(lr = 5e-3)
  epochs    = 1
  duration  = 20 ms
  {plan}
}}
"#
    );
    let path = folder.join("program.snn");
    std::fs::write(&path, text).expect("writable");
    let front = front(&path).expect("readable");
    let console = Console {
        color: false,
        bars: false,
    };
    let (plan, network) = front.plan(None).expect("one plan");
    let program = front.program(&network, Some(&plan), &console);
    program.expect("lowers")
}

fn samples(folder: &Path, inputs: usize, plan: &str) -> Samples {
    let program = program(folder, inputs, plan);
    let plan = program.training.as_ref().expect("a plan");
    load(&program.network, plan, folder).unwrap_or_else(|error| panic!("{error}"))
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("in a folder")).expect("writable");
    std::fs::write(path, bytes).expect("writable");
}

/// Intensities of the built-in digits, 0 to 16.
fn grey(i: usize) -> Vec<u8> {
    match digits().get(i) {
        Ok(Raw::Image { pixels, .. }) => pixels.iter().map(|&x| (16.0 * x) as u8).collect(),
        other @ (Ok(Raw::Events { .. } | Raw::Spikes(_)) | Err(_)) => panic!("{other:?}"),
    }
}

fn npy(shape: &str, elements: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(elements);
    bytes
}

#[test]
fn the_digits_are_the_same_in_every_format() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    let n = 60;
    let all: Vec<u8> = (0..n).flat_map(grey).collect();
    let labels: Vec<u8> = (0..n).map(|i| digits().label(i) as u8).collect();
    let mut table = String::new();
    for (i, &label) in labels.iter().enumerate() {
        let cells = grey(i).into_iter().chain([label]).map(|v| v.to_string());
        table.push_str(&(cells.collect::<Vec<_>>().join(",") + "\n"));
    }
    write(&folder.join("digits.csv"), table.as_bytes());
    write(&folder.join("x.npy"), &npy("(60, 8, 8)", &all));
    write(&folder.join("y.npy"), &npy("(60,)", &labels));
    let wide = |values: &[u8]| values.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
    let x = ArrayD::from_shape_vec(IxDyn(&[n, 64]), wide(&all)).expect("60 · 64");
    let y = ArrayD::from_shape_vec(IxDyn(&[n]), wide(&labels)).expect("60");
    let arrays = BTreeMap::from([("x".to_owned(), x), ("labels".to_owned(), y)]);
    npz::write(&folder.join("d.npz"), &arrays, npz::Precision::F32).expect("writable");
    let encode = "encode = latency(tau = 10 ms)";
    let built_in = samples(folder, 64, &format!("data = digits()  {encode}"));
    for data in [
        "csv(\"digits.csv\", scale = 16)",
        "npy(\"x.npy\", labels = \"y.npy\", scale = 16)",
        "npz(\"d.npz\", scale = 16)",
    ] {
        let read = samples(folder, 64, &format!("data = {data}  {encode}"));
        assert_eq!(read.len(Subset::Train), n, "{data}");
        for i in 0..n {
            assert_eq!(
                read.label(Subset::Train, i),
                built_in.label(Subset::Train, i)
            );
            let of = |samples: &Samples| {
                let input = samples.input(Subset::Train, i, 0).expect("encodes");
                input.to_dense()
            };
            assert_eq!(of(&read), of(&built_in), "{data}, sample {i}");
        }
    }
}

/// The events of the only sample as (step, channel).
fn events(folder: &Path, inputs: usize, data: &str) -> Vec<(usize, u32)> {
    let read = samples(folder, inputs, &format!("data = {data}"));
    assert_eq!(read.len(Subset::Train), 1);
    let input = read.input(Subset::Train, 0, 0).expect("encodes");
    let steps = 0..input.steps();
    steps
        .flat_map(|t| {
            input
                .events_at(t)
                .0
                .iter()
                .map(move |&c| (t, c))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn recordings_come_out_on_their_channels_and_steps() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path();
    let mut session = b"#!AER-DAT3.1\r\n#!END-HEADER\r\n\x01\x00\x01\x00".to_vec();
    for word in [8u32, 4, 0, 1, 1, 1, 1 | 2 << 2 | 5 << 17, 8500] {
        session.extend(word.to_le_bytes());
    }
    write(&folder.join("dvs/user01_led.aedat"), &session);
    write(
        &folder.join("dvs/user01_led_labels.csv"),
        b"class,start,end\n3,5000,9000\n",
    );
    assert_eq!(
        events(folder, 32768, "dvs_gesture(\"dvs\")"),
        [(3, 2 * 128 + 5)]
    );

    let mut raw = b"% evt 2.0\n% geometry 4x3\n".to_vec();
    for word in [1u32 << 11 | 2, 8 << 28 | 100, 1 << 28 | 3 << 11] {
        raw.extend(word.to_le_bytes());
    }
    write(&folder.join("raw/0/1.raw"), &raw);
    assert_eq!(events(folder, 24, "prophesee(\"raw\")"), [(0, 9), (6, 15)]);

    let column = |value: f64| ArrayD::from_elem(IxDyn(&[1]), value);
    let arrays = [("t", 7.0), ("x", 1.0), ("y", 2.0), ("p", 1.0)];
    let arrays = arrays.map(|(name, value)| (name.to_owned(), column(value)));
    std::fs::create_dir_all(folder.join("npz/0")).expect("writable");
    npz::write(
        &folder.join("npz/0/1.npz"),
        &BTreeMap::from(arrays),
        npz::Precision::F64,
    )
    .expect("writable");
    let data = "npz_events(\"npz\", height = 3, width = 4, time_unit = 1 ms)";
    assert_eq!(events(folder, 24, data), [(7, (3 + 2) * 4 + 1)]);

    let mut counts = Array3::<f64>::zeros((20, 2, 3));
    counts[[4, 1, 2]] = 2.0;
    let arrays = BTreeMap::from([("frames".to_owned(), counts.into_dyn())]);
    std::fs::create_dir_all(folder.join("frames/0")).expect("writable");
    npz::write(&folder.join("frames/0/1.npz"), &arrays, npz::Precision::F64).expect("writable");
    assert_eq!(events(folder, 6, "frames(\"frames\")"), [(4, 5)]);

    write(
        &folder.join("t.npy"),
        &npy("(1, 20, 3)", &{
            let mut steps = [0; 60];
            steps[3 * 6 + 1] = 1;
            steps
        }),
    );
    write(&folder.join("l.npy"), &npy("(1,)", &[0]));
    let data = "npy(\"t.npy\", labels = \"l.npy\", time = true)";
    assert_eq!(events(folder, 3, data), [(6, 1)]);
}
