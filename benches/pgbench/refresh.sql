-- What a refresh asks of PostgreSQL, without a server in front: the statement of authkit-sqlx (a test compares the two), one
-- session for each client, and guards that hold. The secret stays what it was, and the generation moves on: the same work.
--
--   pgbench -n -M prepared -c 64 -j 2 -T 10 -D s_generation=-1 -D stride=15625 -f benches/pgbench/refresh.sql URL
--
-- on a database that `scale` filled; client n uses the newest session of the account n * stride.
\if :s_generation < 0
SELECT s.id AS session_id, s.generation AS s_generation, s.secret AS s_secret,
    (extract(epoch FROM now()) * 1000000)::bigint AS at,
    (extract(epoch FROM now()) * 1000000)::bigint + 604800000000 AS idle_expires_at,
    '203.0.113.7' AS ip, 'pgbench' AS user_agent
FROM authkit.users u JOIN authkit.sessions s ON s.user_id = u.id
WHERE u.email_normal = 'user-' || :client_id::bigint * :stride::bigint || '@scale.example' AND s.revoked_at IS NULL
ORDER BY s.id DESC LIMIT 1
\gset
\endif
UPDATE authkit.sessions s SET generation = s.generation + 1, secret = :s_secret, refreshed_at = :at,
    idle_expires_at = least(:idle_expires_at, s.expires_at), last_used_ip = :ip, last_used_user_agent = :user_agent
FROM authkit.users u
WHERE s.id = :session_id AND s.generation = :s_generation AND s.secret = :s_secret
    AND s.revoked_at IS NULL AND s.idle_expires_at > :at AND s.expires_at > :at
    AND u.id = s.user_id AND u.status = 'active'
RETURNING s.id, s.user_id, s.generation, s.secret, s.methods, s.authenticated_at, s.device_name,
    s.created_ip, s.created_user_agent, s.last_used_ip, s.last_used_user_agent,
    s.created_at, s.refreshed_at, s.idle_expires_at, s.expires_at, s.revoked_at, s.revoked_reason,
    s.impersonator_id, s.impersonator_session_id,
    u.id, u.email_normal, u.email, u.email_verified_at, u.full_name, u.locale, u.status, u.auth_epoch, u.second_factors, u.access_version, u.assignments,
    u.version, u.created_at, u.updated_at
\gset s_
