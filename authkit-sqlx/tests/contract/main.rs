//! The contract that every store must pass: on each database, on one node and on two nodes that share it.

mod in_turn;

mod sqlite_one_node {
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

mod sqlite_two_nodes {
    use authkit_sqlx::{SqliteOptions, SqliteStore};
    use tempfile::TempDir;

    use crate::in_turn::InTurn;

    async fn fresh_store() -> (InTurn<SqliteStore>, TempDir) {
        let directory = TempDir::new().expect("a directory for the test");
        let options = SqliteOptions::new(directory.path().join("authkit.db"));
        let first = SqliteStore::open(options.clone()).await.expect("opens");
        first.migrate().await.expect("migrates");
        let second = SqliteStore::open(options).await.expect("opens");
        (InTurn::new(first, second), directory)
    }

    authkit_core::store_contract!(fresh_store);
}

mod postgres_one_node {
    use authkit_sqlx::PgStore;
    use authkit_sqlx::testkit::TestDatabase;

    async fn fresh_store() -> PgStore {
        let store = PgStore::open(TestDatabase::fresh().await.options()).await.expect("opens");
        store.migrate().await.expect("migrates");
        store
    }

    authkit_core::store_contract!(fresh_store);
}

mod postgres_two_nodes {
    use authkit_sqlx::PgStore;
    use authkit_sqlx::testkit::TestDatabase;

    use crate::in_turn::InTurn;

    async fn fresh_store() -> InTurn<PgStore> {
        let database = TestDatabase::fresh().await;
        let first = PgStore::open(database.options()).await.expect("opens");
        first.migrate().await.expect("migrates");
        InTurn::new(first, PgStore::open(database.options()).await.expect("opens"))
    }

    authkit_core::store_contract!(fresh_store);
}
