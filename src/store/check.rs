//! The checks of a database that don't depend on the engine. They change nothing, and say what is wrong and what to do.

use super::{Reader, sql::Fault, tables::Ends};
use crate::domain::{App, ChainPoint, Error, LastAsked, PasswordHash, Timestamp, UNDECLARED_PROXY, UserFilter, UserId};
use std::time::Duration;

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Ok,
    /// It works, but something could go wrong.
    Warning,
    Error,
}

/// What was found about one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub subject: &'static str,
    pub verdict: Verdict,
    /// The finding; if something is wrong, also what to do.
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

    /// Combines all faults into one finding with the worst verdict; without faults, it is ok.
    pub fn of(subject: &'static str, wrong: Vec<(Verdict, String)>, right: impl FnOnce() -> String) -> Self {
        let Some(verdict) = wrong.iter().map(|(verdict, _)| *verdict).max() else { return Self::ok(subject, right()) };
        let texts: Vec<String> = wrong.into_iter().map(|(_, text)| text).collect();
        Self { subject, verdict, text: texts.join("; ") }
    }
}

/// Times this far ahead may come from another process's clock.
const CLOCK_SLACK: Duration = Duration::from_mins(1);
/// 2026-01-01T00:00:00Z: usher did not exist before.
const FIRST_YEAR: i64 = 1_767_225_600_000;

/// Reports on what is stored, apart from the audit log: accounts, their passwords, invitations and the throttle's key.
pub(super) fn content(
    reader: &Reader<'_>,
    now: Timestamp,
    hash_fault: fn(&PasswordHash) -> Option<String>,
    report: &mut dyn FnMut(Finding),
) {
    report(accounts(reader));
    passwords(reader, hash_fault).into_iter().for_each(&mut *report);
    invitations(reader, now).into_iter().for_each(&mut *report);
    groups(reader).into_iter().for_each(&mut *report);
    apps(reader).into_iter().for_each(&mut *report);
    if let Err(error) = reader.throttle_secret() {
        report(Finding::error("throttle", error.to_string()));
    }
}

impl Reader<'_> {
    /// What a running server can say of itself: everything but what reads the whole audit log or the whole file. Scans all
    /// accounts, invitations, groups and apps.
    pub fn findings(&self, now: Timestamp, hash_fault: fn(&PasswordHash) -> Option<String>) -> Vec<Finding> {
        let mut findings = Vec::new();
        content(self, now, hash_fault, &mut |finding| findings.push(finding));
        findings.extend(proxy(self));
        findings.push(clock(now, times(self)));
        findings
    }

    /// The apps that can be read, and when a proxy last asked about each.
    pub fn asked_apps(&self) -> Result<Vec<(App, Option<LastAsked>)>, Error> {
        Ok(self.readable_apps()?)
    }
}

/// The latest stored time, and the one until which nothing is deleted because of its age.
pub(super) fn times(reader: &Reader<'_>) -> [Option<Timestamp>; 2] {
    [reader.newest_time().ok().flatten(), reader.clock_watch().ok().and_then(|watch| watch.hold_until)]
}

/// Reports on dates in the future, and on an undeclared proxy that the server saw.
pub(super) fn observations(reader: &Reader<'_>, now: Timestamp, report: &mut dyn FnMut(Finding)) {
    future_entries(reader, now).into_iter().for_each(&mut *report);
    proxy(reader).into_iter().for_each(&mut *report);
}

/// An undeclared proxy that the server saw, if any.
fn proxy(reader: &Reader<'_>) -> Option<Finding> {
    let finding = match reader.undeclared_proxy().transpose()? {
        Ok((ip, at)) => Finding::warning("proxy", format!("{}; seen at {at}", UNDECLARED_PROXY.replace("PROXY", &ip))),
        Err(error) => Finding::error("proxy", format!("{error}; restore a backup")),
    };
    Some(finding)
}

/// Reads every account as the service does: a damaged account makes every list that contains it fail.
fn accounts(reader: &Reader<'_>) -> Finding {
    let look = || Ok((reader.damaged_users()?, reader.count_users(&UserFilter::default())?));
    match look() {
        Ok((damaged, count)) if damaged.is_empty() => Finding::ok("accounts", format!("{count} can be read")),
        Ok((damaged, _)) => Finding::error("accounts", listed(&damaged)),
        Err::<_, Error>(error) => Finding::error("accounts", format!("{error}; restore a backup")),
    }
}

