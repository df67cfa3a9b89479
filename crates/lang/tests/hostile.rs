//! Input that nobody should send: through load, check and lowering there is an answer in bounded
//! time, an error where one is due, and no panic. Test builds are hardly optimised, so the limit on time is
//! a multiple of what an optimised build needs, which is below a second; where the system tells, it is the
//! time that this thread worked and not that of the clock, for machines may be busy.

use std::time::{Duration, Instant};

use rheobase_lang::check::check;
use rheobase_lang::diag::{Diagnostic, render::render_all};
use rheobase_lang::load::{Extent, Loader, NoFiles, load, load_bytes, normalize};
use rheobase_lang::lower::{lower_network, lower_neuron};

/// What an answer may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The most memory that this process may ever have used, in kilobytes; several tests run at once.
const MOST_MEMORY: u64 = 1_500_000;

/// No program is worth more findings than this, files imported included.
const MOST_FINDINGS: usize = 400;

/// When something began: by the work of this thread so far, and by the clock.
struct Start {
    worked: Option<Duration>,
    clock: Instant,
}

impl Start {
    fn now() -> Start {
        Start {
            worked: worked(),
            clock: Instant::now(),
        }
    }

    fn elapsed(&self) -> Duration {
        match (self.worked, worked()) {
            (Some(before), Some(now)) => now.saturating_sub(before),
            (Some(_) | None, Some(_) | None) => self.clock.elapsed(),
        }
    }
}

