//! The contract that every store must pass, on one node and on two nodes that share a file.

mod one_node {
    use authkit_sqlx::{SqliteOptions, SqliteStore};
    use tempfile::TempDir;

    async fn fresh_store() -> (SqliteStore, TempDir) {
        let directory = TempDir::new().expect("a directory for the test");
        let store = SqliteStore::open(SqliteOptions::new(directory.path().join("authkit.db"))).await.expect("opens");
        store.migrate().await.expect("migrates");
        (store, directory)
    }

    authkit_core::store_contract!(fresh_store);
}

mod two_nodes {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use authkit_core::model::{
        AuditEvent, ChangeSet, Committed, Credentials, Revocation, Rotation, RotationOutcome, ServerKey, Session,
        SessionWithUser, User,
    };
    use authkit_core::ports::{AuditReads, CommitError, KeyReads, RevocationMark, SessionReads, Store, StoreError, UserReads};
    use authkit_core::{Email, Page, PageLimit, PageRequest, SessionId, Timestamp, UserId};
    use authkit_sqlx::{SqliteOptions, SqliteStore};
    use tempfile::TempDir;

    /// Two stores on one file, asked in turn, as by a balancer: what one acknowledged, the other must know.
    #[derive(Debug)]
    struct InTurn {
        nodes: [SqliteStore; 2],
        asked: AtomicUsize,
    }

    impl InTurn {
        fn next(&self) -> &SqliteStore {
            &self.nodes[self.asked.fetch_add(1, Ordering::Relaxed) % 2]
        }
    }

    #[async_trait]
    impl UserReads for InTurn {
        async fn user_by_id(&self, id: UserId) -> Result<Option<User>, StoreError> {
            self.next().user_by_id(id).await
        }

        async fn credentials_by_email(&self, email: &Email) -> Result<Option<Credentials>, StoreError> {
            self.next().credentials_by_email(email).await
        }

        async fn credentials_by_id(&self, id: UserId) -> Result<Option<Credentials>, StoreError> {
            self.next().credentials_by_id(id).await
        }
    }

    #[async_trait]
    impl SessionReads for InTurn {
        async fn session_by_id(&self, id: SessionId) -> Result<Option<SessionWithUser>, StoreError> {
            self.next().session_by_id(id).await
        }

        async fn live_sessions(&self, user_id: UserId, now: Timestamp, page: PageRequest) -> Result<Page<Session>, StoreError> {
            self.next().live_sessions(user_id, now, page).await
        }

        async fn revocations_after(&self, mark: RevocationMark, limit: PageLimit) -> Result<Vec<Revocation>, StoreError> {
            self.next().revocations_after(mark, limit).await
        }
    }

    #[async_trait]
    impl KeyReads for InTurn {
        async fn server_keys(&self) -> Result<Vec<ServerKey>, StoreError> {
            self.next().server_keys().await
        }
    }

    #[async_trait]
    impl AuditReads for InTurn {
        async fn audit_events(&self, subject: Option<UserId>, page: PageRequest) -> Result<Page<AuditEvent>, StoreError> {
            self.next().audit_events(subject, page).await
        }
    }

    #[async_trait]
    impl Store for InTurn {
        async fn commit(&self, changes: &ChangeSet) -> Result<Committed, CommitError> {
            self.next().commit(changes).await
        }

        async fn rotate(&self, rotation: &Rotation) -> Result<RotationOutcome, StoreError> {
            self.next().rotate(rotation).await
        }

        async fn ping(&self) -> Result<(), StoreError> {
            self.next().ping().await
        }
    }

    async fn fresh_store() -> (InTurn, TempDir) {
        let directory = TempDir::new().expect("a directory for the test");
        let options = SqliteOptions::new(directory.path().join("authkit.db"));
        let first = SqliteStore::open(options.clone()).await.expect("opens");
        first.migrate().await.expect("migrates");
        let second = SqliteStore::open(options).await.expect("opens");
        (InTurn { nodes: [first, second], asked: AtomicUsize::new(0) }, directory)
    }

    authkit_core::store_contract!(fresh_store);
}
