//! Does the time of a refused sign-in tell whether there is such an account? `cargo bench --bench enumeration`.

mod kit;

use anyhow::{Result, ensure};
use clap::Parser;
use fastrand::Rng;
use kit::{
    figures::{median, micros, span},
    http::{Answer, Connection, post},
    process::Folder,
    ranks::{Comparison, compare},
    seeding::{self, Size, seed},
    server::Serving,
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};
use usher::hashing::{Cost, HashPool};

/// Look for a difference in time between refused sign-ins to accounts of different kinds
///
/// Sends wrong sign-ins to known, unknown and disabled accounts and to what is no address, one after the other on one
/// connection, in random order, and compares each pair of kinds by the rank test of Mann and Whitney: first with the
/// throttle off, where each is answered with 401 after a hash; then with it on, where each is answered with 429 because the
/// account's or the client's address's attempts are used up. The answers must be the same bytes but for request ids and dates,
/// and the hashes as many.
///
/// A difference is found where one with a probability of less than 0.001 by chance, divided by the number of comparisons
/// (Bonferroni), is found again, in the same direction, in a sample taken anew, and there moves the median by
/// more than is tolerated. Known accounts are also compared with themselves, as a control. Exit status: 0 no difference; 1 a
/// difference in time, in the answers or in the number of hashes.
#[derive(Parser)]
struct Arguments {
    /// Sign-ins of each part, all kinds together
    #[arg(long, value_name = "COUNT", default_value_t = 6_000, value_parser = clap::value_parser!(u32).range(60..))]
    attempts: u32,

    /// What a hash costs, in KiB: the less, the more can be seen of what surrounds it
    #[arg(long, value_name = "KIB", default_value_t = 19_456)]
    argon2_memory: u32,

    /// How many microseconds the medians may lie apart without failing: what a network hides, and a loopback doesn't
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 10.0)]
    tolerate: f64,

    /// Look for a difference that is there: half of the sign-ins to known accounts count so much longer. Exit status 0 if
    /// it is found
    #[arg(long)]
    self_test: bool,

    /// How many microseconds longer
    #[arg(long, value_name = "MICROSECONDS", default_value_t = 200, requires = "self_test")]
    delay: u64,

    /// Give half of the accounts hashes of twice the memory, as after a change of --argon2-memory, and compare known,
    /// disabled and unknown accounts
    #[arg(long, conflicts_with = "self_test")]
    mixed_costs: bool,

    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// How probable it may be that one of a part's comparisons finds a difference by chance, before it is tried again.
const ALPHA: f64 = 0.001;
const SIZE: Size = Size { users: 2_000, sessions: 400 };
const WRONG: &str = "not the password";

/// Whose account a sign-in is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Known,
    /// The same accounts again, as a control; in a self-test, those that take longer.
    KnownAgain,
    Disabled,
    /// Another address each time.
    Unknown,
    /// One and the same address.
    SameUnknown,
    /// No address at all.
    Malformed,
}

impl Kind {
    const ALL: [Kind; 6] =
        [Kind::Known, Kind::KnownAgain, Kind::Disabled, Kind::Unknown, Kind::SameUnknown, Kind::Malformed];

    fn name(self) -> &'static str {
        match self {
            Kind::Known => "known",
            Kind::KnownAgain => "known, again",
            Kind::Disabled => "disabled",
            Kind::Unknown => "unknown, new",
            Kind::SameUnknown => "unknown, same",
            Kind::Malformed => "no address",
        }
    }

    /// An address of this kind, of whatever length such addresses have. `accounts` is how many accounts of the kind are
    /// tried.
    fn email(self, accounts: u32, random: &mut Rng) -> String {
        let which = random.u32(0..accounts);
        // Of the accounts with numbers 100 n + 2 to 100 n + 99 the one with 50 is disabled.
        let known = |number: u32| seeding::name(100 * which + number, SIZE.users).1;
        match self {
            Kind::Known | Kind::KnownAgain => known(49),
            Kind::Disabled => known(50),
            Kind::SameUnknown => nobody(0),
            Kind::Unknown => nobody(random.u32(1..2_000_000_000)),
            Kind::Malformed => known(49).replace('@', " at "),
        }
    }
}

