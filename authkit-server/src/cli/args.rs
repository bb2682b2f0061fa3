//! The command line, as clap reads it.

use std::path::PathBuf;

use authkit_core::RoleName;
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::roles::RolesCommand;

/// AuthKit as a user management service.
///
/// Without a command it serves. `authkit-server config` prints every setting, its value and where that came from.
#[derive(Debug, Parser)]
#[command(name = "authkit-server", version, after_help = EXIT_CODES, subcommand_help_heading = "Commands")]
pub struct Cli {
    /// Read this file instead of authkit.toml in the working directory.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do; serve when nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed; 2 the command line or a setting is wrong (each problem is one line on stderr); 3 an import \
     that is done, with lines that were refused.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve (the default).
    Serve,
    /// Bring the database to this version.
    Migrate(MigrateArgs),
    /// Print every setting with its value, source and default; secrets are left out.
    Config(ConfigArgs),
    /// Print the OpenAPI document.
    Openapi,
    /// Manage accounts.
    #[command(subcommand)]
    Users(UsersCommand),
    /// Manage roles, and who has them.
    #[command(subcommand)]
    Roles(RolesCommand),
    /// Look after messages that could not be sent.
    #[command(subcommand)]
    Outbox(OutboxCommand),
    /// Manage keys and make secrets.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Verify, export and purge the audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Say what the audit log knows of a request: why a login or a refresh was refused.
    Explain(ExplainArgs),
    /// Check settings, files, the store and the clock, and say what is wrong.
    Doctor(DoctorArgs),
    /// Ask the server that runs under these settings how it is; 1 when it is not well or does not answer.
    Health(HealthArgs),
    /// Print the version.
    Version,
}

/// Arguments of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Change nothing; fail when migrations are pending.
    #[arg(long)]
    pub check: bool,
}

/// Arguments of `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// How to print.
    #[arg(long, value_enum, default_value_t = ConfigFormat::Text)]
    pub format: ConfigFormat,
}

/// How `config` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConfigFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// The text of `.env.example`: the defaults, whatever is set.
    EnvExample,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// How to print.
    #[arg(long, value_enum, default_value_t = DoctorFormat::Text)]
    pub format: DoctorFormat,
}

/// How `doctor` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DoctorFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Arguments of `health`.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Ask only whether the process answers, not whether it wants requests: a server without a database lives, and a restart
    /// would not help it.
    #[arg(long)]
    pub live: bool,
}

/// Commands on accounts.
#[derive(Debug, Subcommand)]
pub enum UsersCommand {
    /// Create an account.
    Create(CreateUserArgs),
    /// Turn every second factor of an account off, for an owner who has lost hers. Be sure who asks.
    ResetMfa(AddressArgs),
    /// Say how an account stands with those who guess at its password.
    Lock(AddressArgs),
    /// Forget the wrong passwords that were tried at an account, so that its owner need not wait.
    Unlock(AddressArgs),
    /// Take over accounts of another system, with the password hashes that it made.
    Import(ImportArgs),
    /// Hash the password hashes of other systems once more, for users who do not log in.
    WrapHashes(WrapHashesArgs),
    /// List accounts, or search for them.
    List(ListUsersArgs),
    /// Show an account.
    Show(UserArgs),
    /// Change an account. A new address is not verified, and ends every session.
    Update(UpdateUserArgs),
    /// Mail the owner of an account that has no password a link by which she chooses one; those before are void.
    Invite(UserArgs),
    /// Mail the owner of an account a link by which she sets a new password.
    ResetPassword(UserArgs),
    /// Suspend an account: every session ends, and nothing of it works until it is restored.
    Suspend(UserArgs),
    /// Restore a suspended account.
    Restore(UserArgs),
    /// Close an account for good: what is personal is removed, and the address is free again.
    Delete(DeleteUserArgs),
    /// List the sessions of an account that are alive.
    Sessions(UserSessionsArgs),
    /// End every session of an account, or one.
    RevokeSessions(RevokeSessionsArgs),
}

/// Commands on messages.
#[derive(Debug, Subcommand)]
pub enum OutboxCommand {
    /// List messages, the youngest first. What they say and to whom is sealed.
    List(ListMessagesArgs),
    /// Try a message again that was given up, while what it says is still true.
    Retry(MessageArgs),
    /// Remove a message, whatever its state.
    Discard(MessageArgs),
}

/// Arguments of `outbox list`.
#[derive(Debug, Args)]
pub struct ListMessagesArgs {
    /// Only those in this state.
    #[arg(long, value_enum, default_value_t = MessageState::Dead)]
    pub state: MessageState,
    /// How many at most.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub limit: u16,
    /// How to print.
    #[arg(long, value_enum, default_value_t = UsersFormat::Text)]
    pub format: UsersFormat,
}

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MessageState {
    /// It waits to be sent, for the first time or again.
    Pending,
    /// It was sent.
    Delivered,
    /// It was given up, and can be tried again.
    Dead,
    /// It was no longer true before it could be sent.
    Expired,
}

