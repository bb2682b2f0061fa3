//! A second factor, from its QR code to a route that demands it.
//!
//! `cargo run -p authkit-examples --bin mfa_enrolment`

use std::sync::Arc;
use std::time::Duration;

use authkit_core::flows::{Aal2, LoginError, ProofMethod, SecondFactor};
use authkit_core::mfa::totp;
use authkit_core::testkit::FrozenClock;
use authkit_core::{
    AuthKit, Clock as _, Config, Email, FactorCode, Login, Password, Principal, Registration, RequestContext, SecretBytes,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A clock that waits for us: nobody wants to see this program sleep until the app shows its next code.
    let clock = FrozenClock::new();
    let auth = AuthKit::builder(Config::new("https://app.example")).in_memory().clock(Arc::new(clock.clone())).build().await?;
    let request = RequestContext::default();
    let (email, password) = (Email::parse("jane@example.com")?, Password::parse("SecurePass123")?);

    // Turn it on: the page shows `qr_svg`, the phone reads it, the owner types the first code.
    let jane = auth.accounts().register(Registration::new(email.clone(), password.clone()), &request).await?;
    let caller = auth.authenticate(jane.tokens.access_token.expose())?;
    let told = auth.mfa().start_totp(&caller, &request).await?;
    println!("scan this: {} ({} bytes of SVG)", told.otpauth_uri, told.qr_svg.len());
    let phone = phone(&told.secret)?;
    let shown = totp::code_at(&phone, clock.now()).ok_or("no code")?;
    let codes = auth.mfa().confirm_totp(&caller, &FactorCode::new(shown), &request).await?;
    println!("on; {} recovery codes to print, the first is {}", codes.len(), codes[0].expose());

    // From now on the password is half a login.
    clock.advance(Duration::from_secs(30));
    let Err(LoginError::SecondFactorRequired(required)) = auth.sessions().log_in(Login::new(email, password), &request).await
    else {
        return Err("the password alone let somebody in".into());
    };
    let shown = totp::code_at(&phone, clock.now()).ok_or("no code")?;
    let proof = SecondFactor { factor: ProofMethod::Totp, code: FactorCode::new(shown) };
    let session = auth.mfa().verify(&required.token, &proof, &request).await?;

    // A route that demands two factors takes nothing else: with a plain `Principal` it does not compile.
    let caller = auth.authenticate(session.tokens.access_token.expose())?;
    transfer_everything(&caller.require_aal2()?);
    Ok(())
}

fn transfer_everything(caller: &Principal<Aal2>) {
    println!("two factors proved by {}", caller.user_id());
}

/// What the phone makes of the secret.
fn phone(base32: &str) -> Result<SecretBytes, &'static str> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for letter in base32.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == letter).ok_or("no base32")?;
        bits = (bits << 5) | u32::try_from(value).map_err(|_| "no base32")?;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count).to_le_bytes()[0]);
        }
    }
    Ok(SecretBytes::new(bytes))
}
