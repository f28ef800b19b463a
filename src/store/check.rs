//! A look at a database from all sides, which changes nothing: what is wrong, and what to do about it.

use super::{
    Reader,
    audit::Ends,
    check_sqlite,
    file::{self, OddDisk, OpenError, beside, folder_of},
    migrate,
};
use crate::domain::{ChainPoint, Error, Timestamp, UNDECLARED_PROXY, UserFilter};
use rusqlite::{Connection, OptionalExtension};
use rustix::fs::{StatVfsMountFlags, statvfs};
use std::{
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    time::Duration,
};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Ok,
    /// It works, and something could go wrong.
    Warning,
    Error,
}

/// What was found about one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub subject: &'static str,
    pub verdict: Verdict,
    /// What was found, and where something is wrong, what to do about it.
    pub text: String,
}

impl Finding {
    pub fn ok(subject: &'static str, text: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Ok, text: text.into() }
    }

    pub fn warning(subject: &'static str, text: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Warning, text: text.into() }
    }

    pub fn error(subject: &'static str, text: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Error, text: text.into() }
    }

    /// One finding out of all that was found wrong, as bad as the worst; or that nothing was.
    pub fn of(subject: &'static str, wrong: Vec<(Verdict, String)>, right: impl FnOnce() -> String) -> Self {
        let Some(verdict) = wrong.iter().map(|(verdict, _)| *verdict).max() else { return Self::ok(subject, right()) };
        let texts: Vec<String> = wrong.into_iter().map(|(_, text)| text).collect();
        Self { subject, verdict, text: texts.join("; ") }
    }
}

/// A time ahead of the clock by less than this may be another process's clock.
const CLOCK_SLACK: Duration = Duration::from_mins(1);
/// 2026-01-01T00:00:00Z: no usher was there before.
const FIRST_YEAR: i64 = 1_767_225_600_000;
/// With less room than this, changes are about to be refused.
const LITTLE_ROOM: u64 = 16 * 1024 * 1024;

/// Tells of each subject in turn, and returns the head of the audit log, if there is one to be read.
pub(super) fn examine(
    path: &Path,
    now: Timestamp,
    kept: Option<ChainPoint>,
    tell: &mut dyn FnMut(Finding),
) -> Option<ChainPoint> {
    let opened = file::refuse_displaced(path).and_then(|()| migrate::open_to_check(path));
    let connection = opened.map_err(|error| tell(Finding::error("file", error.to_string()))).ok();
    let (mut head, mut newest, mut hold) = (None, None, None);
    if let Some(connection) = &connection {
        tell(Finding::ok("file", format!("{}, {}", path.display(), size(length(path)))));
        let schema = schema(path, connection);
        let is_current = schema.is_ok();
        tell(schema.unwrap_or_else(|error| Finding::error("schema", error.to_string())));
        if !migrate::is_in_use(connection) {
            let text = "it is a copy that has not been put into use: other commands refuse it until 'usher migrate' or \
                        'usher serve' has run on it";
            tell(Finding::warning("in use", text));
        }
        tell(integrity(connection));
        if is_current {
            tell(accounts(connection));
            invitations(connection, now).into_iter().for_each(&mut *tell);
            if let Err(error) = (Reader { connection }).throttle_secret() {
                tell(Finding::error("throttle", error.to_string()));
            }
            head = audit(connection, kept, tell);
            future_entries(connection, now).ok().flatten().into_iter().for_each(&mut *tell);
            hold = Reader { connection }.clock_watch().ok().and_then(|watch| watch.hold_until);
            newest = newest_time(connection).ok().flatten();
            proxy(connection).into_iter().for_each(&mut *tell);
        }
    }
    drop(connection); // its files beside the database go with it, unless somebody else has it open
    tell(modes(path));
    tell(clock(now, newest, hold));
    tell(disk(path));
    tell(version());
    head
}