/// A message.
#[derive(Debug, Args)]
pub struct MessageArgs {
    /// The id of the message.
    pub id: String,
}

/// How a command on accounts prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UsersFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// An account, and how to print it.
#[derive(Debug, Args)]
pub struct UserArgs {
    /// The id or the address of the account.
    pub user: String,
    /// How to print.
    #[arg(long, value_enum, default_value_t = UsersFormat::Text)]
    pub format: UsersFormat,
}

/// Arguments of `users list`.
#[derive(Debug, Args)]
pub struct ListUsersArgs {
    /// What to search for: every word begins the address, a word before the @, a word of the name, or (with the @) the domain.
    #[arg(long)]
    pub query: Option<String>,
    /// Only accounts that were given this role, in any scope.
    #[arg(long)]
    pub role: Option<String>,
    /// Only active or suspended accounts.
    #[arg(long)]
    pub status: Option<String>,
    /// How many at most.
    #[arg(long, default_value_t = 50)]
    pub limit: u32,
    /// How to print.
    #[arg(long, value_enum, default_value_t = UsersFormat::Text)]
    pub format: UsersFormat,
}

/// Arguments of `users update`. Empty texts empty the field.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true).args(["email", "full_name", "locale"]))]
pub struct UpdateUserArgs {
    /// The account.
    #[command(flatten)]
    pub user: UserArgs,
    /// The new address.
    #[arg(long)]
    pub email: Option<String>,
    /// The new name; empty for none.
    #[arg(long)]
    pub full_name: Option<String>,
    /// The new language, a BCP 47 tag; empty for none.
    #[arg(long)]
    pub locale: Option<String>,
}

/// Arguments of `users delete`.
#[derive(Debug, Args)]
pub struct DeleteUserArgs {
    /// The account.
    #[command(flatten)]
    pub user: UserArgs,
    /// Do it: it cannot be undone.
    #[arg(long, required = true)]
    pub yes: bool,
}

/// Arguments of `users sessions`.
#[derive(Debug, Args)]
pub struct UserSessionsArgs {
    /// The account.
    #[command(flatten)]
    pub user: UserArgs,
}

/// Arguments of `users revoke-sessions`.
#[derive(Debug, Args)]
pub struct RevokeSessionsArgs {
    /// The account.
    #[command(flatten)]
    pub user: UserArgs,
    /// Only this session.
    #[arg(long)]
    pub session: Option<String>,
}

/// Arguments of `users create`.
#[derive(Debug, Args)]
pub struct CreateUserArgs {
    /// The address of the account.
    #[arg(long)]
    pub email: String,
    /// The name of the person.
    #[arg(long)]
    pub full_name: Option<String>,
    /// A role that the account has from the start, everywhere and for good; once for each. `--role admin` makes the first
    /// administrator.
    #[arg(long = "role", value_name = "ROLE", conflicts_with = "without_password")]
    pub roles: Vec<RoleName>,
    /// Read the password from the first line of stdin: a password on the command line is seen by every user of the machine.
    #[arg(long, required_unless_present = "without_password", conflicts_with = "without_password")]
    pub password_stdin: bool,
    /// Make the account without a password: its owner chooses one.
    #[arg(long)]
    pub without_password: bool,
    /// With --without-password: mail the owner a link by which she chooses it.
    #[arg(long, requires = "without_password")]
    pub invite: bool,
}

/// Arguments of `users import`.
///
/// Columns of a CSV file, or members of the JSON objects of a JSONL file: email (needed), email_verified (true or false) or
/// email_verified_at, full_name, locale, status (active or suspended), created_at, password_hash, external_id, roles (in a
/// CSV separated by spaces or semicolons; given to new accounts, everywhere and for good). Times are RFC 3339. An account whose address is there already is left as it is, so that an import that was killed is started again
/// with the same command.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file, or - for stdin.
    pub file: PathBuf,
    /// Its format; by default what its name ends in.
    #[arg(long, value_enum)]
    pub format: Option<ImportFormat>,
    /// Change nothing; say what would happen, and why lines would be refused.
    #[arg(long)]
    pub dry_run: bool,
    /// What becomes of a line whose address belongs to an account with another profile.
    #[arg(long, value_enum, default_value_t = OnExisting::Skip)]
    pub on_existing: OnExisting,
    /// Leave out columns or members that are not known, instead of stopping.
    #[arg(long)]
    pub ignore_unknown: bool,
    /// Write a CSV of the refused lines here: line, email, reason. By default they are said on stderr, the first hundred of them.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Write a CSV of external_id, user_id here, for every account that was created or was there.
    #[arg(long, value_name = "FILE")]
    pub id_map: Option<PathBuf>,
    /// Remember here how far the import came, to go on there after an interruption; removed at the end. By default FILE.import-state
    /// in the working directory.
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
}

