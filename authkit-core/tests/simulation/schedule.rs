//! What happens next: one step after the other, drawn from the seed.

use std::fmt;

use authkit_core::testkit::{Bug, FrozenClock, Method};

use crate::clients::{Credentials, Op};
use crate::flow::{Flow, Point};
use crate::mutants::Flaw;
use crate::plan::Clocks;
use crate::trace::{Counts, Event};
use crate::world::World;

/// What a run came to that found nothing wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct History {
    /// The digest of everything that happened.
    pub(crate) digest: u64,
    pub(crate) steps: u64,
    pub(crate) counts: Counts,
}

/// Something that must not be, and how it came to that.
pub(crate) struct Violation {
    pub(crate) what: String,
    seed: u64,
    steps: u64,
    clocks: Clocks,
    pub(crate) at: u64,
    tail: String,
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wild = if self.clocks == Clocks::Wild { " AUTHKIT_SIM_WILD=1" } else { "" };
        writeln!(f, "seed {}, step {}: {}\n\nThe last events:\n{}", self.seed, self.at, self.what, self.tail)?;
        writeln!(f, "Replay it, step for step:")?;
        write!(
            f,
            "  AUTHKIT_SIM_SEED={} AUTHKIT_SIM_STEPS={}{wild} cargo test -p authkit-core --test simulation replay -- --ignored --nocapture",
            self.seed, self.steps
        )
    }
}

/// Runs a seed for so many steps, and then until everything has come to rest.
pub(crate) fn run(seed: u64, steps: u64, clocks: Clocks) -> Result<History, Box<Violation>> {
    run_with(seed, steps, clocks, Bug::Nothing, Flaw::Nothing)
}

/// Like [`run`], with something wrong.
pub(crate) fn run_with(seed: u64, steps: u64, clocks: Clocks, bug: Bug, flaw: Flaw) -> Result<History, Box<Violation>> {
    let mut world = World::new(seed, clocks, bug, flaw);
    let done = (0..steps).try_for_each(|_| world.step()).and_then(|()| world.come_to_rest());
    if let Err(Stop) = done {
        let what = world.shared.ledger().violation.take().unwrap_or_default();
        let tail = world.trace.tail(FrozenClock::START.unix_micros());
        return Err(Box::new(Violation { what, seed, steps, clocks, at: world.step, tail }));
    }
    let deleted = world.shared.ledger().keys_deleted;
    world.trace.count_many(("key", "deleted"), deleted);
    Ok(History { digest: world.trace.digest(), steps: world.step, counts: world.trace.into_counts() })
}

/// Something is wrong.
struct Stop;

impl World {
    fn step(&mut self) -> Result<(), Stop> {
        self.advance_counter();
        if self.store_down && self.rng.chance(200) {
            self.store_down = false;
            self.note(Event::StoreDown(false));
        }
        if self.lull == 0 && self.rng.chance(30) {
            self.lull = self.rng.within(1, 6);
        }
        match self.rng.below(100) {
            _ if self.lull > 0 => self.wait(),
            0..50 if !self.flows.is_empty() => self.let_one_on(),
            0..64 => self.request(),
            64..74 => {
                let waits = !self.shared.network().messages.is_empty();
                if waits { self.deliver() } else { self.let_one_on() }
            }
            74..84 => self.let_time_pass(),
            84..92 => {
                if !self.revive() && !self.turn() {
                    self.let_one_on();
                }
            }
            92..97 => self.authenticate(),
            97 => self.operate(),
            _ => {
                if self.rng.chance(self.plan.disturb * 20) {
                    self.disturb();
                } else {
                    self.let_one_on();
                }
            }
        }
        self.check()
    }

    /// What is in flight ends, and then time leaps: sessions expire, keys are succeeded and forgotten.
    fn wait(&mut self) {
        if self.revive() || self.turn() {
            return;
        }
        if self.flows.iter().any(|flow| !flow.stalled) {
            self.let_one_on();
        } else if self.flows.is_empty() && self.keys_are_fresh() {
            let drawn = self.rng.within(20_000_000, 100_000_000);
            let end = if self.rng.chance(5_000) { self.next_end() } else { None };
            self.pass_time(end.unwrap_or(drawn));
            self.lull -= 1;
        } else {
            self.pass_time(1_000_000);
        }
    }

    fn advance_counter(&mut self) {
        self.step += 1;
        self.shared.ledger().step = self.step;
    }

    fn check(&mut self) -> Result<(), Stop> {
        let mut ledger = self.shared.ledger();
        ledger.compare(self.shared.store.inner());
        if ledger.violation.is_some() { Err(Stop) } else { Ok(()) }
    }

