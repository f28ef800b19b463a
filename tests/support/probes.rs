//! What tests look up in the database behind the server's back, and break in it. They name what they want to know.

use super::{Server, binary::Serving};
use rusqlite::{Connection, types::FromSql};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use usher::domain::{ChainHash, Timestamp};

/// Something that has a database.
pub trait Probes {
    fn database_file(&self) -> PathBuf;

    fn user_count(&self) -> i64 {
        self.probe("SELECT count(*) FROM users")
    }

    fn enabled_admin_count(&self) -> i64 {
        self.probe("SELECT count(*) FROM users WHERE role = 'admin' AND disabled = 0")
    }

    /// The revision of an account.
    fn revision_of(&self, user: i64) -> i64 {
        self.probe(&format!("SELECT revision FROM users WHERE id = {user}"))
    }

    /// The e-mail address of the only account.
    fn email(&self) -> String {
        self.probe("SELECT email FROM users")
    }

    /// The password hash of the first account.
    fn password_hash(&self) -> String {
        self.probe("SELECT password_hash FROM users")
    }

    /// Gives every account this password hash.
    fn set_password_hashes(&self, hash: &str) {
        self.connection().execute("UPDATE users SET password_hash = ?1", [hash]).expect("it can be written");
    }

    fn set_password_hash_of(&self, username: &str, hash: &str) {
        let update = "UPDATE users SET password_hash = ?2 WHERE username = ?1";
        self.connection().execute(update, [username, hash]).expect("it can be written");
    }

    /// Every account, the oldest first.
    fn accounts(&self) -> Vec<Account> {
        let connection = self.connection();
        let sql =
            "SELECT id, username, email, email_verified, role, disabled, password_hash, password_version, revision,
            created_at, updated_at, last_login_at, display_name FROM users ORDER BY id";
        let mut query = connection.prepare(sql).expect(sql);
        let accounts = query.query_map([], |row| {
            Ok(Account {
                id: row.get(0)?,
                username: row.get(1)?,
                email: row.get(2)?,
                email_verified: row.get(3)?,
                role: row.get(4)?,
                disabled: row.get(5)?,
                password_hash: row.get(6)?,
                password_version: row.get(7)?,
                revision: row.get(8)?,
                created_at: Timestamp::from_millis(row.get(9)?),
                updated_at: Timestamp::from_millis(row.get(10)?),
                last_login_at: row.get::<_, Option<i64>>(11)?.map(Timestamp::from_millis),
                display_name: row.get(12)?,
            })
        });
        accounts.expect(sql).map(|account| account.expect("an account")).collect()
    }

    fn usernames(&self) -> Vec<String> {
        self.accounts().into_iter().map(|account| account.username).collect()
    }

    fn delete_users(&self, ids: std::ops::RangeInclusive<i64>) {
        let delete = "DELETE FROM users WHERE id BETWEEN ?1 AND ?2";
        self.connection().execute(delete, [ids.start(), ids.end()]).expect("it can be written");
    }

    /// How many rows refer to one that is not there.
    fn broken_reference_count(&self) -> i64 {
        self.probe("SELECT count(*) FROM pragma_foreign_key_check")
    }

    /// Changes what the apps are to what no program of ours writes, such as `access = 'all'`.
    fn damage_apps(&self, change: &str) {
        self.damage(&format!("UPDATE apps SET {change}"));
    }

    /// Gives a group a name that it can't have.
    fn damage_group(&self, id: i64) {
        self.damage(&format!("UPDATE groups SET name = 'two words' WHERE id = {id}"));
    }

    fn damage(&self, sql: &str) {
        let damage = format!("PRAGMA ignore_check_constraints = ON; {sql}");
        self.connection().execute_batch(&damage).expect("it can be written");
    }

    fn session_count(&self) -> i64 {
        self.probe("SELECT count(*) FROM sessions")
    }

    fn session_count_of(&self, user: i64) -> i64 {
        self.probe(&format!("SELECT count(*) FROM sessions WHERE user_id = {user}"))
    }

