-- Administration: a counter that guards changes of an account, what accounts are searched by, and who acts in whose session.

ALTER TABLE authkit_users ADD COLUMN version INTEGER NOT NULL DEFAULT 0 CHECK (version BETWEEN 0 AND 4294967295);

-- By which rules the account is in authkit_user_terms; 0 when it is not yet. Accounts that were written before are put there by the
-- maintenance of the nodes, and can be listed but not searched until then.
ALTER TABLE authkit_users ADD COLUMN indexed_by INTEGER NOT NULL DEFAULT 0;
CREATE INDEX authkit_users_unindexed ON authkit_users (id) WHERE indexed_by = 0 AND status <> 'closed';

-- Lists, the youngest first.
CREATE INDEX authkit_users_status ON authkit_users (status, id);

-- What an account is found by, folded: kind 'e' because of its address, 'n' because of its name. A search is a range of terms.
CREATE TABLE authkit_user_terms (
    term    TEXT NOT NULL,
    kind    TEXT NOT NULL CHECK (kind IN ('e', 'n')),
    user_id BLOB NOT NULL REFERENCES authkit_users (id),
    PRIMARY KEY (term, user_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX authkit_user_terms_user ON authkit_user_terms (user_id);

ALTER TABLE authkit_sessions ADD COLUMN impersonator_id BLOB;
ALTER TABLE authkit_sessions ADD COLUMN impersonator_session_id BLOB
    CHECK ((impersonator_id IS NULL) = (impersonator_session_id IS NULL));
CREATE INDEX authkit_sessions_impersonator ON authkit_sessions (impersonator_id) WHERE impersonator_id IS NOT NULL;
