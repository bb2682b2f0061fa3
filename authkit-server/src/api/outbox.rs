//! Messages that wait, were sent, or could not be: `/api/v1/admin/outbox`.

use authkit_core::flows::OutboxError;
use authkit_core::model::{OutboxMessage, OutboxState, RequestContext};
use authkit_core::{AuthKit, OutboxMessageId, Page};
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::caller::Caller;
use super::me::{invalid_parameter, page};
use super::refusal::refused;
use super::reply::Gone;
use super::tag::Tag;
use crate::problem::Problem;

/// A message, without what it says and to whom, which is sealed.
#[derive(Debug, Object)]
#[oai(rename = "OutboxMessage")]
struct MessageInfo {
    /// Names the message; a mail carries it in its `Message-ID`.
    #[oai(validator(max_length = 36))]
    id: String,
    /// `mail`, `sms`, or `request`: something was asked for on behalf of an address, and it is still to be found out what becomes of it.
    kind: String,
    /// What it says, e.g. `verify_email`.
    subject: String,
    /// Whose account it is about, where that is known.
    #[oai(validator(max_length = 36))]
    user_id: Option<String>,
    /// `pending`, `delivered`, `dead` (given up, and can be tried again) or `expired` (no longer true before it could be sent).
    state: String,
    /// How often it was tried.
    attempts: u32,
    /// When it is tried next (RFC 3339).
    due_at: String,
    /// From when on it is not sent any more (RFC 3339).
    expires_at: String,
    /// When it was enqueued (RFC 3339).
    created_at: String,
    /// When it was delivered or given up (RFC 3339).
    finished_at: Option<String>,
    /// Why the last attempt failed.
    last_error: Option<String>,
}

impl From<&OutboxMessage> for MessageInfo {
    fn from(message: &OutboxMessage) -> Self {
        Self {
            id: message.id.to_string(),
            kind: message.kind.as_str().to_owned(),
            subject: message.subject.clone(),
            user_id: message.user_id.map(|id| id.to_string()),
            state: message.state.as_str().to_owned(),
            attempts: message.attempts,
            due_at: message.due_at.to_string(),
            expires_at: message.expires_at.to_string(),
            created_at: message.created_at.to_string(),
            finished_at: message.finished_at.map(|at| at.to_string()),
            last_error: message.last_error.clone(),
        }
    }
}

/// A page of messages.
#[derive(Debug, Object)]
#[oai(rename = "OutboxPage")]
struct OutboxPageBody {
    /// The messages.
    items: Vec<MessageInfo>,
    /// Pass it as `cursor` for the next page; `null` at the end of the list.
    next_cursor: Option<String>,
}

impl From<Page<OutboxMessage>> for OutboxPageBody {
    fn from(page: Page<OutboxMessage>) -> Self {
        let items = page.items.iter().map(MessageInfo::from).collect();
        Self { items, next_cursor: page.next.map(|cursor| cursor.to_string()) }
    }
}

/// That a message is tried again.
#[derive(ApiResponse)]
enum TriedAgain {
    /// It is tried again at once.
    #[oai(status = 204)]
    TriedAgain,
}

/// The routes of the outbox.
#[derive(Debug)]
pub struct OutboxRoutes {
    auth: AuthKit,
}

impl OutboxRoutes {
    pub(super) const fn new(auth: AuthKit) -> Self {
        Self { auth }
    }
}

#[OpenApi(prefix_path = "/api/v1/admin/outbox", tag = "Tag::Outbox")]
impl OutboxRoutes {
    /// List messages
    ///
    /// Needs `outbox:read`. The youngest first. What a message says and to whom is sealed, and not told.
    #[oai(path = "/", method = "get", operation_id = "adminListMessages")]
    async fn list(
        &self,
        Caller(caller): Caller,
        /// Only those that are `pending`, `delivered`, `dead` or `expired`; by default `dead`.
        state: Query<Option<String>>,
        /// How many at most: 1 to 200, by default 50.
        limit: Query<Option<String>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> poem::Result<Json<OutboxPageBody>> {
        let state = OutboxState::from_name(state.0.as_deref().unwrap_or(OutboxState::Dead.as_str()));
        let state = state.ok_or_else(|| invalid_parameter("state", "must be pending, delivered, dead or expired"))?;
        let page = page(limit.0.as_deref(), cursor.0.as_deref())?;
        Ok(Json(self.auth.administration(&caller).messages(state, page).await.map_err(refused)?.into()))
    }

    /// Try a message again
    ///
    /// Needs `outbox:write`. Only one that was given up, and while what it says is still true. It gets all its attempts anew.
    #[oai(path = "/:id/retry", method = "post", operation_id = "adminRetryMessage")]
    async fn retry(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the message.
        id: Path<String>,
    ) -> poem::Result<TriedAgain> {
        self.auth.administration(&caller).retry_message(message_id(&id)?, &context).await.map_err(refused)?;
        Ok(TriedAgain::TriedAgain)
    }

    /// Remove a message
    ///
    /// Needs `outbox:write`. Whatever its state; one that waits is not sent.
    #[oai(path = "/:id", method = "delete", operation_id = "adminDiscardMessage")]
    async fn discard(
        &self,
        Caller(caller): Caller,
        context: Data<&RequestContext>,
        /// The `id` of the message.
        id: Path<String>,
    ) -> poem::Result<Gone> {
        self.auth.administration(&caller).discard_message(message_id(&id)?, &context).await.map_err(refused)?;
        Ok(Gone::Gone)
    }
}

/// What is not an id names no message.
fn message_id(text: &str) -> Result<OutboxMessageId, Problem> {
    text.parse().map_err(|_| refused(OutboxError::NotFound))
}