/// Looks at every stored hash: with one that can't be verified, nobody signs in. `None` if there is none.
fn passwords(reader: &Reader<'_>, hash_fault: fn(&PasswordHash) -> Option<String>) -> Option<Finding> {
    let advice = |(id, fault): &(UserId, String)| {
        format!("the stored password of account {id} {fault}; set a new one with 'usher user set-password {id}'")
    };
    match reader.faulty_hashes(hash_fault) {
        Ok(faulty) if faulty.is_empty() => None,
        Ok(faulty) => Some(Finding::error("passwords", listed(&faulty.iter().map(advice).collect::<Vec<_>>()))),
        Err(error) => Some(Finding::error("passwords", format!("{error}; restore a backup"))),
    }
}

/// Reads every invitation that can still be used. `None` if all of them are readable.
fn invitations(reader: &Reader<'_>, now: Timestamp) -> Option<Finding> {
    match reader.damaged_invitations(now) {
        Ok(damaged) if damaged.is_empty() => None,
        Ok(damaged) => Some(Finding::error("invitations", listed(&damaged))),
        Err(error) => Some(Finding::error("invitations", format!("{error}; restore a backup"))),
    }
}

/// Reads every group; nothing where each can be read.
fn groups(reader: &Reader<'_>) -> Option<Finding> {
    match reader.damaged_groups() {
        Ok(damaged) if damaged.is_empty() => None,
        Ok(damaged) => Some(Finding::error("groups", listed(&damaged))),
        Err(error) => Some(Finding::error("groups", format!("{error}; restore a backup"))),
    }
}

/// Reads every app; nothing where each can be read.
fn apps(reader: &Reader<'_>) -> Option<Finding> {
    match reader.damaged_apps() {
        Ok(damaged) if damaged.is_empty() => None,
        Ok(damaged) => Some(Finding::error("apps", listed(&damaged))),
        Err(error) => Some(Finding::error("apps", format!("{error}; restore a backup"))),
    }
}

/// The first ones, and the number of the others.
fn listed(damaged: &[impl ToString]) -> String {
    const MAX_LISTED: usize = 10;
    let mut texts: Vec<String> = damaged.iter().take(MAX_LISTED).map(ToString::to_string).collect();
    if damaged.len() > MAX_LISTED {
        texts.push(format!("and {} more", damaged.len() - MAX_LISTED));
    }
    texts.join("; ")
}

const AUDIT_ADVICE: &str =
    "this can't be repaired: compare the log with that of a backup, and find out who could write to the file";

/// Checks the whole chain, one entry at a time. `counted` is the highest id that the engine remembers. The reader must
/// be a consistent snapshot.
pub(super) fn audit(
    reader: &Reader<'_>,
    counted: Result<i64, Fault>,
    kept: Option<ChainPoint>,
    report: &mut dyn FnMut(Finding),
) -> Option<ChainPoint> {
    let look = || -> Result<Option<(Ends, Finding, Option<Finding>)>, Fault> {
        let Some(ends) = reader.stored_audit_ends()? else { return Ok(None) };
        let kept = kept.map(|kept| contains(reader, &ends, kept)).transpose()?;
        Ok(Some((ends, chain(reader, &ends, counted?)?, kept)))
    };
    match look() {
        Ok(Some((ends, chain, kept))) => {
            report(chain);
            report(kept.unwrap_or_else(|| without_kept(ends.head)));
            Some(ends.head)
        }
        Ok(None) => {
            report(Finding::error(
                "audit",
                format!("the record of where the log begins and ends is missing; {AUDIT_ADVICE}"),
            ));
            None
        }
        Err(fault) => {
            report(Finding::error("audit", format!("the log can't be read: {fault}; {AUDIT_ADVICE}")));
            None
        }
    }
}

