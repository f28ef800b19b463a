//! Schema versions. A new file is created from `schema.sql`; an older one is upgraded step by step.

use super::{
    backup, connection,
    error::OrDomain,
    file::{self, Found},
    lock::Lock,
    open_error::OpenError,
    paths::with_suffix,
};
use crate::domain::Error;
use rusqlite::{Connection, TransactionBehavior};
use rusqlite_migration::{M, Migrations};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The schema of this program, and the steps from older versions.
struct Schema {
    application_id: u32,
    /// The complete schema of the newest version.
    sql: &'static str,
    /// `steps[n]` upgrades version n to n + 1; the first creates version 1 in an empty file. A step that rebuilds a
    /// table must keep its row of `sqlite_sequence`, or ids of deleted users would be given out again.
    steps: &'static [M<'static>],
}

impl Schema {
    fn version(&self) -> i64 {
        i64::try_from(self.steps.len()).expect("there are fewer steps than that")
    }
}

/// Each schema change is a step. A step never changes after it has landed.
const CURRENT: Schema = Schema {
    application_id: 0x7573_6872,
    sql: include_str!("../../../schema.sql"),
    steps: &[
        M::up(include_str!("../migrations/1.sql")),
        M::up(include_str!("../migrations/2.sql")),
        M::up(include_str!("../migrations/3.sql")),
        M::up(include_str!("../migrations/4.sql")),
    ],
};

/// What `prepare` did.
#[derive(Debug, PartialEq, Eq)]
pub enum Prepared {
    Created,
    UpToDate,
    /// The version before, and the copy of the database from before.
    Migrated {
        from: i64,
        copy: PathBuf,
    },
}

/// The schema's version in the file, and the one that this program needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaStatus {
    /// `None`: there is no database yet.
    pub found: Option<i64>,
    pub needed: i64,
}

pub(super) fn prepare(path: &Path, lock: &Lock) -> Result<Prepared, OpenError> {
    bring_up_to_date(path, lock, &CURRENT)
}

pub(super) fn status(path: &Path) -> Result<SchemaStatus, OpenError> {
    let found = existing(path, &CURRENT)?.map(|existing| existing.version);
    Ok(SchemaStatus { found, needed: CURRENT.version() })
}

/// Refuses a database that does not have the current version.
pub(super) fn require_current(path: &Path) -> Result<(), OpenError> {
    let (found, path, known) = (existing(path, &CURRENT)?, path.to_owned(), CURRENT.version());
    match found {
        None => Err(OpenError::Missing(path)),
        Some(Existing { version: found, .. }) if found < known => Err(OpenError::Older { path, found, known }),
        Some(Existing { is_in_use: false, .. }) => Err(OpenError::NotInUse(path)),
        Some(_) => Ok(()),
    }
}

/// Whether the database uses a write-ahead log. Backups and repaired files don't, until `serve` or `migrate` runs on
/// them.
pub(super) fn is_in_use(connection: &Connection) -> bool {
    let mode = connection.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0));
    mode.is_ok_and(|mode| mode == "wal")
}

/// Refuses to write if a newer program has migrated the database since it was opened.
pub(super) fn require_not_migrated(transaction: &Connection) -> Result<(), Error> {
    let version = transaction.prepare_cached("PRAGMA user_version");
    let found: i64 = version.and_then(|mut statement| statement.query_row([], |row| row.get(0))).or_domain()?;
    if found == CURRENT.version() {
        return Ok(());
    }
    Err(Error::Storage(format!(
        "it has been migrated to version {found} by a newer usher, and this one knows version {}; run the newer one",
        CURRENT.version()
    )))
}

/// Refuses an open database that does not have the current version.
pub(super) fn require_current_in(path: &Path, connection: &Connection) -> Result<i64, OpenError> {
    let found: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|error| OpenError::sqlite(path, &error))?;
    let (path, known) = (path.to_owned(), CURRENT.version());
    match found.cmp(&known) {
        _ if found < 1 => Err(OpenError::NoVersion { path, found }),
        std::cmp::Ordering::Less => Err(OpenError::Older { path, found, known }),
        std::cmp::Ordering::Equal => Ok(found),
        std::cmp::Ordering::Greater => Err(OpenError::Newer { path, found, known }),
    }
}

