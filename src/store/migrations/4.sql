-- Version 4. What each object is for stands in schema.sql.

ALTER TABLE users ADD COLUMN display_name TEXT CHECK (length(display_name) BETWEEN 1 AND 100);

CREATE TABLE groups (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    name_key        TEXT    NOT NULL UNIQUE CHECK (name_key = lower(name)),
    created_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE group_members (
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    group_id        INTEGER NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, group_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX group_members_by_group ON group_members (group_id, user_id);

CREATE TABLE apps (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    url             TEXT    NOT NULL,
    host            TEXT    NOT NULL UNIQUE,
    access          TEXT    NOT NULL CHECK (access IN ('everyone', 'admins', 'groups')),
    created_at      INTEGER NOT NULL,
    verified_at     INTEGER,
    verified_from   TEXT
) STRICT;

CREATE TABLE app_groups (
    app_id          INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    group_id        INTEGER NOT NULL REFERENCES groups (id),
    PRIMARY KEY (app_id, group_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX app_groups_by_group ON app_groups (group_id);

CREATE TABLE sessions_new (
    place           INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    token_hash      BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind            TEXT    NOT NULL CHECK (kind IN ('api', 'browser', 'app')),
    parent_id       TEXT    REFERENCES sessions (id) ON DELETE CASCADE,
    app_id          INTEGER REFERENCES apps (id) ON DELETE CASCADE,
    created_at      INTEGER NOT NULL,
    authenticated_at INTEGER NOT NULL,
    last_used_at    INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    ip              TEXT,
    user_agent      TEXT    CHECK (length(user_agent) <= 256),
    CHECK ((kind = 'app') = (parent_id IS NOT NULL) AND (kind = 'app') = (app_id IS NOT NULL))
) STRICT;

INSERT INTO sessions_new (place, id, token_hash, user_id, kind, created_at, authenticated_at, last_used_at, expires_at, ip,
                          user_agent)
SELECT place, id, token_hash, user_id, 'api', created_at, created_at, last_used_at, expires_at, ip, user_agent FROM sessions;

DROP TABLE sessions;
ALTER TABLE sessions_new RENAME TO sessions;

CREATE INDEX sessions_of_user   ON sessions (user_id, created_at);
CREATE INDEX sessions_of_parent ON sessions (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX sessions_of_app    ON sessions (app_id)    WHERE app_id IS NOT NULL;

CREATE TABLE entry_codes (
    code_hash       BLOB    PRIMARY KEY CHECK (length(code_hash) = 32),
    session_id      TEXT    NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    app_id          INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    nonce_hash      BLOB    NOT NULL CHECK (length(nonce_hash) = 32),
    path            TEXT    NOT NULL,
    expires_at      INTEGER NOT NULL,
    spent           INTEGER NOT NULL CHECK (spent IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX entry_codes_of_session    ON entry_codes (session_id);
CREATE INDEX entry_codes_of_app        ON entry_codes (app_id);
CREATE INDEX entry_codes_by_expires_at ON entry_codes (expires_at);

CREATE TABLE app_tokens (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash      BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    app_id          INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    name            TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER,
    last_used_at    INTEGER
) STRICT;

CREATE INDEX app_tokens_of_user       ON app_tokens (user_id);
CREATE INDEX app_tokens_of_app        ON app_tokens (app_id);
CREATE INDEX app_tokens_by_expires_at ON app_tokens (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE known_browsers (
    token_hash      BLOB    NOT NULL CHECK (length(token_hash) = 32),
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    lane            BLOB    NOT NULL CHECK (length(lane) = 16),
    last_at         INTEGER NOT NULL,
    PRIMARY KEY (token_hash, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX known_browsers_of_user    ON known_browsers (user_id, last_at);
CREATE INDEX known_browsers_by_last_at ON known_browsers (last_at);

CREATE TABLE setup_link (
    only_row        INTEGER PRIMARY KEY CHECK (only_row = 1),
    token_hash      BLOB    NOT NULL CHECK (length(token_hash) = 32),
    expires_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE instance_new (
    only_row        INTEGER PRIMARY KEY CHECK (only_row = 1),
    throttle_key    BLOB    NOT NULL CHECK (length(throttle_key) = 32),
    flow_key        BLOB    NOT NULL CHECK (length(flow_key) = 32)
) STRICT;

INSERT INTO instance_new SELECT only_row, throttle_key, randomblob(32) FROM instance;
DROP TABLE instance;
ALTER TABLE instance_new RENAME TO instance;

CREATE TABLE audit_days (
    day             INTEGER NOT NULL,
    kind            TEXT    NOT NULL CHECK (kind IN ('sign_in', 'refusal', 'registration')),
    count           INTEGER NOT NULL CHECK (count > 0),
    PRIMARY KEY (day, kind)
) STRICT, WITHOUT ROWID;

-- What is subtracted are the milliseconds since midnight, also before 1970. No entry of ours counts more than 2^32 - 1, and a sum
-- that is too great would fail.
INSERT INTO audit_days
SELECT (at - (at % 86400000 + 86400000) % 86400000) / 86400000,
       CASE action WHEN 'session.signed_in' THEN 'sign_in' WHEN 'user.registered' THEN 'registration' ELSE 'refusal' END,
       sum(min(count, 4294967295))
FROM audit
WHERE action IN ('session.signed_in', 'user.registered', 'session.sign_in_failed', 'attempt.throttled', 'access.denied')
GROUP BY 1, 2;
