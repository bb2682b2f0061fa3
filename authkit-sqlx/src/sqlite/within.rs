//! A change set inside a transaction that is somebody else's.

use authkit_core::model::Committed;
use authkit_core::ports::CommitError;
use sqlx::SqliteConnection;

use crate::apply::apply as run;
use crate::mutant::Mutation;
use crate::sqlite::error::store_error;
use crate::sqlite::execute::{Writing, command};
use crate::work::{Undone, Work};

const SAVEPOINT: &str = "SAVEPOINT authkit_set";
const RELEASE: &str = "RELEASE authkit_set";
const UNDO: &str = "ROLLBACK TO authkit_set; RELEASE authkit_set";

/// Applies the work whole or not at all, and leaves the transaction to its owner.
pub(super) async fn apply(connection: &mut SqliteConnection, mutation: Mutation, work: &Work) -> Result<Committed, CommitError> {
    let failed = |error| CommitError::Store(store_error(error));
    command(connection, SAVEPOINT).await.map_err(failed)?;
    let (end, answer) = match run(&mut Writing { connection: &mut *connection, mutation }, work).await {
        Ok(done) => (RELEASE, Ok(done.applied()?)),
        Err(Undone::Guard(conflict)) => (UNDO, Err(conflict.into())),
        Err(Undone::Refused(error) | Undone::Busy(error) | Undone::Lost(error)) => (UNDO, Err(CommitError::Store(error))),
    };
    match command(connection, mutation.rewrite(end)).await {
        Ok(()) => answer,
        // The whole transaction is gone: what was told first says why.
        Err(error) => answer.and(Err(failed(error))),
    }
}