/// An address of the same form as the accounts', which nobody has: the digits after the name are beyond theirs.
fn nobody(number: u32) -> String {
    let (_, email) = seeding::name(number % 1_800, SIZE.users);
    let (name, domain) = email.split_once('@').expect("an address");
    format!("{}{}@{domain}", name.trim_end_matches(|c: char| c.is_ascii_digit()), 10 + number / 1_800)
}

fn main() -> Result<ExitCode> {
    if !kit::is_benchmark() {
        return Ok(ExitCode::SUCCESS);
    }
    let arguments = Arguments::parse();
    let folder = Folder::new()?;
    let file = folder.join("usher.db");
    let memory = arguments.argon2_memory.to_string();
    seed(&file, SIZE, &["--argon2-memory", &memory])?;
    let mut found = 0;
    if arguments.mixed_costs {
        mix_costs(&file, arguments.argon2_memory * 2)?;
        let title = "401: half of the accounts have hashes of another cost, with the throttle off";
        let mut part = Part::start(title, &file, &memory, "off", 401, &arguments)?;
        part.kinds = vec![Kind::Known, Kind::KnownAgain, Kind::Disabled, Kind::Unknown]; // each other kind has one cost
        return Ok(conclude(&arguments, part.run(|_| Ok(()))?));
    }
    if arguments.self_test {
        let mut part =
            Part::start("a delay of our own, with the throttle off", &file, &memory, "off", 401, &arguments)?;
        part.delay = Duration::from_micros(arguments.delay);
        part.kinds = vec![Kind::Known, Kind::KnownAgain];
        let missed = part.run(|_| Ok(()))? == 0;
        println!("{}", if missed { "the delay was NOT found" } else { "the delay was found, as it should be" });
        return Ok(ExitCode::from(u8::from(missed)));
    }
    let mut part =
        Part::start("401: refused after a hash, with the throttle off", &file, &memory, "off", 401, &arguments)?;
    found += part.run(|_| Ok(()))?;
    drop(part);
    let mut part = Part::start("429: the account's attempts are used up", &file, &memory, "on", 429, &arguments)?;
    part.kinds.retain(|kind| *kind != Kind::Unknown); // one that is new each time has all its attempts left
    part.accounts = 1;
    found += part.run(|part| part.use_up_accounts())?;
    drop(part);
    let mut part =
        Part::start("429: the client's address's attempts are used up", &file, &memory, "on", 429, &arguments)?;
    found += part.run(|part| part.use_up_address())?;
    Ok(conclude(&arguments, found))
}

fn conclude(arguments: &Arguments, found: u32) -> ExitCode {
    println!(
        "{}",
        match found {
            0 => format!("no difference of more than {} µs was found", arguments.tolerate),
            _ => format!("differences found: {found}"),
        }
    );
    ExitCode::from(u8::from(found > 0))
}

/// Gives every second hundred of accounts, and so half of those of each kind, a hash of another cost.
fn mix_costs(file: &Path, memory: u32) -> Result<()> {
    let pool = HashPool::start(Cost { memory, ..Cost::DEFAULT }, 0, 0)?;
    let database = rusqlite::Connection::open(file)?;
    let mut update = database.prepare("UPDATE users SET password_hash = ?1 WHERE email_key = ?2")?;
    for number in (1..=SIZE.users).filter(|number| (number / 100).is_multiple_of(2)) {
        update.execute([pool.unusable().as_str(), &seeding::name(number, SIZE.users).1])?;
    }
    Ok(())
}

/// Sign-ins that are all refused in one way.
struct Part<'a> {
    arguments: &'a Arguments,
    title: &'static str,
    /// What each is answered with.
    status: u16,
    kinds: Vec<Kind>,
    /// How many accounts of each kind there are.
    accounts: u32,
    /// How much longer a sign-in to a known account takes the second time.
    delay: Duration,
    random: Rng,
    connection: Connection,
    server: Serving,
}

