//! Random numbers of compiled code against their definition: uniform ones bit for bit, normal ones within their bound,
//! for a million keys, and the same bits whatever the number of lanes.

use rheobase_ir::builder::Builder;
use rheobase_ir::draws;
use rheobase_ir::executor::{Arg, Executor};
use rheobase_ir::kernel::{Role, Slot};
use rheobase_ir::ops::Op;
use rheobase_ir::types::{Rate, Type};
use rheobase_jit::{Compiled, Lane, Target};

use crate::ulps::unit;

const LANES: usize = 1 << 20;

/// The largest error of normal numbers in units in the last place; the crate's documentation lists what was found.
const BOUND: f64 = 3.5;

fn compiled<R: Lane>(op: Op, target: &Target) -> Compiled<R> {
    let mut b = Builder::new(op.name());
    let a = b.input(Slot::new(Role::Key, "a"), Type::Real, Rate::Lane);
    let c = b.input(Slot::new(Role::Key, "b"), Type::Real, Rate::Lane);
    let step = b.input(Slot::new(Role::Key, "step"), Type::Real, Rate::Uniform);
    let y = b.inst(op, &[a, c, step]);
    b.output(Slot::new(Role::Saved, "y"), y, Rate::Lane);
    rheobase_jit::compile::<R>(&b.finish(), target).expect("verified")
}

fn keys() -> Vec<[f64; 2]> {
    let key = |i: usize| draws::lane_key(draws::sample_key(3, 1, i as u64 / 4096), 0, i % 4096);
    (0..LANES).map(key).collect()
}

fn call<R: Lane>(code: &Compiled<R>, keys: &[[f64; 2]], step: f64) -> Vec<R> {
    let column = |k: usize| -> Vec<R> { keys.iter().map(|key| R::from_f64(key[k])).collect() };
    let (a, b, step) = (column(0), column(1), [R::from_f64(step)]);
    let mut y = vec![R::from_f64(f64::NAN); keys.len()];
    let mut args = [
        Arg::Real(&a),
        Arg::Real(&b),
        Arg::Real(&step),
        Arg::RealMut(&mut y),
    ];
    code.call(keys.len(), &mut args).expect("four rows");
    y
}

fn uniform_numbers_are_exact<R: Lane>() {
    let keys = keys();
    for target in [Target::host(), Target::baseline()] {
        for stream in 0..3 {
            let step = draws::real(77);
            let found = call(&compiled::<R>(Op::Uniform(stream), &target), &keys, step);
            for (key, found) in keys.iter().zip(found) {
                assert_eq!(
                    found.to_f64(),
                    draws::uniform(stream, *key, step),
                    "{key:?}"
                );
            }
        }
    }
}

#[test]
fn uniform_numbers_are_those_of_the_definition() {
    uniform_numbers_are_exact::<f32>();
    uniform_numbers_are_exact::<f64>();
}

fn normal_numbers_are_close<R: Lane>() {
    let keys = keys();
    for target in [Target::host(), Target::baseline()] {
        for stream in 0..2 {
            let step = draws::real(1);
            let found = call(&compiled::<R>(Op::Normal(stream), &target), &keys, step);
            let mut worst = 0.0f64;
            for (key, found) in keys.iter().zip(found) {
                let exact = draws::normal(stream, *key, step);
                worst = worst.max((found.to_f64() - exact).abs() / unit::<R>(exact));
            }
            assert!(worst <= BOUND, "normal.{stream}, {}: {worst} ulp", R::NAME);
        }
    }
}

#[test]
fn normal_numbers_keep_their_bound() {
    normal_numbers_are_close::<f32>();
    normal_numbers_are_close::<f64>();
}

#[test]
fn a_number_does_not_depend_on_its_neighbours() {
    let keys = &keys()[..23];
    let code = compiled::<f32>(Op::Normal(1), &Target::host());
    let together = call(&code, keys, 0.0);
    for (i, key) in keys.iter().enumerate() {
        let alone = call(&code, &[*key], 0.0);
        assert_eq!(alone[0].to_bits(), together[i].to_bits());
    }
}
