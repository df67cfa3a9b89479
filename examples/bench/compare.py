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

The same for all: the numbers of the input and the initial weights, which are drawn here as Rheobase draws them; sizes,
steps, samples, 32-bit numbers; decays of neurons, each library's constants chosen so that a step of it is exactly one of
Rheobase; resets through which no gradient goes; the shape of the surrogate up to a factor. The second table that is printed
has the spikes of every layer per neuron and step: where libraries do the same work, the numbers agree.

What is not the same, because a library has nothing else or is faster that way:
- snnTorch's Synaptic subtracts the threshold in the step after a spike, where others go to 0 in the step of the spike
  (`shd_ff`, `shd_rec`, `wide_ff`). Its way to 0 computes every step twice.
- Spyx does so as well, everywhere, and spikes a step late.
- SpikingJelly's fast neuron has no synaptic current; weights are multiplied so that it spikes as often (`shd_ff`, `shd_rec`,
  `wide_ff`). Its neuron with a current, CUBALIFNode, spikes as Rheobase's but takes longer.
- Spyx trains decays, too: it has no other way to give them to a layer. That is two numbers for each.
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
# The layers of the programs that spike, from the input on.
LAYERS = ["hid", "one", "two", "first", "second", "out"]
# What multiplies the weights of layers that have no synaptic current, so that they spike as often as layers that have one.
WITHOUT_CURRENT = {"shd_ff": [10.186], "shd_rec": [6.739], "wide_ff": [7.268, 8.777]}
MEMBRANE, SYNAPSE = math.exp(-1 / 20), math.exp(-1 / 10)
# What a current of 1 adds to a membrane in a step: the exact solution of both equations, time constants 20 and 10.
SYNAPSE_GAIN = (MEMBRANE - SYNAPSE) * 10 / (20 - 10)


# --------------------------------------------------------------------------------------------------------------------
# The same input and weights for all: those that Rheobase draws, number by number


