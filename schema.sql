-- The database of usher, whole, as it stands. A new file is made from this text; an older one is brought here by the
-- steps in src/store/sqlite/migrate.rs, and a test holds both roads to the same end.
--
-- Times are milliseconds since 1970-01-01T00:00:00Z. Truth values are 0 and 1. Tokens are never here, only their
-- SHA-256. You may read this file while the service runs (sqlite3 -readonly); change it with the usher command, which
-- keeps the audit log true.

-- "ushr" in ASCII: how `file`, and usher itself, tell this database from others.
PRAGMA application_id = 0x75736872;

CREATE TABLE users (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,     -- AUTOINCREMENT: a deleted user's id is never given away again
    username        TEXT    NOT NULL CHECK (length(username) BETWEEN 1 AND 64),
    username_key    TEXT    NOT NULL UNIQUE CHECK (username_key = lower(username)),  -- what is compared, searched and sorted
    email           TEXT    NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
    email_key       TEXT    NOT NULL UNIQUE CHECK (email_key = lower(email)),
    email_verified  INTEGER NOT NULL CHECK (email_verified IN (0, 1)),  -- 0: typed by its owner and by nobody else
    password_hash   TEXT    NOT NULL,                      -- a PHC string: $argon2id$v=19$m=...,t=...,p=...$salt$hash; imported ones as they were, until their owner signs in
    password_version INTEGER NOT NULL CHECK (password_version > 0),  -- counts passwords; hashing the same one again does not count
    role            TEXT    NOT NULL CHECK (role IN ('user', 'admin')),
    disabled        INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    revision        INTEGER NOT NULL CHECK (revision > 0), -- counts changes of the account, not sign-ins; part of its ETag
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    last_login_at   INTEGER,
    last_login_order INTEGER NOT NULL GENERATED ALWAYS AS (coalesce(last_login_at, 0)) VIRTUAL,  -- never: before everybody else
    display_name    TEXT    CHECK (length(display_name) BETWEEN 1 AND 100)  -- NULL: none was chosen
) STRICT;

-- Lists of accounts, in each order and with each filter: a page is read from one of these from where the last one ended.
-- The first also answers whether there is another enabled administrator.
CREATE INDEX users_by_id            ON users (role, disabled);
CREATE INDEX users_by_username      ON users (role, disabled, username_key);
CREATE INDEX users_by_created_at    ON users (role, disabled, created_at);
CREATE INDEX users_by_last_login_at ON users (role, disabled, last_login_order);

-- The order of accounts on a ring, spread evenly whatever ids there are (2^31 divided by the golden ratio, an odd number,
-- as a step). An e-mail address that nobody has stands at a point of it, by an HMAC; the next account's hash is verified in
-- its stead, so that what a refusal costs does not tell who has an account.
CREATE INDEX users_by_place ON users (((id & 2147483647) * 1327217885 & 2147483647));

