//! `roles …`: what the operator typed, and how roles are written.

use std::io::{self, Write};

use authkit_core::flows::RoleImpact;
use authkit_core::model::{Assignment, Role};
use authkit_core::{Email, Permission, RoleDescription, RoleName, Scope, Timestamp};
use clap::{Args, Subcommand};

/// Commands on roles.
#[derive(Debug, Subcommand)]
pub enum RolesCommand {
    /// List the roles: name, version, permissions, inherited roles.
    List,
    /// Make a role.
    Create(RoleArgs),
    /// Change a role: what is not named stays.
    Update(RoleUpdateArgs),
    /// Delete a role that nobody has and no other role inherits.
    Delete(RoleDeleteArgs),
    /// Give somebody a role.
    Assign(AssignArgs),
    /// Take a role from somebody.
    Unassign(AssignArgs),
    /// List who holds a permission, and by which roles.
    WhoCan {
        /// The permission, e.g. invoice:write.
        permission: Permission,
    },
}

/// Arguments of `roles create`.
#[derive(Debug, Args)]
pub struct RoleArgs {
    /// Its name: a lower-case slug.
    pub name: RoleName,
    /// What it is for.
    #[arg(long, value_parser = description)]
    pub description: Option<RoleDescription>,
    /// A permission that it gives, e.g. invoice:write; once for each.
    #[arg(long = "permission", value_name = "PERMISSION")]
    pub permissions: Vec<Permission>,
    /// A role whose permissions it gives as well; once for each.
    #[arg(long = "inherit", value_name = "ROLE")]
    pub inherits: Vec<RoleName>,
    /// Nobody who has it logs in without a second factor.
    #[arg(long)]
    pub mfa_required: bool,
    /// Change nothing; say who would gain and lose what.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `roles update`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct RoleUpdateArgs {
    /// Its name.
    pub name: RoleName,
    /// What it is for.
    #[arg(long, value_parser = description)]
    pub description: Option<RoleDescription>,
    /// Every permission that it gives from now on; once for each.
    #[arg(long = "permission", value_name = "PERMISSION", conflicts_with = "no_permissions")]
    pub permissions: Vec<Permission>,
    /// It gives no permission of its own from now on.
    #[arg(long)]
    pub no_permissions: bool,
    /// Every role that it inherits from now on; once for each.
    #[arg(long = "inherit", value_name = "ROLE", conflicts_with = "no_inherit")]
    pub inherits: Vec<RoleName>,
    /// It inherits no role from now on.
    #[arg(long)]
    pub no_inherit: bool,
    /// Nobody who has it logs in without a second factor from now on.
    #[arg(long, conflicts_with = "no_mfa_required")]
    pub mfa_required: bool,
    /// It demands no second factor from now on.
    #[arg(long)]
    pub no_mfa_required: bool,
    /// Change nothing; say who would gain and lose what.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `roles delete`.
#[derive(Debug, Args)]
pub struct RoleDeleteArgs {
    /// Its name.
    pub name: RoleName,
    /// Change nothing; say whether it could be deleted.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `roles assign` and `roles unassign`.
#[derive(Debug, Args)]
pub struct AssignArgs {
    /// The role.
    pub role: RoleName,
    /// The address of the account.
    #[arg(long, value_parser = Email::parse)]
    pub email: Email,
    /// Where it counts, e.g. tenant:acme; everywhere when nothing is said.
    #[arg(long)]
    pub scope: Option<Scope>,
    /// Until when it counts (RFC 3339); for good when nothing is said. `assign` alone.
    #[arg(long, value_parser = instant)]
    pub expires_at: Option<Timestamp>,
    /// Change nothing; say who would gain and lose what.
    #[arg(long)]
    pub dry_run: bool,
}

fn description(text: &str) -> Result<RoleDescription, authkit_core::LabelError> {
    RoleDescription::parse(text)
}

fn instant(text: &str) -> Result<Timestamp, String> {
    serde_json::from_value(text.into()).map_err(|_| "must be an instant such as 2030-01-01T00:00:00Z (RFC 3339)".to_owned())
}

/// Writes a role on one line.
pub(crate) fn write_role(role: &Role, out: &mut dyn Write) -> io::Result<()> {
    let built_in = if role.built_in { " built-in" } else { "" };
    let mfa_required = if role.mfa_required { " mfa-required" } else { "" };
    writeln!(
        out,
        "{}\tv{}{built_in}{mfa_required}\t{}\tinherits: {}",
        role.name,
        role.version,
        joined(&role.permissions),
        joined(&role.inherits)
    )
}

/// Writes who gains and loses what.
pub(crate) fn write_impact(impact: &RoleImpact, out: &mut dyn Write) -> io::Result<()> {
    for role in &impact.roles {
        writeln!(out, "role {}\tgains: {}\tloses: {}", role.role, joined(&role.gained), joined(&role.lost))?;
    }
    for account in &impact.accounts {
        let scope = account.scope.as_ref().map_or_else(String::new, |scope| format!(" in {scope}"));
        let (gained, lost) = (joined(&account.gained), joined(&account.lost));
        writeln!(out, "user {} {}{scope}\tgains: {gained}\tloses: {lost}", account.user_id, account.email)?;
    }
    if impact.is_cut {
        writeln!(out, "and more accounts than are named here")?;
    }
    Ok(())
}

/// An assignment in a few words.
pub(crate) fn described(assignment: &Assignment) -> String {
    let scope = assignment.scope.as_ref().map_or_else(String::new, |scope| format!(" in {scope}"));
    let end = assignment.expires_at.map_or_else(String::new, |end| format!(" until {end}"));
    format!("{}{scope}{end}", assignment.role)
}

fn joined<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if texts.is_empty() { "-".to_owned() } else { texts.join(" ") }
}
