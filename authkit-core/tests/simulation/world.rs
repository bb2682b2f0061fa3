//! The nodes, the time, what is in flight, and what becomes of it.

mod knowledge;
mod mishaps;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use authkit_core::embedded::LocalKeyCustody;
use authkit_core::testkit::{Bug, FrozenClock, MutantStore, SeededEntropy};
use authkit_core::{AccessToken, AuthKit, SessionId, Timestamp};
use tokio::runtime::{Builder, Runtime};

use crate::clients::{Credentials, Device, Op, Outcome, ask, start};
use crate::flow::{Flow, Point, Slot, Verdict, pass};
use crate::judge::Bench;
use crate::ledger::Ledger;
use crate::mutants::Flaw;
use crate::plan::{Clocks, GRACE, Plan};
use crate::ports::{NodeBus, NodeClock, NodeCustody, NodeStore, Shared};
use crate::rng::Rng;
use crate::trace::{Event, Trace};

use knowledge::Read;

/// How often a node looks for revocations, in microseconds.
const POLL_MICROS: i64 = 1_000_000;
/// How often it also looks for keys, and forgets what is old: a node that is paused now and then does so a little later than
/// every minute.
const WIDE_MICROS: i64 = 100_000_000;
/// How many access tokens the clients keep in mind.
const TOKENS: usize = 48;

/// One process.
pub(crate) struct Node {
    pub(crate) up: Option<AuthKit>,
    is_starting: bool,
    pub(crate) clock: NodeClock,
    /// The ended sessions that it has to know.
    knows: BTreeSet<SessionId>,
    /// It was told of a gap, and has not read everything since.
    owes: bool,
    /// At which step its clock was set back last.
    set_back: u64,
    is_turning: bool,
    next_turn: i64,
    wide_at: i64,
}

/// An access token that somebody holds.
struct Held {
    session: SessionId,
    device: usize,
    token: AccessToken,
    expires_at: Timestamp,
}

/// A run.
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) plan: Plan,
    pub(crate) step: u64,
    pub(crate) trace: Trace,
    pub(crate) shared: Arc<Shared>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) flows: Vec<Flow>,
    pub(crate) devices: Vec<Device>,
    tokens: VecDeque<Held>,
    custody: Arc<LocalKeyCustody>,
    runtime: Runtime,
    last_flow: u32,
    pub(crate) store_down: bool,
    pub(crate) bus_down: bool,
    /// Nothing goes wrong any more.
    pub(crate) calm: bool,
    /// Nobody asks for anything, for so many leaps of time.
    pub(crate) lull: u64,
    /// The turns that read everything.
    full: BTreeSet<u32>,
}