fn chain(reader: &Reader<'_>, ends: &Ends, counted: i64) -> Result<Finding, Fault> {
    let walk = reader.walk_audit(ends)?;
    let (entries, last) = (walk.entries(), walk.last());
    let (faults, broken) = walk.end(ends.head);
    let mut texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
    let listed = faults.len() as u64;
    if broken > listed {
        texts.push(format!("and {} more faults", broken - listed));
    }
    if broken == 0 && counted > last.id {
        texts.push(format!("the log ends at entry {}, but entry {counted} was written", last.id));
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
        "{head}. Keep it elsewhere, and pass it to --audit-head later. Without it, only accidents and simple edits can be found"
    );
    Finding::ok("audit head", text)
}

/// Whether the log contains a point that was kept elsewhere. If that can't be proven, it is an error, because a proof
/// was requested.
fn contains(reader: &Reader<'_>, ends: &Ends, kept: ChainPoint) -> Result<Finding, Fault> {
    let ChainPoint { id, .. } = kept;
    let (head, anchor) = (ends.head, ends.anchor);
    let found = match id.cmp(&anchor.id) {
        std::cmp::Ordering::Less => {
            let text = format!(
                "retention has deleted entry {id}, as the log begins after entry {}: whether it was the one that you kept \
                 can no longer be proven; keep {head} from now on",
                anchor.id
            );
            return Ok(Finding::error("audit head", text));
        }
        std::cmp::Ordering::Equal => Some(anchor.hash),
        std::cmp::Ordering::Greater => reader.audit_hash(id)?,
    };
    Ok(match found {
        Some(hash) if hash == kept.hash => {
            Finding::ok("audit head", format!("the log contains entry {id} as you kept it; keep {head} from now on"))
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

/// Entries dated in the future, written while the clock was ahead.
fn future_entries(reader: &Reader<'_>, now: Timestamp) -> Option<Finding> {
    let (count, first, latest) = reader.audit_after_time(now + CLOCK_SLACK).ok()?;
    let text = format!(
        "{count} entries are dated in the future: the first is entry {first}, and the latest time is {latest}. The clock was \
         ahead, or is behind now. Retention deletes them when later entries are old enough"
    );
    (count > 0).then(|| Finding::warning("audit time", text))
}

/// Compares the clock with the stored times. Until `hold`, nothing is deleted because of its age.
pub(super) fn clock(now: Timestamp, [newest, hold]: [Option<Timestamp>; 2]) -> Finding {
    if now < Timestamp::from_millis(FIRST_YEAR) {
        let text = format!("this machine's clock shows {now}, a time before the first version of usher; set it");
        return Finding::error("clock", text);
    }
    match newest.filter(|newest| *newest > now + CLOCK_SLACK) {
        Some(newest) => Finding::warning(
            "clock",
            format!(
                "this machine's clock shows {now}, but the database contains times up to {newest}: set the clock. If it was ahead before, sessions and audit entries from then are kept longer"
            ),
        ),
        None => match hold.filter(|until| now < *until) {
            Some(until) => Finding::warning(
                "clock",
                format!(
                    "this machine's clock shows {now}. It jumped ahead, or the server was down for more than a day: nothing is \
                     deleted because of its age until {until}. If the clock is wrong, set it"
                ),
            ),
            None => Finding::ok("clock", now.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_are_listed_and_the_others_counted() {
        let text = |count: u32| listed(&(1..=count).collect::<Vec<_>>());
        assert_eq!(text(10), "1; 2; 3; 4; 5; 6; 7; 8; 9; 10");
        assert_eq!(text(11), text(10) + "; and 1 more");
    }

    #[test]
    fn a_clock_before_the_first_version_or_before_the_newest_entry_is_noticed() {
        let at = |seconds: i64| Timestamp::from_millis(FIRST_YEAR + 1000 * seconds);
        assert_eq!(clock(at(-1), [None, None]).verdict, Verdict::Error);
        assert_eq!(clock(at(100), [None, None]).verdict, Verdict::Ok);
        assert_eq!(clock(at(100), [Some(at(130)), None]).verdict, Verdict::Ok);
        assert_eq!(clock(at(100), [Some(at(200)), None]).verdict, Verdict::Warning);
        assert_eq!(clock(at(100), [None, Some(at(101))]).verdict, Verdict::Warning);
        assert_eq!(clock(at(100), [None, Some(at(100))]).verdict, Verdict::Ok);
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