-- Accounts in groups. Apps refer to groups by id, so that a group that is created again under an old name regains nothing.
CREATE TABLE groups (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    name_key        TEXT    NOT NULL UNIQUE CHECK (name_key = lower(name)),  -- what is compared and sorted
    created_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE group_members (
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    group_id        INTEGER NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    PRIMARY KEY (user_id, group_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX group_members_by_group ON group_members (group_id, user_id);

-- Apps behind a proxy that people enter with one sign-in.
CREATE TABLE apps (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    url             TEXT    NOT NULL,                      -- an origin, as browsers send it
    host            TEXT    NOT NULL UNIQUE,               -- the origin's host, without a port: cookies ignore ports
    access          TEXT    NOT NULL CHECK (access IN ('everyone', 'admins', 'groups')),
    created_at      INTEGER NOT NULL,
    verified_at     INTEGER,                               -- when a proxy last asked whether somebody may enter; NULL: never
    verified_from   TEXT                                   -- the IP address of that proxy
) STRICT;

-- Which groups may enter an app. A group in use can't be deleted.
CREATE TABLE app_groups (
    app_id          INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    group_id        INTEGER NOT NULL REFERENCES groups (id),
    PRIMARY KEY (app_id, group_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX app_groups_by_group ON app_groups (group_id);

CREATE TABLE sessions (
    place           INTEGER PRIMARY KEY,                   -- the order in which sessions were stored
    id              TEXT    NOT NULL UNIQUE,               -- shown to its owner; opens nothing
    token_hash      BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind            TEXT    NOT NULL CHECK (kind IN ('api', 'browser', 'app')),
    parent_id       TEXT    REFERENCES sessions (id) ON DELETE CASCADE,  -- of a session with an app: the browser's, with which it ends
    app_id          INTEGER REFERENCES apps (id) ON DELETE CASCADE,
    created_at      INTEGER NOT NULL,
    authenticated_at INTEGER NOT NULL,                     -- when its owner last showed the password
    last_used_at    INTEGER NOT NULL,                      -- recorded about once a minute
    expires_at      INTEGER NOT NULL,                      -- the absolute end; the idle end follows from last_used_at
    ip              TEXT,                                  -- of the sign-in; NULL where it could not be known
    user_agent      TEXT    CHECK (length(user_agent) <= 256),
    CHECK ((kind = 'app') = (parent_id IS NOT NULL) AND (kind = 'app') = (app_id IS NOT NULL))
) STRICT;

CREATE INDEX sessions_of_user   ON sessions (user_id, created_at);
CREATE INDEX sessions_of_parent ON sessions (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX sessions_of_app    ON sessions (app_id)    WHERE app_id IS NOT NULL;

-- Codes with which a browser that is signed in enters an app: each works once, within a minute. Rows stay until they
-- expire, so that a code that is shown again is noticed.
CREATE TABLE entry_codes (
    code_hash       BLOB    PRIMARY KEY CHECK (length(code_hash) = 32),
    session_id      TEXT    NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,  -- the browser's
    app_id          INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    nonce_hash      BLOB    NOT NULL CHECK (length(nonce_hash) = 32),  -- of the cookie with which the app was asked for
    path            TEXT    NOT NULL,                      -- where in the app the browser was going
    expires_at      INTEGER NOT NULL,
    spent           INTEGER NOT NULL CHECK (spent IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX entry_codes_of_session    ON entry_codes (session_id);
CREATE INDEX entry_codes_of_app        ON entry_codes (app_id);
CREATE INDEX entry_codes_by_expires_at ON entry_codes (expires_at);

-- What native clients show to one app each, such as a music player or git.
CREATE TABLE app_tokens (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash      BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    app_id          INTEGER NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    name            TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER,                               -- NULL: it works until it is revoked
    last_used_at    INTEGER                                -- recorded about once a minute; NULL: never
) STRICT;

CREATE INDEX app_tokens_of_user       ON app_tokens (user_id);
CREATE INDEX app_tokens_of_app        ON app_tokens (app_id);
CREATE INDEX app_tokens_by_expires_at ON app_tokens (expires_at) WHERE expires_at IS NOT NULL;

-- Browsers in which somebody has signed in to an account: attempts in them are counted apart, so that guessing from
-- elsewhere doesn't keep an owner out.
CREATE TABLE known_browsers (
    token_hash      BLOB    NOT NULL CHECK (length(token_hash) = 32),
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    lane            BLOB    NOT NULL CHECK (length(lane) = 16),  -- what attempts are counted under; it stays when the token changes
    last_at         INTEGER NOT NULL,
    PRIMARY KEY (token_hash, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX known_browsers_of_user    ON known_browsers (user_id, last_at);
CREATE INDEX known_browsers_by_last_at ON known_browsers (last_at);

-- Addresses from which somebody has signed in to an account, so that its owner is not locked out with the guessers.
CREATE TABLE sign_in_addresses (
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    address         TEXT    NOT NULL,                      -- an IPv4 address, or the /64 of an IPv6 one
    last_at         INTEGER NOT NULL,
    PRIMARY KEY (user_id, address)
) STRICT, WITHOUT ROWID;

CREATE INDEX sign_in_addresses_by_last_at ON sign_in_addresses (last_at);

-- One-use tokens with which an administrator lets somebody set a new password.
CREATE TABLE password_resets (
    token_hash      BLOB    PRIMARY KEY CHECK (length(token_hash) = 32),
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_by      INTEGER,                               -- the administrator who made it; NULL: the shell
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX password_resets_of_user ON password_resets (user_id);
CREATE INDEX password_resets_made_by ON password_resets (created_by);

-- One-use tokens with which somebody may register; address and role can be fixed beforehand.
CREATE TABLE invitations (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash      BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    email           TEXT    CHECK (length(email) BETWEEN 3 AND 254),
    role            TEXT    NOT NULL CHECK (role IN ('user', 'admin')),
    created_by      INTEGER,                               -- the administrator who made it; NULL: the shell
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL
) STRICT;

CREATE INDEX invitations_made_by ON invitations (created_by);

-- At most one row: the link with which the first administrator is created.
CREATE TABLE setup_link (
    only_row        INTEGER PRIMARY KEY CHECK (only_row = 1),
    token_hash      BLOB    NOT NULL CHECK (length(token_hash) = 32),
    expires_at      INTEGER NOT NULL
) STRICT;

-- How far accounts' budgets of failed sign-ins are used up, of those that more than ten stand in. The slot is the
-- budget's place in the server's table, so that there are never more rows than places. The key is part of an HMAC of the
-- folded e-mail address, so that the table tells nobody who has been guessed at.
CREATE TABLE throttle_accounts (
    slot            INTEGER PRIMARY KEY CHECK (slot BETWEEN 0 AND 131071),
    key             BLOB    NOT NULL CHECK (length(key) = 16),
    full_again_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX throttle_accounts_by_full_again_at ON throttle_accounts (full_again_at);

-- How often accounts were unlocked: each time, their budgets begin again. An HMAC of the folded e-mail address leads to
-- one of 65,536 groups, so that the table is small for ever and tells nobody who was unlocked; an account that shares a
-- group with another, which is rare, is unlocked with it. Rows stay, whatever becomes of the account: a stranger must not
-- learn when an e-mail address gets an account, or loses it.
CREATE TABLE throttle_unlocks (
    account_group   INTEGER PRIMARY KEY CHECK (account_group BETWEEN 0 AND 65535),
    unlocks         INTEGER NOT NULL CHECK (unlocks > 0)
) STRICT;

-- What happened. Ids, not names, and without REFERENCES: an entry outlives whom it speaks of. Each hash covers its row
-- and the hash before it; src/domain/chain.rs says how.
CREATE TABLE audit (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    at              INTEGER NOT NULL,
    action          TEXT    NOT NULL,
    actor           INTEGER,                               -- the user who did it; NULL: someone unknown, or the shell
    subject         INTEGER,                               -- the user to whom it was done
    ip              TEXT,
    request_id      TEXT,
    count           INTEGER NOT NULL CHECK (count > 0),    -- how many alike this row stands for
    hash            BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Each combination of filters has its own, so that a page costs the same however many entries there are. What nobody
-- signed in did, such as guessing, is in few of them.
CREATE INDEX audit_by_action               ON audit (action, id);
CREATE INDEX audit_by_actor                ON audit (actor, id)                   WHERE actor IS NOT NULL;
CREATE INDEX audit_by_subject              ON audit (subject, id)                 WHERE subject IS NOT NULL;
CREATE INDEX audit_by_actor_action         ON audit (actor, action, id)           WHERE actor IS NOT NULL;
CREATE INDEX audit_by_subject_action       ON audit (subject, action, id)         WHERE subject IS NOT NULL;
CREATE INDEX audit_by_actor_subject        ON audit (actor, subject, id)          WHERE actor IS NOT NULL AND subject IS NOT NULL;
CREATE INDEX audit_by_actor_subject_action ON audit (actor, subject, action, id)  WHERE actor IS NOT NULL AND subject IS NOT NULL;

-- One row: where the chain begins (the last row that retention took away) and where it ends.
CREATE TABLE audit_state (
    only_row        INTEGER PRIMARY KEY CHECK (only_row = 1),
    anchor_id       INTEGER NOT NULL,
    anchor_hash     BLOB    NOT NULL CHECK (length(anchor_hash) = 32),
    head_id         INTEGER NOT NULL CHECK (head_id >= anchor_id),
    head_hash       BLOB    NOT NULL CHECK (length(head_hash) = 32)
) STRICT;

INSERT INTO audit_state VALUES (1, 0, zeroblob(32), 0, zeroblob(32));

-- How many entries of the log speak of what charts show, by days in UTC. They stay when the entries go. Counts, and not a
-- record: the chain does not cover them.
CREATE TABLE audit_days (
    day             INTEGER NOT NULL,                      -- since 1970-01-01
    kind            TEXT    NOT NULL CHECK (kind IN ('sign_in', 'refusal', 'registration')),
    count           INTEGER NOT NULL CHECK (count > 0),
    PRIMARY KEY (day, kind)
) STRICT, WITHOUT ROWID;

-- One row: secrets of this installation that are no token of anybody.
CREATE TABLE instance (
    only_row        INTEGER PRIMARY KEY CHECK (only_row = 1),
    throttle_key    BLOB    NOT NULL CHECK (length(throttle_key) = 32),
    flow_key        BLOB    NOT NULL CHECK (length(flow_key) = 32)  -- signs where a browser goes after its sign-in
) STRICT;

INSERT INTO instance VALUES (1, randomblob(32), randomblob(32));

-- The policy with which the server was last started, so that commands beside it follow the same rules. Names are those of
-- the flags without their hyphens in front; values are as one would type them.
CREATE TABLE policy (
    name            TEXT    PRIMARY KEY,
    value           TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- At most one row: a proxy on the same machine that the server met and that nobody declared, for `usher check`. Forgotten
-- whenever a server starts.
CREATE TABLE undeclared_proxy (
    only_row        INTEGER PRIMARY KEY CHECK (only_row = 1),
    ip              TEXT    NOT NULL,
    seen_at         INTEGER NOT NULL
) STRICT;

-- One row: what housekeeping knows of the clock. A clock that jumped ahead may be wrong, so that for a day nothing is
-- deleted because of its age.
CREATE TABLE clock (
    only_row        INTEGER PRIMARY KEY CHECK (only_row = 1),
    seen_at         INTEGER,                               -- the time that was last seen; NULL: none yet
    hold_until      INTEGER                                -- until when nothing is deleted; NULL: there was no jump
) STRICT;

INSERT INTO clock VALUES (1, NULL, NULL);
