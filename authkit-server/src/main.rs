//! The binary: hands its arguments to the library.

use std::io::Write;
use std::process::ExitCode;

use authkit_core::UserId;
use authkit_server::cli::doctor::Check;
use authkit_server::cli::{self, NewUser, OperationError, Operations};
use authkit_server::settings::Settings;

fn main() -> ExitCode {
    cli::run(&Unassembled)
}

/// Holds the place of the assembly: every command that needs it fails and says so.
struct Unassembled;

impl Unassembled {
    fn refuse<T>() -> Result<T, OperationError> {
        Err("the assembly is not part of this build".into())
    }
}

impl Operations for Unassembled {
    fn serve(&self, _settings: Settings) -> Result<(), OperationError> {
        Self::refuse()
    }

    fn migrate(&self, _settings: &Settings, _check: bool, _out: &mut dyn Write) -> Result<(), OperationError> {
        Self::refuse()
    }

    fn openapi(&self) -> Result<String, OperationError> {
        Self::refuse()
    }

    fn create_user(&self, _settings: &Settings, _user: NewUser) -> Result<UserId, OperationError> {
        Self::refuse()
    }

    fn list_keys(&self, _settings: &Settings, _out: &mut dyn Write) -> Result<(), OperationError> {
        Self::refuse()
    }

    fn rotate_keys(&self, _settings: &Settings, _now: bool, _out: &mut dyn Write) -> Result<(), OperationError> {
        Self::refuse()
    }

    fn checks(&self, _settings: &Settings) -> Vec<Check> {
        Vec::new()
    }
}