    /// The id of the only session, or of the one whose id is the greatest.
    fn session_id_of(&self, user: i64) -> Option<String> {
        self.probe(&format!("SELECT max(id) FROM sessions WHERE user_id = {user}"))
    }

    /// When the only session was used last, as it is stored.
    fn last_used_at(&self) -> Timestamp {
        Timestamp::from_millis(self.probe("SELECT last_used_at FROM sessions"))
    }

    /// Refuses an invitation once there are so many.
    fn fail_after_invitations(&self, count: u32) {
        let sql = format!(
            "CREATE TRIGGER full BEFORE INSERT ON invitations WHEN (SELECT count(*) FROM invitations) >= {count}
             BEGIN SELECT raise(ABORT, 'full'); END"
        );
        self.connection().execute_batch(&sql).expect("it can be written");
    }

    /// Makes the sessions of an account those of browsers.
    fn make_session_of_a_browser(&self, username: &str) {
        let sql = "UPDATE sessions SET kind = 'browser' WHERE user_id = (SELECT id FROM users WHERE username = ?1)";
        self.connection().execute(sql, [username]).expect("it can be written");
    }

    /// The hash of the only session's token.
    fn token_hash(&self) -> Vec<u8> {
        self.probe("SELECT token_hash FROM sessions")
    }

    /// The user agent of the newest session.
    fn newest_user_agent(&self) -> String {
        self.probe("SELECT user_agent FROM sessions ORDER BY rowid DESC LIMIT 1")
    }

    fn set_user_agents(&self, user_agent: &str) {
        self.connection().execute("UPDATE sessions SET user_agent = ?1", [user_agent]).expect("it can be written");
    }

    /// The IP addresses of all sessions, the oldest session first.
    fn session_ips(&self) -> Vec<Option<String>> {
        let connection = self.connection();
        let mut query = connection.prepare("SELECT ip FROM sessions ORDER BY rowid").expect("sessions");
        query.query_map([], |row| row.get(0)).expect("sessions").map(|ip| ip.expect("a session")).collect()
    }

    /// How often it is noted that a proxy was not declared.
    fn undeclared_proxy_count(&self) -> i64 {
        self.probe("SELECT count(*) FROM undeclared_proxy")
    }

    /// A rule that the server left for the commands beside it.
    fn policy(&self, name: &str) -> String {
        self.probe(&format!("SELECT value FROM policy WHERE name = '{name}'"))
    }

    fn delete_sessions(&self) {
        self.connection().execute_batch("DELETE FROM sessions").expect("it can be written");
    }

    /// Breaks every look-up of a session.
    fn drop_sessions_table(&self) {
        self.connection().execute_batch("DROP TABLE sessions").expect("a broken database");
    }

    fn reset_count(&self) -> i64 {
        self.probe("SELECT count(*) FROM password_resets")
    }

    /// A reset token that nobody knows.
    fn add_reset(&self, user: i64) {
        let insert = "INSERT INTO password_resets VALUES (randomblob(32), ?1, NULL, 0, 9000000000000)";
        self.connection().execute(insert, [user]).expect("it can be written");
    }

    /// How many IP addresses are known to accounts.
    /// The names of the accounts that are known in browsers, once for each browser.
    fn known_browsers(&self) -> Vec<String> {
        const SQL: &str = "SELECT coalesce(group_concat(username, ' '), '')
             FROM (SELECT username FROM known_browsers JOIN users ON id = user_id ORDER BY username)";
        self.probe::<String>(SQL).split_whitespace().map(str::to_owned).collect()
    }

    /// Registers an app.
    fn add_app(&self, name: &str, url: &str, access: &str) -> i64 {
        let host = url.split_once("://").map_or("", |(_, host)| host.split(':').next().unwrap_or(host));
        let connection = self.connection();
        connection
            .execute(
                "INSERT INTO apps (name, url, host, access, created_at) VALUES (?1, ?2, ?3, ?4, 0)",
                [name, url, host, access],
            )
            .expect("it can be written");
        connection.last_insert_rowid()
    }

