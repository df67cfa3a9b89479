#!/usr/bin/env python3
"""Times one training step of Rheobase and of other libraries on the programs of this folder.

    python3 examples/bench/compare.py --rheo target/release/rheo
    python3 examples/bench/compare.py --rheo target/release/rheo --workloads shd_ff conv --rounds 5 --markdown

A training step is forward, loss, backward and an update by Adam on one batch that stays the same. Every measurement is
a process of its own, pinned to the first cores that this process may use (Linux), one after the other: a round visits
every library once, and rounds repeat, so that what else the machine does meets all of them. Within a process the median
of the steps counts, over the rounds the median of those; with `--least` the fastest of all.

Nothing is installed. A library that is missing is left out, and what to install is said. The interpreter that runs this
file also runs the libraries, unless `--python` names another one.

What is the same for all: sizes, steps, samples, density and seed of the input, detached hard
or subtractive reset as the library has it, time constants of 10 and 20 ms, 32-bit numbers. What differs is how large weights are and what a
library calls a neuron; `MODELS` below says it in a line each.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent

# Input and layers of a program; `kind` is its architecture.
WORKLOADS = {
    "shd_ff": dict(kind="dense", sizes=[700, 128, 20], steps=100, batch=64, density=0.02, weights=[1.0, 0.05]),
    "shd_rec": dict(kind="dense", sizes=[700, 128, 20], steps=100, batch=64, density=0.02, weights=[1.0, 0.05], recurrent=True),
    "wide_ff": dict(kind="dense", sizes=[1024, 1024, 1024, 10], steps=50, batch=128, density=0.05, weights=[0.25, 0.2, 0.02]),
    "onm": dict(kind="single", sizes=[512, 512], steps=500, batch=16, density=None),
    "conv": dict(kind="conv", steps=25, batch=32, density=0.05),
}
# Library, the module that must be there, and what to install.
LIBRARIES = {
    "norse": ("norse", "norse"),
    "snntorch": ("snntorch", "snntorch"),
    "spikingjelly": ("spikingjelly", "spikingjelly"),
    "spyx": ("spyx", "spyx jax flax optax"),
    "torch_compile": ("torch", "torch"),
}
MODELS = {
    "norse": "LIF and LIFRecurrent (current-based), SequentialState; connections over all steps at once where the library allows it",
    "snntorch": "Synaptic, RSynaptic, Leaky in a loop over the steps",
    "spikingjelly": "LIFNode without synaptic current, multi-step mode: its fastest neuron on a CPU",
    "spyx": "CuBaLIF, RCuBaLIF, LIF, LI through spyx.nn.run, jit of the whole step",
    "torch_compile": "the equations written out in PyTorch, compiled in blocks of 25 steps; connections over all steps at once",
}
MEMBRANE, SYNAPSE = math.exp(-1 / 20), math.exp(-1 / 10)


# --------------------------------------------------------------------------------------------------------------------
# The same input and weights for all


def numbers(spec):
    """Input [steps, batch, ...], labels, and weights [target, source]; what one spike adds to a membrane is alike."""
    import numpy as np

    draw = np.random.default_rng(1)
    steps, batch = spec["steps"], spec["batch"]
    if spec["kind"] == "conv":
        x = draw.random((steps, batch, 2, 34, 34)) < spec["density"]
        labels = draw.integers(0, 10, batch)
        shapes = [((12, 2, 5, 5), 1 / math.sqrt(50)), ((32, 12, 5, 5), 0.6 / math.sqrt(300)), ((10, 800), 1 / math.sqrt(800))]
        weights = [draw.standard_normal(shape) * std for shape, std in shapes]
    elif spec["kind"] == "single":
        n = spec["sizes"][0]
        x = draw.standard_normal((steps, batch, n))
        labels = np.zeros(batch, int)
        weights = [draw.uniform(-1, 1, (n, n)) / math.sqrt(n)]
    else:
        sizes = spec["sizes"]
        x = draw.random((steps, batch, sizes[0])) < spec["density"]
        labels = draw.integers(0, sizes[-1], batch)
        # A current moves the membrane by 1 − e^(−1/20) of itself in a step; here it is added whole.
        gain = 1 - MEMBRANE
        hidden = [gain] * (len(sizes) - 2) + [1.0]
        pairs = zip(zip(sizes[1:], sizes), zip(spec["weights"], hidden))
        weights = [draw.standard_normal(shape) * std * gain for shape, (std, gain) in pairs]
        if spec.get("recurrent"):
            recurrent = (draw.standard_normal((sizes[1], sizes[1])) * 0.2 - 0.12) * gain
            np.fill_diagonal(recurrent, 0)
            weights.append(recurrent)
    return x.astype(np.float32), labels, [w.astype(np.float32) for w in weights]


def timed(step, seconds, most):
    """Median and least of the steps in ms, after two that are not counted, and the seconds until the first was done."""
    start = time.perf_counter()
    step()
    first = time.perf_counter() - start
    step()
    times, start = [], time.perf_counter()
    while len(times) < most and (len(times) < 3 or time.perf_counter() - start < seconds):
        before = time.perf_counter()
        step()
        times.append(time.perf_counter() - before)
    return dict(median=1e3 * statistics.median(times), least=1e3 * min(times), steps=len(times), first_s=first)


# --------------------------------------------------------------------------------------------------------------------
# PyTorch


def torch_models(library, spec, weights, threads):
    """The parameters and a function from the input to logits [batch, classes], or to spikes of one layer."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    nn = torch.nn

    def filled(module, weight, gain=1.0):
        with torch.no_grad():
            module.weight.copy_(torch.from_numpy(weight) * gain)
        return module

    def linear(weight, gain=1.0, of=nn.Linear, **more):
        return filled(of(weight.shape[1], weight.shape[0], bias=False, **more), weight, gain)

    def conv(weight, gain=1.0, of=nn.Conv2d, **more):
        return filled(of(weight.shape[1], weight.shape[0], 5, bias=False, **more), weight, gain)

    build = dict(norse=of_norse, snntorch=of_snntorch, spikingjelly=of_spikingjelly, torch_compile=of_torch)
    return build[library](torch, spec, weights, linear, conv)


