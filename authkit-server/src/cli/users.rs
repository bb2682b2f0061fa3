//! `users create`: what the operator typed becomes an account to create.

use std::io::BufRead;
use std::io::Read as _;

use authkit_core::{Email, FullName, Password};

use super::args::{AddressArgs, CreateUserArgs};
use super::{Failure, NewUser};

/// Checks the arguments, and reads the password from the first line of `stdin`.
pub(super) fn new_user(args: &CreateUserArgs, stdin: &mut dyn BufRead) -> Result<NewUser, Failure> {
    let usage = |option: &str, error: &dyn std::error::Error| Failure::Usage(format!("{option}: {error}"));
    let email = Email::parse(&args.email).map_err(|e| usage("--email", &e))?;
    let full_name = args.full_name.as_deref().map(FullName::parse).transpose().map_err(|e| usage("--full-name", &e))?;
    let password = read_password(stdin)?;
    Ok(NewUser::new(email, full_name, password, args.roles.clone()))
}

/// Checks the address of an account.
pub(super) fn address(args: &AddressArgs) -> Result<Email, Failure> {
    Email::parse(&args.email).map_err(|error| Failure::Usage(format!("--email: {error}")))
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