class Philox:
    """The random numbers of Rheobase: Philox4x32-10 (Salmon et al. 2011), a block of four words for a key and a counter."""

    def __init__(self, seed, domain, index):
        low, high, _, _ = self.blocks(seed, [index & 0xFFFFFFFF, index >> 32, domain, 0x6B657931])
        self.key = int(low) | int(high) << 32

    @staticmethod
    def blocks(key, counter):
        """Four arrays of words; a part of the counter may be an array."""
        import numpy as np

        low = np.uint64(0xFFFFFFFF)
        c = [np.asarray(word, np.uint64) for word in counter]
        k = [np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32)]
        for _ in range(10):
            p, q = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
            c = [q >> np.uint64(32) ^ c[1] ^ k[0], q & low, p >> np.uint64(32) ^ c[3] ^ k[1], p & low]
            k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
        return c

    def words(self, count, last=0):
        import numpy as np

        blocks = self.blocks(self.key, [np.arange(-(-count // 4)), 0, 0, last])
        return np.stack(np.broadcast_arrays(*blocks), -1).ravel()[:count]

    def doubles(self, count, last=0):
        """Uniform in [0, 1)."""
        words = self.words(2 * count, last)
        joined = words[0::2] | words[1::2] << 32
        return (joined >> 11) / 2.0**53

    def normals(self, count, last=0):
        import numpy as np

        uniform = self.doubles(2 * count, last)
        return np.sqrt(-2 * np.log(1 - uniform[0::2])) * np.cos(2 * np.pi * uniform[1::2])

    def below(self, n, last=0):
        """A whole number from 0 to n − 1 (Lemire 2019; none is refused for so small a number)."""
        low, high = (int(word) for word in self.words(2, last))
        return (low | high << 32) * n >> 64


def samples(spec, channels, classes):
    """What `random_spikes` with seed 1 gives: input [steps, batch, channels], and labels."""
    import numpy as np

    steps, batch = spec["steps"], spec["batch"]
    x, labels = np.zeros((steps, batch, channels), np.float32), np.zeros(batch, np.int64)
    quads, times = np.arange(-(-channels // 4)), np.arange(steps)[:, None]
    for b in range(batch):
        draw = Philox(1, 4, b)
        labels[b] = draw.below(classes, last=1)
        if spec["density"] is None:
            x[:, b] = draw.normals(steps * channels, last=2).reshape(steps, channels)
            continue
        blocks = draw.blocks(draw.key, [quads, times, 0, 0])
        words = np.stack(np.broadcast_arrays(*blocks), -1).reshape(steps, -1)[:, :channels]
        x[:, b] = words < round(spec["density"] * 2**32)
    return x, labels


def weight(index, shape, std, mean=0.0):
    """The initial weights of connection `index` [target, source, …], normal, with seed 0."""
    import numpy as np

    out, *rest = shape
    drawn = mean + std * Philox(0, 0x1417, index).normals(int(np.prod(shape)))
    # Outputs come last there, and the lines of kernels are backwards.
    drawn = np.moveaxis(drawn.reshape(*rest, out), -1, 0)
    return drawn[..., ::-1] if len(shape) == 4 else drawn


def numbers(spec):
    """Input [steps, batch, ...], labels, and weights [target, source], times what an input of 1 adds to a membrane."""
    import numpy as np

    if spec["kind"] == "conv":
        x, labels = samples(spec, 2 * 34 * 34, 10)
        x = x.reshape(*x.shape[:2], 2, 34, 34)
        shapes = [((12, 2, 5, 5), 1 / math.sqrt(50)), ((32, 12, 5, 5), 0.6 / math.sqrt(300)), ((10, 800), 1 / math.sqrt(800))]
        weights = [weight(i, shape, std) * MEMBRANE for i, (shape, std) in enumerate(shapes)]
    elif spec["kind"] == "single":
        n = spec["sizes"][0]
        x, labels = samples(spec, n, 1)
        uniform = Philox(0, 0x1417, 0).doubles(n * n).reshape(n, n).T
        weights = [(2 * uniform - 1) / math.sqrt(n) * MEMBRANE]
    else:
        sizes = spec["sizes"]
        x, labels = samples(spec, sizes[0], sizes[-1])
        # What a current adds to the membrane in a step, exactly.
        gains = [SYNAPSE_GAIN] * (len(sizes) - 2) + [MEMBRANE]
        shapes = list(zip(sizes[1:], sizes))
        # The recurrent connection is the second one of its program.
        last = len(shapes) if spec.get("recurrent") else len(shapes) - 1
        places = list(range(len(shapes) - 1)) + [last]
        weights = [weight(i, shape, std) * gain for i, shape, std, gain in zip(places, shapes, spec["weights"], gains)]
        if spec.get("recurrent"):
            recurrent = weight(1, (sizes[1], sizes[1]), 0.2, -0.12)
            np.fill_diagonal(recurrent, 0)
            weights.append(recurrent * SYNAPSE_GAIN)
    return x, labels, [np.ascontiguousarray(w, np.float32) for w in weights]


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
    """The parameters, a function from the input to logits [batch, classes] or to spikes of one layer, and the modules
    whose output, or the first part of it, is the spikes of a layer."""
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

    # Its steps are Euler's: with these constants they decay as the exact ones do. A current that is gone after its step
    # is none.
    def constants(of, synapse, **more):
        inverse = [torch.tensor(1000.0 * (1 - decay)) for decay in (synapse, MEMBRANE)]
        return of(tau_syn_inv=inverse[0], tau_mem_inv=inverse[1], **more)

    alpha = torch.tensor(10.0)
    based, leaky = (constants(LIFParameters, decay, alpha=alpha) for decay in (SYNAPSE, 0.0))
    gain = 1 / (1 - MEMBRANE)
    if spec["kind"] == "single":
        net = SequentialState(linear(weights[0], gain), LIF(leaky))
        return net, lambda x: net(x)[0], [net[1]]
    if spec["kind"] == "conv":
        pool, flat = torch.nn.MaxPool2d(2), torch.nn.Flatten(2)
        cells = [LIF(leaky) for _ in range(3)]
        layers = [Lift(conv(weights[0], gain)), cells[0], Lift(pool), Lift(conv(weights[1], gain)), cells[1], Lift(pool)]
        net = SequentialState(*layers, flat, linear(weights[2], gain), cells[2])
        return net, lambda x: net(x)[0].sum(0), cells
    layers, cells = [], []
    if spec.get("recurrent"):
        cells.append(LIFRecurrent(700, 128, p=based))
        with torch.no_grad():
            cells[0].input_weights.copy_(torch.from_numpy(weights[0]) * gain)
            cells[0].recurrent_weights.copy_(torch.from_numpy(weights[2]) * gain)
        layers = list(cells)
    else:
        for weight in weights[:-1]:
            cells.append(LIF(based))
            layers += [linear(weight, gain), cells[-1]]
    readout = LI(constants(LIParameters, 0.0))
    net = SequentialState(*layers, linear(weights[len(spec["sizes"]) - 2], gain), readout)
    return net, lambda x: net(x)[0].max(0).values, cells


def of_snntorch(torch, spec, weights, linear, conv):
    import snntorch
    from snntorch import surrogate

    fast = surrogate.fast_sigmoid(slope=10)
    nn = torch.nn

    class Single(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense, self.cell = linear(weights[0]), snntorch.Leaky(beta=MEMBRANE, reset_mechanism="zero")
            self.cells = [self.cell]

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
            leaky = dict(beta=MEMBRANE, spike_grad=fast, reset_mechanism="zero")
            self.cells = nn.ModuleList([snntorch.Leaky(**leaky) for _ in range(3)])
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
                cell.recurrent.bias = None
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
    return net, net, list(net.cells)


def of_spikingjelly(torch, spec, weights, linear, conv):
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    curve = surrogate.ATan() if spec["kind"] == "single" else surrogate.SoftSign(10.0)
    tau = 1 / (1 - MEMBRANE)
    cells = []

    def node():
        cells.append(neuron.LIFNode(tau=tau, decay_input=False, surrogate_function=curve, detach_reset=True))
        return cells[-1]

    if spec["kind"] == "single":
        layers = [linear(weights[0], of=layer.Linear), node()]
    elif spec["kind"] == "conv":
        first, second = conv(weights[0], of=layer.Conv2d), conv(weights[1], of=layer.Conv2d)
        layers = [first, node(), layer.MaxPool2d(2), second, node(), layer.MaxPool2d(2), layer.Flatten()]
        layers += [linear(weights[2], of=layer.Linear), node()]
    else:
        layers = []
        for gain, weight in zip(spec["gains"], weights):
            layers.append(linear(weight, gain, of=layer.Linear))
            if not spec.get("recurrent"):
                layers.append(node())
                continue
            n = spec["sizes"][1]
            cell = layer.LinearRecurrentContainer(node(), in_features=n, out_features=n, bias=False)
            with torch.no_grad():
                cell.rc.weight.copy_(torch.cat([torch.eye(n), torch.from_numpy(weights[-1]) * gain], 1))
            layers.append(cell)
        readout = neuron.NonSpikingLIFNode(tau=tau, decode="max-mem")
        # It multiplies what arrives by 1 / tau.
        layers += [linear(weights[len(spec["sizes"]) - 2], tau, of=layer.Linear), readout]
    net = torch.nn.Sequential(*layers)
    functional.set_step_mode(net, "m")

    def run(x):
        functional.reset_net(net)
        out = net(x)
        return out.sum(0) if spec["kind"] == "conv" else out

    return net, run, cells


def of_torch(torch, spec, weights, linear, conv):
    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(context, margin):
            context.save_for_backward(margin)
            return (margin >= 0).to(margin.dtype)

        @staticmethod
        def backward(context, gradient):
            (margin,) = context.saved_tensors
            if spec["kind"] == "single":
                return gradient / (1 + (math.pi * margin) ** 2)
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

    class Through(torch.nn.Module):
        def forward(self, cell, x, states, *weights):
            given = []
            for block in x.split(25):
                out, *states = cell(block, *states, *weights)
                given.append(out)
            return torch.cat(given)

    through, cells = Through(), [Through() for _ in range(3)]

    def over_steps(f, x):
        return f(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    nn, batch = torch.nn, spec["batch"]
    net = nn.Module()
    if spec["kind"] == "single":
        net.dense = linear(weights[0])
        return net, lambda x: cells[0](leaky, net.dense(x), [torch.zeros(batch, 512)]), cells
    if spec["kind"] == "conv":
        net.layers = nn.ModuleList([conv(weights[0]), conv(weights[1]), linear(weights[2])])
        pool = nn.MaxPool2d(2)

        def run(x):
            for i, layer in enumerate(net.layers):
                if i > 0:
                    x = over_steps(pool, x)
                current = layer(x.flatten(2)) if i == 2 else over_steps(layer, x)
                x = cells[i](leaky, current, [torch.zeros_like(current[0])])
            return x.sum(0)

        return net, run, cells
    sizes = spec["sizes"]
    net.layers = nn.ModuleList([linear(weight) for weight in weights[: len(sizes) - 1]])
    if spec.get("recurrent"):
        net.back = nn.Parameter(torch.from_numpy(weights[-1].T.copy()))

    def run(x):
        for cell, layer in zip(cells, net.layers[:-1]):
            x = layer(x)
            zero = torch.zeros_like(x[0])
            x = cell(recurrent, x, [zero] * 3, net.back) if spec.get("recurrent") else cell(current_based, x, [zero] * 2)
        return through(readout, net.layers[-1](x), [torch.zeros(batch, sizes[-1])]).max(0).values

    return net, run, cells


def rates_torch(run, x, cells):
    """The spikes of each layer per neuron and step."""
    import torch

    found = [[] for _ in cells]

    def note(spikes):
        return lambda module, given, out: spikes.append(float((out[0] if isinstance(out, tuple) else out).detach().mean()))

    hooks = [cell.register_forward_hook(note(spikes)) for cell, spikes in zip(cells, found)]
    with torch.no_grad():
        run(x)
    [hook.remove() for hook in hooks]
    return [statistics.fmean(spikes) for spikes in found if spikes]


def time_torch(library, spec, threads, seconds, most):
    import torch

    x, labels, weights = numbers(spec)
    net, run, cells = torch_models(library, spec, weights, threads)
    x, labels = torch.from_numpy(x), torch.from_numpy(labels)
    rates = rates_torch(run, x, cells)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4, fused=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        out = run(x)
        loss = out.sum() if spec["kind"] == "single" else torch.nn.functional.cross_entropy(out, labels)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return timed(step, seconds, most) | dict(version=torch.__version__, rates=rates)


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

    def rates():
        """Each layer that spikes ends a part of the network that is run up to there."""
        spiking = (snn.LIF, snn.CuBaLIF, snn.RCuBaLIF)
        ends = [k + 1 for k, layer in enumerate(layers) if isinstance(layer, spiking)]
        return [float(snn.run(snn.Sequential(*layers[:end]), x)[0].mean()) for end in ends]

    given = rates()

    @nnx.jit
    def update(net, optimizer, x, labels):
        loss, gradients = nnx.value_and_grad(loss_of)(net, x, labels)
        optimizer.update(net, gradients)
        return loss

    def step():
        return float(jax.block_until_ready(update(net, optimizer, x, labels)))

    return timed(step, seconds, most) | dict(version=jax.__version__, rates=given)


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
    command = [options.rheo, "bench", str(HERE / f"{program}.snn"), "--threads", str(threads), "--json"]
    found, why = run(command + ["--steps", str(options.steps)], threads, options.limit)
    if found is None:
        return None, why
    step = found["step_ms"]
    # Rates are those at the end: of a training that moves nothing they are those of the initial weights.
    still, why = run(command + ["--steps", "1", "--set", "optimizer.lr=1e-30"], threads, options.limit)
    if still is None:
        return None, why
    # The document has them in alphabetical order.
    rates = [still["density"][layer] for layer in LAYERS if layer in still["density"]]
    return dict(median=step["median"], least=step["min"], first_s=None, rates=rates), None


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


def rates(options, found):
    """Rows of text: the spikes of each layer per neuron and step, in per cent."""
    columns = ["spikes, %", "rheo", "compact"] + options.libraries
    rows = [columns]
    for workload in options.workloads:
        given = [found.get((workload, name)) for name in columns[1:]]
        rows.append([workload] + [", ".join(f"{100 * rate:.2f}" for rate in r) if r else "–" for r in given])
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
    found, rates_of, failed = {}, {}, set()
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
                rates_of[workload, name] = result["rates"]
                print(f"round {round_ + 1}  {workload:8} {name:13} {ms:9.2f} ms", file=sys.stderr)
    medians = {key: (min if options.least else statistics.median)(times) for key, times in found.items()}
    print(processor())
    print(", ".join(f"{name} {version}" for name, version in versions(options).items()))
    print(show(table(options, medians), options.markdown))
    print()
    print(show(rates(options, rates_of), options.markdown))
    if options.json:
        named = lambda of: {f"{workload} {name}": value for (workload, name), value in of.items()}
        document = dict(machine=processor(), versions=versions(options), rounds=named(found), rates=named(rates_of))
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
    spec = WORKLOADS[workload] | dict(gains=WITHOUT_CURRENT.get(workload))
    limits = (options.threads, options.seconds, options.steps)
    result = time_spyx(spec, *limits) if library == "spyx" else time_torch(library, spec, *limits)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