def of_norse(torch, spec, weights, linear, conv):
    from norse.torch import LI, LIF, LIFParameters, LIFRecurrent, LIParameters, Lift, SequentialState

    as_tensor = torch.tensor
    lif = LIFParameters(tau_syn_inv=as_tensor(100.0), tau_mem_inv=as_tensor(50.0), alpha=as_tensor(10.0))
    li = LIParameters(tau_syn_inv=as_tensor(100.0), tau_mem_inv=as_tensor(50.0))
    # Norse multiplies a current by step / tau.
    gain = 20.0
    if spec["kind"] == "single":
        net = SequentialState(linear(weights[0], gain), LIF(lif))
        return net, lambda x: net(x)[0]
    if spec["kind"] == "conv":
        pool, flat = torch.nn.MaxPool2d(2), torch.nn.Flatten(2)
        layers = [Lift(conv(weights[0], 4.0)), LIF(lif), Lift(pool), Lift(conv(weights[1], 4.0)), LIF(lif), Lift(pool)]
        net = SequentialState(*layers, flat, linear(weights[2], 4.0), LIF(lif))
        return net, lambda x: net(x)[0].sum(0)
    layers = []
    if spec.get("recurrent"):
        layer = LIFRecurrent(700, 128, p=lif)
        with torch.no_grad():
            layer.input_weights.copy_(torch.from_numpy(weights[0]) * gain)
            layer.recurrent_weights.copy_(torch.from_numpy(weights[2]) * gain)
        layers.append(layer)
    else:
        for weight in weights[:-1]:
            layers += [linear(weight, gain), LIF(lif)]
    net = SequentialState(*layers, linear(weights[len(spec["sizes"]) - 2]), LI(li))
    return net, lambda x: net(x)[0].max(0).values