    /// Stores an app token of an account that never expires, and returns its id. Nobody knows its secret.
    fn add_app_token(&self, user: i64, app: i64) -> i64 {
        let connection = self.connection();
        let insert = "INSERT INTO app_tokens (token_hash, user_id, app_id, name, created_at)
             SELECT randomblob(32), u.id, a.id, 'x', 0 FROM users u, apps a WHERE u.id = ?1 AND a.id = ?2";
        connection.execute(insert, [user, app]).expect("it can be written");
        connection.last_insert_rowid()
    }

    fn app_token_count(&self) -> i64 {
        self.probe("SELECT count(*) FROM app_tokens")
    }

    /// When the only app token was last used, as it is stored.
    fn app_token_used_at(&self) -> Option<Timestamp> {
        self.probe::<Option<i64>>("SELECT last_used_at FROM app_tokens").map(Timestamp::from_millis)
    }

    /// Gives every app token a name that it can't have.
    fn damage_app_tokens(&self) {
        self.damage("UPDATE app_tokens SET name = 'two' || char(10) || 'lines'");
    }

    /// One row of each kind that browsers and native clients leave behind: a code for an app, a browser that is known, and an
    /// app token.
    fn add_what_browsers_leave(&self, user: i64) {
        let until = i64::MAX;
        let sql = format!(
            "INSERT INTO entry_codes SELECT randomblob(32), s.id, a.id, randomblob(32), '/', {until}, 0
                 FROM sessions s, apps a WHERE s.user_id = {user} LIMIT 1;
             INSERT INTO known_browsers SELECT randomblob(32), id, randomblob(16), last_login_at FROM users WHERE id = {user};
             INSERT INTO app_tokens SELECT NULL, randomblob(32), {user}, id, 'x', 0, {until}, NULL FROM apps LIMIT 1"
        );
        self.connection().execute_batch(&sql).expect("it can be written");
    }

    /// Changes who may enter an app.
    fn set_access(&self, name: &str, access: &str) {
        let sql = "UPDATE apps SET access = ?2 WHERE name = ?1";
        self.connection().execute(sql, [name, access]).expect("it can be written");
    }

    fn delete_app(&self, name: &str) {
        let connection = self.connection();
        connection.pragma_update(None, "foreign_keys", true).expect("it can be set");
        connection.execute("DELETE FROM apps WHERE name = ?1", [name]).expect("it can be written");
    }

    /// Puts an account into a group that may enter an app.
    fn let_in(&self, user: i64, app: &str) {
        let sql = format!(
            "INSERT OR IGNORE INTO groups (name, name_key, created_at) VALUES ('friends', 'friends', 0);
             INSERT OR IGNORE INTO app_groups SELECT a.id, g.id FROM apps a, groups g WHERE a.name = '{app}';
             INSERT INTO group_members SELECT {user}, id FROM groups"
        );
        self.connection().execute_batch(&sql).expect("it can be written");
    }

    fn leave_groups(&self, user: i64) {
        self.connection().execute("DELETE FROM group_members WHERE user_id = ?1", [user]).expect("it can be written");
    }

    /// Codes for entering apps: how many there are, and how many of them were used.
    fn code_counts(&self) -> [i64; 2] {
        [self.probe("SELECT count(*) FROM entry_codes"), self.probe("SELECT coalesce(sum(spent), 0) FROM entry_codes")]
    }

    /// Makes every IP address a stranger.
    fn forget_known_addresses(&self) {
        self.connection().execute("DELETE FROM sign_in_addresses", []).expect("it can be written");
    }

    fn known_address_count(&self) -> i64 {
        self.probe("SELECT count(*) FROM sign_in_addresses")
    }

    fn known_address_count_of(&self, username: &str) -> i64 {
        let known = "SELECT count(*) FROM sign_in_addresses JOIN users ON users.id = user_id WHERE username";
        self.probe(&format!("{known} = '{username}'"))
    }

    /// How many accounts have failures that outlive a restart.
    fn throttled_count(&self) -> i64 {
        self.probe("SELECT count(*) FROM throttle_accounts")
    }