/// How the schema of a file differs from this program's. SQLite's own tables are ignored.
pub(super) fn differences(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let own = Connection::open_in_memory()?;
    own.execute_batch(CURRENT.sql)?;
    let (wanted, found) = (objects(&own)?, objects(connection)?);
    let missing =
        wanted.iter().filter(|(name, _)| !found.contains_key(*name)).map(|(name, _)| format!("{name} is missing"));
    let other = wanted.iter().filter(|(name, sql)| found.get(*name).is_some_and(|other| other != *sql));
    let other = other.map(|(name, _)| format!("{name} was changed"));
    let foreign = found.keys().filter(|name| !wanted.contains_key(*name)).map(|name| format!("{name} was added"));
    Ok(missing.chain(other).chain(foreign).collect())
}

/// A statement without comments, spaces and quotes, in which steps may differ.
fn normalized(sql: &str) -> String {
    let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    lines.flat_map(str::chars).filter(|c| !c.is_whitespace() && *c != '"').collect()
}

/// All objects of a schema, such as `index users_by_id`, with their SQL.
fn objects(connection: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut query = connection.prepare(
        "SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite^_%' ESCAPE '^'",
    )?;
    query.query_map([], |row| Ok((row.get(0)?, normalized(&row.get::<_, String>(1)?))))?.collect()
}

fn bring_up_to_date(path: &Path, _lock: &Lock, schema: &Schema) -> Result<Prepared, OpenError> {
    match existing(path, schema)? {
        None => create(path, schema).map(|()| Prepared::Created),
        Some(Existing { version, .. }) if version < schema.version() => upgrade(path, schema, version),
        Some(Existing { is_in_use: true, .. }) if !file::has_log(path) => Ok(Prepared::UpToDate),
        Some(_) => switch_wal_on(path).map(|()| Prepared::UpToDate),
    }
}

/// An existing database of usher that is not newer than this program.
struct Existing {
    version: i64,
    is_in_use: bool,
}

fn existing(path: &Path, schema: &Schema) -> Result<Option<Existing>, OpenError> {
    let Some(connection) = open_to_look(path, schema)? else { return Ok(None) };
    let version = connection.query_row("PRAGMA user_version", [], |row| row.get(0));
    let found: i64 = version.map_err(|error| OpenError::sqlite(path, &error))?;
    if found > schema.version() {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: schema.version() });
    }
    if found < 1 {
        return Err(OpenError::NoVersion { path: path.to_owned(), found });
    }
    Ok(Some(Existing { version: found, is_in_use: is_in_use(&connection) }))
}

/// Opens a database of this program for reading; `None` if there is none yet. The header is checked first, so nothing
/// is written to another program's file.
fn open_to_look(path: &Path, schema: &Schema) -> Result<Option<Connection>, OpenError> {
    match file::inspect(path)? {
        Found::Nothing => return Ok(None),
        Found::Database { application_id } if application_id != schema.application_id => {
            return Err(OpenError::Foreign(path.to_owned()));
        }
        Found::Database { .. } => {}
    }
    // Reading the schema detects damage. It also rolls back a first transaction that was killed.
    let opened = connection::open_to_look(path).and_then(|connection| {
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        Ok((pages > 0).then_some(connection))
    });
    opened.map_err(|error| OpenError::sqlite(path, &error))
}

/// The same for `usher check`, for every schema version.
pub(super) fn open_to_check(path: &Path) -> Result<Connection, OpenError> {
    open_to_look(path, &CURRENT)?.ok_or_else(|| OpenError::Missing(path.to_owned()))
}

fn create(path: &Path, schema: &Schema) -> Result<(), OpenError> {
    file::create_private(path)?;
    let create = || {
        let mut connection = connection::open(path)?;
        // This runs before WAL is switched on, so that the header of the main file identifies usher from its first
        // commit.
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(schema.sql)?;
        transaction.pragma_update(None, "user_version", schema.version())?;
        transaction.commit()
    };
    create().map_err(|error| OpenError::sqlite(path, &error))?;
    switch_wal_on(path)
}

/// Copies and repaired files come without it, and so does one whose making was cut short here. What a killed server left in
/// the log is written into the database, too.
fn switch_wal_on(path: &Path) -> Result<(), OpenError> {
    connection::open(path)
        .and_then(|connection| connection.pragma_update(None, "journal_mode", "wal"))
        .map_err(|error| OpenError::sqlite(path, &error))
}

