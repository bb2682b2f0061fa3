//! Login without a password: a link by mail, bound to the browser that asked for it.
//!
//! `cargo run -p authkit-examples --bin passwordless`

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use authkit_core::flows::LinkError;
use authkit_core::model::Mail;
use authkit_core::ports::{MailError, Mailer};
use authkit_core::{AuthKit, Config, Email, OneTimeTokenText, OutboxMessageId, Password, Registration, RequestContext};

/// Your mail: write it in your words and hand it to whoever sends it. What a mail says is in `mail.content`; the library has decided
/// to whom it goes, and calls again when this fails.
#[derive(Debug, Clone, Default)]
struct MyMail(Arc<Mutex<Vec<OneTimeTokenText>>>);

#[async_trait]
impl Mailer for MyMail {
    async fn send(&self, id: OutboxMessageId, mail: &Mail) -> Result<(), MailError> {
        println!("mail {} to {} (Message-ID {id})", mail.content.name(), mail.to);
        if let Some(token) = mail.content.token() {
            println!("  https://app.example/login?token={}…", &token.expose()[..12]);
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(token.clone());
        }
        Ok(())
    }
}

impl MyMail {
    /// What the owner of the mailbox does: she opens the last link.
    async fn last_link(&self, auth: &AuthKit) -> Result<OneTimeTokenText, Box<dyn std::error::Error>> {
        auth.outbox().deliver_due().await?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().ok_or_else(|| "no mail came".into())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mail = MyMail::default();
    let auth = AuthKit::builder(Config::new("https://app.example")).in_memory().mailer(Arc::new(mail.clone())).build().await?;
    let request = RequestContext::default(); // the client's address, user agent and language, from your framework
    let email = Email::parse("jane@example.com")?;

    // There is an account, made in whatever way: here she registers, and proves her address by the first link.
    auth.accounts().register(Registration::new(email.clone(), Password::parse("SecurePass123")?), &request).await?;
    let proof = mail.last_link(&auth).await?;
    auth.links().verify_email(&proof, &request).await?;

    // POST /login: keep a random secret in a cookie of the browser (`HttpOnly; SameSite=Lax`), and bind the link to it. The answer is the
    // same whether there is such an account or not, and comes before anything was looked up.
    let cookie = "a random secret of this browser";
    auth.links().request_magic_link(&email, Some(cookie), &request).await?;
    let link = mail.last_link(&auth).await?;

    // GET /login?token=…: show a page with a button, and nothing else. Scanners of mail open links too.
    let address = auth.links().peek(&link, authkit_core::model::OneTimePurpose::MagicLink).await?;
    println!("page: log in as {address}?");

    // POST /login/finish: the button. In another browser it does nothing, here it logs in, once.
    let elsewhere = auth.links().log_in(&link, Some("another browser"), None, &request).await;
    println!("another browser: {}", code(elsewhere.err()));
    let jane = auth.links().log_in(&link, Some(cookie), None, &request).await?;
    println!("logged in: {} in session {}", jane.user.email, jane.session_id);
    let again = auth.links().log_in(&link, Some(cookie), None, &request).await;
    println!("a second time: {}", code(again.err()));
    Ok(())
}

fn code(error: Option<LinkError>) -> &'static str {
    error.map_or("it worked", |error| error.code())
}