    /// When the only throttled account may be guessed at as often as any.
    fn throttled_until(&self) -> Timestamp {
        Timestamp::from_millis(self.probe("SELECT full_again_at FROM throttle_accounts"))
    }

    fn add_throttled(&self, until: Timestamp) {
        let insert = "INSERT INTO throttle_accounts VALUES (7, zeroblob(16), ?1)";
        self.connection().execute(insert, [until.as_millis()]).expect("it can be written");
    }

    /// What the clock showed when it was last noted.
    fn clock_seen_at(&self) -> Timestamp {
        Timestamp::from_millis(self.probe("SELECT seen_at FROM clock"))
    }

    fn audit_count(&self) -> i64 {
        self.probe("SELECT count(*) FROM audit")
    }

    /// How many entries report this action.
    fn audit_count_of(&self, action: &str) -> i64 {
        self.probe(&format!("SELECT count(*) FROM audit WHERE action = '{action}'"))
    }

    /// How often this happened, by all entries together.
    fn occurrences(&self, action: &str) -> i64 {
        self.probe(&format!("SELECT ifnull(sum(count), 0) FROM audit WHERE action = '{action}'"))
    }

    fn newest_audit_id(&self) -> i64 {
        self.probe("SELECT max(id) FROM audit")
    }

    /// The first entry that is still there, or zero.
    fn oldest_audit_id(&self) -> i64 {
        self.probe("SELECT ifnull(min(id), 0) FROM audit")
    }

    /// The last entry's number and hash, as they are noted beside the log.
    fn audit_head(&self) -> (i64, ChainHash) {
        let head = "SELECT head_id, head_hash FROM audit_state";
        self.connection().query_row(head, [], |row| Ok((row.get(0)?, ChainHash(row.get(1)?)))).expect("a head")
    }

    /// The whole log, the oldest entry first.
    fn audit(&self) -> Vec<Entry> {
        let connection = self.connection();
        let sql = "SELECT id, at, action, actor, subject, ip, request_id, count, hash FROM audit ORDER BY id";
        let mut query = connection.prepare(sql).expect(sql);
        let entries = query.query_map([], |row| {
            Ok(Entry {
                id: row.get(0)?,
                at: Timestamp::from_millis(row.get(1)?),
                action: row.get(2)?,
                actor: row.get(3)?,
                subject: row.get(4)?,
                ip: row.get(5)?,
                request_id: row.get(6)?,
                count: row.get(7)?,
                hash: ChainHash(row.get(8)?),
            })
        });
        entries.expect(sql).map(|entry| entry.expect("an entry")).collect()
    }

    /// How many entries report this action by this account.
    fn audit_count_by(&self, action: &str, actor: i64) -> usize {
        self.audit().iter().filter(|entry| entry.action == action && entry.actor == Some(actor)).count()
    }

    /// How many entries report this action about this account.
    fn audit_count_about(&self, action: &str, subject: i64) -> usize {
        self.audit().iter().filter(|entry| entry.action == action && entry.subject == Some(subject)).count()
    }

    /// How many rows each table has, but for what each start forgets; of the log, the first entry that is there.
    fn row_counts(&self) -> BTreeMap<String, i64> {
        let names: String = self.probe(
            "SELECT group_concat(name) FROM sqlite_schema
             WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT IN ('audit', 'undeclared_proxy')",
        );
        let count = |name: &str| (name.to_owned(), self.probe(&format!("SELECT count(*) FROM {name}")));
        let first = ("audit".to_owned(), self.oldest_audit_id());
        names.split(',').map(count).chain([first]).collect()
    }

    /// Every row that an attacker would like to change.
    fn rows(&self) -> Vec<String> {
        let connection = self.connection();
        let mut rows = Vec::new();
        for table in
            "users sessions password_resets invitations groups group_members apps app_groups app_tokens".split(' ')
        {
            let mut statement = connection.prepare(&format!("SELECT * FROM {table} ORDER BY 1")).expect(table);
            let columns = statement.column_count();
            let mut found = statement.query([]).expect(table);
            while let Some(row) = found.next().expect(table) {
                let values = (0..columns).map(|n| row.get_unwrap::<_, rusqlite::types::Value>(n));
                rows.push(format!("{table} {:?}", values.collect::<Vec<_>>()));
            }
        }
        rows
    }

