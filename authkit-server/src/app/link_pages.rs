//! The pages behind the links of mails, for browsers without a front end of the host's own.
//!
//! Opening a link shows a page with a button and uses nothing up: mail scanners open every link. The button posts a form, without any
//! script.

use std::sync::Arc;

use authkit_core::flows::{LinkError, LoggedIn, ProofMethod, SecondFactor};
use authkit_core::model::{OneTimePurpose, RequestContext};
use authkit_core::{AuthKit, Email, Error, FactorCode, MfaToken, OneTimeTokenText, Password};
use poem::endpoint::make;
use poem::http::{HeaderMap, Method, StatusCode, header};
use poem::{Body, Endpoint, FromRequest as _, IntoResponse as _, Request, Response, Route};

use crate::http::{BrowserCookie, RouteTable};
use crate::mail::{FALLBACK, Texts, Variables};

/// What a page does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    VerifyEmail,
    ChangeEmail,
    UndoEmailChange,
    ResetPassword,
    Invitation,
    MagicLink,
    SecondFactor,
    ForgotPassword,
    LoginLink,
}

impl Page {
    const ALL: [Self; 9] = [
        Self::VerifyEmail,
        Self::ChangeEmail,
        Self::UndoEmailChange,
        Self::ResetPassword,
        Self::Invitation,
        Self::MagicLink,
        Self::SecondFactor,
        Self::ForgotPassword,
        Self::LoginLink,
    ];

    const fn path(self) -> &'static str {
        match self {
            Self::VerifyEmail => "/account/verify-email",
            Self::ChangeEmail => "/account/change-email",
            Self::UndoEmailChange => "/account/undo-email-change",
            Self::ResetPassword => "/account/reset-password",
            Self::Invitation => "/account/invitation",
            Self::MagicLink => "/account/magic-link",
            Self::SecondFactor => "/account/second-factor",
            Self::ForgotPassword => "/account/forgot-password",
            Self::LoginLink => "/account/login-link",
        }
    }

    /// Its texts: `pages.<name>`.
    const fn name(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ChangeEmail => "change_email",
            Self::UndoEmailChange => "undo_email_change",
            Self::ResetPassword => "reset_password",
            Self::Invitation => "invitation",
            Self::MagicLink => "magic_link",
            Self::SecondFactor => "second_factor",
            Self::ForgotPassword => "forgot_password",
            Self::LoginLink => "login_link",
        }
    }

    /// What its link is good for, where it is behind one.
    const fn purpose(self) -> Option<OneTimePurpose> {
        match self {
            Self::VerifyEmail => Some(OneTimePurpose::VerifyEmail),
            Self::ChangeEmail => Some(OneTimePurpose::ChangeEmail),
            Self::UndoEmailChange => Some(OneTimePurpose::UndoEmailChange),
            Self::ResetPassword => Some(OneTimePurpose::ResetPassword),
            Self::Invitation => Some(OneTimePurpose::Invitation),
            Self::MagicLink => Some(OneTimePurpose::MagicLink),
            Self::SecondFactor | Self::ForgotPassword | Self::LoginLink => None,
        }
    }

    /// What it asks for.
    const fn form(self) -> &'static str {
        match self {
            Self::ResetPassword | Self::Invitation => "password",
            Self::ForgotPassword | Self::LoginLink => "email",
            Self::SecondFactor => "code",
            _ => "plain",
        }
    }
}

/// SECURITY: no script, nothing from elsewhere, a form that goes nowhere but here.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What the pages have in common.
#[derive(Debug, Clone)]
pub(super) struct Pages {
    auth: AuthKit,
    texts: Arc<Texts>,
    service: String,
}

/// A page that is about to be shown.
struct Shown {
    page: Page,
    status: StatusCode,
    /// `None` where there is nothing more to ask.
    form: Option<&'static str>,
    token: String,
    address: Option<Email>,
    /// The key of what went wrong.
    problem: Option<&'static str>,
    is_done: bool,
    tokens: Option<String>,
    cookie: Option<String>,
}

impl Shown {
    /// Asks.
    fn asking(page: Page, token: &str, address: Option<Email>) -> Self {
        Self { form: Some(page.form()), token: token.to_owned(), address, ..Self::done(page) }.undone()
    }

    fn done(page: Page) -> Self {
        Self {
            page,
            status: StatusCode::OK,
            form: None,
            token: String::new(),
            address: None,
            problem: None,
            is_done: true,
            tokens: None,
            cookie: None,
        }
    }

    fn undone(self) -> Self {
        Self { is_done: false, ..self }
    }

    fn refused(self, status: u16, problem: &'static str) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, problem: Some(problem), ..self }.undone()
    }
}

/// Names the routes to the log and the metrics.
pub(super) fn describe(table: RouteTable) -> RouteTable {
    Page::ALL.into_iter().fold(table, |table, page| table.route(page.path(), [Method::GET, Method::POST]))
}

