//! Where the databases differ: one constant per dialect and statement, chosen once when a store is opened.

use crate::aggregate::session;

/// The texts that no single spelling serves.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// The guarded rotation of a refresh token, which returns the session and its account; see [`session::rotation`].
    pub(crate) rotate: &'static str,
}

/// The texts for SQLite 3.39 and later.
pub(crate) const SQLITE: Dialect = Dialect { rotate: session::ROTATE_SQLITE };
