//! From the settings to an `AuthKit`: the store, the master keys, the library.

use std::sync::Arc;

use authkit_core::embedded::LocalKeyCustody;
use authkit_core::ports::{AuditSink, Mailer, SmsSender};
use authkit_core::{AuthKit, OsEntropy, SystemClock};

use secrecy::ExposeSecret as _;

use super::durable::Durable;
use super::hot_state::HotState;
use crate::cli::OperationError;
use crate::data_dir::DataDir;
use crate::mail::{Letterhead, MailFiles, Smtp, Texts, tried};
use crate::settings::Settings;
use crate::sms::{Gateway, SmsFiles, Wording};

/// An `AuthKit` and the store under it.
pub(super) struct Assembly {
    pub(super) auth: AuthKit,
    pub(super) store: Durable,
    /// What mails and pages are written with.
    pub(super) letterhead: Letterhead,
}

impl Assembly {
    /// Opens everything durable that the settings name; the schema is brought up to date. Without hot state,
    /// as for a single command, the nodes learn of revocations from the store; and only a server hands on the audit log.
    pub(super) async fn open(
        settings: &Settings,
        hot_state: Option<HotState>,
        audit_sink: Option<Arc<dyn AuditSink>>,
    ) -> Result<Self, OperationError> {
        Self::put_together(settings, hot_state, audit_sink, true).await
    }

    /// The same for a single command, which leaves messages to those who stay.
    pub(super) async fn for_command(settings: &Settings) -> Result<Self, OperationError> {
        Self::put_together(settings, None, None, false).await
    }

    async fn put_together(
        settings: &Settings,
        hot_state: Option<HotState>,
        audit_sink: Option<Arc<dyn AuditSink>>,
        stays: bool,
    ) -> Result<Self, OperationError> {
        let letterhead = letterhead(settings)?;
        let directory = DataDir::open(&settings.data_dir)?;
        let store = Durable::open(settings).await?;
        store.migrate().await?;
        let keys = match &settings.master_keys {
            Some(keys) => keys.clone(),
            // SECURITY: a new master key beside sealed keys would open none of them. Make one only where nothing is sealed.
            None => match directory.key_file().load()? {
                Some(keys) => keys,
                None if has_sealed_keys(&store).await? => return Err(lost_master_key(&directory)),
                None => directory.key_file().load_or_create(&SystemClock, &OsEntropy)?,
            },
        };
        let custody = LocalKeyCustody::new(keys, Arc::new(OsEntropy))?;
        let mut builder = AuthKit::builder(settings.core_config()).store(store.store()).custody(Arc::new(custody));
        builder = builder.mailer(mailer(settings, &directory, letterhead.clone())?).sms_sender(sms_sender(settings, &directory)?);
        if !stays {
            builder = builder.leave_outbox();
        }
        if let Some(HotState { bus, limiter, cache, .. }) = hot_state {
            builder = builder.revocation_bus(bus).rate_limiter(limiter).record_cache(cache);
        }
        if let Some(source) = &settings.breach_list {
            builder = builder.breach_list(source.open()?);
        }
        if let Some(sink) = audit_sink {
            builder = builder.audit_sink(sink);
        }
        let auth = builder.build().await?;
        Ok(Self { auth, store, letterhead })
    }

    /// Finishes what was accepted.
    pub(super) async fn close(self) {
        self.store.close().await;
    }
}

/// The words of mails and pages: those that are built in, or those of the directory in their place, which were tried.
fn letterhead(settings: &Settings) -> Result<Letterhead, OperationError> {
    let texts = match &settings.templates_dir {
        None => Arc::new(Texts::built_in()),
        Some(directory) => {
            let refused = |error| format!("AUTHKIT_TEMPLATES_DIR: {error}");
            let texts = Arc::new(Texts::with_overrides(directory).map_err(refused)?);
            tried(&texts).map_err(refused)?;
            texts
        }
    };
    Ok(Letterhead::new(settings.mail_from.clone(), settings.public_url.as_str(), texts))
}

/// Who sends mail: the SMTP server of the settings, or files in the data directory.
fn mailer(settings: &Settings, directory: &DataDir, letterhead: Letterhead) -> Result<Arc<dyn Mailer>, OperationError> {
    Ok(match &settings.smtp_url {
        Some(url) => Arc::new(Smtp::new(url.expose_secret(), settings.smtp_ca_file.as_deref(), letterhead)?),
        None => Arc::new(MailFiles::new(directory.outbox(), letterhead)),
    })
}

/// Who sends text messages: the gateway of the settings, or files in the data directory.
fn sms_sender(settings: &Settings, directory: &DataDir) -> Result<Arc<dyn SmsSender>, OperationError> {
    let host = settings.public_url.host().to_owned();
    let wording = Wording::new(settings.mfa_service_name.clone().unwrap_or_else(|| host.clone()), host);
    Ok(match &settings.sms_gateway {
        Some((url, token)) => Arc::new(Gateway::new(url, token.clone(), wording)?),
        None => Arc::new(SmsFiles::new(directory.outbox(), wording)),
    })
}

async fn has_sealed_keys(store: &Durable) -> Result<bool, OperationError> {
    Ok(!store.store().server_keys().await?.is_empty())
}

fn lost_master_key(directory: &DataDir) -> OperationError {
    format!(
        "the database holds keys that are sealed, and the master key {} that opens them is missing: restore it from a backup, or \
         hand it in as AUTHKIT_MASTER_KEYS",
        directory.key_file().path().display()
    )
    .into()
}