/// Fails where the rest can't be looked at, because it is laid out otherwise.
fn schema(path: &Path, connection: &Connection) -> Result<Finding, OpenError> {
    let version = migrate::require_current_in(path, connection)?;
    let differences = migrate::differences(connection).map_err(|error| OpenError::sqlite(path, &error))?;
    if differences.is_empty() {
        return Ok(Finding::ok("schema", format!("version {version}, as this usher makes it")));
    }
    let text = format!("{}: somebody has changed the schema; undo that, or restore a backup", differences.join(", "));
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
            Ok(format!("{count} rows of {table} refer to nothing in {parent}"))
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

/// A proxy that the server met and that nobody declared; nothing where there was none.
fn proxy(connection: &Connection) -> Option<Finding> {
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, Timestamp::from_millis(row.get(1)?)));
    let found = connection.query_row("SELECT ip, seen_at FROM undeclared_proxy", [], row).optional();
    let finding = match found.transpose()? {
        Ok((ip, at)) => Finding::warning("proxy", format!("{}; seen at {at}", UNDECLARED_PROXY.replace("PROXY", &ip))),
        Err(error) => Finding::error("proxy", format!("{error}; restore a backup")),
    };
    Some(finding)
}

/// Reads every account as the service does: one that it can't read fails the lists that it is in.
fn accounts(connection: &Connection) -> Finding {
    let reader = Reader { connection };
    let look = || Ok((reader.damaged_users()?, reader.count_users(&UserFilter::default())?));
    match look() {
        Ok((damaged, count)) if damaged.is_empty() => Finding::ok("accounts", format!("{count} can be read")),
        Ok((damaged, _)) => Finding::error("accounts", listed(&damaged)),
        Err::<_, Error>(error) => Finding::error("accounts", format!("{error}; restore a backup")),
    }
}

/// Reads every invitation that could be used; nothing where each can be read.
fn invitations(connection: &Connection, now: Timestamp) -> Option<Finding> {
    match (Reader { connection }).damaged_invitations(now) {
        Ok(damaged) if damaged.is_empty() => None,
        Ok(damaged) => Some(Finding::error("invitations", listed(&damaged))),
        Err(error) => Some(Finding::error("invitations", format!("{error}; restore a backup"))),
    }
}

/// The first of them, and how many more there are.
fn listed(damaged: &[impl ToString]) -> String {
    const LISTED: usize = 10;
    let mut texts: Vec<String> = damaged.iter().take(LISTED).map(ToString::to_string).collect();
    if damaged.len() > LISTED {
        texts.push(format!("and {} more", damaged.len() - LISTED));
    }
    texts.join("; ")
}

const AUDIT_ADVICE: &str =
    "that can't be undone: compare the log with a backup's, and find out who could write to the file";

/// Follows the whole chain at one moment, one entry at a time.
fn audit(connection: &Connection, kept: Option<ChainPoint>, tell: &mut dyn FnMut(Finding)) -> Option<ChainPoint> {
    let reader = Reader { connection };
    let look = || -> rusqlite::Result<(Ends, Finding, Option<Finding>)> {
        let _moment = connection.unchecked_transaction()?;
        let ends = reader.audit_ends()?;
        let kept = kept.map(|kept| contains(&reader, &ends, kept)).transpose()?;
        Ok((ends, chain(&reader, &ends)?, kept))
    };
    match look() {
        Ok((ends, chain, kept)) => {
            tell(chain);
            tell(kept.unwrap_or_else(|| without_kept(ends.head)));
            Some(ends.head)
        }
        Err(rusqlite::Error::QueryReturnedNoRows) => {
            tell(Finding::error(
                "audit",
                format!("where the log begins and ends is not noted any more; {AUDIT_ADVICE}"),
            ));
            None
        }
        Err(error) => {
            tell(Finding::error("audit", format!("the log can't be read: {error}; {AUDIT_ADVICE}")));
            None
        }
    }
}

fn chain(reader: &Reader<'_>, ends: &Ends) -> rusqlite::Result<Finding> {
    let walk = reader.walk_audit(ends)?;
    let (entries, last) = (walk.entries(), walk.last());
    let (faults, broken) = walk.end(ends.head);
    let mut texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let told = faults.len() as u64;
    if broken > told {
        texts.push(format!("and {} more faults", broken - told));
    }
    // SQLite keeps count of the ids, too.
    let counted = reader.audit_ids_counted()?;
    if broken == 0 && counted > last.id {
        texts.push(format!("the log ends at entry {}, and entry {counted} has been written", last.id));
    }
    if !texts.is_empty() {
        return Ok(Finding::error("audit", format!("{}; {AUDIT_ADVICE}", texts.join(", "))));
    }
    let text = match entries {
        0 => "no entries".to_owned(),
        1 => format!("one entry, {}, in its place in the chain", last.id),
        _ => format!("{entries} entries, {} to {}, each in its place in the chain", ends.anchor.id + 1, last.id),
    };
    Ok(Finding::ok("audit", text))
}

