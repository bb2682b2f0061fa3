//! The command line: reads it, reads the settings, and hands each command what it needs.
//!
//! Exit codes: 0 done, 1 failed, 2 the command line or a setting is wrong, 3 an import of which lines were refused. Answers go to stdout, complaints to stderr.

pub mod args;
pub(crate) mod audit;
pub mod doctor;
mod health;
mod keys;
mod operations;
mod outbox;
pub mod roles;
mod users;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser as _;

use self::args::{AuditCommand, Cli, Command, ConfigFormat, KeysCommand, UsersCommand};
pub use self::audit::AuditOperation;
pub use self::operations::{Imported, NamedUser, NewUser, OperationError, Operations, OutboxTask, UsersTask};
use crate::settings::{self, Inputs, Problems, Settings};

/// The command did what it was asked to.
const DONE: u8 = 0;
/// The command failed.
const FAILED: u8 = 1;
/// The command line or a setting is wrong.
const MISCONFIGURED: u8 = 2;
/// An import is done, and some of its lines were refused.
const IN_PART: u8 = 3;

/// Why a command ends without success.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Settings(#[from] Problems),
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Output(#[from] io::Error),
    #[error("{0}")]
    Operation(OperationError),
    /// What is wrong has been said already.
    #[error("a check failed")]
    Unhealthy,
    /// An import is done but for some lines, and that has been said.
    #[error("some lines were refused")]
    InPart,
    /// A file cannot be what it should be, and why has been said.
    #[error("the file cannot be read")]
    Unusable,
}

/// Runs the command of this process's arguments.
#[must_use]
pub fn run(operations: &dyn Operations) -> ExitCode {
    let code = run_with(std::env::args_os(), operations, &mut io::stdin().lock(), &mut io::stdout(), &mut io::stderr());
    ExitCode::from(code)
}

/// Runs the command of the given arguments, the first being the program's name. Returns the exit code.
pub fn run_with(
    arguments: impl IntoIterator<Item = OsString>,
    operations: &dyn Operations,
    stdin: &mut dyn io::BufRead,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(help_or_error) => {
            // Help and version are answers and go to stdout; a wrong command line is a complaint.
            let code = if help_or_error.use_stderr() { MISCONFIGURED } else { DONE };
            let _ = help_or_error.print();
            return code;
        }
    };
    let failure = match dispatch(cli, operations, stdin, out, err).and_then(|()| Ok(out.flush()?)) {
        Ok(()) => return DONE,
        // Whoever reads the output has seen enough, as `head` has.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => return DONE,
        Err(failure) => failure,
    };
    // A complaint that nobody can read is no reason to panic.
    let _ = complain(&failure, err);
    match failure {
        Failure::Settings(_) | Failure::Usage(_) | Failure::Unusable => MISCONFIGURED,
        Failure::InPart => IN_PART,
        Failure::Operation(_) | Failure::Output(_) | Failure::Unhealthy => FAILED,
    }
}

