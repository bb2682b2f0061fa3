//! A receiver of the audit log that keeps what it is given.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::model::AuditEvent;
use crate::ports::{AuditSink, AuditSinkError};
use crate::primitives::AuditEventId;

/// Keeps every event, and takes none when it is told to. Clones are one receiver.
#[derive(Debug, Clone)]
pub struct AuditReceiver {
    name: String,
    inside: Arc<Mutex<Inside>>,
}

#[derive(Debug, Default)]
struct Inside {
    events: Vec<AuditEvent>,
    is_down: bool,
    calls: u64,
    /// How many more calls succeed before the receiver is down.
    calls_left: Option<u64>,
    panics: bool,
}

impl AuditReceiver {
    /// One that has nothing yet.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), inside: Arc::default() }
    }

    /// Takes events, or does not.
    pub fn set_down(&self, is_down: bool) {
        let mut inside = self.inside();
        (inside.is_down, inside.calls_left) = (is_down, None);
    }

    /// Takes events so many times more, and is down then.
    pub fn fail_after(&self, calls: u64) {
        self.inside().calls_left = Some(calls);
    }

    /// Panics at the next event, once.
    pub fn panic_once(&self) {
        self.inside().panics = true;
    }

    /// Everything that it was given, in the order in which it was.
    #[must_use]
    pub fn events(&self) -> Vec<AuditEvent> {
        self.inside().events.clone()
    }

    /// The ids of everything that it was given.
    #[must_use]
    pub fn ids(&self) -> Vec<AuditEventId> {
        self.inside().events.iter().map(|event| event.id).collect()
    }

    /// How often it was handed something.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.inside().calls
    }

    fn inside(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl AuditSink for AuditReceiver {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, events: &[AuditEvent]) -> Result<(), AuditSinkError> {
        let mut inside = self.inside();
        inside.calls += 1;
        assert!(!std::mem::take(&mut inside.panics), "the receiver was told to panic");
        if let Some(left) = inside.calls_left {
            inside.is_down = left == 0;
            inside.calls_left = Some(left.saturating_sub(1));
        }
        if inside.is_down {
            return Err(AuditSinkError::new("the receiver is down"));
        }
        inside.events.extend_from_slice(events);
        Ok(())
    }
}
