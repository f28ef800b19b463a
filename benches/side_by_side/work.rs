//! The work, in turns.

use crate::{
    Arguments,
    entered::Entered,
    kit::process::Folder,
    limits,
    sides::{Side, any_of},
    table::{Row, Target},
};
use anyhow::{Context, Result};
use std::time::Duration;

const LOGIN_CONNECTIONS: usize = 32;
/// How long a flood of logins runs before the reader comes.
const FLOOD_FIRST: Duration = Duration::from_millis(700);

/// Who is measured: usher, the limit, the peers, and usher on a million accounts.
pub struct Sides {
    pub usher: Side,
    pub bare: Side,
    pub peers: Vec<Side>,
    pub million: Option<Side>,
    pub entered: Option<Entered>,
    pub folder: Folder,
}

/// Rows, filled round by round.
pub struct Work<'a> {
    pub arguments: &'a Arguments,
    pub sides: Sides,
    pub rows: Vec<Row>,
}

impl Work<'_> {
    pub fn round(&mut self, round: u32) -> Result<()> {
        let span = Duration::from_secs_f64(self.arguments.seconds);
        for connections in [1, 16, 64] {
            let target = (connections == 64).then_some(Target::least(0.72));
            self.reads(round, connections, span, target)?;
        }
        let logins = self.logins(round, span)?;
        self.registrations(span)?;
        self.paced(span, logins)?;
        self.renames(round, span)?;
        self.lists(round, span)?;
        self.entries(round, span)
    }

    fn row(&mut self, name: &str, unit: &'static str, base: &'static str, target: Option<Target>) -> &mut Row {
        let at = self.rows.iter().position(|row| row.name == name).unwrap_or(self.rows.len());
        if at == self.rows.len() {
            let peers = self.sides.peers.iter().map(|_| Vec::new()).collect();
            self.rows.push(Row { name: name.to_owned(), unit, usher: vec![], base, of_base: vec![], target, peers });
        }
        &mut self.rows[at]
    }

    /// Whether it was asked for; says so.
    fn wants(&self, work: &str) -> bool {
        let wants = self.arguments.wants(work);
        if wants {
            eprintln!("  {work}");
        }
        wants
    }

    /// Both, each first as often as the other.
    fn pair(round: u32, one: impl FnOnce() -> Result<f64>, other: impl FnOnce() -> Result<f64>) -> Result<(f64, f64)> {
        if round.is_multiple_of(2) {
            let one = one()?;
            return Ok((one, other()?));
        }
        let other = other()?;
        Ok((one()?, other))
    }

    fn peers(&self, measure: impl Fn(&Side) -> Result<f64>) -> Result<Vec<f64>> {
        self.sides.peers.iter().map(measure).collect()
    }

    fn reads(&mut self, round: u32, connections: usize, span: Duration, target: Option<Target>) -> Result<()> {
        if !self.wants("W1") {
            return Ok(());
        }
        let rate = |side: &Side| side.rate(connections, span, any_of(side.reads()));
        let (usher, bare) = Self::pair(round, || rate(&self.sides.usher), || rate(&self.sides.bare))?;
        let peers = if connections == 64 { self.peers(rate)? } else { vec![] };
        let name = format!("W1 reads, connections: {connections}");
        self.row(&name, "/s", "bare poem-openapi", target).add(usher, Some(bare), peers);
        Ok(())
    }

    /// Logins a second of usher and of the peers.
    fn logins(&mut self, round: u32, span: Duration) -> Result<Vec<f64>> {
        if !self.wants("W2") {
            return Ok(vec![]);
        }
        let rate = |side: &Side| side.rate(LOGIN_CONNECTIONS, span, any_of(side.logins()));
        let raw = || limits::rate(&["argon2", &span.as_secs_f64().to_string()]);
        let (usher, limit) = Self::pair(round, || rate(&self.sides.usher), raw)?;
        let peers = self.peers(rate)?;
        let target = Some(Target::least(0.95));
        self.row("W2 logins, connections: 32", "/s", "raw argon2", target).add(usher, Some(limit), peers.clone());
        Ok([vec![usher], peers].concat())
    }

    fn registrations(&mut self, span: Duration) -> Result<()> {
        if !self.wants("W3") {
            return Ok(());
        }
        let rate = |side: &Side| side.rate(LOGIN_CONNECTIONS, span, side.registrations());
        let (usher, peers) = (rate(&self.sides.usher)?, self.peers(rate)?);
        self.row("W3 registrations, connections: 32", "/s", "", None).add(usher, None, peers);
        Ok(())
    }

    fn paced(&mut self, span: Duration, logins: Vec<f64>) -> Result<()> {
        if !self.wants("W4") {
            return Ok(());
        }
        let measure = |side: &Side| -> Result<[f64; 3]> {
            let flood = std::thread::spawn(side.login_flood(LOGIN_CONNECTIONS, span + FLOOD_FIRST));
            std::thread::sleep(FLOOD_FIRST);
            let [p50, p99] = side.paced_reads(span)?;
            let rate = flood.join().ok().context("a thread panics")?.context(side.kind.name())?;
            Ok([p50, p99, rate])
        };
        let usher = measure(&self.sides.usher)?;
        let peers = self.sides.peers.iter().map(measure).collect::<Result<Vec<_>>>()?;
        let of_peers = |at: usize| peers.iter().map(|figures| figures[at]).collect::<Vec<_>>();
        let [p50, p99, kept] = [of_peers(0), of_peers(1), of_peers(2)];
        self.row("W4 paced reads under logins, p50", "ms", "", None).add(usher[0], None, p50);
        self.row("W4 paced reads under logins, p99", "ms", "", Some(Target::most(5.0))).add(usher[1], None, p99);
        if let Some(alone) = logins.first() {
            let row = self.row("W4 logins beside the reader", "/s", "W2", Some(Target::least(0.9)));
            row.add(usher[2], Some(*alone), kept);
        }
        Ok(())
    }

    fn renames(&mut self, round: u32, span: Duration) -> Result<()> {
        if !self.wants("W5") {
            return Ok(());
        }
        let rate = |side: &Side| side.rate(LOGIN_CONNECTIONS, span, side.renames());
        let folder = self.sides.folder.to_str().context("a folder with an odd name")?;
        let raw = || limits::rate(&["commits", &span.as_secs_f64().to_string(), folder]);
        let (usher, limit) = Self::pair(round, || rate(&self.sides.usher), raw)?;
        let peers = self.peers(rate)?;
        let target = Some(Target::least(0.6));
        self.row("W5 renames, connections: 32", "/s", "raw rusqlite", target).add(usher, Some(limit), peers);
        Ok(())
    }

    fn lists(&mut self, round: u32, span: Duration) -> Result<()> {
        if !self.wants("W6") {
            return Ok(());
        }
        let pages = |side: &Side| side.rate(16, span, any_of(side.pages()?));
        let reads = |side: &Side| side.rate(64, span, any_of(side.reads()));
        let Some(million) = &self.sides.million else {
            let usher = pages(&self.sides.usher)?;
            self.row("W6 pages, 1 k users", "/s", "", None).add(usher, None, vec![]);
            return Ok(());
        };
        let few = &self.sides.usher;
        let [listed, read] = [
            Self::pair(round, || pages(million), || pages(few))?,
            Self::pair(round, || reads(million), || reads(few))?,
        ];
        let row = self.row("W6 pages, 1 M users", "/s", "1 k users", Some(Target::least(0.95)));
        row.add(listed.0, Some(listed.1), vec![]);
        let row = self.row("W1 random tokens, 1 M users", "/s", "1 k users", Some(Target::least(0.7)));
        row.add(read.0, Some(read.1), vec![]);
        Ok(())
    }

    fn entries(&mut self, round: u32, span: Duration) -> Result<()> {
        if !self.wants("W7") {
            return Ok(());
        }
        let entered = self.sides.entered.as_ref().context("it was not started")?;
        let verify = || entered.verify_rate(64, span);
        let bare = Self::pair(round, verify, || entered.me_rate(64, span))?;
        let same = Self::pair(round, verify, || entered.me_through_proxy_rate(64, span))?;
        for (compared, (verify, me)) in [("/auth/me", bare), ("/auth/me with the same headers", same)] {
            let name = format!("W7 verify by an app's cookie, against {compared}");
            let row = self.row(&name, "/s", compared, Some(Target::least(0.9)));
            row.add(verify, Some(me), vec![]);
        }
        Ok(())
    }

    /// From the start of the process to its first answer, on the database that is there.
    pub fn starts(&mut self) -> Result<()> {
        if !self.wants("start") {
            return Ok(());
        }
        let Sides { usher, bare, peers, .. } = &mut self.sides;
        usher.process.stop();
        for peer in &mut *peers {
            peer.process.stop();
        }
        let kinds = [usher.kind.clone(), bare.kind.clone()];
        let of_peers: Vec<_> = peers.iter().map(|peer| peer.kind.clone()).collect();
        for time in 0..self.arguments.starts {
            let [usher, bare] = [kinds[0].start_time()?, kinds[1].start_time()?];
            let few = if time < 5 { &of_peers[..] } else { &[] };
            let peers = few.iter().map(|kind| kind.start_time()).collect::<Result<_>>()?;
            let target = Some(Target::most(6.0));
            self.row("start to first answer", "ms", "bare poem-openapi", target).add(usher, Some(bare), peers);
        }
        Ok(())
    }

    /// Memory after a start, after logins and reads, and some time later.
    pub fn memory(&mut self) -> Result<()> {
        if !self.wants("memory") {
            return Ok(());
        }
        let span = Duration::from_secs_f64(self.arguments.seconds);
        let (mut idle, mut loaded) = (Vec::new(), Vec::new());
        for side in std::iter::once(&mut self.sides.usher).chain(&mut self.sides.peers) {
            side.restart()?;
            std::thread::sleep(Duration::from_secs(2));
            idle.push(side.process.pss()?);
            side.rate(64, span, any_of(side.reads()))?;
            side.rate(LOGIN_CONNECTIONS, span, any_of(side.logins()))?;
            loaded.push(side.process.pss()?);
        }
        std::thread::sleep(Duration::from_secs(self.arguments.rest));
        let rest = self.sides.usher.process.pss()?;
        let [of_idle, of_loaded] = [&idle, &loaded].map(|all| all[1..].to_vec());
        self.row("memory (PSS), idle", "MiB", "", Some(Target::most(7.5))).add(idle[0], None, of_idle);
        self.row("memory (PSS), after reads and logins", "MiB", "", None).add(loaded[0], None, of_loaded);
        let name = format!("memory (PSS), {} s later", self.arguments.rest);
        self.row(&name, "MiB", "", Some(Target::most(11.0))).add(rest, None, vec![]);
        Ok(())
    }

    pub fn size(&mut self) -> Result<()> {
        if !self.wants("size") {
            return Ok(());
        }
        let size = std::fs::metadata(env!("CARGO_BIN_EXE_usher"))?.len();
        let mib = f64::from(u32::try_from(size)?) / 1024.0 / 1024.0;
        self.row("size of the executable", "MiB", "", None).add(mib, None, vec![]);
        Ok(())
    }
}