fn upgrade(path: &Path, schema: &Schema, from: i64) -> Result<Prepared, OpenError> {
    let failed = |error: &rusqlite::Error| OpenError::sqlite(path, error);
    let mut connection = connection::open(path).map_err(|error| failed(&error))?;
    let copy = keep_copy(path, &connection, from)?;
    migrate(&mut connection, schema.steps).map_err(|error| match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => failed(&err),
        other => OpenError::Damaged { path: path.to_owned(), reason: other.to_string() },
    })?;
    // Writes the new version to the header of the main file.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(|error| failed(&error))?;
    drop(connection);
    switch_wal_on(path)?;
    Ok(Prepared::Migrated { from, copy })
}

/// Keeps a copy as `usher.db.v1`, or under the first free name of `usher.db.v1.2` and so on. Copies of earlier
/// migrations are never overwritten. An identical existing copy is kept instead.
fn keep_copy(path: &Path, connection: &Connection, from: i64) -> Result<PathBuf, OpenError> {
    let name = with_suffix(path, &format!(".v{from}"));
    let draft = backup::Draft::of(connection, &name)?;
    let mut target = name.clone();
    for n in 2.. {
        if draft.publish(&target)? || draft.is_same_as(&target)? {
            break;
        }
        target = with_suffix(&name, &format!(".{n}"));
    }
    Ok(target)
}

