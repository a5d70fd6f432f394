//! Paths with parameters: a forest of segments, one tree a host.

use super::search::{Rank, Search};
use super::text_map::TextMap;
use crate::condition::RequestFacts;
use crate::condition::matching::{Segment, parameter_matches, split_segment};

/// Two patterns that differ in the names of their parameters only are the same pattern here; all
/// others may stand beside each other, and a lookup sees every one that matches.
#[derive(Debug, Default)]
pub(super) struct PatternTree {
    nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct NodeId(u32);

#[derive(Debug)]
struct Node {
    /// Of this node and all below.
    best: Rank,
    literals: TextMap<NodeId>,
    /// Below a parameter that is the whole segment.
    whole: Option<NodeId>,
    /// Below parameters with text around them.
    partial: Vec<PartialParameter>,
    /// Patterns that end here.
    end: Rank,
    /// Patterns that end with `{*rest}` here.
    rest: Rank,
}

#[derive(Debug)]
struct PartialParameter {
    before: Box<str>,
    after: Box<str>,
    child: NodeId,
}

impl PatternTree {
    /// A new, empty tree; returns its root.
    pub(super) fn plant(&mut self) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).expect("four billion segments do not fit into memory"));
        let (best, end, rest) = (Rank::NONE, Rank::NONE, Rank::NONE);
        self.nodes.push(Node { best, literals: TextMap::default(), whole: None, partial: Vec::new(), end, rest });
        id
    }

    /// To be called after the last insertion.
    pub(super) fn shrink(&mut self) {
        self.nodes.shrink_to_fit();
    }

    /// The bucket of a pattern, for a candidate of this rank, which must be better than any in the
    /// tree.
    pub(super) fn slot(&mut self, root: NodeId, pattern: &str, rank: Rank) -> &mut Rank {
        let mut at = root;
        for segment in Segment::all(pattern) {
            self.node_mut(at).best = rank;
            at = match segment {
                Segment::Literal(text) => self.literal(at, &text),
                Segment::Parameter { before, after } => self.parameter(at, &before, &after),
                Segment::Rest => return &mut self.node_mut(at).rest,
            };
        }
        self.node_mut(at).best = rank;
        &mut self.node_mut(at).end
    }

    pub(super) fn search<V>(&self, root: NodeId, search: &mut Search<'_, '_, impl RequestFacts, V>) {
        if let Some(path) = search.facts.path().strip_prefix('/') {
            self.walk(root, Some(path), search);
        }
    }

    /// Visits all patterns under a node that match the rest of a path (`None`: the path has ended).
    /// It calls itself only where several children match and goes on with the last of them, so that
    /// the length of a pattern takes no stack.
    fn walk<'p, V>(&self, from: NodeId, path: Option<&'p str>, search: &mut Search<'p, '_, impl RequestFacts, V>) {
        let (mut at, mut path) = (from, path);
        loop {
            let node = &self.nodes[at.0 as usize];
            if !search.beaten_by(node.best) {
                return;
            }
            let Some(rest) = path else {
                return search.consider(node.end, 0);
            };
            let (segment, behind) = split_segment(rest);
            let mut next = node.literals.get(segment).copied();
            for child in node.below_parameters(segment) {
                if let Some(earlier) = next.replace(child) {
                    self.walk(earlier, behind, search);
                }
            }
            if !rest.is_empty() {
                search.consider(node.rest, 0);
            }
            let Some(next) = next else {
                return;
            };
            (at, path) = (next, behind);
        }
    }

    fn literal(&mut self, parent: NodeId, text: &str) -> NodeId {
        if let Some(child) = self.node_mut(parent).literals.get(text) {
            return *child;
        }
        let child = self.plant();
        *self.node_mut(parent).literals.slot(text, || child)
    }

    fn parameter(&mut self, parent: NodeId, before: &str, after: &str) -> NodeId {
        if let Some(child) = self.node_mut(parent).below_parameter(before, after) {
            return child;
        }
        let child = self.plant();
        let parent = self.node_mut(parent);
        if before.is_empty() && after.is_empty() {
            parent.whole = Some(child);
        } else {
            parent.partial.push(PartialParameter { before: before.into(), after: after.into(), child });
        }
        child
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize]
    }
}

impl Node {
    /// The children whose parameter a segment can be.
    fn below_parameters(&self, segment: &str) -> impl Iterator<Item = NodeId> {
        let partial = self.partial.iter().filter(move |parameter| parameter.matches(segment));
        let whole = self.whole.filter(|_| !segment.is_empty());
        partial.map(|parameter| parameter.child).chain(whole)
    }

    fn below_parameter(&self, before: &str, after: &str) -> Option<NodeId> {
        if before.is_empty() && after.is_empty() {
            return self.whole;
        }
        let known = self.partial.iter().find(|known| *known.before == *before && *known.after == *after);
        known.map(|known| known.child)
    }
}

impl PartialParameter {
    fn matches(&self, segment: &str) -> bool {
        parameter_matches(&self.before, &self.after, segment)
    }
}
