-- A database as version 1 of the schema left it, written by the executable of that time and dumped by sqlite3's .dump.
-- It holds the administrator root, the account ada with a session, an invitation and a reset token of ada's, a used-up
-- id, some failed sign-ins, and the audit log of all that. `tests/storage/upgrade.rs` knows the tokens.
PRAGMA application_id = 0x75736872;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE users (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,     -- AUTOINCREMENT: a deleted user's id is never given away again
    username        TEXT    NOT NULL COLLATE NOCASE UNIQUE CHECK (length(username) BETWEEN 1 AND 64),
    email           TEXT    NOT NULL COLLATE NOCASE UNIQUE CHECK (length(email) BETWEEN 3 AND 254),
    email_verified  INTEGER NOT NULL CHECK (email_verified IN (0, 1)),  -- 0: typed by its owner and by nobody else
    password_hash   TEXT    NOT NULL,                      -- a PHC string: $argon2id$v=19$m=...,t=...,p=...$salt$hash; imported ones as they were, until their owner signs in
    password_version INTEGER NOT NULL CHECK (password_version > 0),  -- counts passwords; the same one hashed anew stays
    role            TEXT    NOT NULL CHECK (role IN ('user', 'admin')),
    disabled        INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    revision        INTEGER NOT NULL CHECK (revision > 0), -- counts changes of the account, not sign-ins; part of its ETag
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    last_login_at   INTEGER,
    last_login_order INTEGER NOT NULL GENERATED ALWAYS AS (ifnull(last_login_at, 0)) VIRTUAL  -- never: before everybody else
) STRICT;
INSERT INTO users VALUES(1,'root','root@example.com',1,'$argon2id$v=19$m=64,t=2,p=1$YcuMkdEX6ZOkBEr/h/7R5Q$cNdzfsZ3J7RGW7SHXrFWxJMt1vjx91dTT4bA6XmXDBE',1,'admin',0,1,1795629645724,1795629645724,NULL);
INSERT INTO users VALUES(2,'ada','ada@example.com',1,'$argon2id$v=19$m=64,t=2,p=1$3lCQzjncBmzokToFyfthZw$P18f09L+u8o6oPKYa0LMejp/2F0LLr8t5+pjYcx2jcM',1,'user',0,1,1795629645752,1795629645752,1795629647302);
CREATE TABLE sessions (
    id              TEXT    PRIMARY KEY,                   -- shown to its owner; opens nothing
    token_hash      BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at      INTEGER NOT NULL,
    last_used_at    INTEGER NOT NULL,                      -- recorded about once a minute
    expires_at      INTEGER NOT NULL,                      -- the absolute end; the idle end follows from last_used_at
    ip              TEXT,                                  -- of the sign-in; NULL where it could not be known
    user_agent      TEXT    CHECK (length(user_agent) <= 256)
) STRICT;
INSERT INTO sessions VALUES('imnNYnmDBgYzYsip',X'3bd34bd6a29530ff037cb6462081c839aeb4d22c33967772fc63bb803063c15e',2,1795629647302,1795629647302,2110989647302,'127.0.0.1','curl/7.88.1');
CREATE TABLE sign_in_addresses (
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    address         TEXT    NOT NULL,                      -- an IPv4 address, or the /64 of an IPv6 one
    last_at         INTEGER NOT NULL,
    PRIMARY KEY (user_id, address)
) STRICT, WITHOUT ROWID;
INSERT INTO sign_in_addresses VALUES(2,'127.0.0.1',1795629647302);
CREATE TABLE password_resets (
    token_hash      BLOB    PRIMARY KEY CHECK (length(token_hash) = 32),
    user_id         INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_by      INTEGER,                               -- the administrator who made it; NULL: the shell
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO password_resets VALUES(X'818702d903bd5096e522d765977062e63ebe07fe38219664cf6224a085a2deb5',2,NULL,1795629647466,1795633247466);
CREATE TABLE invitations (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    token_hash      BLOB    NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    email           TEXT    COLLATE NOCASE CHECK (length(email) BETWEEN 3 AND 254),
    role            TEXT    NOT NULL CHECK (role IN ('user', 'admin')),
    created_by      INTEGER,                               -- the administrator who made it; NULL: the shell
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL
) STRICT;
INSERT INTO invitations VALUES(1,X'0f21c2a08a97c6665f55200f24921cb5d2124ee95f43b1d808bb5e6a9b7a0b35','bob@example.com','user',NULL,1795629647450,1796234447450);
CREATE TABLE throttle_accounts (
    key             BLOB    PRIMARY KEY CHECK (length(key) = 16),
    full_again_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO throttle_accounts VALUES(X'000102030405060708090a0b0c0d0e0f',1795719600000);
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
INSERT INTO audit VALUES(1,1795629645724,'user.registered',NULL,1,NULL,NULL,1,X'36cca226625c288787fa6c0def693024bd5b51a265cd3e3a5c900941ecf344df');
INSERT INTO audit VALUES(2,1795629645752,'user.registered',NULL,2,NULL,NULL,1,X'ed1b24e5d95458166a384b267d1219db29b4556cd7fae3ed5dcc4fb1493eda92');
INSERT INTO audit VALUES(3,1795629647302,'session.signed_in',2,2,'127.0.0.1','pSKf0WjR-fd08396e1836624a',1,X'21226bc00cae51dddf7dda0fd88a4ae38758046b98780258a46784a1e3390550');
INSERT INTO audit VALUES(4,1795629647342,'user.registered',NULL,3,'127.0.0.1','pSKf0WjR-a73c20fbccc2091e',1,X'536ec3ec908c85390e7977eb77d7d2de6696c82d9e214e0ae1176725f4e565b7');
INSERT INTO audit VALUES(5,1795629647435,'user.deleted',NULL,3,NULL,NULL,1,X'5a89f6cfa1ac1fabd0049d73ab0d929a323e017d8b9f05731a5803ea942aefc3');
INSERT INTO audit VALUES(6,1795629647450,'invitation.created',NULL,NULL,NULL,NULL,1,X'07c024f5bec035e60059277e74f8cf47431aa70e07407cbf4cade4eb076056cf');
INSERT INTO audit VALUES(7,1795629647466,'user.reset_issued',NULL,2,NULL,NULL,1,X'cc1ff4822bc43991f88277ec946e638c3d180504f688844ecb97a2ec88a0308a');
INSERT INTO audit VALUES(8,1795629647370,'session.sign_in_failed',NULL,2,'127.0.0.1','pSKf0WjR-fefab070bc391572',1,X'f6a597ab1ad3f645dd79dd16bb6fb44e93f5832a7a167b51d1488c243ef60191');
INSERT INTO audit VALUES(9,1795629647392,'session.sign_in_failed',NULL,2,'127.0.0.1','pSKf0WjR-5f37c9d65190f98b',1,X'f90606eda606e03859c402675be6937d053eb0a47f27521a11a1410139b7b8b2');
INSERT INTO audit VALUES(10,1795629647416,'session.sign_in_failed',NULL,2,'127.0.0.1','pSKf0WjR-04589073b66a6d2c',1,X'299c070f43004c5c900fe43907190ce82833e06808a2b213db155e573401637b');
CREATE TABLE audit_state (
    only_row        INTEGER PRIMARY KEY CHECK (only_row = 1),
    anchor_id       INTEGER NOT NULL,
    anchor_hash     BLOB    NOT NULL CHECK (length(anchor_hash) = 32),
    head_id         INTEGER NOT NULL CHECK (head_id >= anchor_id),
    head_hash       BLOB    NOT NULL CHECK (length(head_hash) = 32)
) STRICT;
INSERT INTO audit_state VALUES(1,0,X'0000000000000000000000000000000000000000000000000000000000000000',10,X'299c070f43004c5c900fe43907190ce82833e06808a2b213db155e573401637b');
CREATE TABLE instance (
    only_row        INTEGER PRIMARY KEY CHECK (only_row = 1),
    throttle_key    BLOB    NOT NULL CHECK (length(throttle_key) = 32)
) STRICT;
INSERT INTO instance VALUES(1,X'5c5e0dfd2510c7b6e45db271d35d92d8d1e498b2283a137da90e5e529c92f49f');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('users',3);
INSERT INTO sqlite_sequence VALUES('audit',10);
INSERT INTO sqlite_sequence VALUES('invitations',1);
CREATE INDEX users_by_id            ON users (role, disabled);
CREATE INDEX users_by_username      ON users (role, disabled, username);
CREATE INDEX users_by_created_at    ON users (role, disabled, created_at);
CREATE INDEX users_by_last_login_at ON users (role, disabled, last_login_order);
CREATE INDEX sessions_of_user ON sessions (user_id, created_at);
CREATE INDEX password_resets_of_user ON password_resets (user_id);
CREATE INDEX password_resets_made_by ON password_resets (created_by);
CREATE INDEX invitations_made_by ON invitations (created_by);
CREATE INDEX audit_by_action               ON audit (action, id);
CREATE INDEX audit_by_actor                ON audit (actor, id)                   WHERE actor IS NOT NULL;
CREATE INDEX audit_by_subject              ON audit (subject, id)                 WHERE subject IS NOT NULL;
CREATE INDEX audit_by_actor_action         ON audit (actor, action, id)           WHERE actor IS NOT NULL;
CREATE INDEX audit_by_subject_action       ON audit (subject, action, id)         WHERE subject IS NOT NULL;
CREATE INDEX audit_by_actor_subject        ON audit (actor, subject, id)          WHERE actor IS NOT NULL AND subject IS NOT NULL;
CREATE INDEX audit_by_actor_subject_action ON audit (actor, subject, action, id)  WHERE actor IS NOT NULL AND subject IS NOT NULL;
COMMIT;
