//! The commands of the command line, on a runtime of their own.

use std::future::Future;
use std::io::{BufRead, Write};

use authkit_core::flows::{Administrator, NewAccount};
use authkit_core::flows::{KeyStatus, Lock, RotateKeyError, WrappedPage};
use authkit_core::model::{KeyId, KeyPurpose};
use authkit_core::{AuthKit, Config, Email, Registration, RequestContext, UserId};

use super::assembly::Assembly;
use super::durable::Durable;
use super::{audit, checks, import, outbox, roles, serve, users};
use crate::api;
use crate::cli::args::{ImportArgs, UsersFormat};
use crate::cli::doctor::Check;
use crate::cli::roles::RolesCommand;
use crate::cli::{AuditOperation, Imported, NewUser, OperationError, Operations, OutboxTask, UsersTask};
use crate::data_dir::DataDir;
use crate::settings::Settings;

/// The assembled server, as the command line uses it.
#[derive(Debug, Clone, Copy, Default)]
pub struct App;

impl Operations for App {
    fn serve(&self, settings: Settings) -> Result<(), OperationError> {
        runtime()?.block_on(serve::serve(settings))
    }

    fn migrate(&self, settings: &Settings, check: bool, out: &mut dyn Write) -> Result<(), OperationError> {
        // A check changes nothing, and opening the file would make it.
        if check && Durable::is_missing(settings) {
            return Err(format!("{} does not exist: run authkit-server migrate", settings.database).into());
        }
        if !check {
            DataDir::open(&settings.data_dir)?;
        }
        let status = runtime()?.block_on(async {
            let store = Durable::open(settings).await?;
            let status = if check { store.check().await } else { store.migrate().await };
            store.close().await;
            status
        })?;
        if !status.is_current() {
            return Err(format!("pending: {}; run authkit-server migrate", status.pending.join(", ")).into());
        }
        Ok(writeln!(out, "{} is at schema version {}", settings.database, status.version)?)
    }

    fn openapi(&self) -> Result<String, OperationError> {
        runtime()?.block_on(async {
            let auth = AuthKit::builder(Config::new("http://localhost:8000")).in_memory().build().await?;
            Ok(api::document(&api::service(&auth, "http://localhost:8000")))
        })
    }

    fn create_user(&self, settings: &Settings, user: NewUser) -> Result<UserId, OperationError> {
        with_auth(settings, async |auth| {
            let context = RequestContext::default();
            let Some(password) = user.password else {
                let account = NewAccount { email: user.email, full_name: user.full_name, locale: None };
                let administration = auth.administration(Administrator::Operator);
                if !user.invite {
                    return Ok(administration.create(account, &context).await?.id);
                }
                let id = administration.create_and_invite(account, &context).await?.id;
                // At once, in case that no server runs that would.
                auth.outbox().deliver_due().await?;
                return Ok(id);
            };
            let mut registration = Registration::new(user.email, password);
            registration.full_name = user.full_name;
            Ok(auth.accounts().create_with_roles(registration, &user.roles, &context).await?.id)
        })
    }

    fn reset_mfa(&self, settings: &Settings, email: &Email) -> Result<bool, OperationError> {
        with_auth(settings, async |auth| Ok(auth.mfa().reset_by_email(email, &RequestContext::default()).await?))
    }

    fn lock_status(&self, settings: &Settings, email: &Email, unlock: bool, out: &mut dyn Write) -> Result<(), OperationError> {
        let status = with_auth(settings, async |auth| {
            let accounts = auth.accounts();
            Ok(if unlock {
                accounts.unlock(email, &RequestContext::default()).await?
            } else {
                accounts.lock_status(email).await?
            })
        })?;
        let Some(guesses) = status.guesses else { return Ok(writeln!(out, "no wrong passwords in a row")?) };
        let stands = match status.lock {
            Lock::Open => "open: passwords are evaluated at once",
            Lock::Delayed => "delayed: the next password of an unknown device is evaluated after a while",
            Lock::Closed => "closed: no password of an unknown device is evaluated until the owner logs in on a known one",
            _ => "unknown",
        };
        let done = if unlock { ", now forgotten; it was " } else { ", " };
        Ok(writeln!(out, "{} wrong in a row, the last at {}{done}{stands}", guesses.failures, guesses.last_at)?)
    }

    fn users(
        &self,
        settings: &Settings,
        task: UsersTask,
        format: UsersFormat,
        out: &mut dyn Write,
    ) -> Result<(), OperationError> {
        let answer = with_auth(settings, async |auth| users::perform(auth, task).await)?;
        Ok(answer.write(format, out)?)
    }

    fn outbox(
        &self,
        settings: &Settings,
        task: OutboxTask,
        format: UsersFormat,
        out: &mut dyn Write,
    ) -> Result<(), OperationError> {
        let text = with_auth(settings, async |auth| outbox::perform(auth, task, format).await)?;
        Ok(out.write_all(&text)?)
    }

