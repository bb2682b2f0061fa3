//! `outbox …`: what the operator typed becomes something to do with messages.

use authkit_core::PageLimit;
use authkit_core::model::OutboxState;

use super::OutboxTask;
use super::args::{MessageArgs, MessageState, OutboxCommand, UsersFormat};

/// Checks the arguments.
pub(super) fn task(command: &OutboxCommand) -> Result<(OutboxTask, UsersFormat), String> {
    let id = |args: &MessageArgs| args.id.parse().map_err(|_| "ID: is not the id of a message".to_owned());
    Ok(match command {
        OutboxCommand::List(args) => {
            let state = match args.state {
                MessageState::Pending => OutboxState::Pending,
                MessageState::Delivered => OutboxState::Delivered,
                MessageState::Dead => OutboxState::Dead,
                MessageState::Expired => OutboxState::Expired,
            };
            (OutboxTask::List(state, PageLimit::new(args.limit).unwrap_or_default()), args.format)
        }
        OutboxCommand::Retry(args) => (OutboxTask::Retry(id(args)?), UsersFormat::Text),
        OutboxCommand::Discard(args) => (OutboxTask::Discard(id(args)?), UsersFormat::Text),
    })
}