/// Adds the pages.
pub(super) fn add_to(routes: Route, pages: &Pages) -> Route {
    Page::ALL.into_iter().fold(routes, |routes, page| {
        routes.at(page.path(), poem::get(pages.clone().showing(page)).post(pages.clone().submitting(page)))
    })
}

impl Pages {
    /// The pages over one `AuthKit`, in these words, of a service of this name.
    pub(super) const fn new(auth: AuthKit, texts: Arc<Texts>, service: String) -> Self {
        Self { auth, texts, service }
    }

    /// Shows the page of a link.
    fn showing(self, page: Page) -> impl Endpoint<Output = Response> {
        make(move |request: Request| {
            let pages = self.clone();
            async move {
                let query = request.uri().query().unwrap_or_default();
                let token = field(query.as_bytes(), "token").unwrap_or_default();
                let text = OneTimeTokenText::new(token.clone());
                let shown = match page.purpose() {
                    // Begun by a link alone.
                    None if page == Page::SecondFactor => Shown::done(page).refused(401, "auth_invalid_mfa_token"),
                    None => Shown::asking(page, "", None),
                    Some(purpose) => match pages.auth.links().peek(&text, purpose).await {
                        Ok(address) => Shown::asking(page, &token, Some(address)),
                        Err(error) => failed(page, &token, None, error),
                    },
                };
                Ok::<_, poem::Error>(pages.render(request.headers(), shown))
            }
        })
    }

    /// Does what a page is for.
    fn submitting(self, page: Page) -> impl Endpoint<Output = Response> {
        make(move |mut request: Request| {
            let pages = self.clone();
            async move {
                let context = request.data::<RequestContext>().cloned().unwrap_or_default();
                let browser = BrowserCookie::from_request_without_body(&request).await?;
                let bytes = Body::into_bytes(request.take_body()).await?;
                let shown = pages.submit(page, &bytes, &browser, &context).await;
                Ok::<_, poem::Error>(pages.render(request.headers(), shown))
            }
        })
    }

    async fn submit(&self, page: Page, form: &[u8], browser: &BrowserCookie, context: &RequestContext) -> Shown {
        let links = self.auth.links();
        let token = field(form, "token").unwrap_or_default();
        let text = OneTimeTokenText::new(token.clone());
        let address = match page.purpose() {
            Some(purpose) => links.peek(&text, purpose).await.ok(),
            None => None,
        };
        let again = |problem| Shown::asking(page, &token, address.clone()).refused(422, problem);
        let outcome = match page {
            Page::VerifyEmail => links.verify_email(&text, context).await.map(|_| None),
            Page::ChangeEmail => links.confirm_email_change(&text, context).await.map(|_| None),
            Page::UndoEmailChange => links.undo_email_change(&text, context).await.map(|()| None),
            Page::ResetPassword | Page::Invitation => {
                let Ok(password) = Password::parse(&field(form, "new_password").unwrap_or_default()) else {
                    return again("password_too_long");
                };
                if page == Page::Invitation {
                    links.accept_invitation(&text, password, context).await.map(|()| None)
                } else {
                    links.reset_password(&text, password, context).await.map(|_| None)
                }
            }
            Page::ForgotPassword | Page::LoginLink => {
                let Ok(email) = Email::parse(&field(form, "email").unwrap_or_default()) else { return again("email_invalid") };
                if page == Page::ForgotPassword {
                    links.request_password_reset(&email, context).await.map(|()| None)
                } else {
                    let (secret, cookie) = browser.keep();
                    return match links.request_magic_link(&email, Some(&secret), context).await {
                        Ok(()) => Shown { cookie: Some(cookie), ..Shown::done(page) },
                        Err(error) => failed(page, "", None, error),
                    };
                }
            }
            Page::MagicLink => links.log_in(&text, browser.secret.as_deref(), None, context).await.map(Some),
            Page::SecondFactor => return self.second_factor(&token, form, context).await,
        };
        match outcome {
            Ok(None) => Shown::done(page),
            Ok(Some(logged_in)) => logged_in_on(page, logged_in),
            Err(LinkError::SecondFactorRequired(required)) => Shown::asking(Page::SecondFactor, required.token.expose(), None),
            Err(error) => failed(page, &token, address, error),
        }
    }

    async fn second_factor(&self, token: &str, form: &[u8], context: &RequestContext) -> Shown {
        let page = Page::SecondFactor;
        let again = |status, problem| Shown::asking(page, token, None).refused(status, problem);
        let factor = ProofMethod::from_name(&field(form, "factor").unwrap_or_default());
        let (Some(factor), Some(code)) = (factor, field(form, "code")) else { return again(422, "mfa_invalid_code") };
        let proof = SecondFactor { factor, code: FactorCode::new(code.trim().to_owned()) };
        match self.auth.mfa().verify(&MfaToken::new(token.to_owned()), &proof, context).await {
            Ok(logged_in) => logged_in_on(page, logged_in),
            Err(error) => {
                let error = Error::from(error);
                let status = error.kind().http_status();
                match error.code() {
                    "mfa.invalid_code" => again(status, "mfa_invalid_code"),
                    "rate_limit.exceeded" => again(status, "rate_limit_exceeded"),
                    "auth.invalid_mfa_token" => Shown::done(page).refused(status, "auth_invalid_mfa_token"),
                    _ => again(status, failed_inside(&error)),
                }
            }
        }
    }

