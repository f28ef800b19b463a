//! Databases of any size, the way they would look after some years: made by the real executable and filled beside it.
//!
//! Which accounts there are follows from their number alone, so two databases of one size differ only in times and tokens.

use super::server;
use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use rusqlite::{Connection, params};
use std::{
    fs::File,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use usher::domain::{SessionId, SessionToken};

/// The password of every account.
pub const PASSWORD: &str = "correct horse battery";
/// The first account: an administrator, made by the command line, whose hash the others share.
pub const ADMIN: (&str, &str) = ("root", "root@example.com");
/// An account with a hundred sessions, as many as one may have.
pub const BUSY: i64 = 2;
const BUSY_SESSIONS: u32 = 100;
/// How many tokens are written down.
const TOKENS: u32 = 5_000;

pub const DAY: i64 = 24 * 60 * 60 * 1000;
const FIRST: [&str; 40] = [
    "ada", "aisha", "akira", "alice", "amina", "anna", "antonio", "ben", "carlos", "chen", "chloe", "david", "elena",
    "emma", "fatima", "felix", "grace", "hanna", "ivan", "jan", "jonas", "julia", "kofi", "lara", "leon", "lucas",
    "maria", "mei", "mohammed", "nina", "noah", "olga", "omar", "paul", "petra", "priya", "sofia", "thomas", "yuki",
    "zoe",
];
const LAST: [&str; 60] = [
    "abebe",
    "andersson",
    "bakker",
    "bauer",
    "becker",
    "brown",
    "costa",
    "diaz",
    "dubois",
    "evans",
    "fernandez",
    "fischer",
    "garcia",
    "gomez",
    "haddad",
    "hansen",
    "hernandez",
    "hoffmann",
    "ivanova",
    "jansen",
    "johnson",
    "jones",
    "kim",
    "klein",
    "kowalski",
    "kumar",
    "lee",
    "lopez",
    "martin",
    "martinez",
    "mensah",
    "meyer",
    "moreau",
    "mueller",
    "nakamura",
    "nguyen",
    "novak",
    "okafor",
    "olsen",
    "papadakis",
    "patel",
    "pereira",
    "petrov",
    "popescu",
    "rossi",
    "sanchez",
    "santos",
    "sato",
    "schmidt",
    "schneider",
    "silva",
    "singh",
    "smith",
    "suzuki",
    "tanaka",
    "thompson",
    "wagner",
    "walker",
    "weber",
    "zhang",
];
const DOMAINS: [&str; 4] = ["example.com", "example.org", "example.net", "mail.example"];
const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "curl/8.14.1",
];

/// What is made.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub users: u32,
    pub sessions: u32,
}

/// What was made.
pub struct Seeded {
    pub bytes: u64,
    pub took: Duration,
    pub checked_in: Duration,
}

/// Username and address of an account. Most are called after people; the last tenth came in one import, and is called
/// `s2026-` and a number.
pub fn name(number: u32, users: u32) -> (String, String) {
    if number > users - users / 10 {
        let name = format!("s2026-{number:07}");
        return (name.clone(), format!("{name}@school.example"));
    }
    // A step that has no factor in common with their number meets all pairs of names once, not in the order of the alphabet.
    let pairs = FIRST.len() * LAST.len();
    let (pair, round) = (number as usize * 1_103 % pairs, number as usize / pairs);
    let (first, last) = (FIRST[pair % FIRST.len()], LAST[pair / FIRST.len()]);
    let digits = if round == 0 { String::new() } else { round.to_string() };
    let name = match number % 3 {
        0 => format!("{first}.{last}{digits}"),
        1 => format!("{}_{}{digits}", capitalized(first), capitalized(last)),
        _ => format!("{last}-{first}{digits}"),
    };
    (name, format!("{first}.{last}{digits}@{}", DOMAINS[number as usize % DOMAINS.len()]))
}

fn capitalized(name: &str) -> String {
    name[..1].to_uppercase() + &name[1..]
}

