//! The checks of an SQLite file. They change nothing, and say what is wrong and what to do.

use super::{
    check_version,
    file::{self, RiskyFileSystem},
    lock, migrate,
    open_error::OpenError,
    paths::{folder_of, with_suffix},
};
use crate::{
    domain::{ChainPoint, PasswordHash, Timestamp},
    store::{
        Reader,
        check::{self, Finding, Verdict},
        sql::Fault,
    },
};
use rusqlite::Connection;
use rustix::{
    fs::{StatVfsMountFlags, statvfs},
    process::geteuid,
};
use std::{
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

/// With less free space than this, changes will soon be refused.
const MIN_FREE_BYTES: u64 = 16 * 1024 * 1024;

/// Reports on each subject in turn. Returns the head of the audit log, if it can be read.
pub fn examine(
    path: &Path,
    now: Timestamp,
    kept: Option<ChainPoint>,
    hash_fault: fn(&PasswordHash) -> Option<String>,
    report: &mut dyn FnMut(Finding),
) -> Option<ChainPoint> {
    let opened = lock::refuse_displaced(path).and_then(|()| migrate::open_to_check(path));
    let connection = opened.map_err(|error| report(Finding::error("file", error.to_string()))).ok();
    let (mut head, mut times) = (None, [None, None]);
    if let Some(connection) = &connection {
        report(Finding::ok("file", format!("{}, {}", path.display(), size(length(path)))));
        let schema = schema(path, connection);
        let is_current = schema.is_ok();
        report(schema.unwrap_or_else(|error| Finding::error("schema", error.to_string())));
        if !migrate::is_in_use(connection) {
            let text = "this is a copy that is not in use yet: other commands refuse it until 'usher migrate' or \
                        'usher serve' has run on it";
            report(Finding::warning("in use", text));
        }
        report(integrity(connection));
        if is_current {
            let reader = Reader { sql: connection };
            check::content(&reader, now, hash_fault, report);
            head = audit(connection, kept, report);
            check::observations(&reader, now, report);
            times = check::times(&reader);
        }
    }
    drop(connection); // this deletes its side files, unless another process has it open
    let [modes, disk, version] = surroundings(path);
    report(modes);
    report(check::clock(now, times));
    report(disk);
    report(version);
    head
}

/// What can be said without opening the file: the modes of its files, the disk that they are on, and the version.
pub fn surroundings(path: &Path) -> [Finding; 3] {
    [modes(path), disk(path), version()]
}

/// Fails if the schema has another version, so that the rest can't be checked.
fn schema(path: &Path, connection: &Connection) -> Result<Finding, OpenError> {
    let version = migrate::require_current_in(path, connection)?;
    let differences = migrate::differences(connection).map_err(|error| OpenError::sqlite(path, &error))?;
    if differences.is_empty() {
        return Ok(Finding::ok("schema", format!("version {version}, as this usher creates it")));
    }
    let text = format!(
        "{}: the schema was changed by another program; undo that, or restore a backup",
        differences.join(", ")
    );
    Ok(Finding::error("schema", text))
}

fn integrity(connection: &Connection) -> Finding {
    let faults = || -> rusqlite::Result<Vec<String>> {
        let mut check = connection.prepare("PRAGMA integrity_check(5)")?;
        let found = check.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        let mut faults: Vec<String> = found.into_iter().filter(|line| line != "ok").collect();
        let mut keys =
            connection.prepare("SELECT count(*), \"table\", parent FROM pragma_foreign_key_check GROUP BY 2, 3")?;
        let orphans = keys.query_map([], |row| {
            let (count, table, parent) = (row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?);
            Ok(format!("{count} rows of {table} refer to rows of {parent} that don't exist"))
        })?;
        faults.extend(orphans.collect::<Result<Vec<_>, _>>()?);
        Ok(faults)
    };
    match faults() {
        Ok(faults) if faults.is_empty() => Finding::ok("integrity", "no damage"),
        Ok(faults) => Finding::error(
            "integrity",
            format!(
                "{}; stop the server, and restore a backup or repair the file with 'sqlite3 .recover'",
                faults.join("; ")
            ),
        ),
        Err(error) => Finding::error(
            "integrity",
            format!("{error}; restore a backup, or repair the file with 'sqlite3 .recover'"),
        ),
    }
}

/// Checks the chain in a consistent snapshot, and against the highest id that SQLite remembers.
fn audit(connection: &Connection, kept: Option<ChainPoint>, report: &mut dyn FnMut(Finding)) -> Option<ChainPoint> {
    const COUNTED: &str = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'audit'";
    let counted = || Ok::<_, Fault>(connection.query_row(COUNTED, [], |row| row.get(0))?);
    let moment = connection.unchecked_transaction();
    let counted = moment.as_ref().map_err(|error| Fault::Other(error.to_string())).and_then(|_| counted());
    check::audit(&Reader { sql: connection }, counted, kept, report)
}

fn modes(path: &Path) -> Finding {
    let owner = std::fs::metadata(path).map(|metadata| metadata.uid()).ok();
    let (mut wrong, mut shared, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let name = with_suffix(path, suffix);
        let Ok(metadata) = std::fs::metadata(&name) else { continue };
        let (name, mode) = (name.display(), metadata.permissions().mode() & 0o777);
        if mode & 0o077 != 0 {
            shared.push(format!("{name} has mode {mode:03o}"));
            names.push(name.to_string());
        }
        if owner.is_some_and(|owner| owner != metadata.uid()) {
            let text = format!(
                "{name} and {} have different owners: change the owner of the former with chown",
                path.display()
            );
            wrong.push((Verdict::Error, text));
        }
    }
    if let Some(owner) = owner.filter(|_| file::is_read_only(path)) {
        wrong.push((Verdict::Error, read_only(path, owner)));
    }
    if !shared.is_empty() {
        let what = if names.len() == 1 { "it" } else { "them" };
        let text = format!("{}, so other users may access {what}: chmod 600 {}", shared.join(", "), names.join(" "));
        wrong.push((Verdict::Error, text));
    }
    if let Some((folder, mode)) = file::open_folder(path) {
        let folder = folder.display();
        let text = format!("other users can access {folder} (mode {mode:03o}): use a separate folder with chmod 700");
        wrong.push((Verdict::Warning, text));
    }
    Finding::of("modes", wrong, || "only their owner can read and write the files".to_owned())
}

/// Why the current user can't write the file. Only its owner can change its mode.
fn read_only(path: &Path, owner: u32) -> String {
    let name = path.display();
    if owner == geteuid().as_raw() {
        return format!("{name} is read-only, so every change is refused: chmod u+w {name}");
    }
    format!(
        "{name} belongs to another user (uid {owner}): run the command as that user, or change the owner with chown"
    )
}

fn disk(path: &Path) -> Finding {
    let stat = match statvfs(folder_of(path)) {
        Ok(stat) => stat,
        Err(error) => {
            return Finding::error(
                "disk",
                format!("the file system of {} can't be examined: {error}", folder_of(path).display()),
            );
        }
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let used = length(path) + length(&with_suffix(path, "-wal"));
    let mut wrong = Vec::new();
    if stat.f_flag.contains(StatVfsMountFlags::RDONLY) {
        wrong.push((
            Verdict::Error,
            "the file system is mounted read-only, so every change is refused: mount it read-write".to_owned(),
        ));
    }
    if free < MIN_FREE_BYTES {
        let text = format!("only {} free; changes are refused when the disk is full: free some space", size(free));
        wrong.push((Verdict::Error, text));
    } else if free < used {
        let text = format!(
            "only {} free, not enough for a copy of the database ({}): free some space",
            size(free),
            size(used)
        );
        wrong.push((Verdict::Warning, text));
    }
    if let Some(RiskyFileSystem::Doubtful(kind)) = file::risky_file_system(path) {
        wrong.push((
            Verdict::Warning,
            format!("the file system is {kind}, where SQLite's locks may not work: use a local disk"),
        ));
    }
    Finding::of("disk", wrong, || format!("{} free", size(free)))
}

fn version() -> Finding {
    let text = format!("usher {}, SQLite {}", env!("CARGO_PKG_VERSION"), rusqlite::version());
    match check_version() {
        Ok(()) => Finding::ok("version", text),
        Err(error) => Finding::error("version", error.to_string()),
    }
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// For people: `1.5 MiB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut tenths, mut unit) = (bytes.saturating_mul(10), 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_shown_in_the_unit_that_fits() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (16 * 1024 * 1024, "16.0 MiB"),
            (u64::MAX, "1677721.5 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
