//! The parts of a network: layers that depend on each other in a cycle, or a single layer.
//!
//! Parts are the strongly connected components of the graph of connections, of any delay (Tarjan 1972).
//! A part runs through all steps before the next one starts, so whatever arrives at it from outside is
//! known for all steps at once. Only inside of a part one step has to follow another.

use rheobase_ir::program::Network;

/// The layers of each part. Every connection between parts goes to a later one; the layers of a part are
/// in the order of the network.
pub(crate) fn parts(network: &Network) -> Vec<Vec<usize>> {
    let mut search = Search {
        targets: vec![Vec::new(); network.layers.len()],
        number: vec![None; network.layers.len()],
        low: vec![0; network.layers.len()],
        waiting: Vec::new(),
        parts: Vec::new(),
        numbered: 0,
    };
    for connection in &network.connections {
        if let Some(from) = connection.from.layer() {
            search.targets[from].push(connection.to);
        }
    }
    // The last layers first: then parts that are not connected come out in the order of the network.
    for &layer in network.order.iter().rev() {
        search.visit(layer);
    }
    let place = |layer: &usize| network.order.iter().position(|l| l == layer);
    let mut parts = search.parts;
    parts.reverse();
    for part in &mut parts {
        part.sort_by_key(place);
    }
    parts
}

struct Search {
    targets: Vec<Vec<usize>>,
    number: Vec<Option<usize>>,
    /// The smallest number that can be reached among those that wait.
    low: Vec<usize>,
    waiting: Vec<usize>,
    parts: Vec<Vec<usize>>,
    numbered: usize,
}

impl Search {
    /// Numbers whatever can be reached from a layer. A step of an explicit stack is a layer and how many of
    /// its targets are done, so that long chains of layers do not overflow the stack of the thread.
    fn visit(&mut self, start: usize) {
        if self.number[start].is_some() {
            return;
        }
        let mut path = vec![(start, 0)];
        self.enter(start);
        while let Some((layer, done)) = path.pop() {
            if let Some(&target) = self.targets[layer].get(done) {
                path.push((layer, done + 1));
                match self.number[target] {
                    None => {
                        self.enter(target);
                        path.push((target, 0));
                    }
                    Some(number) if self.waiting.contains(&target) => {
                        self.low[layer] = self.low[layer].min(number);
                    }
                    Some(_) => {}
                }
                continue;
            }
            if let Some(&(before, _)) = path.last() {
                self.low[before] = self.low[before].min(self.low[layer]);
            }
            if self.number[layer] == Some(self.low[layer])
                && let Some(first) = self.waiting.iter().position(|l| *l == layer)
            {
                self.parts.push(self.waiting.split_off(first));
            }
        }
    }

    fn enter(&mut self, layer: usize) {
        self.number[layer] = Some(self.numbered);
        self.low[layer] = self.numbered;
        self.numbered += 1;
        self.waiting.push(layer);
    }
}