    fn roles(&self, settings: &Settings, command: &RolesCommand, out: &mut dyn Write) -> Result<(), OperationError> {
        let text = with_auth(settings, async |auth| {
            let mut text = Vec::new();
            roles::run(auth, command, &mut text).await?;
            Ok(text)
        })?;
        Ok(out.write_all(&text)?)
    }

    fn list_keys(&self, settings: &Settings, out: &mut dyn Write) -> Result<(), OperationError> {
        let keys = with_auth(settings, async |auth| Ok(auth.keys().list().await?))?;
        keys.iter().try_for_each(|key| write_key(key, out))
    }

    fn rotate_keys(&self, settings: &Settings, now: bool, out: &mut dyn Write) -> Result<(), OperationError> {
        let keys = with_auth(settings, async |auth| {
            for purpose in [KeyPurpose::AccessToken, KeyPurpose::RefreshToken] {
                match auth.keys().rotate(purpose, now).await {
                    // The secret of HS256 is rotated where it is set; the key of refresh tokens is rotated all the same.
                    Ok(()) | Err(RotateKeyError::SharedSecret) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(auth.keys().list().await?)
        })?;
        keys.iter().try_for_each(|key| write_key(key, out))
    }

    fn audit(&self, settings: &Settings, operation: AuditOperation, out: &mut dyn Write) -> Result<(), OperationError> {
        with_auth(settings, async |auth| audit::run(auth, operation, out).await)
    }

    fn import_users(
        &self,
        settings: &Settings,
        args: &ImportArgs,
        stdin: &mut dyn BufRead,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Result<Imported, OperationError> {
        import::run(settings, args, stdin, out, err, &runtime()?)
    }

    fn wrap_hashes(
        &self,
        settings: &Settings,
        dry_run: bool,
        out: &mut dyn Write,
        err: &mut dyn Write,
    ) -> Result<(), OperationError> {
        let found = with_auth(settings, async |auth| {
            let (mut all, mut after) = (WrappedPage::default(), None);
            loop {
                let page = auth.accounts().wrap_hashes(after, dry_run, &RequestContext::default()).await?;
                all.examined += page.examined;
                all.wrapped += page.wrapped;
                all.overtaken += page.overtaken;
                all.unsupported += page.unsupported;
                after = page.next;
                if page.wrapped > 0 && !dry_run {
                    // Nobody may be reading it.
                    let _ = writeln!(err, "{} hashes examined, {} wrapped", all.examined, all.wrapped);
                }
                if after.is_none() {
                    return Ok(all);
                }
            }
        })?;
        let verb = if dry_run { "would be wrapped" } else { "wrapped" };
        let WrappedPage { examined, wrapped, overtaken, unsupported, .. } = found;
        writeln!(out, "{examined} hashes examined, {wrapped} {verb}, {overtaken} replaced by their users meanwhile")?;
        if unsupported > 0 {
            writeln!(
                out,
                "{unsupported} cannot be verified: their format or their parameters are not supported, or a secret is missing"
            )?;
        }
        Ok(())
    }

    fn forget_secret(&self, settings: &Settings, name: &str, out: &mut dyn Write) -> Result<(), OperationError> {
        let id = KeyId::parse(name).ok_or("the name is pepper-ID or signer-ID, as `keys list` shows it")?;
        with_auth(settings, async |auth| Ok(auth.keys().forget_password_secret(&id).await?))?;
        let setting = if name.starts_with("signer-") { "AUTHKIT_FIREBASE_SIGNER_KEYS" } else { "AUTHKIT_PASSWORD_PEPPERS" };
        Ok(writeln!(out, "{name} is forgotten: take it out of {setting} before the next start")?)
    }

    fn checks(&self, settings: &Settings) -> Vec<Check> {
        checks::of_the_store(settings)
    }
}

fn write_key(key: &KeyStatus, out: &mut dyn Write) -> Result<(), OperationError> {
    let (purpose, state, algorithm) = (key.purpose.as_str(), key.state.as_str(), key.algorithm.as_str());
    Ok(writeln!(out, "{purpose:<14} {state:<8} {algorithm:<6} {} from {}", key.id, key.activates_at)?)
}

/// Opens everything, does one thing, and closes it.
fn with_auth<T>(settings: &Settings, act: impl AsyncFnOnce(&AuthKit) -> Result<T, OperationError>) -> Result<T, OperationError> {
    runtime()?.block_on(async {
        let assembly = Assembly::for_command(settings).await?;
        let outcome = act(&assembly.auth).await;
        assembly.close().await;
        outcome
    })
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, OperationError> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// A future that a command runs must not hold the terminal: said here once, so that the compiler holds it.
#[expect(dead_code, reason = "never called: it is there to be type-checked")]
fn futures_are_send(settings: Settings) -> impl Future<Output = Result<(), OperationError>> + Send {
    serve::serve(settings)
}
