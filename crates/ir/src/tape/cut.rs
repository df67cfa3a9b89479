//! The cheapest set of values to save, by a minimum cut.
//!
//! A value has two vertices. Its *entry* is on the side of the readers if the backward computes it, its *exit* if the
//! backward has it at all; a value that it has and does not compute is saved. Edges from the source say what computing
//! costs, those from entry to exit what saving costs, and those from an exit to the entries of what is computed from it
//! forbid to compute without operands:
//!
//! ```text
//!             computed             saved
//!    source ───────────▶ entry(v) ───────▶ exit(v) ──unbounded──▶ entry(w), sink if an adjoint reads v
//! ```
//!
//! What the backward needs anyway (constants, keys of random numbers) has no vertices. A value that the forward does not
//! need for its outputs is computed once, here or there: computing it costs nothing in this account.

use std::collections::VecDeque;

use crate::kernel::{Def, Kernel, Value};

use super::cost;

/// What is known of the values of a joint kernel.
pub(super) struct Question<'k> {
    pub(super) joint: &'k Kernel,
    /// Values that may be saved or computed again.
    pub(super) free: &'k [bool],
    /// Values that must not be computed again: what a step begins with, and what must not be computed from
    /// rounded numbers.
    pub(super) fixed: &'k [bool],
    /// Values that the forward computes for its outputs.
    pub(super) primal: &'k [bool],
    /// Values that adjoints read.
    pub(super) read: &'k [bool],
    /// What it costs to save each value.
    pub(super) saved: &'k [usize],
}

/// The cheapest values to save, in the order of evaluation. Of equally good choices it is the one nearest to the
/// readers.
pub(super) fn cheapest(question: &Question<'_>) -> Vec<Value> {
    let mut network = Network {
        out: vec![Vec::new(), Vec::new()],
        edges: Vec::new(),
    };
    let joint = question.joint;
    let mut exits = vec![None; joint.nodes.len()];
    let mut values = Vec::new();
    for (value, node) in joint.values() {
        let i = value.index();
        if !question.free[i] {
            continue;
        }
        let [entry, exit] = [(); 2].map(|()| network.vertex());
        values.push((value, entry, exit));
        exits[i] = Some(exit);
        network.edge(entry, exit, question.saved[i]);
        if question.read[i] {
            network.edge(exit, SINK, UNBOUNDED);
        }
        match &node.def {
            _ if question.fixed[i] => network.edge(SOURCE, entry, UNBOUNDED),
            Def::Input(_) => {}
            def @ Def::Inst(_, args) => {
                if question.primal[i] {
                    network.edge(SOURCE, entry, cost::of(def));
                }
                let operands = args.iter().filter_map(|a| exits[a.index()]);
                let operands: Vec<usize> = operands.collect();
                operands
                    .into_iter()
                    .for_each(|operand| network.edge(operand, entry, UNBOUNDED));
            }
        }
    }
    network.fill();
    let readers = network.side_of_the_sink();
    let crosses = |(value, entry, exit): (Value, usize, usize)| {
        (!readers[entry] && readers[exit]).then_some(value)
    };
    values.into_iter().filter_map(crosses).collect()
}

const SOURCE: usize = 0;
const SINK: usize = 1;
const UNBOUNDED: usize = usize::MAX / 4;

/// A flow network; it keeps what capacity is left.
struct Network {
    /// For each vertex its edges, as indices into `edges`.
    out: Vec<Vec<usize>>,
    /// Target and capacity; edge `e ^ 1` is the reverse of `e`.
    edges: Vec<(usize, usize)>,
}

impl Network {
    fn vertex(&mut self) -> usize {
        self.out.push(Vec::new());
        self.out.len() - 1
    }

    fn edge(&mut self, from: usize, to: usize, capacity: usize) {
        self.out[from].push(self.edges.len());
        self.edges.push((to, capacity));
        self.out[to].push(self.edges.len());
        self.edges.push((from, 0));
    }

    /// A maximum flow, by blocking flows in layers of equal distance (Dinic 1970).
    fn fill(&mut self) {
        loop {
            let distance = self.distances();
            if distance[SINK] == usize::MAX {
                return;
            }
            let mut next = vec![0; self.out.len()];
            while self.push(&distance, &mut next) {}
        }
    }

    /// The fewest open edges from the source to each vertex.
    fn distances(&self) -> Vec<usize> {
        let mut distance = vec![usize::MAX; self.out.len()];
        distance[SOURCE] = 0;
        let mut queue = VecDeque::from([SOURCE]);
        while let Some(vertex) = queue.pop_front() {
            for &e in &self.out[vertex] {
                let (to, capacity) = self.edges[e];
                if capacity > 0 && distance[to] == usize::MAX {
                    distance[to] = distance[vertex] + 1;
                    queue.push_back(to);
                }
            }
        }
        distance
    }

    /// Sends as much as fits along one path to the sink, each edge a layer further; whether there is one. Edges before
    /// `next` of a vertex lead nowhere.
    fn push(&mut self, distance: &[usize], next: &mut [usize]) -> bool {
        let mut path: Vec<usize> = Vec::new();
        let mut vertex = SOURCE;
        while vertex != SINK {
            if let Some(&e) = self.out[vertex].get(next[vertex]) {
                let (to, capacity) = self.edges[e];
                if capacity > 0 && distance[to] == distance[vertex] + 1 {
                    path.push(e);
                    vertex = to;
                } else {
                    next[vertex] += 1;
                }
            } else {
                let Some(e) = path.pop() else { return false };
                vertex = self.edges[e ^ 1].0;
                next[vertex] += 1;
            }
        }
        let amount = path.iter().map(|&e| self.edges[e].1).min().unwrap_or(0);
        for e in path {
            self.edges[e].1 -= amount;
            self.edges[e ^ 1].1 += amount;
        }
        true
    }

    /// The vertices from which the sink can still be reached.
    fn side_of_the_sink(&self) -> Vec<bool> {
        let mut reaches = vec![false; self.out.len()];
        reaches[SINK] = true;
        let mut queue = VecDeque::from([SINK]);
        while let Some(vertex) = queue.pop_front() {
            for &e in &self.out[vertex] {
                // The reverse of `e` leads here; it is open if it has capacity left.
                let from = self.edges[e].0;
                if self.edges[e ^ 1].1 > 0 && !reaches[from] {
                    reaches[from] = true;
                    queue.push_back(from);
                }
            }
        }
        reaches
    }
}