    fn let_one_on(&mut self) {
        let free: Vec<usize> = (0..self.flows.len()).filter(|index| !self.flows[*index].stalled).collect();
        if let Some(index) = self.rng.pick(&free).copied() {
            self.decide(index);
        }
    }

    fn let_time_pass(&mut self) {
        let busy = !self.flows.is_empty();
        let micros = match self.rng.below(100) {
            // A transaction that ends a session and takes longer than any is given: only polls that look far back see it.
            0..30 if self.plan.slow && self.is_ending() && self.keys_are_fresh() => self.rng.within(36_000_000, 50_000_000),
            0..80 => self.rng.within(0, 200_000),
            80..95 => self.rng.within(200_000, 3_000_000),
            // Within a request it is a fault.
            95.. if !busy => self.rng.within(3_000_000, 30_000_000),
            90.. if self.plan.slow && self.keys_are_fresh() => self.rng.within(3_000_000, 60_000_000),
            _ => self.rng.within(0, 50_000),
        };
        self.pass_time(micros);
    }

    /// Whether a commit that ends sessions stands before the store.
    fn is_ending(&self) -> bool {
        let stands = |flow: &Flow| flow.slot.parked() == Some(Point::Request(Method::Commit));
        self.flows.iter().any(|flow| stands(flow) && flow.slot.op.ends_sessions())
    }

    fn operate(&mut self) {
        let up = self.up();
        let Some(node) = self.rng.pick(&up).copied() else { return };
        let reads_keys = |op| matches!(op, Op::RotateKey | Op::Turn { wide: true });
        let is_free = !self.flows.iter().any(|flow| flow.slot.node == node && reads_keys(flow.slot.op));
        if is_free && self.keys_are_fresh() && self.rng.chance(1_000) {
            self.begin(node, Op::RotateKey, Credentials { token: None, principal: None });
        } else {
            self.let_one_on();
        }
    }

    fn disturb(&mut self) {
        match self.rng.below(12) {
            0..2 => {
                let up = self.up();
                if let Some(node) = self.rng.pick(&up).copied() {
                    self.crash(node);
                }
            }
            2..6 if !self.flows.is_empty() => {
                let index = self.rng.index(self.flows.len());
                self.hang_up(index);
            }
            6..8 => {
                self.store_down = !self.store_down;
                self.note(Event::StoreDown(self.store_down));
            }
            8..10 => {
                self.bus_down = !self.bus_down;
                self.note(Event::BusDown(self.bus_down));
            }
            _ => {
                let node = self.rng.index(self.nodes.len());
                self.set_skew(node);
            }
        }
    }

    /// A client asks for something, and perhaps asks for it twice.
    fn request(&mut self) {
        let in_flight = self.flows.iter().filter(|flow| flow.slot.op.is_request()).count();
        let up = self.up();
        let Some(node) = self.rng.pick(&up).copied() else { return self.let_one_on() };
        if in_flight >= self.plan.flows {
            return self.let_one_on();
        }
        if self.rng.chance(self.plan.steal)
            && let Some(device) = self.some_device()
        {
            let copy = self.devices[device].stolen();
            self.devices.push(copy);
        }
        let Some(op) = self.choose() else { return };
        self.ask_at(node, op);
        if self.rng.chance(self.plan.ask_twice) {
            let again = self.rng.pick(&up).copied().unwrap_or(node);
            self.ask_at(again, op);
        }
    }

    fn ask_at(&mut self, node: usize, op: Op) {
        let needs_principal = !matches!(op, Op::Register { .. } | Op::LogIn { .. } | Op::Refresh { .. } | Op::LogOut { .. });
        let token = match op {
            Op::Refresh { device, token } | Op::LogOut { device, token } => Some(self.devices[device].chain[token].clone()),
            _ => None,
        };
        let mut principal = None;
        if needs_principal && let (Some(device), Some(auth)) = (op.device(), &self.nodes[node].up) {
            match auth.authenticate(self.devices[device].access.expose()) {
                Ok(caller) => principal = Some(caller),
                // Her access token has expired, as it does all the time: she needs the next one first.
                Err(_) => return self.refresh_at(node, device),
            }
        }
        self.begin(node, op, Credentials { token, principal });
    }

    pub(crate) fn refresh_at(&mut self, node: usize, device: usize) {
        let token = self.devices[device].chain.len() - 1;
        let with = Credentials { token: Some(self.devices[device].chain[token].clone()), principal: None };
        self.begin(node, Op::Refresh { device, token }, with);
    }

