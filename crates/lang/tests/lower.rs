//! Lowering against files: kernels of neurons, programs of networks, and what is refused.

use insta::{assert_snapshot, glob};
use rheobase_ir::program::{Neuron, Program};
use rheobase_ir::text;
use rheobase_ir::verify::verify;
use rheobase_lang::check::{Checked, check};
use rheobase_lang::diag::{Code, has_errors, render::render_all};
use rheobase_lang::lower::{Override, lower_network, lower_neuron};
use rheobase_lang::parse::parse;
use rheobase_lang::span::SourceMap;

fn checked(source: &str) -> (Checked, SourceMap) {
    let mut sources = SourceMap::new();
    let id = sources.add("test.snn", source);
    let (tree, findings) = parse(source, id);
    assert_eq!(render_all(&findings, &sources, false), "");
    let checked = check(&[tree]);
    let errors: Vec<_> = checked
        .diagnostics
        .iter()
        .filter(|d| d.is_error())
        .cloned()
        .collect();
    assert_eq!(render_all(&errors, &sources, false), "");
    (checked, sources)
}

fn describe(neuron: &Neuron) -> String {
    verify(&neuron.init).expect("the initial kernel is valid");
    verify(&neuron.step).expect("the step is valid");
    let mut lines = String::new();
    for param in &neuron.params {
        lines += &format!("{param:?}\n");
    }
    for state in &neuron.states {
        lines += &format!("state {} in `{}`\n", state.name, state.unit.text);
    }
    for port in &neuron.ports {
        lines += &format!("port {} in `{}`\n", port.name, port.unit.text);
    }
    format!(
        "{lines}spikes {:?}\n\n{}\n{}",
        neuron.spikes,
        text::print(&neuron.init),
        text::print(&neuron.step)
    )
}

fn describe_program(program: &Program) -> String {
    let network = &program.network;
    let mut lines = format!("network {} step {} ms\n", network.name, network.step_ms);
    for input in &network.inputs {
        lines += &format!("{input:?}\n");
    }
    for layer in &network.layers {
        verify(&layer.neuron.step).expect("the step is valid");
        lines += &format!(
            "layer {} : {} {:?}\n",
            layer.name, layer.neuron.name, layer.shape
        );
        for param in &layer.neuron.params {
            lines += &format!("  {param:?}\n");
        }
    }
    for connection in &network.connections {
        lines += &format!("{connection:?}\n");
        for map in connection.operations.iter().filter_map(|o| o.map.as_ref()) {
            let kernel = map.with_slope().expect("the map is valid");
            lines += &format!("{}{}", text::print(&map.function), text::print(&kernel));
        }
    }
    lines + &format!("order {:?}\n", network.order)
}

/// Every neuron, network and plan of every file in `lower/`.
#[test]
fn programs() {
    glob!("lower/*.snn", |path| {
        let source = std::fs::read_to_string(path).expect("the file was just listed");
        let (checked, sources) = checked(&source);
        let mut parts = vec![source];
        for neuron in &checked.model.neurons {
            match lower_neuron(&checked.model, &neuron.name.text, 1.0, &[]) {
                Ok(neuron) => parts.push(describe(&neuron)),
                Err(findings) => {
                    assert!(has_errors(&findings));
                    parts.push(render_all(&findings, &sources, false));
                }
            }
        }
        for network in &checked.model.networks {
            match lower_network(&checked.model, Some(&network.name.text), None) {
                Ok(program) => parts.push(describe_program(&program)),
                Err(findings) => {
                    assert!(has_errors(&findings));
                    parts.push(render_all(&findings, &sources, false));
                }
            }
        }
        for train in &checked.model.trains {
            match lower_network(&checked.model, None, Some(&train.name.text)) {
                Ok(program) => parts.push(format!("{:#?}", program.training)),
                Err(findings) => parts.push(render_all(&findings, &sources, false)),
            }
        }
        assert_snapshot!(parts.join("\n----\n"));
    });
}

#[test]
fn overrides_replace_the_initial_value() {
    let source = "neuron LI { param tau = 20 ms  input x  state v = 0  v' = -v / tau  on receive x { v += x } }";
    let (checked, _) = checked(source);
    let change = |name: &str, value| Override {
        name: name.to_string(),
        value,
    };
    let lowered = lower_neuron(&checked.model, "LI", 1.0, &[change("tau", 5.0)]);
    let params = lowered.map(|n| n.params[0].initial.clone());
    assert_eq!(params, Ok(rheobase_ir::program::Initial::Constant(5.0)));
    let refused = lower_neuron(&checked.model, "LI", 1.0, &[change("taau", 5.0)]);
    let message = refused.map_err(|f| f[0].message.clone());
    assert_eq!(
        message.err().as_deref(),
        Some("there is no parameter `taau`")
    );
}

