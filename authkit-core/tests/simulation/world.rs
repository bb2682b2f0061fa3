//! The nodes, the time, and the scheduler that decides which of them does something next.

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
use crate::ledger::{Ended, Ledger};
use crate::mutants::Flaw;
use crate::plan::{Clocks, GRACE, HALF_LEEWAY_MICROS, Plan, TRANSACTION};
use crate::ports::{Message, NodeBus, NodeClock, NodeCustody, NodeStore, Shared};
use crate::rng::Rng;
use crate::trace::{Event, Trace};

/// How often a node looks for revocations, in microseconds.
const POLL_MICROS: i64 = 1_000_000;
/// How often it also looks for keys, and forgets what is old.
const WIDE_MICROS: i64 = 60_000_000;
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
                if matches!(op, Op::Turn { .. }) {
                    self.nodes[node].is_turning = true;
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

    pub(crate) fn set_skew(&mut self, node: usize) {
        let reach = if self.is_bounded() { HALF_LEEWAY_MICROS } else { 7_200_000_000 };
        let micros = i64::try_from(self.rng.within(0, 2 * reach)).unwrap_or(0) - i64::try_from(reach).unwrap_or(0);
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

    fn finish(&mut self, flow: &Flow, outcome: Outcome) {
        let slot = &flow.slot;
        self.note(Event::End { flow: slot.id, op: slot.op, summary: outcome.summary() });
        let rivals = self.flows.iter().any(|other| other.slot.node == slot.node && other.slot.op.hashes());
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
                let device = match op {
                    Op::Refresh { device, token } => {
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
                    }
                    _ => {
                        self.devices.push(Device::new(&tokens));
                        self.devices.len() - 1
                    }
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

    /// Whoever was told by a node that a session ended can rely on it there.
    fn ends_at_once(&mut self, node: usize, session: SessionId) {
        // SECURITY: clocks that are off by hours make no difference to what a node has just done itself.
        let Some(auth) = self.nodes[node].up.as_ref() else { return };
        let accepted = |held: &&Held| held.session == session && auth.authenticate(held.token.expose()).is_ok();
        if let Some(held) = self.tokens.iter().find(accepted) {
            let what = format!("node {node} has ended {session} and accepts the token of device {}", held.device);
            self.shared.ledger().accuse(what);
        }
        if self.is_bounded() {
            self.nodes[node].knows.insert(session);
        }
    }

    fn hold(&mut self, node: usize, device: usize, session: SessionId, token: AccessToken) {
        let auth = self.nodes[node].up.as_ref().expect("it has just answered");
        // A token that is refused from the start is over, or its session is: nothing is owed to its holder.
        let claims = auth.authenticate(token.expose()).map(|principal| principal.claims().expires_at);
        let expires_at = claims.unwrap_or(Timestamp::UNIX_EPOCH);
        if self.tokens.len() == TOKENS {
            self.tokens.pop_front();
        }
        self.tokens.push_back(Held { session, device, token, expires_at });
        self.verify(node, self.tokens.len() - 1);
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

    /// What a node must have learnt by reading revocations from the store.
    fn learn(&mut self, slot: &Slot, read: Read) {
        if !self.is_bounded() {
            return;
        }
        let now = self.shared.now();
        let node = &mut self.nodes[slot.node];
        let reading = node.clock.reading();
        let retention = self.plan.config().tokens.lifetime + 2 * self.plan.config().tokens.leeway;
        // What ended before this has no token any more.
        let horizon = now - 300_000_000;
        let ledger = self.shared.ledger();
        for ended in ledger.ended.iter().rev().take_while(|ended| ended.applied > horizon) {
            let in_time = ended.late <= TRANSACTION;
            let owed = match read {
                Read::Narrow => in_time,
                Read::Wide => in_time || (ended.late <= Duration::from_mins(1) && now - ended.applied <= WIDE_MICROS),
                Read::All => in_time || ended.at + retention >= reading,
            };
            if ended.step < slot.began && owed {
                node.knows.insert(ended.session);
            }
        }
        drop(ledger);
        self.check_node(slot.node);
    }

    /// No node accepts what it has to know is over.
    fn check_node(&mut self, node: usize) {
        if self.is_bounded() {
            for index in 0..self.tokens.len() {
                if self.nodes[node].knows.contains(&self.tokens[index].session) {
                    self.verify(node, index);
                }
            }
        }
    }

    /// Presents an access token to a node, and says whether it was accepted.
    fn verify(&mut self, node: usize, index: usize) -> bool {
        let (at, held) = (&self.nodes[node], &self.tokens[index]);
        let Some(auth) = at.up.as_ref() else { return false };
        let verdict = auth.authenticate(held.token.expose());
        let mut ledger = self.shared.ledger();
        let reading = at.clock.reading();
        let ended = ledger.sessions.get(&held.session).and_then(|line| line.ended);
        let what = format!("of device {} in {}", held.device, held.session);
        match &verdict {
            Ok(_) if self.plan.clocks == Clocks::Bounded && at.knows.contains(&held.session) => {
                let retention = self.plan.config().tokens.lifetime + 2 * self.plan.config().tokens.leeway;
                let record = ledger.ended.iter().rev().find(|ended| ended.session == held.session).copied();
                // A transaction that took longer than any is given may be forgotten before its tokens expire.
                let forgotten = record.is_some_and(|ended: Ended| ended.late > TRANSACTION && ended.at + retention <= reading);
                ledger.insist(forgotten, || format!("node {node} accepts the token {what}, which it has to know is over"));
            }
            Err(error) if ended.is_none() => {
                let is_over = error.code() == "auth.session_ended";
                let owed = self.plan.clocks == Clocks::Bounded && reading < held.expires_at;
                ledger.insist(!is_over && !owed, || format!("node {node} refuses the token {what}: {}", error.reason()));
            }
            _ => {}
        }
        verdict.is_ok()
    }

    /// Somebody uses a token anywhere.
    pub(crate) fn authenticate(&mut self) {
        let node = self.rng.index(self.nodes.len());
        if self.tokens.is_empty() || self.nodes[node].up.is_none() {
            return;
        }
        // The younger ones by preference: of two, the one that was issued later.
        let index = self.rng.index(self.tokens.len()).max(self.rng.index(self.tokens.len()));
        let device = self.tokens[index].device;
        let accepted = self.verify(node, index);
        self.note(Event::Authenticate { node, device, accepted });
    }

    /// The nodes that are up.
    pub(crate) fn up(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].up.is_some()).collect()
    }
}

/// How far back a node has read.
#[derive(Debug, Clone, Copy)]
enum Read {
    Narrow,
    Wide,
    All,
}
