//! Moving accounts from one service to another. A file is imported whole, or not at all.

use crate::{
    app::{access::Operation, core::Core},
    domain::{
        Action, Caller, DisplayName, EmailAddress, Error, Faults, PasswordHash, Role, Timestamp, UserRecord, Username,
    },
    hashing::{is_unusable, recognize},
};
use std::{collections::HashMap, sync::Arc};
use tokio::sync::{Semaphore, SemaphorePermit};

/// What a line of a file says of an account, and what is wrong with it.
#[derive(Debug, Clone)]
pub struct ImportLine {
    /// Counted from 1.
    pub number: u64,
    pub username: Option<Username>,
    pub email: Option<EmailAddress>,
    pub password_hash: Option<PasswordHash>,
    pub email_verified: bool,
    pub role: Role,
    pub disabled: bool,
    pub created_at: Option<Timestamp>,
    pub display_name: Option<DisplayName>,
    pub faults: Faults,
}

impl ImportLine {
    /// An empty line. E-mail addresses count as unverified, because usher does not know what the other service
    /// verified.
    pub fn new(number: u64) -> Self {
        Self {
            number,
            username: None,
            email: None,
            password_hash: None,
            email_verified: false,
            role: Role::User,
            disabled: false,
            created_at: None,
            display_name: None,
            faults: Faults::default(),
        }
    }

    /// `None` while something is wrong or missing.
    pub fn record(self) -> Option<UserRecord> {
        let Self { email_verified, role, disabled, created_at, display_name, .. } = self;
        let (username, email, password_hash) = (self.username?, self.email?, self.password_hash?);
        let record =
            UserRecord { username, email, email_verified, role, disabled, password_hash, created_at, display_name };
        self.faults.is_empty().then_some(record)
    }

    /// The accounts of the valid lines, each with the number of its line.
    pub fn records(lines: Vec<Self>) -> Vec<(u64, UserRecord)> {
        lines.into_iter().filter_map(|line| Some((line.number, line.record()?))).collect()
    }
}

/// What an upload adds, or would add.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportReport {
    pub accounts: usize,
    /// Of them, administrators.
    pub admins: usize,
    pub disabled: usize,
    /// They can sign in once their password is set.
    pub without_password: usize,
}

impl ImportReport {
    fn of(records: &[(u64, UserRecord)]) -> Self {
        let count = |is: fn(&UserRecord) -> bool| records.iter().filter(|(_, record)| is(record)).count();
        Self {
            accounts: records.len(),
            admins: count(|record| record.role == Role::Admin),
            disabled: count(|record| record.disabled),
            without_password: count(|record| is_unusable(&record.password_hash)),
        }
    }
}

/// The right to upload accounts, which one caller has at a time: an upload takes memory and time.
#[derive(Debug)]
pub struct ImportTurn<'t>(#[expect(dead_code, reason = "held until the import is over")] SemaphorePermit<'t>);

/// The use cases about many accounts at once.
pub struct Transfer {
    core: Arc<Core>,
    uploads: Semaphore,
}

impl Transfer {
    pub(in crate::app) fn new(core: Arc<Core>) -> Self {
        Self { core, uploads: Semaphore::new(1) }
    }