/// Normalisations that would have to wait for steps that follow from them, gradients that are cut where a mean goes
/// over all steps, and what can be run.
#[test]
fn normalisations_that_cannot_run_are_refused_with_a_reason() {
    let program = |connections: &str, gradient: &str| {
        format!(
            "surrogate box(u) {{ derivative = if abs(u) < 0.5 {{ 1 }} else {{ 0 }} }}
            neuron Plain {{
              input x
              state v = 0
              on receive x {{ v += x }}
              spike when v >= 1 surrogate box()
              on spike attached {{ v = 0 }}
            }}
            network Net {{
              step 1 ms
              input inp[4]
              layer a : Plain[4]
              layer b : Plain[4]
              connect inp -> a.x : dense(w = 1)
              {connections}
            }}
            train plan of Net {{
              data = npz(\"x.npz\")
              duration = 10 ms
              loss = cross_entropy(sum_over_time(b), label)
              optimizer = adam(lr = 1e-3)
              epochs = 1
              {gradient}
            }}"
        )
    };
    let norm = "dense(w = 1) then batch_norm()";
    let cycle = format!("connect a -> b.x : {norm}  connect b -> a.x : dense(w = 1) delay 1 step");
    let (tree, _) = parse(&program(&cycle, ""), SourceMap::new().add("test.snn", ""));
    let found = check(&[tree]).diagnostics;
    let codes: Vec<Code> = found
        .iter()
        .filter(|d| d.is_error())
        .map(|d| d.code)
        .collect();
    assert_eq!(codes, [Code::E0601]);
    // Shared weights have shared running averages.
    let tied = format!("connect a -> b.x : {norm}  connect inp -> b.x : tied(a.b.x)");
    let (checked_tied, _) = checked(&program(&tied, ""));
    let shared = lower_network(&checked_tied.model, None, None).expect("it can be run");
    assert!(
        shared.network.connections[1..]
            .iter()
            .all(|c| c.normalises())
    );
    let forward = format!("connect a -> b.x : {norm}");
    let (truncated, _) = checked(&program(&forward, "gradient = bptt(truncate = 5)"));
    let found = lower_network(&truncated.model, None, None);
    let found = found.map(|_| ()).expect_err("it is refused");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, Code::E0704);
    assert_eq!(
        found[0].message,
        "`truncate` cannot cut the gradient of the normalisation of `a.b.x`"
    );
    let (checked, _) = checked(&program(&forward, "gradient = bptt(checkpoint = 5)"));
    let program = lower_network(&checked.model, None, None).expect("it can be run");
    assert!(program.network.connections[1].normalises());
}

/// A network with groups is the network that one would write without them, but for the names.
#[test]
fn groups_are_what_they_are_written_out_to() {
    let neurons = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/lower/m_groups.snn"
    ))
    .expect("the file is there");
    let neurons = &neurons[..neurons.find("network").expect("a network")];
    let grouped = format!(
        "{neurons}
        network Block(n, tau = 20) {{
          input x[n]
          layer h : LIF[2 * n] {{ tau per neuron = tau * 1 ms in 5 ms .. 50 ms learn via sigmoid }}
          layer o : LIF[n]
          connect x -> h.x : dense(w = normal(0, 1 / fan_in), bias = 0.1)
          connect h -> o.x : dense(w = normal(0, 1 / n)) delay n * 1 step
          output o
        }}
        network Net(n = 3) {{
          step 1 ms
          input inp[n]
          layer t : Block(n, tau = 10) repeat 2
          layer out : LI[2]
          connect inp -> t.x delay 1 ms
          connect t -> out.x : dense(w = 1)
          connect t.o -> t.x : dense(w = 0) delay 1 step
        }}"
    );
    // Both ways into the first copy share its weights: they are one connection of the group.
    let (tree, _) = parse(&grouped, SourceMap::new().add("test.snn", grouped.as_str()));
    let codes: Vec<Code> = check(&[tree]).diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(codes, [Code::E0211]);
    let grouped = grouped.replace("connect t.o -> t.x : dense(w = 0) delay 1 step", "");
    let layer = |i: usize| {
        format!(
            "layer h{i} : LIF[6] {{ tau per neuron = 10 ms in 5 ms .. 50 ms learn via sigmoid }}
            layer o{i} : LIF[3]\n"
        )
    };
    let inside = |i: usize, from: &str, delay: &str| {
        format!(
            "connect {from} -> h{i}.x : dense(w = normal(0, 1 / 3), bias = 0.1) {delay}
            connect h{i} -> o{i}.x : dense(w = normal(0, 1 / 3)) delay 3 step\n"
        )
    };
    let written = format!(
        "{neurons} network Net {{ step 1 ms input inp[3] {}{} layer out : LI[2]
        connect o1 -> out.x : dense(w = 1) {}{} }}",
        layer(0),
        layer(1),
        inside(0, "inp", "delay 1 step"),
        inside(1, "o0", "")
    );
    let program = |source: &str| {
        let (checked, _) = checked(source);
        let mut program = lower_network(&checked.model, None, None).expect("it can be run");
        let names = program.network.layers.iter_mut().map(|l| &mut l.name);
        let connections = program.network.connections.iter_mut().map(|c| &mut c.name);
        names.chain(connections).for_each(String::clear);
        let layers = program.network.layers.iter();
        let steps: String = layers.map(|l| text::print(&l.neuron.step)).collect();
        describe_program(&program) + &steps
    };
    assert_eq!(program(&grouped), program(&written));
}
