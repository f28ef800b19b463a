-- Version 2. What each object is for stands in schema.sql.

CREATE INDEX users_by_place ON users (((id & 2147483647) * 1327217885 & 2147483647));

CREATE INDEX sign_in_addresses_by_last_at ON sign_in_addresses (last_at);

-- What stood in it is forgotten: it refills within days by itself.
DROP TABLE throttle_accounts;

CREATE TABLE throttle_accounts (
    slot            INTEGER PRIMARY KEY CHECK (slot BETWEEN 0 AND 131071),
    key             BLOB    NOT NULL CHECK (length(key) = 16),
    full_again_at   INTEGER NOT NULL
) STRICT;

CREATE INDEX throttle_accounts_by_full_again_at ON throttle_accounts (full_again_at);

CREATE TABLE throttle_unlocks (
    account_group   INTEGER PRIMARY KEY CHECK (account_group BETWEEN 0 AND 65535),
    unlocks         INTEGER NOT NULL CHECK (unlocks > 0)
) STRICT;

CREATE TABLE policy (
    name            TEXT    PRIMARY KEY,
    value           TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE undeclared_proxy (
    only_row        INTEGER PRIMARY KEY CHECK (only_row = 1),
    ip              TEXT    NOT NULL,
    seen_at         INTEGER NOT NULL
) STRICT;

CREATE TABLE clock (
    only_row        INTEGER PRIMARY KEY CHECK (only_row = 1),
    seen_at         INTEGER,
    hold_until      INTEGER
) STRICT;

INSERT INTO clock VALUES (1, NULL, NULL);