fn dispatch(
    cli: Cli,
    operations: &dyn Operations,
    stdin: &mut dyn io::BufRead,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<(), Failure> {
    let Cli { config, command } = cli;
    let inputs = || Inputs::of_process(config.clone()).map_err(|e| Failure::Usage(format!("the working directory is gone: {e}")));
    let settings = || -> Result<Settings, Failure> { Ok(Settings::load(&inputs()?)?) };
    let failed = Failure::Operation;
    match command.unwrap_or(Command::Serve) {
        Command::Serve => operations.serve(settings()?).map_err(failed),
        Command::Migrate(args) => operations.migrate(&settings()?, args.check, out).map_err(failed),
        // What describes this build needs no settings, and so works beside broken ones.
        Command::Config(args) if args.format == ConfigFormat::EnvExample => {
            Ok(out.write_all(settings::env_example().as_bytes())?)
        }
        Command::Config(args) => print_settings(&settings()?, args.format, out),
        Command::Openapi => Ok(writeln!(out, "{}", operations.openapi().map_err(failed)?.trim_end())?),
        Command::Users(UsersCommand::Create(args)) => {
            let settings = settings()?;
            let user = users::new_user(&args, stdin)?;
            let id = operations.create_user(&settings, user).map_err(failed)?;
            Ok(writeln!(out, "{id}")?)
        }
        Command::Users(UsersCommand::ResetMfa(args)) => {
            let email = users::address(&args)?;
            let was_on = operations.reset_mfa(&settings()?, &email).map_err(failed)?;
            Ok(writeln!(out, "{}", if was_on { "second factors are off" } else { "no second factor was on" })?)
        }
        Command::Users(UsersCommand::Lock(args)) => {
            let email = users::address(&args)?;
            operations.lock_status(&settings()?, &email, false, out).map_err(failed)
        }
        Command::Users(UsersCommand::Unlock(args)) => {
            let email = users::address(&args)?;
            operations.lock_status(&settings()?, &email, true, out).map_err(failed)
        }
        Command::Outbox(command) => {
            let (task, format) = outbox::task(&command).map_err(Failure::Usage)?;
            operations.outbox(&settings()?, task, format, out).map_err(failed)
        }
        Command::Roles(command) => operations.roles(&settings()?, &command, out).map_err(failed),
        Command::Users(UsersCommand::Import(args)) => {
            match operations.import_users(&settings()?, &args, stdin, out, err).map_err(failed)? {
                Imported::Whole => Ok(()),
                Imported::InPart => Err(Failure::InPart),
                Imported::Unusable => Err(Failure::Unusable),
            }
        }
        Command::Users(UsersCommand::WrapHashes(args)) => {
            operations.wrap_hashes(&settings()?, args.dry_run, out, err).map_err(failed)
        }
        Command::Keys(KeysCommand::GeneratePepper) => Ok(writeln!(out, "{}", keys::pepper())?),
        Command::Keys(KeysCommand::ForgetSecret(args)) => operations.forget_secret(&settings()?, &args.name, out).map_err(failed),
        Command::Users(command) => match users::task(&command)? {
            Some((task, format)) => operations.users(&settings()?, task, format, out).map_err(failed),
            // Those have arms of their own, above.
            None => Ok(()),
        },
        Command::Keys(KeysCommand::List) => operations.list_keys(&settings()?, out).map_err(failed),
        Command::Keys(KeysCommand::Rotate(args)) => operations.rotate_keys(&settings()?, args.now, out).map_err(failed),
        Command::Keys(KeysCommand::GenerateMaster) => Ok(writeln!(out, "{}", keys::master())?),
        Command::Keys(KeysCommand::GenerateSecret) => Ok(writeln!(out, "{}", keys::secret())?),
        Command::Audit(command) => {
            let operation = match &command {
                AuditCommand::Verify(args) => audit::verify(args),
                AuditCommand::Anchor => Ok(AuditOperation::Anchor),
                AuditCommand::Keys => Ok(AuditOperation::Keys),
                AuditCommand::Seal => Ok(AuditOperation::Seal),
                AuditCommand::Purge(args) => audit::purge(args),
                AuditCommand::Export(args) => audit::export(args),
            };
            operations.audit(&settings()?, operation.map_err(Failure::Usage)?, out).map_err(failed)
        }
        Command::Explain(args) => {
            let request_id = audit::request_id(&args.request_id).map_err(Failure::Usage)?;
            operations.audit(&settings()?, AuditOperation::Explain(request_id), out).map_err(failed)
        }
        Command::Doctor(args) => {
            let report = doctor::examine(&Settings::load(&inputs()?), operations);
            report.write(args.format, out)?;
            report.verdict()
        }
        Command::Health(args) => {
            let settings = settings()?;
            let answer = health::ask(&settings, &args)
                .map_err(|error| failed(format!("no answer at {}: {error}", settings.listen).into()))?;
            writeln!(out, "{}", answer.body.trim_end())?;
            if answer.is_well { Ok(()) } else { Err(Failure::Unhealthy) }
        }
        Command::Version => Ok(writeln!(out, "authkit-server {}", crate::banner::VERSION)?),
    }
}

fn print_settings(settings: &Settings, format: ConfigFormat, out: &mut dyn Write) -> Result<(), Failure> {
    if format == ConfigFormat::Json {
        let entries: Vec<_> = settings.entries().iter().map(settings::Entry::to_json).collect();
        let document = serde_json::json!({ "settings": entries, "warnings": settings.warnings });
        return Ok(writeln!(out, "{document:#}")?);
    }
    out.write_all(settings::as_text(settings.entries()).as_bytes())?;
    for warning in &settings.warnings {
        writeln!(out, "\n# warning: {warning}")?;
    }
    Ok(())
}

/// Says why, with every cause that adds something.
fn complain(failure: &Failure, err: &mut dyn Write) -> io::Result<()> {
    if matches!(failure, Failure::Unhealthy | Failure::InPart | Failure::Unusable) {
        return Ok(());
    }
    let mut text = failure.to_string();
    let mut cause: Option<&dyn Error> = match failure {
        Failure::Operation(error) => error.source(),
        _ => None,
    };
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    writeln!(err, "authkit-server: {text}")
}
