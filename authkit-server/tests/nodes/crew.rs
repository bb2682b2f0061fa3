//! All clients together.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::client::{Client, Closing, Told};
use crate::clients::{Changer, Ended, Keeper, Registrar, Visitor};
use crate::cluster::Cluster;
use crate::history::{Deed, History};
use crate::support::calls;

const REGISTRARS: usize = 2;
const KEEPERS: usize = 6;
const VISITORS: usize = 2;
const CHANGERS: usize = 1;

/// All clients, and the record that they write.
#[derive(Debug)]
pub(crate) struct Crew {
    pub(crate) history: Arc<History>,
    registrars: Vec<Registrar>,
    keepers: Vec<Keeper>,
    visitors: Vec<Visitor>,
    changers: Vec<Changer>,
}

impl Crew {
    /// The clients, with an account and a session for each that needs one.
    pub(crate) async fn of(cluster: &Cluster) -> Self {
        let history = Arc::new(History::new());
        let mut client = Client::new(cluster.door(), Arc::clone(&history), Closing::default());
        let mut crew = Self {
            history,
            registrars: (0..REGISTRARS).map(Registrar::new).collect(),
            keepers: Vec::new(),
            visitors: Vec::new(),
            changers: Vec::new(),
        };
        for name in 0..KEEPERS {
            let (email, _, token) = account(&mut client, "keeper", name).await;
            crew.keepers.push(Keeper::new(email, token));
        }
        for name in 0..VISITORS {
            let (email, ..) = account(&mut client, "visitor", name).await;
            crew.visitors.push(Visitor::new(email));
        }
        for name in 0..CHANGERS {
            let (email, access_token, _) = account(&mut client, "changer", name).await;
            crew.changers.push(Changer::new(email, access_token));
        }
        crew
    }

    /// Has all clients work while something happens to the cluster, and returns when each has got its last reply.
    pub(crate) async fn work_during<T>(&mut self, cluster: &mut Cluster, what: impl AsyncFnOnce(&mut Cluster) -> T) -> T {
        let closing = Closing::default();
        let client = |cluster: &Cluster| Client::new(cluster.door(), Arc::clone(&self.history), closing.clone());
        let (mut registrars, mut keepers) = (JoinSet::new(), JoinSet::new());
        let (mut visitors, mut changers) = (JoinSet::new(), JoinSet::new());
        for registrar in self.registrars.drain(..) {
            registrars.spawn(registrar.work(client(cluster)));
        }
        for keeper in self.keepers.drain(..) {
            keepers.spawn(keeper.work(client(cluster)));
        }
        for visitor in self.visitors.drain(..) {
            visitors.spawn(visitor.work(client(cluster)));
        }
        for changer in self.changers.drain(..) {
            changers.spawn(changer.work(client(cluster)));
        }
        let happened = what(cluster).await;
        closing.call();
        self.registrars = registrars.join_all().await;
        self.keepers = keepers.join_all().await;
        self.visitors = visitors.join_all().await;
        self.changers = changers.join_all().await;
        happened
    }

    /// Every session whose end was acknowledged.
    pub(crate) fn ended_sessions(&self) -> impl Iterator<Item = &Ended> {
        self.visitors.iter().flat_map(|visitor| &visitor.ended)
    }
}

/// Registers an account, and returns its address and its tokens.
async fn account(client: &mut Client, kind: &str, name: usize) -> (String, String, String) {
    let email = format!("{kind}-{name}@nodes.example");
    match client.ask(&email, Deed::Register, calls::register(&email), 201).await {
        Told::Done(reply) => (email, reply.text("access_token"), reply.text("refresh_token")),
        told => panic!("{email} is not registered before anything went wrong: {told:?}"),
    }
}
