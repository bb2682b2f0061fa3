//! `outbox …` at the command line: messages that could not be sent, on the store itself.

use std::io::Write;

use authkit_core::model::OutboxMessage;
use authkit_core::{AuthKit, PageRequest};
use serde_json::{Value, json};

use crate::cli::args::UsersFormat;
use crate::cli::{OperationError, OutboxTask};

/// Does what the operator asked for, and says what became of it. A message that is tried again is sent by this process, unless a
/// node that runs comes to it first.
pub(super) async fn perform(auth: &AuthKit, task: OutboxTask, format: UsersFormat) -> Result<Vec<u8>, OperationError> {
    let mut out = Vec::new();
    match task {
        OutboxTask::List(state, limit) => {
            let messages = auth.outbox().list(state, PageRequest { limit, cursor: None }).await?.items;
            match format {
                UsersFormat::Json => {
                    let items: Vec<Value> = messages.iter().map(message_json).collect();
                    writeln!(out, "{:#}", json!({ "messages": items }))?;
                }
                UsersFormat::Text => {
                    for message in &messages {
                        writeln!(
                            out,
                            "{} {:<9} {:<24} attempts {} since {} {}",
                            message.id,
                            message.state.as_str(),
                            message.subject,
                            message.attempts,
                            message.created_at,
                            message.last_error.as_deref().unwrap_or("-")
                        )?;
                    }
                }
            }
        }
        OutboxTask::Retry(id) => {
            auth.outbox().retry(id).await?;
            // At once, in case that no server runs that would.
            auth.outbox().deliver_due().await?;
            writeln!(out, "{id} is tried again")?;
        }
        OutboxTask::Discard(id) => {
            auth.outbox().discard(id).await?;
            writeln!(out, "{id} was removed")?;
        }
    }
    Ok(out)
}

fn message_json(message: &OutboxMessage) -> Value {
    json!({
        "id": message.id.to_string(),
        "kind": message.kind.as_str(),
        "subject": message.subject,
        "user_id": message.user_id.map(|id| id.to_string()),
        "state": message.state.as_str(),
        "attempts": message.attempts,
        "due_at": message.due_at.to_string(),
        "expires_at": message.expires_at.to_string(),
        "created_at": message.created_at.to_string(),
        "finished_at": message.finished_at.map(|at| at.to_string()),
        "last_error": message.last_error,
    })
}
