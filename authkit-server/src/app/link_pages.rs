//! The pages behind the links of mails, for browsers without a front end of the host's own.
//!
//! Opening a link shows a page with a button and uses nothing up: mail scanners open every link. The button posts a form, without any
//! script.

use authkit_core::flows::LinkError;
use authkit_core::model::RequestContext;
use authkit_core::{AuthKit, Email, Error, OneTimeTokenText, Password};
use poem::endpoint::make;
use poem::http::{Method, StatusCode, header};
use poem::{Body, Endpoint, FromRequest as _, Request, Response, Route};

use crate::http::{BrowserCookie, RouteTable};
use crate::mail::escaped;

/// What a page does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    VerifyEmail,
    ChangeEmail,
    UndoEmailChange,
    ResetPassword,
    Invitation,
    MagicLink,
    ForgotPassword,
}

const PAGES: [(&str, Page); 7] = [
    ("/account/verify-email", Page::VerifyEmail),
    ("/account/change-email", Page::ChangeEmail),
    ("/account/undo-email-change", Page::UndoEmailChange),
    ("/account/invitation", Page::Invitation),
    ("/account/reset-password", Page::ResetPassword),
    ("/account/magic-link", Page::MagicLink),
    ("/account/forgot-password", Page::ForgotPassword),
];

/// SECURITY: no script, nothing from elsewhere, a form that goes nowhere but here.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Names the routes to the log and the metrics.
pub(super) fn describe(table: RouteTable) -> RouteTable {
    PAGES.into_iter().fold(table, |table, (path, _)| table.route(path, [Method::GET, Method::POST]))
}

/// Adds the pages.
pub(super) fn add_to(routes: Route, auth: &AuthKit) -> Route {
    PAGES.into_iter().fold(routes, |routes, (path, page)| routes.at(path, poem::get(show(page)).post(submit(page, auth.clone()))))
}

/// Shows the page of a link, whatever the link is worth.
fn show(page: Page) -> impl Endpoint<Output = Response> {
    make(move |request: Request| async move {
        let query = request.uri().query().unwrap_or_default();
        let token = field(query.as_bytes(), "token").unwrap_or_default();
        Ok::<_, poem::Error>(html(StatusCode::OK, language(&request), &form(page, &token, words(page, language(&request)).0)))
    })
}

/// Does what a link is for.
fn submit(page: Page, auth: AuthKit) -> impl Endpoint<Output = Response> {
    make(move |mut request: Request| {
        let auth = auth.clone();
        async move {
            let language = language(&request);
            let context = request.data::<RequestContext>().cloned().unwrap_or_default();
            let browser = BrowserCookie::from_request_without_body(&request).await?;
            let bytes = Body::into_bytes(request.take_body()).await?;
            let token = field(&bytes, "token").unwrap_or_default();
            let text = OneTimeTokenText::new(token.clone());
            let links = auth.links();
            let outcome = match page {
                Page::VerifyEmail => links.verify_email(&text, &context).await.map(|_| None),
                Page::ChangeEmail => links.confirm_email_change(&text, &context).await.map(|_| None),
                Page::UndoEmailChange => links.undo_email_change(&text, &context).await.map(|()| None),
                Page::ResetPassword | Page::Invitation => {
                    match Password::parse(&field(&bytes, "new_password").unwrap_or_default()) {
                        Ok(password) if page == Page::Invitation => {
                            links.accept_invitation(&text, password, &context).await.map(|()| None)
                        }
                        Ok(password) => links.reset_password(&text, password, &context).await.map(|_| None),
                        Err(error) => {
                            return Ok(html(StatusCode::UNPROCESSABLE_ENTITY, language, &form(page, &token, &error.to_string())));
                        }
                    }
                }
                Page::ForgotPassword => match Email::parse(&field(&bytes, "email").unwrap_or_default()) {
                    Ok(email) => links.request_password_reset(&email, &context).await.map(|()| None),
                    Err(error) => {
                        return Ok(html(StatusCode::UNPROCESSABLE_ENTITY, language, &form(page, &token, &error.to_string())));
                    }
                },
                Page::MagicLink => links.log_in(&text, browser.secret.as_deref(), None, &context).await.map(Some),
            };
            Ok::<_, poem::Error>(match outcome {
                Ok(None) => html(StatusCode::OK, language, &format!("<p>{}</p>", escaped(words(page, language).1))),
                Ok(Some(logged_in)) => match serde_json::to_string(&logged_in.into_reply()) {
                    Ok(json) => Response::builder().content_type("application/json").body(json),
                    Err(_) => html(StatusCode::INTERNAL_SERVER_ERROR, language, ""),
                },
                Err(error) => failed(page, &token, error, language),
            })
        }
    })
}

