//! The page of passkeys in a real browser: one is made, and logs in alone and behind a password.

use serde_json::json;

use crate::SETTINGS;
use crate::account::{LOGIN, PASSWORD, credentials, register};
use crate::browser::Browser;
use crate::support::Server;

const EMAIL: &str = "ada@example.com";

async fn type_in(browser: &mut Browser, id: &str, text: &str) {
    browser.eval(&format!("document.getElementById({}).value = {}", json!(id), json!(text))).await;
}

async fn submit(browser: &mut Browser, form: &str) {
    browser.eval(&format!("document.getElementById({}).requestSubmit()", json!(form))).await;
}

const IS_INSIDE: &str = "!document.getElementById('inside').hidden && !document.querySelector('button:disabled')";
const IS_OUTSIDE: &str = "!document.getElementById('outside').hidden && !document.querySelector('button:disabled')";

/// Keeps a picture where somebody asks for one.
async fn picture(browser: &mut Browser, name: &str) {
    if let Some(folder) = std::env::var_os("AUTHKIT_TEST_PICTURES") {
        let picture = browser.picture().await;
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png.base64")), picture).expect("writes");
    }
}

#[tokio::test]
async fn chromium_makes_a_passkey_and_logs_in_with_it() {
    let server = Server::start(SETTINGS).await;
    register(&server, EMAIL).await;
    let mut browser = Browser::start().await;
    let authenticator = browser.add_authenticator().await;
    let page = format!("http://localhost:{}/account/passkeys", server.address().port());

    browser.open(&page).await;
    picture(&mut browser, "outside").await;
    type_in(&mut browser, "email", EMAIL).await;
    type_in(&mut browser, "password", PASSWORD).await;
    submit(&mut browser, "password-form").await;
    browser.until(IS_INSIDE).await;
    type_in(&mut browser, "name", "Chromium").await;
    submit(&mut browser, "add-form").await;
    browser.until("document.querySelectorAll('#list li').length === 1").await;
    browser.until("document.querySelectorAll('#code-list li').length === 10").await;
    assert_eq!(browser.eval("document.querySelector('#list b').textContent").await, json!("Chromium"));
    picture(&mut browser, "inside").await;
    let kept = browser.credentials(&authenticator).await;
    assert_eq!(kept.len(), 1);
    assert_eq!((&kept[0]["rpId"], &kept[0]["isResidentCredential"]), (&json!("localhost"), &json!(true)));

    // A password alone does not do any more.
    server.post(LOGIN, &credentials(EMAIL)).await.problem(403, "auth.mfa_required");

    // The passkey alone, on a page that knows nothing of before.
    browser.open("about:blank").await;
    browser.open(&page).await;
    browser.eval("document.getElementById('log-in').click()").await;
    browser.until(IS_INSIDE).await;
    let used = browser.eval("document.querySelector('#list small').textContent").await;
    assert!(used.as_str().is_some_and(|used| used.starts_with("last used")), "{used}");

    // Behind the password.
    browser.open("about:blank").await;
    browser.open(&page).await;
    browser.until(IS_OUTSIDE).await;
    type_in(&mut browser, "email", EMAIL).await;
    type_in(&mut browser, "password", PASSWORD).await;
    submit(&mut browser, "password-form").await;
    browser.until(IS_INSIDE).await;

    // A second one on the same device is not made.
    submit(&mut browser, "add-form").await;
    browser.until("document.getElementById('note').classList.contains('bad')").await;
    assert_eq!(browser.credentials(&authenticator).await.len(), 1);

    // And it is taken off again.
    browser.eval("document.querySelector('#list li button:last-child').click()").await;
    browser.until("document.querySelectorAll('#list li').length === 0").await;
    server.post(LOGIN, &credentials(EMAIL)).await.expect(200);
}

#[tokio::test]
async fn the_page_runs_nothing_but_its_own_script() {
    let server = Server::start(SETTINGS).await;
    let page = server.get("/account/passkeys").await.expect(200);
    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for (path, kind) in [("/account/passkeys.js", "text/javascript"), ("/account/passkeys.css", "text/css")] {
        let file = server.get(path).await.expect(200);
        assert!(file.header("content-type").starts_with(kind), "{path}");
        assert_eq!(file.header("x-content-type-options"), "nosniff");
    }
}