    /// Everything that a use case could have changed, as text.
    fn state(&self) -> String {
        let dump = |sql: &str| self.probe::<Option<String>>(sql).unwrap_or_default();
        [
            dump("SELECT group_concat(concat_ws('|', id, username, email, role, disabled, password_version, revision), char(10)) FROM users"),
            dump("SELECT group_concat(id, char(10)) FROM sessions"),
            dump("SELECT group_concat(id, char(10)) FROM invitations"),
            dump("SELECT group_concat(hex(token_hash), char(10)) FROM password_resets"),
            dump("SELECT group_concat(concat_ws('|', account_group, unlocks), char(10)) FROM throttle_unlocks"),
        ]
        .join("\n--\n")
    }

    /// In place of what is there for the first account: of each kind one that is as old as may be at that time, and one a
    /// millisecond older.
    fn age_one_of_each(&self, now: Timestamp) {
        let day = Duration::from_hours(24);
        let (week, kept) = ((now - 7 * day).as_millis(), (now - 90 * day).as_millis());
        self.connection()
            .execute_batch(&format!(
                "DELETE FROM sign_in_addresses; DELETE FROM sessions;
                 INSERT INTO sign_in_addresses VALUES (1, 'stays', {kept}), (1, 'goes', {kept} - 1);
                 INSERT INTO known_browsers VALUES (zeroblob(32), 1, zeroblob(16), {kept}), (randomblob(32), 1, zeroblob(16), {kept} - 1);
                 INSERT INTO throttle_accounts VALUES (1, zeroblob(16), {now} + 1), (2, zeroblob(16), {now});
                 INSERT INTO invitations SELECT value, randomblob(32), NULL, 'user', NULL, 0, {week} - 1 + value
                    FROM (SELECT 0 AS value UNION ALL SELECT 1);
                 INSERT INTO password_resets VALUES (zeroblob(32), 1, NULL, 0, {week} - 1), (randomblob(32), 1, NULL, 0, {week});
                 INSERT INTO apps (id, name, url, host, access, created_at) VALUES (1, 'x', 'http://a.example', 'a.example', 'admins', 0);
                 INSERT INTO app_tokens SELECT value + 1, randomblob(32), 1, 1, 'x', 0, {week} - 1 + value, NULL
                    FROM (SELECT 0 AS value UNION ALL SELECT 1);
                 INSERT INTO app_tokens VALUES (3, randomblob(32), 1, 1, 'x', 0, NULL, NULL);
                 INSERT INTO sessions SELECT NULL, value, randomblob(32), 1, 'api', NULL, NULL, 0, 0, {now}, {week} - 1 + value, NULL, NULL
                    FROM (SELECT 0 AS value UNION ALL SELECT 1)",
                now = now.as_millis()
            ))
            .expect("it can be written");
    }

    /// Which of those are left: known IP addresses, known browsers (`1` is the younger), throttled accounts, invitations, resets
    /// (`0` is the younger), app tokens (`3` never expires), sessions.
    fn left_of_each(&self) -> [String; 7] {
        [
            self.probe("SELECT group_concat(address) FROM sign_in_addresses"),
            self.probe("SELECT group_concat(token_hash = zeroblob(32)) FROM known_browsers"),
            self.probe("SELECT group_concat(slot) FROM throttle_accounts"),
            self.probe("SELECT group_concat(id) FROM invitations"),
            self.probe("SELECT group_concat(token_hash = zeroblob(32)) FROM password_resets"),
            self.probe("SELECT group_concat(id) FROM app_tokens"),
            self.probe("SELECT group_concat(id) FROM sessions"),
        ]
    }

