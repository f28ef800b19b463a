//! Importing accounts over HTTP.

use crate::{
    app::{self, App},
    http::{
        auth::SignedInCaller,
        wire::{
            body::Json,
            error::{ApiError, ErrorCode},
            query::{Query, query},
            schema::{Example, answer},
            upload::Upload,
        },
    },
};
use poem_openapi::{ApiResponse, OpenApi};
use serde_json::{Value, json};
use std::sync::Arc;

pub struct Import {
    pub app: Arc<App>,
}

/// The codes that each operation here can answer with, in addition to those that every operation has.
pub const FAILURES: &[(&str, &[ErrorCode])] = &[("importUsers", &[ErrorCode::Forbidden])];

query! {
    /// How to import.
    ImportUsers as "ImportUsersQuery" {
        /// Whether to change nothing, and only check the file; `false` by default
        dry_run: bool,
    }
}

answer! {
    /// What was imported, or would be.
    ImportReport as "ImportReport" {
        /// Whether nothing was changed
        dry_run: bool,
        /// The number of accounts
        accounts: u64,
        /// Of them, administrators
        admins: u64,
        /// Of them, accounts that can't sign in because they are disabled
        disabled: u64,
        /// Of them, accounts that can sign in once a password is set
        without_password: u64,
    }
}

impl ImportReport {
    fn new(report: app::ImportReport, dry_run: bool) -> Self {
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let app::ImportReport { accounts, admins, disabled, without_password } = report;
        Self {
            dry_run,
            accounts: number(accounts),
            admins: number(admins),
            disabled: number(disabled),
            without_password: number(without_password),
        }
    }
}

impl Example for ImportReport {
    fn example() -> Value {
        json!({"dry_run": true, "accounts": 120, "admins": 1, "disabled": 3, "without_password": 0})
    }
}

#[derive(ApiResponse)]
pub enum Imported {
    /// All accounts were imported, or could be
    #[oai(status = 200)]
    Report(Json<ImportReport>),
}

#[OpenApi]
impl Import {
    /// Import accounts
    ///
    /// For administrators. The body is a file of JSON lines (`application/x-ndjson` or `application/jsonl`), at most 16 MiB,
    /// which must arrive within three minutes. `usher user import --help` describes a line, and which password hashes are
    /// accepted. Imports all accounts or none: if lines are invalid, the answer is `validation_failed`, and `details` says what
    /// is wrong with the first 20 of them (`line 3`). A line can be of an administrator. One file is imported at a time;
    /// another gets `overloaded`. Exporting password hashes is left to the command line.
    #[oai(path = "/users/import", method = "post", operation_id = "importUsers")]
    async fn import(
        &self,
        caller: SignedInCaller,
        query: Query<ImportUsers>,
        file: Upload,
    ) -> Result<Imported, ApiError> {
        let turn = self.app.transfer.admit(&caller.0)?;
        let (file, dry_run) = (file.receive().await?, query.0.dry_run == Some(true));
        let report = self.app.transfer.import_file(turn, &caller.0, file, dry_run).await?;
        Ok(Imported::Report(Json(ImportReport::new(report, dry_run))))
    }
}