/// How long this thread has been running on a processor; `None` where the system does not tell.
fn worked() -> Option<Duration> {
    let numbers = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = numbers.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// Everything that the crate does with a program; gives the findings of all stages.
fn answer(bytes: &[u8], loader: &dyn Loader) -> Vec<Diagnostic> {
    let start = Start::now();
    let loaded = load_bytes("hostile.snn", bytes, loader, Extent::Needed);
    let checked = check(&loaded.files);
    let mut findings = [loaded.diagnostics, checked.diagnostics].concat();
    let model = &checked.model;
    for neuron in model.neurons.iter().take(10) {
        findings.extend(
            lower_neuron(model, &neuron.name.text, 1.0, &[])
                .err()
                .unwrap_or_default(),
        );
    }
    for network in model.networks.iter().take(10) {
        findings.extend(
            lower_network(model, Some(&network.name.text), None)
                .err()
                .unwrap_or_default(),
        );
    }
    for train in model.trains.iter().take(10) {
        findings.extend(
            lower_network(model, None, Some(&train.name.text))
                .err()
                .unwrap_or_default(),
        );
    }
    let text = render_all(&findings, &loaded.sources, false);
    let took = start.elapsed();
    let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
    assert!(took < LIMIT, "{took:?} for {begin:?}");
    assert!(findings.len() <= MOST_FINDINGS, "{}", findings.len());
    if let Some(used) = most_memory() {
        assert!(used < MOST_MEMORY, "{used} kB for {begin:?}");
    }
    assert!(text.len() < 2_500_000, "{} bytes of messages", text.len());
    findings
}

/// The largest resident size of this process in kilobytes, where the system tells.
fn most_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn refused(source: &str) -> Vec<Diagnostic> {
    let findings = answer(source.as_bytes(), &NoFiles);
    assert!(
        findings.iter().any(Diagnostic::is_error),
        "no error for {:?}",
        &source[..source.len().min(200)]
    );
    findings
}

const PRELUDE: &str = "import \"std/neurons.snn\"\n";

fn network(statements: &str) -> String {
    format!("{PRELUDE}network N {{ step 1 ms input x[4] {statements} }}")
}

fn wired(layer: &str, connection: &str) -> String {
    network(&format!(
        "layer a : {layer} connect x -> a.x : {connection}"
    ))
}

#[test]
fn bytes_that_are_no_program() {
    let garbage: Vec<u8> = (0..10_000_000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    for bytes in [
        garbage.as_slice(),
        &garbage[..1 << 20],
        &[0; 10_000_000],
        &[0; 1000],
        &[0xff; 1000],
        b"neuron N { \xc3\x28 }",
        b"neuron N { state v = 0 \0 }",
        b"\xef\xbb\xbf\xef\xbb\xbfconst a = 1",
        b"\xfe\xff\0n\0e\0u\0r\0o\0n",
        b"const a = \"\xf0\x9f\x92",
    ] {
        let findings = answer(bytes, &NoFiles);
        assert!(findings.iter().any(Diagnostic::is_error));
    }
    assert_eq!(answer(b"", &NoFiles), []);
    assert_eq!(answer(b"\xef\xbb\xbf# only a comment", &NoFiles), []);
}

#[test]
fn nesting() {
    let n = 100_000;
    for (open, inside, close) in [
        ("(", "v", ")"),
        ("-", "v", ""),
        ("exp(", "v", ")"),
        ("if v > 0 { ", "v", " } else { 0 }"),
        ("if v > 0 { 0 } else ", "{ v }", ""),
        ("[", "v", "]"),
        ("v ^ ", "2", ""),
        ("v + ", "1", ""),
        ("not ", "v", ""),
    ] {
        let deep = format!("{}{inside}{}", open.repeat(n), close.repeat(n));
        let source = format!("neuron N {{ input x state v = 0 next v = {deep} }}");
        refused(&source[..source.len().min(1 << 20)]);
    }
    refused(&"neuron N { ".repeat(n / 2));
    refused(&format!("neuron N {{ input x : [{}ms", "(".repeat(n)));
}

/// Numbers that no float or size holds.
#[test]
fn huge_numbers() {
    for shape in [
        "1e30",
        "1e400",
        "99999999999",
        "99999999999999999999999999",
        "-1",
        "0",
        "0.5",
        "1e300 * 1e300",
        "0 / 0",
        "2 ^ 1000, 2 ^ 1000",
        "100000, 100000, 100000, 100000, 100000, 100000",
        "4294967296, 4294967296",
    ] {
        refused(&wired(&format!("LIF[{shape}]"), "dense(w = 1)"));
        let input = wired("LIF[2]", "dense(w = 1)").replace("x[4]", &format!("x[{shape}]"));
        refused(&input);
    }
    // Two layers of the largest size that is no mistake: their weights are.
    let large = wired("LIF[99999999]", "dense(w = 1)").replace("x[4]", "x[99999999]");
    answer(large.as_bytes(), &NoFiles);
    for connection in [
        "dense(w = 1) delay 1e300 ms",
        "dense(w = 1) delay 1e30 step",
        "dense(w = 1) delay -1 ms",
        "dense(w = 1) delay 0.1 ms / 0",
        "dense(w = normal(0, -1))",
        "dense(w = normal(0, 1e400))",
        "dense(w = uniform(1, 0))",
        "dense(w = lognormal(-1, 1))",
        "dense(w = lognormal(1, -1))",
        "conv2d(1e30, w = 1)",
        "conv2d(99999999999, stride = 0, w = 1)",
        "conv1d(3, dilation = 99999999999, groups = 0, w = 1)",
        "sum_pool(0, w = 1)",
        "avg_pool(3, stride = 1e300)",
        "sparse(p = 1e300, w = 1)",
        "dropout(-1)",
    ] {
        refused(&wired("LIF[2]", connection));
    }
    for statement in [
        "refractory 1e300 ms holds v",
        "refractory 1e30 step",
        "refractory -1 ms",
        "integrate { v : euler(substeps = 1e30) }",
        "integrate { v : rk4(substeps = 99999999999) }",
        "integrate { v : rk4(substeps = 0) }",
    ] {
        let source = format!(
            "surrogate s(u) {{ derivative = 1 / (1 + abs(u))^2 }}
             neuron N {{ input x state v = 0 v' = -v / 20 ms on receive x {{ v += x }}
             spike when v >= 1 surrogate s() on spike detached {{ v = 0 }} {statement} }}"
        );
        refused(&source);
    }
    for step in [
        "0 ms",
        "-1 ms",
        "1e400 ms",
        "1e-400 ms",
        "1 mV",
        "0 / 0 * 1 ms",
    ] {
        refused(&wired("LIF[2]", "dense(w = 1)").replace("step 1 ms", &format!("step {step}")));
    }
    for value in [
        "1e400",
        "1 / 0",
        "0 / 0",
        "log(-1)",
        "2 ^ 100000",
        "sqrt(-1)",
    ] {
        let source = format!(
            "neuron N {{ param k = {value} input x state v = 0 v' = -k * v / 20 ms on receive x {{ v += x }} }}"
        );
        answer(source.as_bytes(), &NoFiles);
    }
}

/// Settings of a plan with values that no machine could follow.
#[test]
fn huge_plans() {
    for setting in [
        "duration = 1e300 s",
        "duration = -1 s",
        "duration = 0 s",
        "batch = 1e30",
        "batch = 0",
        "epochs = -1",
        "epochs = 1e30",
        "seed = 1e30",
        "seed = -1",
        "optimizer = adam(lr = 1e400)",
        "clip = grad_norm(-1)",
        "valid = holdout(2)",
        "schedule = cosine(warmup = -1)",
    ] {
        let mut settings = vec![
            "data = digits()",
            "duration = 10 ms",
            "encode = latency()",
            "loss = cross_entropy(spike_count(a), label)",
            "optimizer = adam(lr = 1e-3)",
            "epochs = 1",
        ];
        let name = setting.split(' ').next();
        settings.retain(|other| other.split(' ').next() != name);
        settings.push(setting);
        let network = wired("LIF[10]", "dense(w = 1)").replace("x[4]", "x[64]");
        refused(&format!(
            "{network} train t of N {{ {} }}",
            settings.join(" ")
        ));
    }
}

/// Files in memory that are made up when asked for.
struct Endless;

impl Loader for Endless {
    fn load(&self, from: &str, path: &str) -> Result<String, String> {
        let name = normalize(from, path);
        Ok(match name.as_str() {
            "circle.snn" => "import \"hostile.snn\"".to_owned(),
            "self.snn" => "import \"self.snn\"".to_owned(),
            // Every file asks for two new ones.
            _ => format!(
                "import \"{0}a.snn\" import \"{0}b.snn\"",
                name.trim_end_matches(".snn")
            ),
        })
    }
}

#[test]
fn imports_without_end() {
    let code = |source: &str| {
        let loaded = load("hostile.snn", source, &Endless);
        let codes = loaded.diagnostics.iter().map(|d| d.code.as_str());
        codes.collect::<Vec<_>>()
    };
    assert_eq!(code("import \"circle.snn\""), ["E0212"]);
    assert_eq!(code("import \"./self.snn\""), ["E0212"]);
    assert_eq!(code("import \"hostile.snn\""), ["E0212"]);
    let endless = answer(b"import \"x.snn\"", &Endless);
    assert!(endless.iter().any(Diagnostic::is_error));
    let many = "import \"std/nothing.snn\"\n".repeat(40_000);
    refused(&many);
    let path = format!("import \"{}\"", "../a/".repeat(200_000));
    refused(&path);
}

/// Texts of nearly a megabyte that parse, or nearly: the largest that are read.
#[test]
fn long_texts() {
    let fill = |unit: &dyn Fn(usize) -> String| {
        let mut text = String::new();
        for i in 0.. {
            let next = unit(i);
            if text.len() + next.len() > 1_000_000 {
                break;
            }
            text += &next;
        }
        text
    };
    let neuron = |body: &str| format!("neuron N {{ input x state v = 0\n{body} }}");
    let cases = [
        fill(&|i| format!("const c{i} = {i}\n")),
        fill(&|i| format!("const c{i} = undefined{i}\n")),
        fill(&|_| "const same = 1\n".to_owned()),
        fill(&|i| format!("neuron N{i} {{ }}\n")),
        fill(&|i| format!("neuron N{i} : N{} {{ }}\n", i + 1)),
        fill(&|i| format!("surrogate s{i}(u) {{ derivative = 1 }}\n")),
        fill(&|i| format!("fn f{i}(x) = f{}(x)\n", i + 1)),
        fill(&|i| format!("network N{i} {{ step 1 ms }}\n")),
        fill(&|i| format!("train t{i} of Nothing {{ }}\n")),
        neuron(&fill(&|i| format!("param p{i} = {i} ms\n"))),
        neuron(&fill(&|i| format!("state s{i} = 0\n"))),
        neuron(&fill(&|i| format!("state s{i} = 0 s{i}' = -s{i} / 1 mV\n"))),
        neuron(&fill(&|i| format!("let l{i} = l{}\n", i + 1))),
        neuron(&fill(&|_| "let same = v\n".to_owned())),
        neuron(&fill(&|_| "v' = -w / 1 ms\n".to_owned())),
        neuron(&fill(&|_| "on receive x { v += y }\n".to_owned())),
        neuron(&fill(&|_| "spike when v >= 1\n".to_owned())),
        neuron(&fill(&|_| "on spike { v = 0 }\n".to_owned())),
        neuron(&format!(
            "on receive x {{ {} }}",
            fill(&|_| "v += x\n".to_owned())
        )),
        neuron(&format!("v' = f({}) / 1 ms", fill(&|_| "v, ".to_owned()))),
        neuron(&format!("v' = max({}) / 1 ms", fill(&|_| "v, ".to_owned()))),
        network(&fill(&|i| format!("layer l{i} : LIF[1]\n"))),
        network(&fill(&|i| {
            format!("layer l{i} : Nothing[1] {{ tau = 1 }}\n")
        })),
        network(&format!(
            "layer a : LIF[2]\n{}",
            fill(&|_| "connect x -> a.x : dense(w = 1)\n".to_owned())
        )),
        network(&fill(&|i| {
            format!(
                "layer l{i} : LIF[1] connect l{} -> l{i}.x : dense(w = 1)\n",
                i + 1
            )
        })),
        network(&format!("layer a : LIF[{}]", fill(&|_| "1, ".to_owned()))),
        format!("train t of N {{ {} }}", fill(&|i| format!("s{i} = {i}\n"))),
        format!(
            "train t of N {{ {} }}",
            fill(&|_| "data = digits()\n".to_owned())
        ),
        format!("const a = \"{}\"", "x".repeat(1_000_000)),
        format!("const {} = 1", "x".repeat(1_000_000)),
        format!("const a = {}", "y".repeat(1_000_000)),
        format!("#{}", "\n#".repeat(500_000)),
        " \n\t".repeat(340_000),
    ];
    for source in cases {
        answer(source.as_bytes(), &NoFiles);
    }
}

/// Groups that grow without bound when they are written out: in copies, in depth, and in ways through inputs.
#[test]
fn groups_without_end() {
    let neuron = "neuron N { input x state v = 0 v' = -v / 20 ms on receive x { v += x } spike when v >= 1 surrogate s()
        on spike detached { v = 0 } } surrogate s(u) { derivative = 1 / (1 + abs(u)) }
        network G0(n = 1) { input x[n] layer h : N[n] connect x -> h.x : dense(w = 1) output h }\n";
    let level = |i: usize, repeat: &str, connects: usize| {
        let below = i - 1;
        let connects = "connect x -> g.x\n".repeat(connects);
        format!(
            "network G{i}(n = 1) {{ input x[n] layer g : G{below}(n) {repeat} {connects} output g }}\n"
        )
    };
    let whole = |levels: usize, repeat: &str, connects: usize| {
        let groups: String = (1..=levels).map(|i| level(i, repeat, connects)).collect();
        format!(
            "{neuron}{groups} network Net {{ step 1 ms input a[1] layer g : G{levels} {repeat} connect a -> g.x }}"
        )
    };
    let codes = |source: &str| -> Vec<&str> {
        let found = answer(source.as_bytes(), &NoFiles);
        let errors = found.iter().filter(|d| d.is_error());
        errors.map(|d| d.code.as_str()).collect()
    };
    assert!(codes(&whole(8, "repeat 100", 1)).contains(&"E0602"));
    assert!(codes(&whole(1, "repeat 1e9", 1)).contains(&"E0602"));
    assert!(codes(&whole(60, "", 2)).contains(&"E0602"));
    assert!(codes(&whole(5000, "", 1)).contains(&"E0607"));
    // What is within the limits is answered, too.
    assert!(!codes(&whole(2, "repeat 10", 1)).contains(&"E0602"));
}