/// What came of the sign-ins of each kind.
struct Samples {
    times: Vec<(Kind, Vec<f64>)>,
    answers: BTreeSet<String>,
    /// Sign-ins that were answered otherwise, since an attempt had come back: they are left out.
    others: u32,
}

impl Samples {
    fn of(&self, kind: Kind) -> &[f64] {
        self.times.iter().find(|(other, _)| *other == kind).map_or(&[], |(_, times)| times)
    }
}

impl<'a> Part<'a> {
    fn start(
        title: &'static str,
        file: &Path,
        memory: &str,
        throttle: &str,
        status: u16,
        arguments: &'a Arguments,
    ) -> Result<Self> {
        let server = Serving::start_counting(file, &["--throttle", throttle, "--argon2-memory", memory])?;
        Ok(Self {
            arguments,
            title,
            status,
            kinds: Kind::ALL.to_vec(),
            accounts: SIZE.users / 100 - 2, // before those of the import
            delay: Duration::ZERO,
            random: Rng::new(),
            connection: server.connect()?,
            server,
        })
    }

    /// Compares every pair of kinds, and returns how many differ. `prepare` makes the service refuse as it should here.
    fn run(&mut self, mut prepare: impl FnMut(&mut Self) -> Result<()>) -> Result<u32> {
        println!("{}", self.title);
        let pairs = self.pairs();
        let alpha = ALPHA / f64::from(u32::try_from(pairs.len())?);
        prepare(self)?;
        self.count_hashes()?;
        self.sample(&self.kinds.clone(), self.arguments.attempts / 60)?; // to warm up
        let first = self.sample(&self.kinds.clone(), self.arguments.attempts)?;
        ensure!(first.answers.len() == 1, "the answers are not alike:\n{}", Vec::from_iter(first.answers).join("\n"));
        for (kind, times) in &first.times {
            println!("  {:<14} {:>6} sign-ins, median {}", kind.name(), times.len(), span(median(times)));
        }
        println!(
            "  answers alike byte for byte, but for request ids, dates and seconds to wait; left out: {}",
            first.others
        );
        println!(
            "  a difference: p < {alpha:.1e} twice ({} comparisons), and more than {} µs",
            pairs.len(),
            self.arguments.tolerate
        );
        let mut found = 0;
        for (one, other) in pairs {
            let compared = compare(first.of(one), first.of(other));
            let mut verdict = String::new();
            if compared.p < alpha {
                prepare(self)?;
                let share = self.arguments.attempts * 2 / u32::try_from(self.kinds.len())?;
                let second = self.sample(&[one, other], share)?;
                let [ones, others] = [second.of(one), second.of(other)];
                let again = compare(ones, others);
                let real = again.p < alpha && again.z.signum() == compared.z.signum();
                let tolerated = (median(ones) - median(others)).abs() <= self.arguments.tolerate;
                found += u32::from(real && !tolerated);
                let what = match (real, tolerated) {
                    (true, false) => "FOUND",
                    (true, true) => "found, but small",
                    (false, _) => "not found again",
                };
                verdict = format!("\n    anew: {:<22} {} {what}", "", written(&again, ones, others));
            }
            let names = format!("{} / {}", one.name(), other.name());
            println!("  {names:<30} {}{verdict}", written(&compared, first.of(one), first.of(other)));
        }
        Ok(found)
    }

    /// Fails unless a sign-in costs as many hashes as it should, whosever it is.
    fn count_hashes(&mut self) -> Result<()> {
        const TRIED: u64 = 10;
        let each = u64::from(self.status == 401);
        for kind in self.kinds.clone() {
            let before = self.server.hashes()?;
            for _ in 0..TRIED {
                self.attempt(kind)?;
            }
            let computed = self.server.hashes()? - before;
            ensure!(computed == TRIED * each, "{computed} hashes for {TRIED} sign-ins: {}", kind.name());
        }
        println!("  hashes of each sign-in: {each}");
        Ok(())
    }

