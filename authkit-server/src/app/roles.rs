//! The commands on roles: the operator's, who may everything but take the last holder of all permissions away.

use std::io::Write;

use authkit_core::flows::{Administrator, ExpectedRole, NewRole, RoleGrant, RoleUpdate, Run};
use authkit_core::model::Patch;
use authkit_core::{AuthKit, Email, PageLimit, PageRequest, Permission, RequestContext, UserId};

use crate::cli::OperationError;
use crate::cli::roles::{
    AssignArgs, RoleArgs, RoleDeleteArgs, RoleUpdateArgs, RolesCommand, described, write_impact, write_role,
};

const OPERATOR: Administrator<'static> = Administrator::Operator;

/// Runs a command on roles. What it has to say it writes when it is done, so that a failure leaves no half of it.
pub(super) async fn run(auth: &AuthKit, command: &RolesCommand, out: &mut Vec<u8>) -> Result<(), OperationError> {
    let roles = auth.roles();
    match command {
        RolesCommand::List => roles.list(OPERATOR).await?.iter().try_for_each(|role| Ok(write_role(role, out)?)),
        RolesCommand::Create(args) => create(auth, args, out).await,
        RolesCommand::Update(args) => update(auth, args, out).await,
        RolesCommand::Delete(RoleDeleteArgs { name, dry_run }) => {
            let context = RequestContext::default();
            let (_, impact) = roles.delete(OPERATOR, name, &ExpectedRole::Anything, run_of(*dry_run), &context).await?;
            Ok(write_impact(&impact, out)?)
        }
        RolesCommand::Assign(args) => assign(auth, args, out).await,
        RolesCommand::Unassign(args) => {
            let id = account(auth, &args.email).await?;
            let run = run_of(args.dry_run);
            let context = RequestContext::default();
            let (_, impact) = roles.unassign(OPERATOR, id, &args.role, args.scope.as_ref(), run, &context).await?;
            Ok(write_impact(&impact, out)?)
        }
        RolesCommand::WhoCan { permission } => who_can(auth, permission, out).await,
    }
}

async fn create(auth: &AuthKit, args: &RoleArgs, out: &mut Vec<u8>) -> Result<(), OperationError> {
    let new = NewRole {
        name: args.name.clone(),
        description: args.description.clone(),
        permissions: args.permissions.iter().cloned().collect(),
        inherits: args.inherits.iter().cloned().collect(),
        mfa_required: args.mfa_required,
    };
    let (role, _) = auth.roles().create(OPERATOR, &new, run_of(args.dry_run), &RequestContext::default()).await?;
    Ok(write_role(&role, out)?)
}

async fn update(auth: &AuthKit, args: &RoleUpdateArgs, out: &mut Vec<u8>) -> Result<(), OperationError> {
    let update = RoleUpdate {
        description: args.description.clone().map_or(Patch::Keep, Patch::Set),
        permissions: (args.no_permissions || !args.permissions.is_empty()).then(|| args.permissions.iter().cloned().collect()),
        inherits: (args.no_inherit || !args.inherits.is_empty()).then(|| args.inherits.iter().cloned().collect()),
        mfa_required: (args.mfa_required || args.no_mfa_required).then_some(args.mfa_required),
        expected: ExpectedRole::Anything,
    };
    let context = RequestContext::default();
    let (role, impact) = auth.roles().update(OPERATOR, &args.name, &update, run_of(args.dry_run), &context).await?;
    write_role(&role, out)?;
    Ok(write_impact(&impact, out)?)
}

async fn assign(auth: &AuthKit, args: &AssignArgs, out: &mut Vec<u8>) -> Result<(), OperationError> {
    let grant = RoleGrant {
        user_id: account(auth, &args.email).await?,
        role: args.role.clone(),
        scope: args.scope.clone(),
        expires_at: args.expires_at,
    };
    let (_, impact) = auth.roles().assign(OPERATOR, &grant, run_of(args.dry_run), &RequestContext::default()).await?;
    Ok(write_impact(&impact, out)?)
}

async fn who_can(auth: &AuthKit, permission: &Permission, out: &mut Vec<u8>) -> Result<(), OperationError> {
    let mut page = PageRequest { limit: PageLimit::new(PageLimit::MAX).unwrap_or_default(), cursor: None };
    loop {
        let holders = auth.roles().who_can(OPERATOR, permission, page).await?;
        for holder in &holders.items {
            let by: Vec<String> = holder.by.iter().map(described).collect();
            writeln!(out, "{}\t{}\t{}\t{}", holder.user_id, holder.email, holder.status.as_str(), by.join(", "))?;
        }
        page.cursor = holders.next;
        if page.cursor.is_none() {
            return Ok(());
        }
    }
}

/// Whose the address is.
async fn account(auth: &AuthKit, email: &Email) -> Result<UserId, OperationError> {
    Ok(auth.accounts().id_by_email(email).await?.ok_or("there is no account with this address")?)
}

const fn run_of(dry_run: bool) -> Run {
    if dry_run { Run::Dry } else { Run::Real }
}