    /// Whether the caller may import accounts, before anything is read of what they send. While another one uploads, the
    /// service is overloaded.
    pub fn admit(&self, caller: &Caller) -> Result<ImportTurn<'_>, Error> {
        self.core.decide_change(caller, Operation::ImportUsers)?;
        self.uploads.try_acquire().map(ImportTurn).map_err(|_| Error::Overloaded)
    }

    /// Imports a file of JSON lines, all of it or nothing; a dry run changes nothing. What is wrong is named by line, for the
    /// first lines. Needs the server's runtime.
    pub async fn import_file(
        &self,
        _turn: ImportTurn<'_>,
        caller: &Caller,
        file: Vec<u8>,
        dry_run: bool,
    ) -> Result<ImportReport, Error> {
        let read = tokio::task::spawn_blocking(move || ImportLine::read_upload(&file[..])).await;
        let lines = read.map_err(failed)?.map_err(failed)?;
        let lines = self.review(caller, lines).await?;
        let mut faults = Faults::default();
        for line in &lines {
            if let Some(fault) = line.fault() {
                faults.add(format!("line {}", line.number), fault);
            }
        }
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        let records = ImportLine::records(lines);
        let report = ImportReport::of(&records);
        if !dry_run {
            self.import(caller, records).await?;
        }
        Ok(report)
    }

    /// Checks each line, and changes nothing. Adds a fault for a hash that can't be verified here, and for a username
    /// or an e-mail address that an earlier line or an account has.
    pub async fn review(&self, caller: &Caller, mut lines: Vec<ImportLine>) -> Result<Vec<ImportLine>, Error> {
        self.core.decide(caller, Operation::ImportUsers)?;
        let (mut usernames, mut emails) = (HashMap::new(), HashMap::new());
        for line in &mut lines {
            let hash = line.password_hash.as_ref().filter(|hash| !is_unusable(hash));
            if let Some(Err(fault)) = hash.map(recognize) {
                line.faults.add("password_hash", fault.to_string());
            }
            let (username, email) = (line.username.as_ref().map(Username::as_str), line.email.as_ref());
            check_duplicate(&mut usernames, "username", username, line.number, &mut line.faults);
            check_duplicate(&mut emails, "email", email.map(EmailAddress::as_str), line.number, &mut line.faults);
        }
        self.core
            .scan(caller, Operation::ImportUsers, move |reader| {
                for line in &mut lines {
                    let (username, email) = reader.are_taken(line.username.as_ref(), line.email.as_ref())?;
                    for (field, _) in [("username", username), ("email", email)].into_iter().filter(|(_, taken)| *taken)
                    {
                        line.faults.add(field, "is taken by an account that is already there");
                    }
                }
                Ok(lines)
            })
            .await
    }

    /// Adds all accounts or none. Each comes with the number of its line. The audit log says how many they are, and who
    /// of them is an administrator. An account without a password gets an
    /// unusable hash, and can sign in once its password is set. Slow work is done before the transaction, so that other
    /// writers wait for the inserts alone.
    pub async fn import(&self, caller: &Caller, mut records: Vec<(u64, UserRecord)>) -> Result<(), Error> {
        self.core.decide(caller, Operation::ImportUsers)?;
        for (_, record) in records.iter_mut().filter(|(_, record)| is_unusable(&record.password_hash)) {
            record.password_hash = self.core.hashing.unusable();
        }
        if records.is_empty() {
            return Ok(());
        }
        let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
        self.core
            .change_without_deadline(caller, Operation::ImportUsers, move |writer, _| {
                writer.expect_many_rows()?;
                writer.record_times(Action::UserImported, None, count);
                for (line, record) in &records {
                    let id = writer.insert_record(record).map_err(|error| of_line(*line, error))?;
                    if record.role == Role::Admin {
                        writer.record(Action::UserRoleChanged, Some(id));
                    }
                }
                Ok(())
            })
            .await
    }

    /// Records that the whole database was copied.
    pub async fn record_backup(&self, caller: &Caller) -> Result<(), Error> {
        let recorded = self.core.change(caller, Operation::TransferUsers, |writer, _| {
            writer.record(Action::DatabaseBackedUp, None);
            Ok(())
        });
        recorded.await
    }

    /// Passes every account with its password hash to `each`, from one consistent snapshot, until `each` fails. `each`
    /// gets what it returned for the account before.
    pub async fn export<T: Send + 'static, E: Send + 'static>(
        &self,
        caller: &Caller,
        start: T,
        each: impl FnMut(T, &UserRecord) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, Error> {
        self.core.fold_records(caller, Operation::TransferUsers, start, each).await
    }
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("an uploaded file could not be read: {error}"))
}

/// Adds a fault if an earlier line has the same name, without regard to case.
fn check_duplicate(
    seen: &mut HashMap<String, u64>,
    field: &'static str,
    name: Option<&str>,
    number: u64,
    faults: &mut Faults,
) {
    let Some(name) = name else { return };
    let first = *seen.entry(name.to_ascii_lowercase()).or_insert(number);
    if first != number {
        faults.add(field, format!("is that of line {first}, too"));
    }
}

/// Turns a conflict into a fault of the line: an account took the name after the review.
fn of_line(number: u64, error: Error) -> Error {
    let (Error::UsernameTaken | Error::EmailTaken) = error else { return error };
    let mut faults = Faults::default();
    faults.add(format!("line {number}:"), format!("{error}; nothing was imported"));
    Error::Invalid(faults)
}