fn failed(page: Page, token: &str, error: LinkError, language: &'static str) -> Response {
    let can_be_mended = matches!(error, LinkError::WeakPassword(_) | LinkError::Overloaded { .. } | LinkError::Throttled { .. });
    let shown = error.to_string();
    let error = Error::from(error);
    let status = StatusCode::from_u16(error.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = if let Some(internal) = error.internal() {
        tracing::warn!(error = internal as &dyn std::error::Error, "a page could not do what its link is for");
        "…".to_owned()
    } else {
        shown
    };
    let body = if can_be_mended { form(page, token, &text) } else { format!("<p>{}</p>", escaped(&text)) };
    html(status, language, &body)
}

fn form(page: Page, token: &str, note: &str) -> String {
    let asked = match page {
        Page::ResetPassword | Page::Invitation => {
            "<p><input type=\"password\" name=\"new_password\" autocomplete=\"new-password\" required maxlength=\"1024\"></p>"
        }
        Page::ForgotPassword => {
            "<p><input type=\"email\" name=\"email\" autocomplete=\"username\" required maxlength=\"254\"></p>"
        }
        Page::VerifyEmail | Page::ChangeEmail | Page::UndoEmailChange | Page::MagicLink => "",
    };
    format!(
        "<form method=\"post\"><p>{}</p><input type=\"hidden\" name=\"token\" value=\"{}\">{asked}<p><button>OK</button></p></form>",
        escaped(note),
        escaped(token)
    )
}

fn html(status: StatusCode, language: &str, body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"{language}\"><head><meta charset=\"utf-8\"><title>AuthKit</title>\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:30rem;margin:4rem auto;padding:0 1rem}}\
         button,input{{font:inherit;padding:.5rem 1rem;width:100%;box-sizing:border-box}}</style></head><body>{body}</body></html>"
    );
    Response::builder()
        .status(status)
        .content_type("text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, POLICY)
        .body(page)
}

/// What a page asks, and what it says when it is done.
fn words(page: Page, language: &str) -> (&'static str, &'static str) {
    match (page, language) {
        (Page::VerifyEmail, "de") => ("Diese E-Mail-Adresse bestätigen?", "Die Adresse ist bestätigt."),
        (Page::VerifyEmail, "fr") => ("Confirmer cette adresse e-mail ?", "L'adresse est confirmée."),
        (Page::VerifyEmail, "es") => ("¿Confirmar esta dirección de correo?", "La dirección está confirmada."),
        (Page::VerifyEmail, _) => ("Confirm this email address?", "The address is confirmed."),
        (Page::ChangeEmail, "de") => ("Konto zu dieser E-Mail-Adresse umziehen?", "Das Konto ist umgezogen."),
        (Page::ChangeEmail, "fr") => ("Faire passer le compte à cette adresse e-mail ?", "Le compte a changé d'adresse."),
        (Page::ChangeEmail, "es") => ("¿Pasar la cuenta a esta dirección de correo?", "La cuenta ha cambiado de dirección."),
        (Page::ChangeEmail, _) => ("Move the account to this email address?", "The account has moved."),
        (Page::UndoEmailChange, "de") => {
            ("Umzug rückgängig machen?", "Das Konto ist zurück. Ein Link für ein neues Passwort ist unterwegs.")
        }
        (Page::UndoEmailChange, "fr") => {
            ("Annuler le changement ?", "Le compte est revenu. Un lien pour un nouveau mot de passe arrive.")
        }
        (Page::UndoEmailChange, "es") => {
            ("¿Deshacer el cambio?", "La cuenta ha vuelto. Recibirá un enlace para una nueva contraseña.")
        }
        (Page::UndoEmailChange, _) => ("Take the change back?", "The account is back. A link for a new password is on its way."),
        (Page::Invitation, "de") => ("Passwort wählen", "Das Passwort ist gesetzt, Sie können sich anmelden."),
        (Page::Invitation, "fr") => ("Choisissez un mot de passe", "Le mot de passe est défini, vous pouvez vous connecter."),
        (Page::Invitation, "es") => ("Elija una contraseña", "La contraseña está establecida, ya puede iniciar sesión."),
        (Page::Invitation, _) => ("Choose a password", "The password is set: you can log in."),
        (Page::ResetPassword, "de") => ("Neues Passwort", "Das Passwort ist gesetzt, alle Sitzungen sind beendet."),
        (Page::ResetPassword, "fr") => ("Nouveau mot de passe", "Le mot de passe est défini, toutes les sessions sont fermées."),
        (Page::ResetPassword, "es") => ("Nueva contraseña", "La contraseña está establecida y todas las sesiones cerradas."),
        (Page::ResetPassword, _) => ("New password", "The password is set, and every session has ended."),
        (Page::ForgotPassword, "de") => (
            "An welche Adresse sollen wir einen Link für ein neues Passwort schicken?",
            "Falls sie ein Konto hat, ist eine Nachricht unterwegs.",
        ),
        (Page::ForgotPassword, "fr") => (
            "À quelle adresse envoyer un lien pour définir un nouveau mot de passe ?",
            "Si elle a un compte, un message est en route.",
        ),
        (Page::ForgotPassword, "es") => (
            "¿A qué dirección enviamos un enlace para establecer una nueva contraseña?",
            "Si tiene una cuenta, un mensaje está en camino.",
        ),
        (Page::ForgotPassword, _) => {
            ("Which address shall we send a link for a new password to?", "If it has an account, a mail is on its way.")
        }
        (Page::MagicLink, "de") => ("Jetzt anmelden?", ""),
        (Page::MagicLink, "fr") => ("Se connecter maintenant ?", ""),
        (Page::MagicLink, "es") => ("¿Iniciar sesión ahora?", ""),
        (Page::MagicLink, _) => ("Log in now?", ""),
    }
}

/// The first language of `Accept-Language` (RFC 9110 §12.5.4), which is the preferred one as browsers send it.
pub(super) fn language(request: &Request) -> &'static str {
    let first = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    language_of(first.and_then(|list| list.split([',', ';']).next()).unwrap_or("en").trim())
}

/// The best of the languages of the pages for a language tag.
fn language_of(tag: &str) -> &'static str {
    let primary = tag.split('-').next().unwrap_or_default();
    ["en", "de", "fr", "es"].into_iter().find(|language| *language == primary).unwrap_or("en")
}

/// A value of a form or a query.
fn field(encoded: &[u8], name: &str) -> Option<String> {
    url::form_urlencoded::parse(encoded).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
