-- Administration: a counter that guards changes of an account, what accounts are searched by, and who acts in whose session.

ALTER TABLE authkit_users ADD COLUMN version bigint NOT NULL DEFAULT 0 CHECK (version BETWEEN 0 AND 4294967295);

-- By which rules the account is in authkit_user_terms; 0 when it is not yet. Accounts that were written before are put there by the
-- maintenance of the nodes, and can be listed but not searched until then.
ALTER TABLE authkit_users ADD COLUMN indexed_by bigint NOT NULL DEFAULT 0;
CREATE INDEX users_unindexed ON authkit_users (id) WHERE indexed_by = 0 AND status <> 'closed';

-- Lists, the youngest first.
CREATE INDEX users_status ON authkit_users (status, id);

-- What an account is found by, folded: kind 'e' because of its address, 'n' because of its name. A search is a range of terms.
CREATE TABLE authkit_user_terms (
    term    text COLLATE "C" NOT NULL,
    kind    text COLLATE "C" NOT NULL CHECK (kind IN ('e', 'n')),
    user_id uuid NOT NULL REFERENCES authkit_users (id),
    PRIMARY KEY (term, user_id, kind)
);
CREATE INDEX user_terms_user ON authkit_user_terms (user_id);

ALTER TABLE authkit_sessions ADD COLUMN impersonator_id uuid;
ALTER TABLE authkit_sessions ADD COLUMN impersonator_session_id uuid
    CHECK ((impersonator_id IS NULL) = (impersonator_session_id IS NULL));
CREATE INDEX sessions_impersonator ON authkit_sessions (impersonator_id) WHERE impersonator_id IS NOT NULL;
