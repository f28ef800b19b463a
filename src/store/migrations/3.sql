-- Version 3. What each object is for stands in schema.sql.

CREATE TABLE users_new (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    username        TEXT    NOT NULL CHECK (length(username) BETWEEN 1 AND 64),
    username_key    TEXT    NOT NULL UNIQUE CHECK (username_key = lower(username)),
    email           TEXT    NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
    email_key       TEXT    NOT NULL UNIQUE CHECK (email_key = lower(email)),
    email_verified  INTEGER NOT NULL CHECK (email_verified IN (0, 1)),
    password_hash   TEXT    NOT NULL,
    password_version INTEGER NOT NULL CHECK (password_version > 0),
    role            TEXT    NOT NULL CHECK (role IN ('user', 'admin')),
    disabled        INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    revision        INTEGER NOT NULL CHECK (revision > 0),
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    last_login_at   INTEGER,
    last_login_order INTEGER NOT NULL GENERATED ALWAYS AS (coalesce(last_login_at, 0)) VIRTUAL
) STRICT;

INSERT INTO users_new (id, username, username_key, email, email_key, email_verified, password_hash, password_version, role,
                       disabled, revision, created_at, updated_at, last_login_at)
SELECT id, username, lower(username), email, lower(email), email_verified, password_hash, password_version, role,
       disabled, revision, created_at, updated_at, last_login_at
FROM users;

CREATE TABLE sessions_new (
    place           INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    token_hash      BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at      INTEGER NOT NULL,
    last_used_at    INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    ip              TEXT,
    user_agent      TEXT    CHECK (length(user_agent) <= 256)
) STRICT;

INSERT INTO sessions_new (place, id, token_hash, user_id, created_at, last_used_at, expires_at, ip, user_agent)
SELECT rowid, id, token_hash, user_id, created_at, last_used_at, expires_at, ip, user_agent FROM sessions;

CREATE TABLE invitations_new (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash      BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    email           TEXT    CHECK (length(email) BETWEEN 3 AND 254),
    role            TEXT    NOT NULL CHECK (role IN ('user', 'admin')),
    created_by      INTEGER,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL
) STRICT;

INSERT INTO invitations_new (id, token_hash, email, role, created_by, created_at, expires_at)
SELECT id, token_hash, email, role, created_by, created_at, expires_at FROM invitations;

-- Ids that were given once are never given again. Where a table had no row yet, its copy has none, or none is counted.
DELETE FROM sqlite_sequence WHERE name IN ('users_new', 'invitations_new');
INSERT INTO sqlite_sequence (name, seq)
SELECT name || '_new', seq FROM sqlite_sequence WHERE name IN ('users', 'invitations');

DROP TABLE users;
ALTER TABLE users_new RENAME TO users;
DROP TABLE sessions;
ALTER TABLE sessions_new RENAME TO sessions;
DROP TABLE invitations;
ALTER TABLE invitations_new RENAME TO invitations;

CREATE INDEX users_by_id            ON users (role, disabled);
CREATE INDEX users_by_username      ON users (role, disabled, username_key);
CREATE INDEX users_by_created_at    ON users (role, disabled, created_at);
CREATE INDEX users_by_last_login_at ON users (role, disabled, last_login_order);
CREATE INDEX users_by_place ON users (((id & 2147483647) * 1327217885 & 2147483647));
CREATE INDEX sessions_of_user ON sessions (user_id, created_at);
CREATE INDEX invitations_made_by ON invitations (created_by);
