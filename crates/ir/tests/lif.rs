//! A current-based LIF through the whole pipeline.
use rheobase_ir::builder::Builder;
use rheobase_ir::kernel::{Role, Slot};
use rheobase_ir::ops::{Edge, Method, Op};
use rheobase_ir::pipeline::{Wanted, build};
use rheobase_ir::program::{Initial, Neuron, Parameter, Sharing, Unit, Variable};
use rheobase_ir::text::print;
use rheobase_ir::types::{Rate, Type};

/// LIF with an exponential synapse, hard detached reset, SuperSpike.
pub fn lif() -> Neuron {
    let mut b = Builder::new("LIF.step");
    let param = |b: &mut Builder, name: &str| {
        b.input(Slot::new(Role::Param, name), Type::Real, Rate::Uniform)
    };
    let tau_mem = param(&mut b, "tau_mem");
    let tau_syn = param(&mut b, "tau_syn");
    let v_th = param(&mut b, "v_th");
    let i = b.lane(Role::State, "i", Type::Real);
    let v = b.lane(Role::State, "v", Type::Real);
    let x = b.lane(Role::Port, "x", Type::Real);
    let i1 = b.add(i, x);
    let h = b.real(1.0);
    let minus = b.neg(i1);
    let di = b.div(minus, tau_syn);
    let gap = b.sub(i1, v);
    let dv = b.div(gap, tau_mem);
    let i2 = b.integrate(Method::Auto, i1, di, h);
    b.note(i2, "i");
    let v2 = b.integrate(Method::Auto, v, dv, h);
    b.note(v2, "v");
    let u = b.sub(v2, v_th);
    b.note(u, "u");
    let abs = b.inst(Op::Abs, &[u]);
    let ten = b.real(10.0);
    let one = b.real(1.0);
    let scaled = b.mul(ten, abs);
    let base = b.add(one, scaled);
    let square = b.mul(base, base);
    let d = b.div(one, square);
    let s = b.spike(Edge::AtOrAbove, u, d, None);
    let gate = b.inst(Op::Detach, &[s]);
    let zero = b.real(0.0);
    let v3 = b.select(gate, zero, v2);
    b.output(Slot::new(Role::State, "i"), i2, Rate::Lane);
    b.output(Slot::new(Role::State, "v"), v3, Rate::Lane);
    b.output(Slot::new(Role::Spike, "s"), s, Rate::Lane);
    let mut init = Builder::new("LIF.init");
    let zero = init.real(0.0);
    for name in ["i", "v"] {
        init.output(Slot::new(Role::Init, name), zero, Rate::Uniform);
    }
    let parameter = |name: &str, value| Parameter {
        name: name.into(),
        initial: Initial::Constant(value),
        sharing: Sharing::Shared,
        bounds: None,
        learn: None,
        unit: Unit::one(),
    };
    let variable = |name: &str| Variable {
        name: name.into(),
        unit: Unit::one(),
    };
    Neuron {
        name: "LIF".into(),
        params: vec![
            parameter("tau_mem", 20.0),
            parameter("tau_syn", 10.0),
            parameter("v_th", 1.0),
        ],
        states: vec![variable("i"), variable("v")],
        ports: vec![variable("x")],
        spikes: vec!["s".into()],
        init: init.finish(),
        step: b.finish(),
    }
}

#[test]
fn weights_only_needs_one_number_per_step() {
    let stages = build(&lif(), Wanted::NONE).expect("pipeline");
    let saved: Vec<String> = stages.saved.iter().map(|s| s.slot.to_string()).collect();
    assert_eq!(saved, ["saved u"], "{}", print(&stages.backward));
}

#[test]
fn learning_every_parameter_needs_two() {
    let stages = build(&lif(), Wanted::ALL).expect("pipeline");
    assert_eq!(stages.saved.len(), 2, "{}", print(&stages.backward));
}
