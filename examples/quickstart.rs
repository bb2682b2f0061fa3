//! The library alone, in memory: register, log in, authenticate, refresh, log out.
//!
//! `cargo run -p authkit-examples --bin quickstart`

use authkit_core::{AuthKit, Config, Email, Login, Password, Refreshed, Registration, RequestContext};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let auth = AuthKit::builder(Config::new("https://app.example")).in_memory().build().await?;
    let request = RequestContext::default(); // who asks: the client's address and user agent, for the audit log

    let email = Email::parse("user@example.com")?;
    let password = Password::parse("SecurePass123")?;
    let registered = auth.accounts().register(Registration::new(email.clone(), password.clone()), &request).await?;
    println!("registered {} as {}", registered.user.email, registered.user.id);

    let session = auth.sessions().log_in(Login::new(email, password), &request).await?;
    let principal = auth.authenticate(session.tokens.access_token.expose())?; // no I/O
    println!("logged in: session {} of user {}", principal.session_id(), principal.user_id());

    let Refreshed::Renewed(renewed) = auth.sessions().refresh(&session.tokens.refresh_token, &request).await? else {
        return Err("a fresh refresh token is not a reused one".into());
    };
    println!("refreshed: the next access token is valid for {} s", renewed.tokens.expires_in.as_secs());

    auth.sessions().log_out(&renewed.tokens.refresh_token, &request).await?;
    match auth.authenticate(session.tokens.access_token.expose()) {
        Err(refused) => println!("logged out: {refused}"),
        Ok(_) => return Err("a token outlived its session".into()),
    }
    Ok(())
}
