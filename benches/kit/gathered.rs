//! What gathers beside accounts and sessions: groups, apps, app tokens, invitations, and an audit log of the last months.

use super::{
    seeding::{self, BUSY, DAY, alone_in, is_admin},
    server,
};
use anyhow::{Context, Result};
use fastrand::Rng;
use rusqlite::{Connection, params};
use std::{collections::BTreeMap, path::Path};
use usher::domain::{
    Action, AppToken, AppTokenSecret, ChainHash, ChainedEntry, Charted, Day, InvitationToken, Timestamp,
};

/// Several pages of each, as 50 stand on one.
pub const GROUPS: u32 = 150;
const APPS: u32 = 150;
const INVITATIONS: u32 = 1_000;
/// How far back the log goes: not so far that the service would delete any of it because of its age.
const LOG: i64 = 80 * DAY;
/// One entry in so many is about the busy account.
const ABOUT_BUSY: u32 = 100;

/// Adds them to what `seed` made, with so many entries of the log, and has `usher check` look at all of it.
pub fn gather(file: &Path, users: u32, entries: u32) -> Result<()> {
    alone_in(file, |connection, now| {
        insert_groups(connection, users, now)?;
        insert_apps(connection, now)?;
        insert_app_tokens(connection, now)?;
        insert_invitations(connection, now)?;
        insert_log(connection, users, entries, now)
    })?;
    seeding::check(file)?;
    server::run(file, &["check"], "")
}

/// Each account is in two of them.
fn insert_groups(connection: &Connection, users: u32, now: i64) -> Result<()> {
    let mut insert =
        connection.prepare("INSERT INTO groups (id, name, name_key, created_at) VALUES (?1, ?2, ?2, ?3)")?;
    for number in 1..=GROUPS {
        insert.execute(params![number, format!("group-{number}"), now - 100 * DAY])?;
    }
    let mut join = connection.prepare("INSERT INTO group_members (user_id, group_id) VALUES (?1, ?2)")?;
    for number in 1..=users {
        for group in [number % GROUPS, (number + 7) % GROUPS] {
            join.execute([number, 1 + group])?;
        }
    }
    Ok(())
}

/// Every other one lets groups in, the rest everyone.
fn insert_apps(connection: &Connection, now: i64) -> Result<()> {
    let mut insert = connection.prepare(
        "INSERT INTO apps (id, name, url, host, access, created_at, verified_at, verified_from)
         VALUES (?1, ?2, 'http://' || ?3, ?3, ?4, ?5, ?6, '127.0.0.1')",
    )?;
    let mut admit = connection.prepare("INSERT INTO app_groups (app_id, group_id) VALUES (?1, ?2)")?;
    for number in 1..=APPS {
        let (name, host) = (format!("App {number}"), format!("app-{number}.localhost"));
        let by_group = number % 2 == 0;
        let access = if by_group { "groups" } else { "everyone" };
        insert.execute(params![number, name, host, access, now - 90 * DAY, now - i64::from(number) * 60_000])?;
        for group in (0..3).filter(|_| by_group) {
            admit.execute([number, 1 + (number + group) % GROUPS])?;
        }
    }
    Ok(())
}

/// As many for the busy account as one may have.
fn insert_app_tokens(connection: &Connection, now: i64) -> Result<()> {
    let mut insert = connection.prepare(
        "INSERT INTO app_tokens (token_hash, user_id, app_id, name, created_at, expires_at, last_used_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?5)",
    )?;
    for number in 1..=AppToken::MAX_PER_USER {
        let hash = AppTokenSecret::generate().hash();
        let app = 1 + 2 * (number % (APPS / 2));
        insert.execute(params![hash.as_bytes(), BUSY, app, format!("Phone {number}"), now - DAY, now + 90 * DAY])?;
    }
    Ok(())
}

fn insert_invitations(connection: &Connection, now: i64) -> Result<()> {
    let mut insert = connection.prepare(
        "INSERT INTO invitations (token_hash, email, role, created_by, created_at, expires_at)
         VALUES (?1, ?2, 'user', 1, ?3, ?4)",
    )?;
    for number in 1..=INVITATIONS {
        let email = (number % 2 == 0).then(|| format!("guest{number}@example.com"));
        insert.execute(params![InvitationToken::generate().hash().as_bytes(), email, now - DAY, now + 6 * DAY])?;
    }
    Ok(())
}

/// Takes the place of the entry that says how the first account came, since a log begins with its oldest entry.
fn insert_log(connection: &Connection, users: u32, entries: u32, now: i64) -> Result<()> {
    connection.execute_batch("DELETE FROM audit; DELETE FROM audit_days;")?;
    let mut insert = connection.prepare(
        "INSERT INTO audit (id, at, action, actor, subject, ip, request_id, count, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8)",
    )?;
    let (mut random, mut head) = (Rng::with_seed(3), ChainHash::START);
    let mut days: BTreeMap<(i64, &str), i64> = BTreeMap::new();
    for id in 1..=i64::from(entries) {
        let at = now - LOG + LOG * id / i64::from(entries + 1);
        let (action, actor, subject) = what_happened(&mut random, users);
        let (ip, request_id) = (format!("203.0.113.{}", random.u8(..)), format!("{:016x}", random.u64(..)));
        let entry = ChainedEntry {
            id,
            at,
            action: action.as_str().as_bytes(),
            actor,
            subject,
            ip: Some(ip.as_bytes()),
            request_id: Some(request_id.as_bytes()),
            count: 1,
        };
        head = entry.hash(&head);
        insert.execute(params![id, at, action.as_str(), actor, subject, ip, request_id, head.0])?;
        if let Some(kind) = Charted::of(action) {
            *days.entry((Day::of(Timestamp::from_millis(at)).number(), kind.as_str())).or_default() += 1;
        }
    }
    let mut count = connection.prepare("INSERT INTO audit_days (day, kind, count) VALUES (?1, ?2, ?3)")?;
    for ((day, kind), number) in days {
        count.execute(params![day, kind, number])?;
    }
    let state = "UPDATE audit_state SET head_id = ?1, head_hash = ?2";
    connection.execute(state, params![entries, head.0]).context("the end of the log")?;
    Ok(())
}

/// An action, the account that did it, and the one that was affected. Most of what happens is that people go about.
fn what_happened(random: &mut Rng, users: u32) -> (Action, Option<i64>, Option<i64>) {
    let user = if random.u32(0..ABOUT_BUSY) == 0 { BUSY } else { i64::from(random.u32(1..=users)) };
    let user = Some(user);
    let admins = (users - 1) / 1_000;
    let admin = 1 + 1_000 * random.u32(0..=admins);
    debug_assert!(is_admin(admin));
    let admin = Some(i64::from(admin));
    match random.u32(0..100_000) {
        0 => (Action::DatabaseBackedUp, None, None),
        1..30_000 => (Action::SignedIn, user, user),
        30_000..65_000 => (Action::AppEntered, user, user),
        65_000..80_000 => (Action::SignedOut, user, user),
        80_000..88_000 => (Action::SignInFailed, None, user),
        88_000..92_000 => (Action::AttemptThrottled, None, None),
        92_000..95_000 => (Action::AccessDenied, user, None),
        95_000..97_000 => (Action::UserUpdated, user, user),
        97_000..98_000 => (Action::UserUpdated, admin, user),
        98_000..99_000 => (Action::SessionsRevoked, admin, user),
        _ => (Action::UserRegistered, None, user),
    }
}