fn without_kept(head: ChainPoint) -> Finding {
    let text = format!(
        "{head}; keep it elsewhere, and prove against it with --audit-head: without one the chain shows accidents and clumsy \
         edits, but not an owner of the file who rebuilds it, nor that its end was cut off"
    );
    Finding::ok("audit head", text)
}

/// Whether the log contains a point that was kept elsewhere. What can't be proven is an error: a proof was asked for.
fn contains(reader: &Reader<'_>, ends: &Ends, kept: ChainPoint) -> rusqlite::Result<Finding> {
    let ChainPoint { id, .. } = kept;
    let (head, anchor) = (ends.head, ends.anchor);
    let found = match id.cmp(&anchor.id) {
        std::cmp::Ordering::Less => {
            let text = format!(
                "entry {id} was taken away by retention, as the log begins after entry {}: whether it was the one that you \
                 kept can't be proven any more; from now on keep {head}",
                anchor.id
            );
            return Ok(Finding::error("audit head", text));
        }
        std::cmp::Ordering::Equal => Some(anchor.hash),
        std::cmp::Ordering::Greater => reader.audit_hash(id)?,
    };
    Ok(match found {
        Some(hash) if hash == kept.hash => {
            Finding::ok("audit head", format!("the log contains entry {id} as you kept it; from now on keep {head}"))
        }
        Some(_) => Finding::error(
            "audit head",
            format!("entry {id} is not the one that you kept: the log was rebuilt, or is another one; {AUDIT_ADVICE}"),
        ),
        None if id > head.id => Finding::error(
            "audit head",
            format!(
                "the log ends at entry {}, before entry {id} that you kept: its end was cut off, or an older copy restored; {AUDIT_ADVICE}",
                head.id
            ),
        ),
        None => Finding::error("audit head", format!("entry {id} that you kept is missing; {AUDIT_ADVICE}")),
    })
}