    /// A device that is in use, one of the younger ones by preference.
    fn some_device(&mut self) -> Option<usize> {
        let in_use: Vec<usize> = (0..self.devices.len()).rev().filter(|device| !self.devices[*device].over).take(12).collect();
        self.rng.pick(&in_use).copied()
    }

    fn choose(&mut self) -> Option<Op> {
        let account = self.rng.index(self.plan.accounts);
        let drawn = self.rng.below(100);
        let owner = self.shared.ledger().owners[account];
        if owner.is_none() && drawn < 70 {
            return Some(Op::Register { account, password: self.new_password() });
        }
        let device = self.some_device();
        if drawn < 20 || device.is_none() {
            return Some(Op::LogIn { account, password: self.password(account) });
        }
        let device = device?;
        let last = self.devices[device].chain.len() - 1;
        // Most present their last token; some an older one, because they missed a reply or copied it some time ago.
        let token = match self.rng.below(100) {
            0..85 => last,
            85..95 => last.saturating_sub(1),
            _ => self.rng.index(last + 1),
        };
        let user = self.devices[device].user;
        Some(match drawn {
            20..72 => Op::Refresh { device, token },
            72..77 => Op::LogOut { device, token },
            77..79 => Op::LogOutAll { device },
            79..84 => Op::Revoke { device, target: self.target(device) },
            84..90 => {
                let current = self.password_of(user);
                Op::ChangePassword { device, current, new: self.new_password() }
            }
            90..93 => Op::Reauthenticate { device, password: self.password_of(user) },
            93..96 => Op::Close { device },
            // Taken, most of the time.
            96..98 => Op::Register { account, password: self.new_password() },
            _ => {
                // Somebody who is told that it is over tries all the same.
                let device = self.rng.index(self.devices.len());
                let token = self.rng.index(self.devices[device].chain.len());
                Op::Refresh { device, token }
            }
        })
    }

    /// A session that somebody may want to end: one of the same user, or of anybody.
    fn target(&mut self, device: usize) -> authkit_core::SessionId {
        let user = self.devices[device].user;
        let theirs: Vec<authkit_core::SessionId> =
            self.devices.iter().rev().filter(|other| other.user == user).take(6).map(|other| other.session).collect();
        let any = self.rng.index(self.devices.len());
        if self.rng.chance(1_500) {
            self.devices[any].session
        } else {
            self.rng.pick(&theirs).copied().unwrap_or(self.devices[device].session)
        }
    }

    fn new_password(&mut self) -> u32 {
        10_000_000 + u32::try_from(self.step).unwrap_or(0)
    }

    fn password(&mut self, account: usize) -> u32 {
        let owner = self.shared.ledger().owners[account];
        owner.map_or(1, |user| self.password_of(user))
    }

    /// The right password, most of the time; an old one or a wrong one else.
    fn password_of(&mut self, user: authkit_core::UserId) -> u32 {
        let drawn = self.rng.below(100);
        let old = self.rng.below(4);
        let ledger = self.shared.ledger();
        let passwords = ledger.people.get(&user).map_or(&[][..], |person| person.passwords.as_slice());
        let back = match drawn {
            0..85 => 0,
            85..95 => usize::try_from(old).unwrap_or(0),
            _ => usize::MAX,
        };
        passwords.iter().rev().nth(back).copied().unwrap_or(1)
    }

    /// No more faults: what is in flight ends, every node is up and has read the store, and everybody goes on where she was.
    fn come_to_rest(&mut self) -> Result<(), Stop> {
        (self.calm, self.store_down, self.bus_down) = (true, false, false);
        self.drain()?;
        while self.revive() {
            self.drain()?;
        }
        for wide in [false, true] {
            // Beyond the next poll of whoever polled last.
            self.pass_time(1_500_000);
            for node in 0..self.nodes.len() {
                self.begin(node, Op::Turn { wide }, Credentials { token: None, principal: None });
                self.drain()?;
            }
        }
        self.shared.ledger().compare_all(self.shared.store.inner());
        self.check()?;
        for device in 0..self.devices.len() {
            if !self.devices[device].over {
                let node = self.rng.index(self.nodes.len());
                self.refresh_at(node, device);
                self.drain()?;
            }
        }
        for account in 0..self.plan.accounts {
            let node = self.rng.index(self.nodes.len());
            let password = self.password(account);
            self.begin(node, Op::LogIn { account, password }, Credentials { token: None, principal: None });
            self.drain()?;
        }
        self.shared.ledger().compare_all(self.shared.store.inner());
        self.check()
    }

    fn drain(&mut self) -> Result<(), Stop> {
        while !self.flows.is_empty() {
            self.advance_counter();
            self.flows[0].stalled = false;
            self.decide(0);
            self.check()?;
        }
        Ok(())
    }
}