/// Migrates with foreign keys off: rebuilding a table drops the old one, which would delete the rows that refer to it.
/// The switch works only outside a transaction. Each step checks the keys before it commits.
fn migrate(connection: &mut Connection, steps: &[M<'static>]) -> rusqlite_migration::Result<()> {
    connection.pragma_update(None, "foreign_keys", false)?;
    let steps = steps.iter().map(|step| step.clone().foreign_key_check()).collect();
    Migrations::new(steps).to_latest(connection)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn version(path: &Path, schema: &Schema) -> Option<i64> {
        existing(path, schema).unwrap().map(|existing| existing.version)
    }

    const FIRST: &str = "PRAGMA application_id = 7;
        CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL) STRICT;
        CREATE TABLE pets (owner INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE, name TEXT NOT NULL) STRICT;";
    const SECOND: &str = "CREATE TABLE people_new (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, age INTEGER) STRICT;
        INSERT INTO people_new (id, name) SELECT id, name FROM people;
        UPDATE sqlite_sequence SET seq = (SELECT seq FROM sqlite_sequence WHERE name = 'people') WHERE name = 'people_new';
        DROP TABLE people;
        ALTER TABLE people_new RENAME TO people;";
    const WHOLE: &str = "PRAGMA application_id = 7;
        CREATE TABLE pets (owner INTEGER NOT NULL REFERENCES people (id) ON DELETE CASCADE, name TEXT NOT NULL) STRICT;
        CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, age INTEGER) STRICT;";
    const OLD: Schema = Schema { application_id: 7, sql: FIRST, steps: &[M::up(FIRST)] };
    const NEW: Schema = Schema { application_id: 7, sql: WHOLE, steps: &[M::up(FIRST), M::up(SECOND)] };

    fn folder() -> (tempfile::TempDir, PathBuf, Lock) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fixture.db");
        let lock = Lock::acquire(&path).unwrap();
        (folder, path, lock)
    }

    /// What a schema says, without spaces, quotes and the order of its statements.
    fn statements(path: &Path) -> Vec<String> {
        let connection = connection::open(path).unwrap();
        let mut query = connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").unwrap();
        let rows = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let mut statements: Vec<String> = rows.map(|sql| normalized(&sql.unwrap())).collect();
        statements.sort();
        statements
    }

    #[test]
    fn both_roads_end_at_the_same_schema() {
        for schema in [NEW, CURRENT] {
            let (_folder, climbed, lock) = folder();
            let new = climbed.with_file_name("new.db");
            file::create_private(&climbed).unwrap();
            migrate(&mut connection::open(&climbed).unwrap(), schema.steps).unwrap();
            bring_up_to_date(&new, &lock, &schema).unwrap();
            assert_eq!(statements(&climbed), statements(&new));
            assert_eq!(version(&climbed, &schema), version(&new, &schema));
        }
    }

    #[test]
    fn a_step_keeps_rows_references_and_used_up_ids_and_a_copy_of_the_old_file() {
        let (_folder, path, lock) = folder();
        bring_up_to_date(&path, &lock, &OLD).unwrap();
        let old = connection::open(&path).unwrap();
        old.execute_batch(
            "INSERT INTO people (name) VALUES ('Ada'), ('Bob'), ('Cy'); DELETE FROM people WHERE name = 'Cy';
             INSERT INTO pets VALUES (1, 'Rex');",
        )
        .unwrap();
        drop(old);

        let prepared = bring_up_to_date(&path, &lock, &NEW).unwrap();

        let copy = path.with_file_name("fixture.db.v1");
        assert_eq!(prepared, Prepared::Migrated { from: 1, copy: copy.clone() });
        assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(version(&copy, &OLD), Some(1));
        let new = connection::open(&path).unwrap();
        let pets: i64 = new.query_row("SELECT count(*) FROM pets", [], |row| row.get(0)).unwrap();
        new.execute("INSERT INTO people (name) VALUES ('Di')", []).unwrap();
        assert_eq!((pets, new.last_insert_rowid()), (1, 4));
    }

    #[test]
    fn a_copy_that_an_earlier_migration_kept_is_never_overwritten_nor_made_twice() {
        let (_folder, path, lock) = folder();
        let (first, second) = (path.with_file_name("fixture.db.v1"), path.with_file_name("fixture.db.v1.2"));
        std::fs::write(&first, "a copy from before").unwrap();
        bring_up_to_date(&path, &lock, &OLD).unwrap();
        let connection = connection::open(&path).unwrap();

        assert_eq!(keep_copy(&path, &connection, 1).unwrap(), second);
        assert_eq!(std::fs::read(&first).unwrap(), b"a copy from before");
        assert_eq!(version(&second, &OLD), Some(1));
        assert_eq!(keep_copy(&path, &connection, 1).unwrap(), second, "the same once more");
        let whole = std::fs::read(&second).unwrap();
        std::fs::write(&first, &whole[..whole.len() / 2]).unwrap();
        assert_eq!(keep_copy(&path, &connection, 1).unwrap(), second, "the beginning of a copy is none");
        connection.execute_batch("INSERT INTO people (name) VALUES ('Ada')").unwrap();
        let third = path.with_file_name("fixture.db.v1.3");
        assert_eq!(keep_copy(&path, &connection, 1).unwrap(), third);
        let drafts = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
        assert_eq!(drafts.filter(|path| path.to_string_lossy().ends_with(".usher-copy")).count(), 0);
    }

    #[test]
    fn a_step_that_fails_leaves_the_file_as_it_was() {
        const BROKEN: Schema = Schema { steps: &[M::up(FIRST), M::up("DROP TABLE pets; DROP TABLE nothing;")], ..NEW };
        let (_folder, path, lock) = folder();
        bring_up_to_date(&path, &lock, &OLD).unwrap();
        let before = statements(&path);
        assert!(bring_up_to_date(&path, &lock, &BROKEN).is_err());
        assert_eq!(statements(&path), before);
        assert_eq!(version(&path, &OLD), Some(1));
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_as_it_was() {
        let (_folder, path, lock) = folder();
        bring_up_to_date(&path, &lock, &NEW).unwrap();
        let before = std::fs::read(&path).unwrap();
        let refused = bring_up_to_date(&path, &lock, &OLD);
        assert!(matches!(refused, Err(OpenError::Newer { found: 2, known: 1, .. })));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_copy_without_a_write_ahead_log_gets_one() {
        let (_folder, path, lock) = folder();
        bring_up_to_date(&path, &lock, &OLD).unwrap();
        connection::open(&path).unwrap().pragma_update(None, "journal_mode", "delete").unwrap();
        assert_eq!(bring_up_to_date(&path, &lock, &OLD).unwrap(), Prepared::UpToDate);
        let mode = connection::open(&path).unwrap().query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0));
        assert_eq!(mode.unwrap(), "wal");
    }

    #[test]
    fn the_bundled_sqlite_has_the_fix_of_the_wal_reset_bug() {
        assert!(rusqlite::version_number() >= super::super::NEEDED_SQLITE.0);
    }
}
