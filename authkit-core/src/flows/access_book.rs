//! What this node knows of roles: all of them, at the newest version that it has read.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::flows::engine::{Engine, Internal};
use crate::rbac::RoleGraph;

/// The roles, in memory.
#[derive(Debug, Default)]
pub(crate) struct AccessBook {
    graph: ArcSwap<RoleGraph>,
}

impl AccessBook {
    /// The roles as they were last read.
    pub(crate) fn graph(&self) -> Arc<RoleGraph> {
        self.graph.load_full()
    }

    /// Takes in what was read, unless something newer was.
    fn take_in(&self, read: RoleGraph) {
        let read = Arc::new(read);
        self.graph.rcu(|held| if held.version() < read.version() { Arc::clone(&read) } else { Arc::clone(held) });
    }
}

/// The roles as they stand in the store: one small read where nothing has changed.
pub(crate) async fn fresh_graph(engine: &Engine) -> Result<Arc<RoleGraph>, Internal> {
    let held = engine.access.graph();
    match engine.store.roles(held.version()).await? {
        None => Ok(held),
        Some(stored) => {
            let read = RoleGraph::of(&stored);
            engine.access.take_in(read.clone());
            Ok(Arc::new(read))
        }
    }
}