    /// The control first, then all others; known accounts only once.
    fn pairs(&self) -> Vec<(Kind, Kind)> {
        let mut pairs = vec![(Kind::Known, Kind::KnownAgain)];
        let kinds: Vec<Kind> = self.kinds.iter().copied().filter(|kind| *kind != Kind::KnownAgain).collect();
        for (at, one) in kinds.iter().enumerate() {
            pairs.extend(kinds[at + 1..].iter().map(|other| (*one, *other)));
        }
        pairs
    }

    /// So many sign-ins: each kind once, in random order, again and again. What changes with time is the same for all.
    fn sample(&mut self, kinds: &[Kind], attempts: u32) -> Result<Samples> {
        let mut samples = Samples {
            times: kinds.iter().map(|kind| (*kind, Vec::new())).collect(),
            answers: BTreeSet::new(),
            others: 0,
        };
        let mut order: Vec<usize> = (0..kinds.len()).collect();
        for _ in 0..attempts.div_ceil(u32::try_from(kinds.len())?) {
            self.random.shuffle(&mut order);
            for at in &order {
                let kind = kinds[*at];
                let answer = self.attempt(kind)?;
                if answer.status == self.status {
                    samples.answers.insert(comparable(&answer));
                    samples.times[*at].1.push(micros(answer.took));
                } else {
                    samples.others += 1;
                }
            }
        }
        ensure!(
            samples.others * 20 <= attempts.max(60),
            "{} of {attempts} sign-ins were not answered with {}",
            samples.others,
            self.status
        );
        Ok(samples)
    }

    fn attempt(&mut self, kind: Kind) -> Result<Answer> {
        let email = kind.email(self.accounts, &mut self.random);
        let request = post("/auth/login", &json!({"email": email, "password": WRONG}));
        let mut answer = self.connection.exchange(request.as_bytes())?;
        if kind == Kind::KnownAgain && !self.delay.is_zero() {
            let start = Instant::now();
            while start.elapsed() < self.delay {
                std::hint::spin_loop();
            }
            answer.took += start.elapsed();
        }
        Ok(answer)
    }

    /// Tries each account, one after the other, until it is refused.
    fn use_up_accounts(&mut self) -> Result<()> {
        for _ in 0..30 {
            let mut refused = true;
            for kind in self.kinds.clone() {
                refused &= self.attempt(kind)?.status == 429;
            }
            if refused {
                return Ok(());
            }
        }
        anyhow::bail!("the throttle lets thirty attempts on one account through")
    }

    /// Tries accounts that there are not until this address is refused.
    fn use_up_address(&mut self) -> Result<()> {
        for _ in 0..200 {
            if self.attempt(Kind::Unknown)?.status == 429 {
                return Ok(());
            }
        }
        anyhow::bail!("the throttle lets two hundred attempts from one address through")
    }
}

fn written(compared: &Comparison, one: &[f64], other: &[f64]) -> String {
    let Comparison { u, z, p, superiority } = *compared;
    let apart = median(one) - median(other);
    format!("medians {apart:+7.1} µs apart, U {u:>9.0}, z {z:+6.2}, p {p:.2e}, superiority {superiority:.3}")
}

/// An answer without what is different each time: the request's id, the date, the seconds to wait.
fn comparable(answer: &Answer) -> String {
    let varies = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let by_seconds = answer.status == 429 && ["retry-after", "content-length"].contains(&name.as_str());
        !["x-request-id", "date"].contains(&name.as_str()) && !by_seconds
    };
    let head: Vec<&str> = answer.head.lines().filter(varies).collect();
    let mut body = String::from_utf8_lossy(&answer.body).into_owned();
    if answer.status == 429 {
        body.retain(|c| !c.is_ascii_digit());
    }
    format!("{}\n{body}", head.join("\n"))
}