    /// Writes everything into the file itself.
    fn checkpoint(&self) {
        self.connection().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("nobody reads");
    }

    /// What SQLite says of the whole file.
    fn integrity(&self) -> String {
        self.probe("PRAGMA integrity_check")
    }

    /// Writes a copy without the write-ahead log.
    fn copy_to(&self, path: &Path) {
        self.connection().execute("VACUUM INTO ?1", [path.to_str().expect("text")]).expect("it can be written");
    }

    /// Whether the test itself can write within five seconds.
    fn can_write(&self) -> bool {
        self.connection().execute_batch("BEGIN IMMEDIATE").is_ok()
    }

    /// Keeps everybody else from writing, until it is released.
    fn hold_writes(&self) -> HeldWrites {
        let connection = self.connection();
        connection.execute_batch("BEGIN IMMEDIATE").expect("a lock");
        HeldWrites(connection)
    }

    /// Makes every change of a table fail, as on a full disk, until the guard is dropped. The change is as a trigger says it:
    /// `INSERT ON users`.
    fn without_room(&self, change: &str) -> NoRoom {
        let connection = self.connection();
        connection
            .execute_batch(&format!("CREATE TRIGGER full BEFORE {change} BEGIN SELECT RAISE(ABORT, 'full'); END"))
            .expect("it can be written");
        NoRoom(connection)
    }

    /// A connection beside the server's own.
    fn connection(&self) -> Connection {
        let connection = Connection::open(self.database_file()).expect("the database opens");
        connection.busy_timeout(Duration::from_secs(5)).expect("a timeout");
        connection
    }

    /// One value.
    fn probe<T: FromSql>(&self, sql: &str) -> T {
        self.connection().query_row(sql, [], |row| row.get(0)).expect(sql)
    }
}

impl Probes for Server {
    fn database_file(&self) -> PathBuf {
        self.database()
    }
}

impl Probes for Serving {
    fn database_file(&self) -> PathBuf {
        self.folder.join("usher.db")
    }
}

/// A folder with a database in it.
impl Probes for TempDir {
    fn database_file(&self) -> PathBuf {
        self.path().join("usher.db")
    }
}

/// The file itself.
impl Probes for Path {
    fn database_file(&self) -> PathBuf {
        self.to_owned()
    }
}

/// An account, as it is stored.
#[derive(Debug)]
pub struct Account {
    pub id: i64,
    pub username: String,
    pub email: String,
    pub email_verified: bool,
    pub role: String,
    pub disabled: bool,
    pub password_hash: String,
    pub password_version: i64,
    pub revision: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub last_login_at: Option<Timestamp>,
    pub display_name: Option<String>,
}

/// An entry of the audit log, as it is stored.
#[derive(Debug)]
pub struct Entry {
    pub id: i64,
    pub at: Timestamp,
    pub action: String,
    pub actor: Option<i64>,
    pub subject: Option<i64>,
    pub ip: Option<String>,
    pub request_id: Option<String>,
    pub count: u32,
    pub hash: ChainHash,
}

/// The only one who writes. Dropped without being released, it leaves everything as it was.
pub struct HeldWrites(Connection);

impl HeldWrites {
    /// As if every password had been changed.
    pub fn change_passwords(&self) {
        self.0.execute_batch("UPDATE users SET password_version = password_version + 1").expect("it can be written");
    }

    /// As if every account had been made an administrator's.
    pub fn make_administrators(&self) {
        self.0.execute_batch("UPDATE users SET role = 'admin'").expect("it can be written");
    }

    /// Gives the only account another e-mail address, in lower case.
    pub fn set_email(&self, email: &str) {
        self.0.execute("UPDATE users SET (email, email_key) = (?1, ?1)", [email]).expect("it can be written");
    }

    pub fn release(self) {
        self.0.execute_batch("COMMIT").expect("it can be written");
    }
}

/// As long as it is there, a change fails.
pub struct NoRoom(Connection);

impl Drop for NoRoom {
    fn drop(&mut self) {
        self.0.execute_batch("DROP TRIGGER full").unwrap();
    }
}