    fn render(&self, headers: &HeaderMap, shown: Shown) -> Response {
        let first = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let tag = first.and_then(|list| list.split([',', ';']).next()).unwrap_or(FALLBACK).trim();
        let language = self.texts.language(tag);
        // A program that posts the form and reads no HTML wants the tokens.
        let wants_html =
            headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("html"));
        if let Some(tokens) = shown.tokens.as_ref().filter(|_| !wants_html) {
            return Response::builder().content_type("application/json").body(tokens.clone());
        }
        let (status, cookie) = (shown.status, shown.cookie.clone());
        let response = match self.write(language, shown) {
            Ok(html) => {
                let response = Response::builder().status(status).content_type("text/html; charset=utf-8");
                response.header(header::CONTENT_SECURITY_POLICY, POLICY).body(html)
            }
            Err(error) => {
                tracing::error!(%error, "a page could not be written");
                Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).finish()
            }
        };
        match cookie {
            Some(cookie) => response.with_header(header::SET_COOKIE, cookie).into_response(),
            None => response,
        }
    }

    fn write(&self, language: &str, shown: Shown) -> Result<String, minijinja::Error> {
        let mut variables = Variables::from([("service", self.service.as_str().into()), ("language", language.into())]);
        variables.insert("address", shown.address.as_ref().map(ToString::to_string).into());
        let name = shown.page.name();
        let text = |key: &str, variables: &Variables| self.texts.text(language, key, variables);
        let title = text(&format!("pages.{name}.title"), &variables)?;
        let question = match (shown.page.purpose(), &shown.address, shown.form) {
            (_, _, None) | (Some(_), None, _) => None,
            _ => Some(text(&format!("pages.{name}.question"), &variables)?),
        };
        let action = text(&format!("pages.{name}.action"), &variables)?;
        let done = shown.is_done.then(|| text(&format!("pages.{name}.done"), &variables)).transpose()?;
        let problem = shown.problem.map(|key| text(&format!("errors.{key}"), &variables)).transpose()?;
        for key in
            ["new_password", "password_hint", "email_label", "factor_label", "factor_totp", "factor_recovery_code", "code_label"]
        {
            let label = text(&format!("pages.{key}"), &variables)?;
            variables.insert(key, label.into());
        }
        variables.extend([
            ("title", title.into()),
            ("question", question.into()),
            ("action", action.into()),
            ("message", done.into()),
            ("problem", problem.into()),
            ("form", shown.form.into()),
            ("token", shown.token.into()),
            ("post_to", shown.page.path().into()),
            ("tokens", shown.tokens.into()),
        ]);
        self.texts.page(&variables)
    }
}

fn logged_in_on(page: Page, logged_in: LoggedIn) -> Shown {
    match serde_json::to_string_pretty(&logged_in.into_reply()) {
        Ok(tokens) => Shown { tokens: Some(tokens), ..Shown::done(page) },
        Err(_) => Shown::done(page).refused(500, "failed"),
    }
}

/// What a link did not do, and the form once more where that can help.
fn failed(page: Page, token: &str, address: Option<Email>, error: LinkError) -> Shown {
    let (problem, can_be_mended) = match &error {
        LinkError::Invalid => ("auth_invalid_link", false),
        LinkError::OtherBrowser => ("auth_link_of_another_browser", false),
        LinkError::Suspended => ("account_suspended", false),
        LinkError::EmailTaken => ("account_email_taken", false),
        LinkError::WeakPassword(_) => ("password_too_weak", true),
        LinkError::Throttled { .. } => ("rate_limit_exceeded", true),
        LinkError::Overloaded { .. } => ("service_overloaded", true),
        _ => ("failed", true),
    };
    let error = Error::from(error);
    let status = error.kind().http_status();
    let problem = if error.internal().is_some() { failed_inside(&error) } else { problem };
    let shown = if can_be_mended { Shown::asking(page, token, address) } else { Shown::done(page) };
    shown.refused(status, problem)
}

fn failed_inside(error: &Error) -> &'static str {
    tracing::warn!(error = error as &dyn std::error::Error, "a page could not do what it is for");
    "failed"
}

/// The best of the languages that are built in, for pages whose words are.
pub(super) fn language(request: &Request) -> &'static str {
    let first = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let tag = first.and_then(|list| list.split([',', ';']).next()).unwrap_or(FALLBACK).trim();
    let primary = tag.split('-').next().unwrap_or_default();
    ["en", "de", "fr", "es"].into_iter().find(|language| *language == primary).unwrap_or(FALLBACK)
}

/// A value of a form or a query.
fn field(encoded: &[u8], name: &str) -> Option<String> {
    url::form_urlencoded::parse(encoded).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