/// One in a hundred.
pub fn is_disabled(number: u32) -> bool {
    number % 100 == 50
}

/// One in a thousand.
pub fn is_admin(number: u32) -> bool {
    number % 1_000 == 1
}

/// One in eight.
fn never_signed_in(number: u32) -> bool {
    number.wrapping_mul(2_654_435_761) >> 29 == 0 && !is_admin(number)
}

/// Where the tokens of a database are written down, one a line.
pub fn tokens_beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".tokens");
    name.into()
}

/// The tokens that are written down, each with the id of its user.
pub fn tokens(file: &Path) -> Result<Vec<(String, u32)>> {
    let list = tokens_beside(file);
    let list = std::fs::read_to_string(&list).with_context(|| format!("{} can't be read", list.display()))?;
    let line = |line: &str| {
        let mut words = line.split(' ');
        let (token, user) = (words.next()?, words.next_back()?);
        Some((token.to_owned(), user.parse().ok()?))
    };
    list.lines().map(|text| line(text).context("not a list of tokens")).collect()
}

/// Makes a database that must not be there yet. `cost` are flags for the hash that all accounts share.
pub fn seed(file: &Path, size: Size, cost: &[&str]) -> Result<Seeded> {
    ensure!(!file.exists(), "{} is there already", file.display());
    ensure!(
        size.users >= 10 && size.sessions >= 2 * BUSY_SESSIONS,
        "at least 10 users and {} sessions",
        2 * BUSY_SESSIONS
    );
    let start = Instant::now();
    // It gets its name when it is whole: the filling is not safe against a crash.
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = tempfile::Builder::new().prefix(".seeding-").tempdir_in(parent)?;
    let unfinished = folder.path().join("usher.db");
    server::run(&unfinished, &["migrate"], "")?;
    let (name, email) = ADMIN;
    let admin = [&["create-admin", "--username", name, "--email", email, "--password-stdin"], cost].concat();
    server::run(&unfinished, &admin, PASSWORD)?;
    let tokens = fill(&unfinished, size)?;
    File::open(&unfinished)?.sync_all()?;
    let filled = Instant::now();
    check(&unfinished)?;
    let checked_in = filled.elapsed();
    let mut list = File::options().create_new(true).write(true).mode(0o600).open(tokens_beside(file))?;
    list.write_all(tokens.as_bytes())?;
    list.sync_all()?;
    std::fs::rename(&unfinished, file)?;
    File::open(parent)?.sync_all()?;
    Ok(Seeded { bytes: file.metadata()?.len(), took: start.elapsed(), checked_in })
}

fn fill(file: &Path, size: Size) -> Result<String> {
    alone_in(file, |connection, now| {
        insert_users(connection, size.users, now)?;
        insert_sessions(connection, size, now)
    })
}

/// Fills a file, as fast as can be, in one transaction. The work is told the time, in milliseconds.
pub fn alone_in<T>(file: &Path, work: impl FnOnce(&Connection, i64) -> Result<T>) -> Result<T> {
    let connection = Connection::open(file)?;
    // Nobody else is here and a crash means to begin anew, so nothing is journalled and nothing waits for the disk.
    let fast =
        [("locking_mode", "EXCLUSIVE"), ("synchronous", "OFF"), ("foreign_keys", "OFF"), ("cache_size", "-2000000")];
    for (pragma, value) in fast {
        connection.pragma_update(None, pragma, value)?;
    }
    connection.pragma_update_and_check(None, "journal_mode", "OFF", |_| Ok(()))?;
    connection.execute_batch("BEGIN")?;
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let done = work(&connection, now)?;
    connection.execute_batch("COMMIT")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(done)
}