/// The format of a file of accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImportFormat {
    /// Comma-separated, the names of the columns in the first line (RFC 4180).
    Csv,
    /// A JSON object a line.
    Jsonl,
}

/// What becomes of a line whose address belongs to an account with another profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnExisting {
    /// It is counted and left out.
    Skip,
    /// It is refused.
    Fail,
}

/// Arguments of `users wrap-hashes`.
#[derive(Debug, Args)]
pub struct WrapHashesArgs {
    /// Change nothing; count the hashes.
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of a command on the account with an address.
#[derive(Debug, Args)]
pub struct AddressArgs {
    /// The address of the account.
    #[arg(long)]
    pub email: String,
}

/// Commands on keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// List the signing keys.
    List,
    /// Make a new signing key; it signs once every client can know it.
    Rotate(RotateArgs),
    /// Print a new master key for AUTHKIT_MASTER_KEYS.
    GenerateMaster,
    /// Print a new pepper for AUTHKIT_PASSWORD_PEPPERS.
    GeneratePepper,
    /// Forget that a pepper (pepper-ID) or a signer key of Firebase (signer-ID) was used, once no password hash needs it; it can be
    /// taken out of the settings then.
    ForgetSecret(ForgetSecretArgs),
    /// Print a new secret for JWT_SECRET_KEY.
    GenerateSecret,
}

/// Arguments of `keys forget-secret`.
#[derive(Debug, Args)]
pub struct ForgetSecretArgs {
    /// pepper-ID or signer-ID, as `keys list` shows it.
    pub name: String,
}

/// Arguments of `keys rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// Sign with the new key at once; a server that is running does within a minute. What the old key signed stays valid until
    /// it expires.
    #[arg(long)]
    pub now: bool,
}

/// Commands on the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Verify that nothing was altered, removed, added or reordered since it was sealed; 1 when something was.
    Verify(VerifyArgs),
    /// Print the end of the chain of seals, to be kept elsewhere for a later verify.
    Anchor,
    /// Print the public keys that verify the seals, one JWK a line.
    Keys,
    /// Seal now what is old enough; servers do it every ten seconds.
    Seal,
    /// Forget old events. Without --yes it only says which.
    Purge(PurgeArgs),
    /// Write events to stdout, the oldest first.
    Export(ExportArgs),
}

/// Arguments of `audit verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Begin at this seal and take what lies before it for granted.
    #[arg(long, value_name = "NUMBER")]
    pub from_seal: Option<u64>,
    /// Trust the public keys in this file alone, one JWK a line, as `audit keys` printed them; and not those of the database.
    #[arg(long, value_name = "FILE")]
    pub public_key: Option<PathBuf>,
    /// The chain must contain this seal, NUMBER:DIGEST as `audit anchor` printed it.
    #[arg(long, value_name = "NUMBER:DIGEST")]
    pub anchor: Option<String>,
}

/// Arguments of `audit purge`.
#[derive(Debug, Args)]
pub struct PurgeArgs {
    /// Forget what is older than this, as in 365d; at least 1d.
    #[arg(long, value_name = "AGE")]
    pub older_than: String,
    /// Do it.
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `audit export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// How to write.
    #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
    pub format: ExportFormat,
    /// From this instant on, RFC 3339 in UTC.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Before this instant, RFC 3339 in UTC.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Only what this user did.
    #[arg(long, value_name = "USER ID")]
    pub actor: Option<String>,
    /// Only what was done to this account.
    #[arg(long, value_name = "USER ID")]
    pub subject: Option<String>,
    /// Only this, as in auth.login.
    #[arg(long, value_name = "ACTION")]
    pub action: Option<String>,
    /// Only what ended so: success or failure.
    #[arg(long, value_name = "OUTCOME")]
    pub outcome: Option<String>,
    /// Only what happened in this request.
    #[arg(long, value_name = "REQUEST ID")]
    pub request_id: Option<String>,
    /// Write the seals behind the events, so that the export can be held against them (jsonl only).
    #[arg(long)]
    pub with_seals: bool,
}

/// How `audit export` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// One JSON object a line.
    Jsonl,
    /// A header and one line an event (RFC 4180); a cell that a spreadsheet would run begins with an apostrophe.
    Csv,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The id of the request, from X-Request-Id or the problem document.
    #[arg(long)]
    pub request_id: String,
}