/// Entries that were written while the clock was ahead.
fn future_entries(connection: &Connection, now: Timestamp) -> rusqlite::Result<Option<Finding>> {
    const SQL: &str = "SELECT count(*), ifnull(min(id), 0), ifnull(max(at), 0) FROM audit WHERE at > ?1";
    let (count, first, latest): (i64, i64, i64) =
        connection
            .query_row(SQL, [(now + CLOCK_SLACK).as_millis()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let text = format!(
        "{count} entries are dated in the future, the first of them is {first}, the latest time {}: the clock was ahead, or is \
         behind now; retention takes them away with later ones that are old",
        Timestamp::from_millis(latest)
    );
    Ok((count > 0).then(|| Finding::warning("audit time", text)))
}

fn newest_time(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    const SQL: &str = "SELECT max(at) FROM (SELECT at FROM (SELECT at FROM audit ORDER BY id DESC LIMIT 1)
        UNION ALL SELECT max(last_used_at) FROM sessions UNION ALL SELECT max(created_at) FROM users)";
    let newest: Option<i64> = connection.query_row(SQL, [], |row| row.get(0))?;
    Ok(newest.map(Timestamp::from_millis))
}

/// `hold`: until when nothing is deleted because of its age.
fn clock(now: Timestamp, newest: Option<Timestamp>, hold: Option<Timestamp>) -> Finding {
    if now < Timestamp::from_millis(FIRST_YEAR) {
        let text = format!("this machine's clock shows {now}, when there was no usher yet; set it");
        return Finding::error("clock", text);
    }
    match newest.filter(|newest| *newest > now + CLOCK_SLACK) {
        Some(newest) => Finding::warning(
            "clock",
            format!(
                "this machine's clock shows {now}, and the database holds times up to {newest}: set the clock; if it was ahead before, sessions and audit entries of that time last longer"
            ),
        ),
        None => match hold.filter(|until| now < *until) {
            Some(until) => Finding::warning(
                "clock",
                format!(
                    "this machine's clock shows {now}, and the server saw it jump ahead, or was down for more than a day: nothing \
                     is deleted because of its age until {until}; if the clock is wrong, set it"
                ),
            ),
            None => Finding::ok("clock", now.to_string()),
        },
    }
}

fn modes(path: &Path) -> Finding {
    let owner = std::fs::metadata(path).map(|metadata| metadata.uid()).ok();
    let (mut wrong, mut shared, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let name = beside(path, suffix);
        let Ok(metadata) = std::fs::metadata(&name) else { continue };
        let (name, mode) = (name.display(), metadata.permissions().mode() & 0o777);
        if mode & 0o077 != 0 {
            shared.push(format!("{name} has mode {mode:03o}"));
            names.push(name.to_string());
        }
        if owner.is_some_and(|owner| owner != metadata.uid()) {
            let text = format!("{name} belongs to another user than {} does: chown it to that one", path.display());
            wrong.push((Verdict::Error, text));
        }
    }
    if owner.is_some() && file::is_read_only(path) {
        let name = path.display();
        wrong.push((Verdict::Error, format!("{name} can only be read, so every change is refused: chmod u+w {name}")));
    }
    if !shared.is_empty() {
        let text = format!("{}, and others may use them: chmod 600 {}", shared.join(", "), names.join(" "));
        wrong.push((Verdict::Error, text));
    }
    if let Some((folder, mode)) = file::open_folder(path) {
        let folder = folder.display();
        let text =
            format!("other users can reach {folder} (mode {mode:03o}): better a folder of its own with chmod 700");
        wrong.push((Verdict::Warning, text));
    }
    Finding::of("modes", wrong, || "only their owner can read and write the files".to_owned())
}

fn disk(path: &Path) -> Finding {
    let stat = match statvfs(folder_of(path)) {
        Ok(stat) => stat,
        Err(error) => return Finding::error("disk", format!("{} can't be asked: {error}", folder_of(path).display())),
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let used = length(path) + length(&beside(path, "-wal"));
    let mut wrong = Vec::new();
    if stat.f_flag.contains(StatVfsMountFlags::RDONLY) {
        wrong.push((
            Verdict::Error,
            "it is mounted read-only, so every change is refused: mount it for writing".to_owned(),
        ));
    }
    if free < LITTLE_ROOM {
        let text = format!("{} are free, and changes are refused when it is full: make room", size(free));
        wrong.push((Verdict::Error, text));
    } else if free < used {
        let text =
            format!("{} are free, too little for a copy of the database ({}): make room", size(free), size(used));
        wrong.push((Verdict::Warning, text));
    }
    if let Some(OddDisk::Doubtful(kind)) = file::odd_disk(path) {
        wrong.push((
            Verdict::Warning,
            format!("it is {kind}, where SQLite's locks may not work: a local disk is safer"),
        ));
    }
    Finding::of("disk", wrong, || format!("{} free", size(free)))
}

fn version() -> Finding {
    let text = format!("usher {}, SQLite {}", env!("CARGO_PKG_VERSION"), rusqlite::version());
    match check_sqlite() {
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
    fn a_size_is_told_in_the_unit_that_fits() {
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

    #[test]
    fn a_clock_before_the_first_version_or_before_the_newest_entry_is_noticed() {
        let at = |seconds: i64| Timestamp::from_millis(FIRST_YEAR + 1000 * seconds);
        assert_eq!(clock(at(-1), None, None).verdict, Verdict::Error);
        assert_eq!(clock(at(100), None, None).verdict, Verdict::Ok);
        assert_eq!(clock(at(100), Some(at(130)), None).verdict, Verdict::Ok);
        assert_eq!(clock(at(100), Some(at(200)), None).verdict, Verdict::Warning);
        assert_eq!(clock(at(100), None, Some(at(101))).verdict, Verdict::Warning);
        assert_eq!(clock(at(100), None, Some(at(100))).verdict, Verdict::Ok);
    }

    #[test]
    fn a_finding_is_as_bad_as_the_worst_of_it() {
        let of = |verdicts: &[Verdict]| {
            let wrong = verdicts.iter().map(|verdict| (*verdict, format!("{verdict:?}"))).collect();
            Finding::of("x", wrong, || "fine".into())
        };
        assert_eq!(of(&[]), Finding::ok("x", "fine"));
        assert_eq!(of(&[Verdict::Warning, Verdict::Error]), Finding::error("x", "Warning; Error"));
    }
}
