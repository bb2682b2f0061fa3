//! Mail over SMTP (RFC 5321).

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use authkit_core::OutboxMessageId;
use authkit_core::model::Mail;
use authkit_core::ports::{MailError, Mailer};
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use url::Url;

use super::message::Letterhead;

/// How long one exchange with the server may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Replies that are about the settings or the server and not about the mail (RFC 4954 §6, RFC 7504 §3): it is sent once they are mended.
const ABOUT_THE_SERVER: [u16; 5] = [521, 530, 534, 535, 538];

/// Sends mail to an SMTP server, over a pool of connections.
pub(crate) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    letterhead: Letterhead,
}

impl Smtp {
    /// Speaks to the server of a URL: `smtps://user:password@host`, or `smtp://…?tls=required` for STARTTLS. With a file of
    /// certificates it trusts those, and not the authorities of the web.
    pub(crate) fn new(url: &str, ca_file: Option<&Path>, letterhead: Letterhead) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)?.timeout(Some(TIMEOUT));
        let builder = match ca_file {
            None => builder,
            Some(file) => {
                builder.tls(trusting(url, file).map_err(|error| format!("AUTHKIT_SMTP_CA_FILE: {}: {error}", file.display()))?)
            }
        };
        Ok(Self { transport: builder.build(), letterhead })
    }
}

/// How a URL wants its line, trusting the certificates of a file alone.
fn trusting(url: &str, file: &Path) -> Result<Tls, Box<dyn Error + Send + Sync>> {
    let url = Url::parse(url)?;
    let host = url.host_str().ok_or("the URL names no host")?;
    let pem = std::fs::read(file)?;
    let parameters = TlsParameters::builder(host.to_owned())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(Certificate::from_pem(&pem)?)
        .build()?;
    let wanted = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
    Ok(match (url.scheme(), wanted.as_deref()) {
        ("smtps", _) => Tls::Wrapper(parameters),
        (_, Some("required")) => Tls::Required(parameters),
        (_, Some("opportunistic")) => Tls::Opportunistic(parameters),
        _ => return Err("the URL asks for no TLS: add ?tls=required".into()),
    })
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp").finish_non_exhaustive()
    }
}

#[async_trait]
impl Mailer for Smtp {
    async fn send(&self, id: OutboxMessageId, mail: &Mail) -> Result<(), MailError> {
        let message = self.letterhead.compose(id, mail).map_err(MailError::Permanent)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() && !is_about_the_server(&error) => Err(MailError::Permanent(error.into())),
            Err(error) => Err(MailError::Temporary(error.into())),
        }
    }
}

fn is_about_the_server(error: &lettre::transport::smtp::Error) -> bool {
    error.status().is_some_and(|code| ABOUT_THE_SERVER.contains(&u16::from(code)))
}