def of_snntorch(torch, spec, weights, linear, conv):
    import snntorch
    from snntorch import surrogate

    fast = surrogate.fast_sigmoid(slope=10)
    nn = torch.nn

    class Single(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense, self.cell = linear(weights[0]), snntorch.Leaky(beta=MEMBRANE)

        def forward(self, x):
            state, spikes = self.cell.reset_mem(), []
            for now in x.unbind(0):
                spike, state = self.cell(self.dense(now), state)
                spikes.append(spike)
            return torch.stack(spikes)

    class Conv(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.dense = conv(weights[0]), conv(weights[1]), linear(weights[2])
            self.cells = nn.ModuleList([snntorch.Leaky(beta=MEMBRANE, spike_grad=fast) for _ in range(3)])
            self.pool = nn.MaxPool2d(2)

        def forward(self, x):
            states, counts = [cell.reset_mem() for cell in self.cells], 0
            for now in x.unbind(0):
                spike, states[0] = self.cells[0](self.first(now), states[0])
                spike, states[1] = self.cells[1](self.second(self.pool(spike)), states[1])
                spike, states[2] = self.cells[2](self.dense(self.pool(spike).flatten(1)), states[2])
                counts = counts + spike
            return counts

    class Dense(nn.Module):
        def __init__(self):
            super().__init__()
            count = len(spec["sizes"]) - 1
            self.dense = nn.ModuleList([linear(weight) for weight in weights[:count]])
            decays = dict(alpha=SYNAPSE, beta=MEMBRANE, spike_grad=fast)
            if spec.get("recurrent"):
                cell = snntorch.RSynaptic(linear_features=spec["sizes"][1], **decays)
                with torch.no_grad():
                    cell.recurrent.weight.copy_(torch.from_numpy(weights[-1]))
                self.cells = nn.ModuleList([cell])
            else:
                self.cells = nn.ModuleList([snntorch.Synaptic(**decays) for _ in range(count - 1)])
            self.readout = snntorch.Leaky(beta=MEMBRANE, reset_mechanism="none", spike_grad=fast)

        def forward(self, x):
            states = [cell.reset_mem() for cell in self.cells]
            out, trace = self.readout.reset_mem(), []
            for now in x.unbind(0):
                for i, cell in enumerate(self.cells):
                    result = cell(self.dense[i](now), *states[i])
                    now, states[i] = result[0], result if spec.get("recurrent") else result[1:]
                _, out = self.readout(self.dense[-1](now), out)
                trace.append(out)
            return torch.stack(trace).max(0).values

    net = dict(single=Single, conv=Conv, dense=Dense)[spec["kind"]]()
    return net, net


def of_spikingjelly(torch, spec, weights, linear, conv):
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    # The synapse that this neuron lacks holds a current for about ten steps.
    gain = 1.0 if spec["kind"] != "dense" else 6.0
    curve = surrogate.ATan() if spec["kind"] == "single" else surrogate.SoftSign(10.0)
    tau = 1 / (1 - MEMBRANE)

    def node():
        return neuron.LIFNode(tau=tau, decay_input=False, surrogate_function=curve, detach_reset=True)

    if spec["kind"] == "single":
        layers = [linear(weights[0], of=layer.Linear), node()]
    elif spec["kind"] == "conv":
        first, second = conv(weights[0], of=layer.Conv2d), conv(weights[1], of=layer.Conv2d)
        layers = [first, node(), layer.MaxPool2d(2), second, node(), layer.MaxPool2d(2), layer.Flatten()]
        layers += [linear(weights[2], of=layer.Linear), node()]
    else:
        layers = []
        for weight in weights[: len(spec["sizes"]) - 2]:
            layers.append(linear(weight, gain, of=layer.Linear))
            if not spec.get("recurrent"):
                layers.append(node())
                continue
            n = spec["sizes"][1]
            cell = layer.LinearRecurrentContainer(node(), in_features=n, out_features=n, bias=False)
            with torch.no_grad():
                cell.rc.weight.copy_(torch.cat([torch.eye(n), torch.from_numpy(weights[-1])], 1))
            layers.append(cell)
        readout = neuron.NonSpikingLIFNode(tau=tau, decode="max-mem")
        layers += [linear(weights[len(spec["sizes"]) - 2], of=layer.Linear), readout]
    net = torch.nn.Sequential(*layers)
    functional.set_step_mode(net, "m")

    def run(x):
        functional.reset_net(net)
        out = net(x)
        return out.sum(0) if spec["kind"] == "conv" else out

    return net, run


def of_torch(torch, spec, weights, linear, conv):
    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(context, margin):
            context.save_for_backward(margin)
            return (margin >= 0).to(margin.dtype)

        @staticmethod
        def backward(context, gradient):
            (margin,) = context.saved_tensors
            return gradient / (10 * margin.abs() + 1) ** 2

    spike = Spike.apply

    # Steps by `unbind`: the backward of `x[t]` would fill a whole sequence for each step.
    def current_based(x, i, v):
        spikes = []
        for now in x.unbind(0):
            i = SYNAPSE * i + now
            v = MEMBRANE * v + i
            z = spike(v - 1)
            v = v * (1 - z.detach())
            spikes.append(z)
        return torch.stack(spikes), i, v

    def recurrent(x, i, v, z, weight):
        spikes = []
        for now in x.unbind(0):
            i = SYNAPSE * i + now + z @ weight
            v = MEMBRANE * v + i
            z = spike(v - 1)
            v = v * (1 - z.detach())
            spikes.append(z)
        return torch.stack(spikes), i, v, z

    def leaky(x, v):
        spikes = []
        for now in x.unbind(0):
            v = MEMBRANE * v + now
            z = spike(v - 1)
            v = v * (1 - z.detach())
            spikes.append(z)
        return torch.stack(spikes), v

    def readout(x, v):
        trace = []
        for now in x.unbind(0):
            v = MEMBRANE * v + now
            trace.append(v)
        return torch.stack(trace), v

    current_based, recurrent, leaky, readout = (
        torch.compile(f, dynamic=False) for f in (current_based, recurrent, leaky, readout)
    )

    def through(cell, x, states, *weights):
        given = []
        for block in x.split(25):
            out, *states = cell(block, *states, *weights)
            given.append(out)
        return torch.cat(given)

    def over_steps(f, x):
        return f(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    nn, batch = torch.nn, spec["batch"]
    net = nn.Module()
    if spec["kind"] == "single":
        net.dense = linear(weights[0])
        return net, lambda x: through(leaky, net.dense(x), [torch.zeros(batch, 512)])
    if spec["kind"] == "conv":
        net.layers = nn.ModuleList([conv(weights[0]), conv(weights[1]), linear(weights[2])])
        pool = nn.MaxPool2d(2)

        def run(x):
            for i, layer in enumerate(net.layers):
                if i > 0:
                    x = over_steps(pool, x)
                current = layer(x.flatten(2)) if i == 2 else over_steps(layer, x)
                x = through(leaky, current, [torch.zeros_like(current[0])])
            return x.sum(0)

        return net, run
    sizes = spec["sizes"]
    net.layers = nn.ModuleList([linear(weight) for weight in weights[: len(sizes) - 1]])
    if spec.get("recurrent"):
        net.back = nn.Parameter(torch.from_numpy(weights[-1].T.copy()))

    def run(x):
        for layer in net.layers[:-1]:
            x = layer(x)
            zero = torch.zeros_like(x[0])
            x = through(recurrent, x, [zero] * 3, net.back) if spec.get("recurrent") else through(current_based, x, [zero] * 2)
        return through(readout, net.layers[-1](x), [torch.zeros(batch, sizes[-1])]).max(0).values

    return net, run


def time_torch(library, spec, threads, seconds, most):
    import torch

    x, labels, weights = numbers(spec)
    net, run = torch_models(library, spec, weights, threads)
    x, labels = torch.from_numpy(x), torch.from_numpy(labels)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4, fused=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        out = run(x)
        loss = out.sum() if spec["kind"] == "single" else torch.nn.functional.cross_entropy(out, labels)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return timed(step, seconds, most) | dict(version=torch.__version__)


# --------------------------------------------------------------------------------------------------------------------
# JAX


def time_spyx(spec, threads, seconds, most):
    import jax
    import jax.numpy as jnp
    import optax
    import spyx
    import spyx.nn as snn
    from flax import nnx

    x, labels, weights = numbers(spec)
    rngs = nnx.Rngs(0)
    curve = spyx.axn.superspike(10.0)

    def linear(weight):
        layer = nnx.Linear(weight.shape[1], weight.shape[0], use_bias=False, rngs=rngs)
        layer.kernel[...] = jnp.asarray(weight.T)
        return layer

    def conv(weight):
        out, channels = weight.shape[:2]
        layer = nnx.Conv(channels, out, (5, 5), padding="VALID", use_bias=False, rngs=rngs)
        layer.kernel[...] = jnp.asarray(weight.transpose(2, 3, 1, 0))
        return layer

    class Pool(nnx.Module):
        def __call__(self, x):
            return nnx.max_pool(x, (2, 2), (2, 2))

    def leaky(shape):
        return snn.LIF(shape, beta=MEMBRANE, activation=curve, rngs=rngs)

    if spec["kind"] == "single":
        layers = [linear(weights[0]), snn.LIF((512,), beta=MEMBRANE, activation=spyx.axn.arctan(), rngs=rngs)]
    elif spec["kind"] == "conv":
        # Channels come last.
        x = x.transpose(0, 1, 3, 4, 2)
        layers = [conv(weights[0]), leaky((30, 30, 12)), Pool(), conv(weights[1]), leaky((11, 11, 32)), Pool()]
        layers += [snn.Flatten(), linear(weights[2]), leaky((10,))]
    else:
        layers, sizes = [], spec["sizes"]
        decays = dict(alpha=SYNAPSE, beta=MEMBRANE, activation=curve, rngs=rngs)
        for weight, n in zip(weights, sizes[1:-1]):
            layers.append(linear(weight))
            layers.append((snn.RCuBaLIF if spec.get("recurrent") else snn.CuBaLIF)((n,), **decays))
            if spec.get("recurrent"):
                layers[-1].recurrent_w[...] = jnp.asarray(weights[-1].T)
        layers += [linear(weights[len(sizes) - 2]), snn.LI((sizes[-1],), beta=MEMBRANE, rngs=rngs)]
    net = snn.Sequential(*layers)
    optimizer = nnx.Optimizer(net, optax.adam(1e-4), wrt=nnx.Param)
    x, labels = jnp.asarray(x), jnp.asarray(labels)

    def loss_of(net, x, labels):
        out, _ = snn.run(net, x)
        if spec["kind"] == "single":
            return out.sum()
        logits = out.sum(0) if spec["kind"] == "conv" else out.max(0)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    @nnx.jit
    def update(net, optimizer, x, labels):
        loss, gradients = nnx.value_and_grad(loss_of)(net, x, labels)
        optimizer.update(net, gradients)
        return loss

    def step():
        return float(jax.block_until_ready(update(net, optimizer, x, labels)))

    return timed(step, seconds, most) | dict(version=jax.__version__)


# --------------------------------------------------------------------------------------------------------------------
# Processes and the table


def cores(threads):
    if not hasattr(os, "sched_getaffinity"):
        return None
    return sorted(os.sched_getaffinity(0))[:threads]


def environment(threads):
    """One thread count for every library that asks for one; the libraries choose their own code paths."""
    given = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        given[name] = str(threads)
    given |= dict(JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="")
    if threads == 1:
        given["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    return given


def run(command, threads, limit):
    """The JSON document that a command prints, or why there is none."""
    pin = cores(threads)
    prepare = (lambda: os.sched_setaffinity(0, pin)) if pin else None
    try:
        done = subprocess.run(
            command, env=environment(threads), preexec_fn=prepare, capture_output=True, text=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return None, f"took more than {limit:.0f} s"
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        return None, lines[-1] if lines else f"ended with status {done.returncode}"
    begin = done.stdout.find("{")
    return json.loads(done.stdout[begin:]), None


def time_ours(options, program, threads):
    command = [options.rheo, "bench", str(HERE / f"{program}.snn"), "--threads", str(threads)]
    found, why = run(command + ["--steps", str(options.steps), "--json"], threads, options.limit)
    step = found and found["step_ms"]
    return (step and dict(median=step["median"], least=step["min"], first_s=None)), why


def time_theirs(options, library, workload, threads):
    command = [options.python, str(Path(__file__).resolve()), "--one", library, workload]
    command += ["--threads", str(threads), "--seconds", str(options.seconds), "--steps", str(options.steps)]
    return run(command, threads, options.limit)


def missing(options):
    """Libraries that the interpreter has not."""
    modules = sorted({module for module, _ in LIBRARIES.values()})
    code = f"import importlib.util as u, json; print(json.dumps([m for m in {modules!r} if u.find_spec(m) is None]))"
    done = subprocess.run([options.python, "-c", code], capture_output=True, text=True, check=True)
    return {library for library, (module, _) in LIBRARIES.items() if module in json.loads(done.stdout)}


def versions(options):
    names = ["torch", "norse", "snntorch", "spikingjelly", "jax", "spyx"]
    code = (
        "import importlib.metadata as m, json\n"
        "def of(n):\n  try: return m.version(n)\n  except m.PackageNotFoundError: return None\n"
        f"print(json.dumps({{n: of(n) for n in {names!r}}}))"
    )
    done = subprocess.run([options.python, "-c", code], capture_output=True, text=True, check=True)
    return {name: version for name, version in json.loads(done.stdout).items() if version}


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores, {platform.system()}"


def table(options, medians):
    """Rows of text: our time, and each library's as a multiple of it."""
    columns = ["workload", "rheo", "compact"] + options.libraries
    if options.two:
        columns.append("2 threads")
    rows = [columns]
    for workload in options.workloads:
        ours = medians.get((workload, "rheo"))
        row = [workload] + ["–" if t is None else f"{t:.1f} ms" for t in (ours, medians.get((workload, "compact")))]
        for library in options.libraries:
            theirs = medians.get((workload, library))
            ratio = f" ({theirs / ours:.1f}×)" if theirs and ours else ""
            row.append(f"{theirs:.0f} ms{ratio}" if theirs else "–")
        if options.two:
            both = medians.get((workload, "two"))
            row.append(f"{ours / both:.2f}×" if both and ours else "–")
        rows.append(row)
    return rows


def show(rows, markdown):
    if markdown:
        rows = [rows[0], ["---"] * len(rows[0])] + rows[1:]
        return "\n".join("| " + " | ".join(row) + " |" for row in rows)
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    return "\n".join("  ".join(cell.rjust(w) if c else cell.ljust(w) for c, (cell, w) in enumerate(zip(row, widths))) for row in rows)


def compare(options):
    absent = missing(options)
    for library in [l for l in options.libraries if l in absent]:
        print(f"{library} is left out; to have it: {options.python} -m pip install {LIBRARIES[library][1]}", file=sys.stderr)
    options.libraries = [library for library in options.libraries if library not in absent]
    found, failed = {}, set()
    for round_ in range(options.rounds):
        for workload in options.workloads:
            jobs = [("rheo", lambda: time_ours(options, workload, 1)), ("compact", lambda: time_ours(options, workload + "_compact", 1))]
            if options.two:
                jobs.append(("two", lambda: time_ours(options, workload, 2)))
            for library in options.libraries:
                jobs.append((library, lambda library=library: time_theirs(options, library, workload, 1)))
            for name, job in jobs:
                if (workload, name) in failed:
                    continue
                result, why = job()
                if result is None:
                    failed.add((workload, name))
                    print(f"{workload} {name}: {why}", file=sys.stderr)
                    continue
                ms = result["least" if options.least else "median"]
                found.setdefault((workload, name), []).append(ms)
                print(f"round {round_ + 1}  {workload:8} {name:13} {ms:9.2f} ms", file=sys.stderr)
    medians = {key: (min if options.least else statistics.median)(times) for key, times in found.items()}
    print(processor())
    print(", ".join(f"{name} {version}" for name, version in versions(options).items()))
    print(show(table(options, medians), options.markdown))
    if options.json:
        document = dict(machine=processor(), versions=versions(options), rounds={f"{w} {n}": t for (w, n), t in found.items()})
        Path(options.json).write_text(json.dumps(document, indent=1) + "\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rheo", default="target/release/rheo", help="the command, built with --release")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has the libraries")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--libraries", nargs="*", choices=LIBRARIES, default=list(LIBRARIES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--least", action="store_true", help="the fastest step instead of medians, where others use the machine")
    parser.add_argument("--steps", type=int, default=20, help="steps of a measurement, at most")
    parser.add_argument("--seconds", type=float, default=20.0, help="no further step after so many, from three steps on")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds after which a measurement is given up")
    parser.add_argument("--two", action="store_true", help="our time on two threads, too")
    parser.add_argument("--markdown", action="store_true", help="the table in Markdown")
    parser.add_argument("--json", help="a file for all measurements")
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--one", nargs=2, metavar=("LIBRARY", "WORKLOAD"), help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = arguments()
    if options.one is None:
        return compare(options)
    library, workload = options.one
    spec, limits = WORKLOADS[workload], (options.threads, options.seconds, options.steps)
    result = time_spyx(spec, *limits) if library == "spyx" else time_torch(library, spec, *limits)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
