//! `users …`: what the operator typed becomes an account to create, or something to do with those that exist.

use std::io::BufRead;
use std::io::Read as _;

use authkit_core::flows::AccountUpdate;
use authkit_core::model::{Patch, UserFilter, UserQuery, UserStatus};
use authkit_core::{Email, FullName, LabelError, Locale, Password};

use super::args::{AddressArgs, CreateUserArgs, ListUsersArgs, UpdateUserArgs, UserArgs, UsersCommand, UsersFormat};
use super::{Failure, NamedUser, NewUser, UsersTask};

/// Checks the arguments, and reads the password from the first line of `stdin`.
pub(super) fn new_user(args: &CreateUserArgs, stdin: &mut dyn BufRead) -> Result<NewUser, Failure> {
    let usage = |option: &str, error: &dyn std::error::Error| Failure::Usage(format!("{option}: {error}"));
    let email = Email::parse(&args.email).map_err(|e| usage("--email", &e))?;
    let full_name = args.full_name.as_deref().map(FullName::parse).transpose().map_err(|e| usage("--full-name", &e))?;
    let password = if args.without_password { None } else { Some(read_password(stdin)?) };
    Ok(NewUser::new(email, full_name, password, args.roles.clone()).invited(args.invite))
}

/// Checks the address of an account.
pub(super) fn address(args: &AddressArgs) -> Result<Email, Failure> {
    Email::parse(&args.email).map_err(|error| Failure::Usage(format!("--email: {error}")))
}

/// Checks the arguments of a command on accounts that exist; `None` for `users create`.
pub(super) fn task(command: &UsersCommand) -> Result<Option<(UsersTask, UsersFormat)>, Failure> {
    Ok(Some(match command {
        UsersCommand::List(args) => (UsersTask::List(filter(args)?, args.limit), args.format),
        UsersCommand::Show(args) => (UsersTask::Show(named(args)?), args.format),
        UsersCommand::Update(args) => (UsersTask::Update(named(&args.user)?, update(args)?), args.user.format),
        UsersCommand::Invite(args) => (UsersTask::Invite(named(args)?), args.format),
        UsersCommand::ResetPassword(args) => (UsersTask::ResetPassword(named(args)?), args.format),
        UsersCommand::Suspend(args) => (UsersTask::Suspend(named(args)?), args.format),
        UsersCommand::Restore(args) => (UsersTask::Restore(named(args)?), args.format),
        UsersCommand::Delete(args) => (UsersTask::Close(named(&args.user)?), args.user.format),
        UsersCommand::Sessions(args) => (UsersTask::Sessions(named(&args.user)?), args.user.format),
        UsersCommand::RevokeSessions(args) => {
            let session = args.session.as_deref().map(str::parse).transpose();
            let session = session.map_err(|_| Failure::Usage("--session: is not the id of a session".to_owned()))?;
            (UsersTask::RevokeSessions(named(&args.user)?, session), args.user.format)
        }
        UsersCommand::Create(_)
        | UsersCommand::Lock(_)
        | UsersCommand::ResetMfa(_)
        | UsersCommand::Unlock(_)
        | UsersCommand::Import(_)
        | UsersCommand::WrapHashes(_) => return Ok(None),
    }))
}

fn usage(option: &str) -> impl Fn(&dyn std::error::Error) -> Failure + '_ {
    move |error| Failure::Usage(format!("{option}: {error}"))
}

fn named(args: &UserArgs) -> Result<NamedUser, Failure> {
    if let Ok(id) = args.user.parse() {
        return Ok(NamedUser::Id(id));
    }
    let email = Email::parse(&args.user).map_err(|_| Failure::Usage("USER: is neither an id nor an address".to_owned()))?;
    Ok(NamedUser::Email(email))
}

fn filter(args: &ListUsersArgs) -> Result<UserFilter, Failure> {
    let status = match args.status.as_deref().map(UserStatus::from_name) {
        None => None,
        Some(Some(status)) => Some(status),
        Some(None) => return Err(Failure::Usage("--status: must be active or suspended".to_owned())),
    };
    Ok(UserFilter {
        query: args.query.as_deref().map(UserQuery::parse).transpose().map_err(|e| usage("--query")(&e))?,
        status,
        role: args.role.as_deref().map(str::parse).transpose().map_err(|e| usage("--role")(&e))?,
    })
}

fn update(args: &UpdateUserArgs) -> Result<AccountUpdate, Failure> {
    Ok(AccountUpdate {
        email: args.email.as_deref().map(Email::parse).transpose().map_err(|e| usage("--email")(&e))?,
        full_name: emptied(args.full_name.as_deref(), FullName::parse).map_err(|e| usage("--full-name")(&e))?,
        locale: emptied(args.locale.as_deref(), Locale::parse).map_err(|e| usage("--locale")(&e))?,
    })
}

/// What becomes of a field: an empty text empties it.
fn emptied<T>(text: Option<&str>, parse: impl Fn(&str) -> Result<T, LabelError>) -> Result<Patch<T>, LabelError> {
    match text {
        None => Ok(Patch::Keep),
        Some("") => Ok(Patch::Clear),
        Some(text) => Ok(Patch::Set(parse(text)?)),
    }
}

/// Reads one line. Only its end is taken off: white space belongs to the password.
fn read_password(stdin: &mut dyn BufRead) -> Result<Password, Failure> {
    let mut line = String::new();
    // More than the longest password is refused by `Password`; there is no need to read all of it.
    let bound = Password::MAX_BYTES as u64 + 3;
    stdin.take(bound).read_line(&mut line).map_err(|e| Failure::Usage(format!("--password-stdin: stdin cannot be read: {e}")))?;
    let text = line.strip_suffix('\n').unwrap_or(&line);
    let text = text.strip_suffix('\r').unwrap_or(text);
    Password::parse(text).map_err(|e| Failure::Usage(format!("--password-stdin: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line_without_its_end() {
        for (input, password) in [("a b \n", "a b "), ("ab\r\nnext\n", "ab"), ("ab", "ab")] {
            assert_eq!(read_password(&mut input.as_bytes()).unwrap().expose(), password);
        }
        for refused in [String::new(), "\n".to_owned(), "a\0b\n".to_owned(), "a".repeat(5_000)] {
            assert!(matches!(read_password(&mut refused.as_bytes()), Err(Failure::Usage(_))), "{refused:.10?}");
        }
        assert_eq!(read_password(&mut format!("{}\r\n", "a".repeat(1_024)).as_bytes()).unwrap().expose().len(), 1_024);
    }
}
