//! What goes wrong by itself: clocks, crashes, clients that hang up, a bus that loses its messages.

use super::World;
use crate::mutants::Flaw;
use crate::plan::HALF_LEEWAY_MICROS;
use crate::ports::Message;
use crate::trace::Event;

impl World {
    pub(crate) fn set_skew(&mut self, node: usize) {
        let reach = if self.is_bounded() { HALF_LEEWAY_MICROS } else { 7_200_000_000 };
        let drawn = match self.rng.below(3) {
            0 => 0,
            1 => 2 * reach,
            _ => self.rng.within(0, 2 * reach),
        };
        let micros = i64::try_from(drawn).unwrap_or(0) - i64::try_from(reach).unwrap_or(0);
        if micros < self.nodes[node].clock.skew() {
            // What it forgot by the later time matters again by the earlier one, once it has looked: within a poll.
            self.nodes[node].knows.clear();
            self.nodes[node].set_back = self.step;
        }
        self.nodes[node].clock.set_skew(micros);
        self.note(Event::Skew { node, micros });
    }

    /// A node dies with everything that it was doing and everything that it knew.
    pub(crate) fn crash(&mut self, node: usize) {
        self.note(Event::Crash { node });
        self.flows.retain(|flow| flow.slot.node != node);
        let node = &mut self.nodes[node];
        node.up = None;
        (node.is_starting, node.is_turning, node.owes) = (false, false, false);
        node.knows.clear();
    }

    /// A client hangs up.
    pub(crate) fn hang_up(&mut self, index: usize) {
        if self.flows[index].slot.op.is_request() {
            let flow = self.flows.swap_remove(index);
            self.note(Event::Drop { flow: flow.slot.id, op: flow.slot.op });
        }
    }

    /// What the bus does with one of the messages on their way.
    pub(crate) fn deliver(&mut self) {
        let message = {
            let mut network = self.shared.network();
            let index = self.rng.index(network.messages.len());
            network.messages.swap_remove(index)
        };
        let Message { to, revoked } = &message;
        let (to, sessions) = (*to, revoked.len());
        let sink = self.shared.network().sink(to);
        if self.rng.chance(self.plan.lose_told) {
            self.note(Event::Lose { to, sessions, told: true });
            let Some(sink) = sink else { return };
            if self.nodes[to].up.is_some() {
                self.nodes[to].owes = true;
            }
            if self.shared.flaw != Flaw::IgnoresGaps {
                sink.gap();
            }
        } else if self.rng.chance(self.plan.lose_silently) {
            self.note(Event::Lose { to, sessions, told: false });
        } else {
            let again = self.rng.chance(self.plan.deliver_again);
            self.note(Event::Deliver { to, sessions, again });
            if let Some(sink) = sink {
                sink.revoked(revoked);
                if self.nodes[to].up.is_some() {
                    self.nodes[to].knows.extend(revoked.iter().map(|revocation| revocation.session_id));
                    self.check_node(to);
                }
            }
            if again {
                self.shared.network().messages.push(message);
            }
        }
    }

    /// How long it takes until a token expires at a node, or a revocation is forgotten: what is wrong about an end shows
    /// around it.
    pub(crate) fn next_end(&mut self) -> Option<u64> {
        let node = self.rng.index(self.nodes.len());
        let reading = self.nodes[node].clock.reading();
        let tokens = &self.plan.config().tokens;
        let end = if self.rng.chance(5_000) && !self.tokens.is_empty() {
            let index = self.rng.index(self.tokens.len());
            self.tokens[index].expires_at + tokens.leeway
        } else {
            let ledger = self.shared.ledger();
            let of_late = ledger.ended.len().min(12);
            let back = self.rng.index(of_late);
            ledger.ended.iter().rev().nth(back)?.at + tokens.lifetime + 2 * tokens.leeway
        };
        let micros = u64::try_from((end - reading).as_micros()).unwrap_or(0) + self.rng.below(3_000_000);
        let until = micros.saturating_sub(1_500_000);
        (1..100_000_000).contains(&until).then_some(until)
    }
}
