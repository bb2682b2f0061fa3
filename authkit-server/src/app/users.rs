//! `users …` at the command line: the operator's administration, on the store itself.

use std::io::{self, Write};

use authkit_core::flows::{AdminError, Administrator, Expected};
use authkit_core::model::{RequestContext, Session, User, UserPageRequest};
use authkit_core::{AuthKit, PageLimit, PageRequest, UserId};
use serde_json::{Value, json};

use crate::cli::args::UsersFormat;
use crate::cli::{NamedUser, OperationError, UsersTask};

/// What a command found or did.
pub(super) enum Answer {
    Users(Vec<User>),
    User(Box<User>),
    Sessions(Vec<Session>),
    Revoked(usize),
    Closed(UserId),
    Mailed(UserId),
}

/// Does what the operator asked for.
///
/// The nodes that run learn of sessions that end by reading the store, within a second. What they show of an account may be 30 s old
/// where they share a cache; nothing is decided on that.
pub(super) async fn perform(auth: &AuthKit, task: UsersTask) -> Result<Answer, OperationError> {
    let (administration, context) = (auth.administration(Administrator::Operator), RequestContext::default());
    let anything = Expected::Anything;
    let id = async |named: NamedUser| match named {
        NamedUser::Id(id) => Ok(id),
        NamedUser::Email(email) => administration.find(&email).await.map(|user| user.id),
    };
    let user = |found: Result<User, AdminError>| found.map(|user| Answer::User(Box::new(user)));
    Ok(match task {
        UsersTask::List(filter, limit) => {
            let (mut users, mut page) = (Vec::new(), UserPageRequest::default());
            let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
            while users.len() < wanted {
                let missing = u16::try_from(wanted - users.len()).unwrap_or(PageLimit::MAX).min(PageLimit::MAX);
                page.limit = PageLimit::new(missing).unwrap_or_default();
                let read = administration.list(&filter, &page).await?;
                users.extend(read.items);
                page.cursor = read.next;
                if page.cursor.is_none() {
                    break;
                }
            }
            Answer::Users(users)
        }
        UsersTask::Show(named) => user(administration.show(id(named).await?).await)?,
        UsersTask::Update(named, update) => user(administration.update(id(named).await?, &anything, &update, &context).await)?,
        UsersTask::Invite(named) => {
            let id = id(named).await?;
            administration.invite(id, &context).await?;
            auth.outbox().deliver_due().await?;
            Answer::Mailed(id)
        }
        UsersTask::ResetPassword(named) => {
            let id = id(named).await?;
            administration.send_password_reset(id, &context).await?;
            auth.outbox().deliver_due().await?;
            Answer::Mailed(id)
        }
        UsersTask::Suspend(named) => user(administration.suspend(id(named).await?, &anything, &context).await)?,
        UsersTask::Restore(named) => user(administration.restore(id(named).await?, &anything, &context).await)?,
        UsersTask::Close(named) => {
            let id = id(named).await?;
            administration.close(id, &anything, &context).await?;
            Answer::Closed(id)
        }
        UsersTask::Sessions(named) => {
            let id = id(named).await?;
            let (mut sessions, mut page) = (Vec::new(), PageRequest::default());
            loop {
                let read = administration.sessions(id, page, &context).await?;
                sessions.extend(read.items);
                page.cursor = read.next;
                if page.cursor.is_none() {
                    break Answer::Sessions(sessions);
                }
            }
        }
        UsersTask::RevokeSessions(named, None) => {
            Answer::Revoked(administration.revoke_sessions(id(named).await?, &context).await?)
        }
        UsersTask::RevokeSessions(named, Some(session)) => {
            administration.revoke_session(id(named).await?, session, &context).await?;
            Answer::Revoked(1)
        }
    })
}

impl Answer {
    pub(super) fn write(&self, format: UsersFormat, out: &mut dyn Write) -> io::Result<()> {
        match format {
            UsersFormat::Json => writeln!(out, "{:#}", self.to_json()),
            UsersFormat::Text => self.write_text(out),
        }
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Users(users) => users.iter().try_for_each(|user| write_user(user, out)),
            Self::User(user) => write_user(user, out),
            Self::Sessions(sessions) => sessions.iter().try_for_each(|session| {
                let ip = session.last_used_by.ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string());
                let by = session.impersonator.map(|acting| format!(" impersonated by {}", acting.user_id));
                let device = session.device_name.as_ref().map_or("-", |name| name.as_str());
                writeln!(
                    out,
                    "{} since {} last used {} from {ip} {device}{}",
                    session.id,
                    session.created_at,
                    session.refreshed_at,
                    by.unwrap_or_default()
                )
            }),
            Self::Revoked(1) => writeln!(out, "1 session was ended"),
            Self::Revoked(count) => writeln!(out, "{count} sessions were ended"),
            Self::Closed(id) => writeln!(out, "{id} was closed"),
            Self::Mailed(id) => writeln!(out, "a link is on its way to the owner of {id}"),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Users(users) => json!({ "users": users.iter().map(user_json).collect::<Vec<_>>() }),
            Self::User(user) => user_json(user),
            Self::Sessions(sessions) => json!({ "sessions": sessions.iter().map(session_json).collect::<Vec<_>>() }),
            Self::Revoked(count) => json!({ "revoked": count }),
            Self::Closed(id) => json!({ "closed": id.to_string() }),
            Self::Mailed(id) => json!({ "mailed": id.to_string() }),
        }
    }
}

// A name holds no control character and no line break: it was refused where it came in. It ends the line all the same, so that nothing
// behind it can be forged.
fn write_user(user: &User, out: &mut dyn Write) -> io::Result<()> {
    let verified = if user.email_verified_at.is_some() { "verified" } else { "unverified" };
    let name = user.full_name.as_ref().map_or("-", |name| name.as_str());
    writeln!(out, "{} {:<9} {} ({verified}) since {} {name}", user.id, user.status.as_str(), user.email, user.created_at)
}

fn user_json(user: &User) -> Value {
    let roles = user.access.assignments.iter().map(|assignment| {
        json!({
            "role": assignment.role.as_str(),
            "scope": assignment.scope.as_ref().map(ToString::to_string),
            "expires_at": assignment.expires_at.map(|at| at.to_string()),
        })
    });
    json!({
        "id": user.id.to_string(),
        "email": user.email.to_string(),
        "email_verified": user.email_verified_at.is_some(),
        "full_name": user.full_name.as_ref().map(ToString::to_string),
        "locale": user.locale.as_ref().map(ToString::to_string),
        "status": user.status.as_str(),
        "roles": roles.collect::<Vec<_>>(),
        "created_at": user.created_at.to_string(),
        "updated_at": user.updated_at.to_string(),
    })
}

fn session_json(session: &Session) -> Value {
    json!({
        "id": session.id.to_string(),
        "device_name": session.device_name.as_ref().map(ToString::to_string),
        "created_at": session.created_at.to_string(),
        "last_used_at": session.refreshed_at.to_string(),
        "expires_at": session.expires_at.to_string(),
        "ip": session.last_used_by.ip.map(|ip| ip.to_string()),
        "user_agent": session.last_used_by.user_agent.as_ref().map(ToString::to_string),
        "impersonator": session.impersonator.map(|acting| acting.user_id.to_string()),
    })
}
