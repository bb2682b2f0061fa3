//! Whether time tells who has an account: `enumeration [rounds]` asks for logins, links and registrations, for addresses that have an
//! account and for some that have none, in turn, and prints the medians and how far they are apart. It fails where that is more than
//! the bound, which is generous: a hash that is left out makes a factor of ten.

use std::process::ExitCode;
use std::time::Duration;

use authkit_benches::enumeration::{Ask, Failure, Site, Whose, medians, spread};
use authkit_core::AuthKit;
use authkit_core::config::Argon2Params;

/// How far the medians of one group may be apart.
const BOUND: f64 = 1.3;

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    let rounds = std::env::args().nth(1).map_or(Ok(100), |text| text.parse())?;
    let site = Site::new(Argon2Params::OWASP).await?;
    let logins = [Whose::Nobodys, Whose::Owners, Whose::Suspended, Whose::WithoutPassword, Whose::Ssha].map(Ask::Login);
    let mut holds = true;
    holds &= group("a failed login", site.plain(), &logins, rounds, Some(BOUND)).await?;
    holds &=
        group("a link for a new password", site.plain(), &[Ask::Forgot(false), Ask::Forgot(true)], rounds, Some(BOUND)).await?;
    holds &=
        group("a link that logs in", site.plain(), &[Ask::MagicLink(false), Ask::MagicLink(true)], rounds, Some(BOUND)).await?;
    holds &= group("a registration", site.plain(), &[Ask::Register(false), Ask::Register(true)], rounds, Some(BOUND)).await?;
    let dear = [Whose::Nobodys, Whose::Owners, Whose::Bcrypt].map(Ask::Login);
    group("a failed login, beside a dear hash of another system", site.plain(), &dear, rounds / 4, None).await?;
    holds &= group("the same, AUTHKIT_IMITATED_HASH=bcrypt,12", site.imitating(), &dear, rounds / 4, Some(BOUND)).await?;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures a group and prints it; whether it is within the bound.
async fn group(name: &str, auth: &AuthKit, asked: &[Ask], rounds: usize, bound: Option<f64>) -> Result<bool, Failure> {
    let pairs: Vec<_> = asked.iter().map(|ask| (auth, *ask)).collect();
    let medians: Vec<Duration> = medians(&pairs, rounds.max(5)).await?;
    let apart = spread(&medians);
    let holds = bound.is_none_or(|bound| apart <= bound);
    let said = match bound {
        Some(bound) if holds => format!("within {bound}"),
        Some(bound) => format!("BEYOND {bound}"),
        None => "no bound".to_owned(),
    };
    println!("{name}: medians a factor of {apart:.3} apart, {said}");
    for (ask, median) in asked.iter().zip(&medians) {
        println!("    {:36} {median:>9.2?}", ask.name());
    }
    Ok(holds)
}