impl World {
    pub(crate) fn new(seed: u64, clocks: Clocks, bug: Bug, flaw: Flaw) -> Self {
        let mut rng = Rng::new(seed);
        let plan = Plan::draw(&mut rng, clocks);
        let linger = || -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(async {
                pass(Point::Within).await;
            })
        };
        let store = MutantStore::with_linger(bug, Box::new(linger));
        let ledger = Ledger::new(plan.accounts, plan.config().sessions.max_per_user);
        let shared = Arc::new(Shared::new(store, flaw, ledger, FrozenClock::START));
        let now = shared.now();
        let node = |_| Node {
            up: None,
            is_starting: false,
            clock: NodeClock::new(&shared),
            knows: BTreeSet::new(),
            owes: false,
            set_back: 0,
            is_turning: false,
            next_turn: 0,
            wide_at: now,
        };
        let nodes = (0..plan.nodes).map(node).collect();
        let custody = Arc::new(LocalKeyCustody::ephemeral(Arc::new(SeededEntropy::new(rng.next()))));
        // Its clock stands still but for what the scheduler lets pass. Only timeouts live on it: the flows are driven by hand.
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let mut world = Self {
            rng,
            plan,
            step: 0,
            trace: Trace::new(),
            shared,
            nodes,
            flows: Vec::new(),
            devices: Vec::new(),
            tokens: VecDeque::new(),
            custody,
            runtime,
            last_flow: 0,
            store_down: false,
            bus_down: false,
            calm: false,
            lull: 0,
            full: BTreeSet::new(),
        };
        for node in 0..world.nodes.len() {
            world.set_skew(node);
        }
        world
    }

    pub(crate) fn note(&mut self, event: Event) {
        self.trace.note(self.step, self.shared.now(), event);
    }

    pub(crate) fn is_bounded(&self) -> bool {
        self.plan.clocks == Clocks::Bounded
    }

    /// Begins a flow at a node and runs it to its first port call.
    pub(crate) fn begin(&mut self, node: usize, op: Op, with: Credentials) {
        self.last_flow += 1;
        let session = op.device().map(|device| self.devices[device].session);
        let slot = Slot::new(self.last_flow, node, op, session, self.step);
        self.note(Event::Begin { flow: slot.id, node, op });
        let flow = match op {
            Op::Start => {
                self.nodes[node].is_starting = true;
                Flow::new(slot, start(self.builder(node)))
            }
            op => {
                if let Op::Turn { wide } = op {
                    self.nodes[node].is_turning = true;
                    if wide && self.shared.flaw == Flaw::ForgetsTooEarly {
                        // Its first reading of the clock is the one by which revocations are forgotten.
                        self.nodes[node].clock.leap_once(3_600_000_000);
                    }
                    if std::mem::take(&mut self.nodes[node].owes) {
                        self.full.insert(slot.id);
                    }
                }
                Flow::new(slot, ask(self.nodes[node].up.clone().expect("the node is up"), op, with))
            }
        };
        self.flows.push(flow);
        self.drive(self.flows.len() - 1, None);
    }

    fn builder(&mut self, node: usize) -> authkit_core::Builder<authkit_core::builder::Ready> {
        let (shared, clock) = (&self.shared, &self.nodes[node].clock);
        AuthKit::builder(self.plan.config_of(node))
            .store(Arc::new(NodeStore::new(shared, clock)))
            .custody(Arc::new(NodeCustody(Arc::clone(&self.custody))))
            .clock(Arc::new(clock.clone()))
            .entropy(Arc::new(SeededEntropy::new(self.rng.next())))
            .revocation_bus(Arc::new(NodeBus { shared: Arc::clone(shared), node, nodes: self.nodes.len() }))
    }

    /// Lets a flow on; `None` only looks whether a timer has fired.
    fn drive(&mut self, index: usize, verdict: Option<Verdict>) {
        let outcome = {
            let _inside = self.runtime.enter();
            let flow = &mut self.flows[index];
            match verdict {
                Some(verdict) => flow.go_on(verdict),
                None => flow.run(),
            }
        };
        if let Some(outcome) = outcome {
            let flow = self.flows.swap_remove(index);
            self.finish(&flow, outcome);
        }
    }

    /// Decides about the call before which a flow stands.
    pub(crate) fn decide(&mut self, index: usize) {
        let slot = Arc::clone(&self.flows[index].slot);
        let Some(point) = slot.parked() else { return self.drive(index, None) };
        let lost =
            |rng: &mut Rng, down: bool, chance: u32| if down || rng.chance(chance) { Verdict::Lose } else { Verdict::Pass };
        let verdict = match point {
            _ if self.calm => Verdict::Pass,
            Point::Request(_) => lost(&mut self.rng, self.store_down, self.plan.lose_request),
            Point::Reply(_) => lost(&mut self.rng, self.store_down, self.plan.lose_reply),
            Point::Publish if self.rng.chance(self.plan.stall) => {
                self.flows[index].stalled = true;
                return self.note(Event::Stall { flow: slot.id });
            }
            Point::Publish => lost(&mut self.rng, self.bus_down, 0),
            Point::Seal | Point::Open => lost(&mut self.rng, false, self.plan.lose_request),
            Point::Within => Verdict::Pass,
        };
        self.note(Event::Call { flow: slot.id, node: slot.node, point, verdict });
        self.drive(index, Some(verdict));
    }

    /// Lets time pass.
    pub(crate) fn pass_time(&mut self, micros: u64) {
        self.note(Event::Advance { micros });
        self.shared.now.fetch_add(i64::try_from(micros).unwrap_or(0), Ordering::SeqCst);
        let publishes = |flow: &Flow| flow.slot.parked() == Some(Point::Publish);
        if !self.flows.iter().any(publishes) {
            return;
        }
        // The only timers that run are of those who wait for the bus.
        self.runtime.block_on(tokio::time::advance(Duration::from_micros(micros)));
        let waiting: Vec<u32> = self.flows.iter().filter(|flow| publishes(flow)).map(|flow| flow.slot.id).collect();
        for id in waiting {
            let Some(index) = self.flows.iter().position(|flow| flow.slot.id == id) else { continue };
            let slot = Arc::clone(&self.flows[index].slot);
            self.drive(index, None);
            if slot.parked() != Some(Point::Publish) {
                self.note(Event::Woken { flow: id });
            }
        }
    }

    /// Begins the turn of a node whose hour has come. Says whether there was one.
    pub(crate) fn turn(&mut self) -> bool {
        let now = self.shared.now();
        let due = |node: &Node| node.up.is_some() && !node.is_turning && node.next_turn <= now;
        let Some(node) = self.nodes.iter().position(due) else { return false };
        let wide = self.nodes[node].wide_at + WIDE_MICROS <= now || self.rng.chance(500);
        // A node reads keys in one place at a time; another one would only wait for it.
        if wide && self.flows.iter().any(|flow| flow.slot.node == node && flow.slot.op == Op::RotateKey) {
            return false;
        }
        self.begin(node, Op::Turn { wide }, Credentials { token: None, principal: None });
        true
    }

    /// Starts a node that is down. Says whether there was one.
    pub(crate) fn revive(&mut self) -> bool {
        let down = |node: &Node| node.up.is_none() && !node.is_starting;
        let Some(node) = self.nodes.iter().position(down) else { return false };
        self.begin(node, Op::Start, Credentials { token: None, principal: None });
        true
    }

    /// Whether every node has looked for keys lately, so that none misses the next one.
    pub(crate) fn keys_are_fresh(&self) -> bool {
        let now = self.shared.now();
        self.nodes.iter().all(|node| node.up.is_none() || node.wide_at + WIDE_MICROS > now)
    }

    fn finish(&mut self, flow: &Flow, outcome: Outcome) {
        let slot = &flow.slot;
        self.note(Event::End { flow: slot.id, op: slot.op, summary: outcome.summary() });
        let here = |other: &&Flow| other.slot.node == slot.node && other.slot.op.hashes();
        let rivals = slot.state().met_rival || self.flows.iter().any(|other| here(&other));
        if slot.op.hashes() {
            // Whoever was turned away may end after the one that was in the way: its refusal is recorded first.
            self.flows.iter().filter(here).for_each(|other| other.slot.state().met_rival = true);
        }
        let latest = self.nodes.iter().map(|node| node.clock.reading()).max().unwrap_or(Timestamp::UNIX_EPOCH);
        let bounded = self.is_bounded();
        Bench { ledger: &mut self.shared.ledger(), bounded, grace: GRACE, latest }.judge(slot, &outcome, rivals);
        let ended = std::mem::take(&mut slot.state().ended);
        if let (Op::Refresh { .. }, Outcome::In(_)) = (slot.op, &outcome)
            && slot.state().refused.is_some()
        {
            self.trace.count(("refresh", "the same successor again"));
        }
        if slot.state().conflicts > 0 {
            self.trace.count(("overtaken", slot.op.name()));
        }
        match (slot.op, outcome) {
            (Op::Start, outcome) => self.started(slot, outcome),
            (Op::Turn { wide }, outcome) => self.turned(slot, wide, &outcome),
            (op, Outcome::In(tokens)) => {
                let device = if let Op::Refresh { device, token } = op {
                    let held = &mut self.devices[device];
                    let (presented, successor) = (&held.chain[token], &tokens.tokens.refresh_token);
                    // Under clocks that disagree about which key is in use, one successor can come under two of them.
                    if self.plan.clocks == Clocks::Bounded {
                        self.shared.ledger().succeeded(presented.expose(), successor.expose());
                    }
                    held.access = tokens.tokens.access_token.clone();
                    if held.chain.len() == token + 1 {
                        held.chain.push(successor.clone());
                    }
                    device
                } else {
                    self.devices.push(Device::new(&tokens));
                    self.devices.len() - 1
                };
                self.hold(slot.node, device, tokens.session_id, tokens.tokens.access_token.clone());
            }
            (Op::Reauthenticate { device, .. }, Outcome::Fresh(token)) => {
                self.devices[device].access = token.clone();
                self.hold(slot.node, device, self.devices[device].session, token);
            }
            (Op::Refresh { device, .. }, Outcome::Reused(_) | Outcome::Refused(_))
            | (Op::LogOut { device, .. } | Op::LogOutAll { device } | Op::Close { device }, Outcome::Done(_)) => {
                self.devices[device].over = true;
                if let (Op::LogOut { .. }, Some(session)) = (slot.op, slot.session) {
                    self.ends_at_once(slot.node, session);
                }
            }
            _ => {}
        }
        for session in ended {
            self.ends_at_once(slot.node, session);
        }
    }

    fn started(&mut self, slot: &Slot, outcome: Outcome) {
        let now = self.shared.now();
        let node = &mut self.nodes[slot.node];
        node.is_starting = false;
        if let Outcome::Started(auth) = outcome {
            node.up = Some(auth);
            (node.next_turn, node.wide_at) = (now + POLL_MICROS, now);
            self.learn(slot, Read::All);
        }
    }

    fn turned(&mut self, slot: &Slot, wide: bool, outcome: &Outcome) {
        let now = self.shared.now();
        let full = self.full.remove(&slot.id);
        let done = matches!(outcome, Outcome::Done(_));
        let node = &mut self.nodes[slot.node];
        (node.is_turning, node.next_turn) = (false, now + POLL_MICROS);
        if done {
            if wide {
                node.wide_at = now;
            }
            self.learn(
                slot,
                if full {
                    Read::All
                } else if wide {
                    Read::Wide
                } else {
                    Read::Narrow
                },
            );
        } else if full {
            node.owes = true;
        }
    }

    /// The nodes that are up.
    pub(crate) fn up(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].up.is_some()).collect()
    }
}
