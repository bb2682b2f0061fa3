-- Ended sessions are forgotten after a while, and found by their end. The end of a session never moves, so that no rotation
-- of its refresh token touches this index.

CREATE INDEX authkit_sessions_expiry ON authkit_sessions (expires_at);