fn insert_users(connection: &Connection, users: u32, now: i64) -> Result<()> {
    let hash: String = connection.query_row("SELECT password_hash FROM users", [], |row| row.get(0))?;
    let mut insert = connection.prepare(
        "INSERT INTO users (id, username, username_key, email, email_key, email_verified, password_hash, password_version, role, disabled, revision,
                            created_at, updated_at, last_login_at)
         VALUES (?1, ?2, lower(?2), ?3, lower(?3), ?4, ?5, 1, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    let mut random = Rng::with_seed(1);
    let (oldest, youngest) = (now - 3 * 365 * DAY, now - DAY);
    for number in 2..=users {
        let (username, email) = name(number, users);
        // The imported ones were all made in one moment; the others one after the other.
        let age = i64::from(number.min(users - users / 10));
        let created_at = oldest + (youngest - oldest) * age / i64::from(users);
        let since = now - created_at;
        let last_login_at = (!never_signed_in(number)).then(|| now - since * random.i64(0..=1_000).pow(2) / 1_000_000);
        let updated_at = if random.u8(0..5) == 0 { created_at + random.i64(0..=since) } else { created_at };
        let role = if is_admin(number) { "admin" } else { "user" };
        let changes = 1 + i64::from(updated_at > created_at);
        let verified = random.bool();
        let disabled = is_disabled(number);
        insert.execute(params![
            number,
            username,
            email,
            verified,
            hash,
            role,
            disabled,
            changes,
            created_at,
            updated_at,
            last_login_at
        ])?;
    }
    Ok(())
}

/// Returns some of the tokens, spread evenly, each with its session's and its user's id.
fn insert_sessions(connection: &Connection, size: Size, now: i64) -> Result<String> {
    let mut insert = connection.prepare(
        "INSERT INTO sessions (id, token_hash, user_id, kind, created_at, authenticated_at, last_used_at, expires_at, ip, user_agent)
         VALUES (?1, ?2, ?3, 'api', ?4, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let mut random = Rng::with_seed(2);
    let mut tokens = String::new();
    let each = (size.sessions / TOKENS).max(1);
    for number in 0..size.sessions {
        let user = if number < BUSY_SESSIONS { u32::try_from(BUSY)? } else { owner(&mut random, size.users) };
        // One in twenty has ended, and is kept for a week. The tokens that are written down are of none of those.
        let known = number % each == 0;
        let ended = !known && number >= BUSY_SESSIONS && random.u8(0..20) == 0;
        let unused = if ended { random.i64(8 * DAY..13 * DAY) } else { random.i64(0..3 * DAY) };
        let created_at = now - unused - random.i64(0..10 * DAY);
        let (token, id) = (SessionToken::generate(), SessionId::generate());
        let ip = format!("203.0.113.{}", random.u8(..));
        let agent = AGENTS[random.usize(..AGENTS.len())];
        insert.execute(params![
            id.as_str(),
            token.hash().as_bytes(),
            user,
            created_at,
            now - unused,
            created_at + 30 * DAY,
            ip,
            agent
        ])?;
        if known {
            tokens += &format!("{} {} {user}\n", token.reveal(), id.as_str());
        }
    }
    Ok(tokens)
}

/// Somebody who can sign in and did. One session in five is of the twentieth of accounts that are used most.
fn owner(random: &mut Rng, users: u32) -> u32 {
    loop {
        let number = random.u32(1..=users);
        let user = if random.u8(0..5) == 0 { number - number % 20 + 3 } else { number };
        if user > 2 && user <= users && !is_disabled(user) && !never_signed_in(user) {
            return user;
        }
    }
}

/// What SQLite and the schema can say about the file.
pub fn check(file: &Path) -> Result<()> {
    let connection = Connection::open(file)?;
    for pragma in ["quick_check", "foreign_key_check"] {
        let mut statement = connection.prepare(&format!("PRAGMA {pragma}"))?;
        let complaints: Vec<String> = statement
            .query_map([], |row| Ok(row.get_ref(0)?.as_str().unwrap_or("a row without its parent").to_owned()))?
            .collect::<rusqlite::Result<_>>()?;
        let fine = complaints.iter().all(|complaint| complaint == "ok");
        ensure!(fine, "{pragma}: {}", complaints.first().map_or("", String::as_str));
    }
    let journal: String =
        connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).context("the journal's mode")?;
    ensure!(journal == "wal", "the journal is {journal}");
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}
