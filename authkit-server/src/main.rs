//! The binary: hands its arguments to the library.

use std::process::ExitCode;

use authkit_server::app::App;
use authkit_server::cli;

fn main() -> ExitCode {
    cli::run(&App)
}
