//! The command line, as clap reads it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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

const EXIT_CODES: &str =
    "Exit codes: 0 done; 1 failed; 2 the command line or a setting is wrong (each problem is one line on stderr).";

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
    /// Manage keys and make secrets.
    #[command(subcommand)]
    Keys(KeysCommand),
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
    /// Read the password from the first line of stdin: a password on the command line is seen by every user of the machine.
    #[arg(long, required = true)]
    pub password_stdin: bool,
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
    /// Print a new secret for JWT_SECRET_KEY.
    GenerateSecret,
}

/// Arguments of `keys rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// Sign with the new key at once; a server that is running does within a minute. What the old key signed stays valid until
    /// it expires.
    #[arg(long)]
    pub now: bool,
}
