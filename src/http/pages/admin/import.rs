//! Many accounts at once, from a file.

use super::{SECTIONS, users};
use crate::{
    app::ImportReport,
    domain::Faults,
    http::{
        auth::Administrator,
        pages::{
            confirm::needs_recent_sign_in,
            form::{Field, Refusal, again, mark, status},
            view::{Layout, html, page},
        },
        wire::{
            error::{ApiError, ErrorCode},
            upload::FormUpload,
        },
    },
};
use poem::{Response, Result, handler};

const FILE: &str = "file";
const DRY_RUN: &str = "dry-run";

page! {
    ImportPage from "import.html" {
        file: Field<'p>,
        is_ticked: bool,
        /// What was done, or would be.
        report: Option<ImportReport>,
        dry_run: bool,
        refusal: Option<&'p str>,
        /// What is wrong with which line.
        lines: Vec<(u64, &'p str)>,
        are_more: bool,
    }
}

/// The form. A file does not come along where the password is asked for, so it is asked for before.
#[handler]
pub fn show(admin: Administrator) -> Result<Response> {
    needs_recent_sign_in(&admin)?;
    Ok(form(&admin, true, None, None)?)
}

/// Imports a file, or says what that would do. Nothing is kept of what somebody sends whose turn it is not.
#[handler]
pub async fn import(admin: Administrator, upload: FormUpload) -> Result<Response> {
    let transfer = &admin.context.app.transfer;
    let turn = match transfer.admit(&admin.caller) {
        Ok(turn) => turn,
        Err(error) => {
            upload.discard().await;
            return Ok(form(&admin, true, None, Some(refusal(error, None)?))?);
        }
    };
    let (file, dry_run) = match upload.receive(&[FILE, DRY_RUN]).await {
        Ok(mut sent) => (sent.take_file(FILE), sent.is_ticked(DRY_RUN)),
        Err(error) => return Ok(form(&admin, true, None, Some(refusal(error, None)?))?),
    };
    if file.is_empty() {
        return Ok(form(&admin, dry_run, None, Some(nothing_chosen()))?);
    }
    let hint = hint(&file);
    match transfer.import_file(turn, &admin.caller, file, dry_run).await {
        Ok(report) => Ok(form(&admin, dry_run, Some(report), None)?),
        Err(error) => Ok(form(&admin, dry_run, None, Some(refusal(error, hint)?))?),
    }
}

fn form(
    admin: &Administrator,
    dry_run: bool,
    report: Option<ImportReport>,
    refusal: Option<Refusal>,
) -> Result<Response, ApiError> {
    let refusal = refusal.as_ref();
    let mut fields = [Field::new(FILE, "File", "file", "off", "").with_help("JSON lines in UTF-8, at most 16 MiB.")];
    mark(&mut fields, refusal);
    let [file] = fields;
    let lines = refusal.map(|refusal| lines(&refusal.faults)).unwrap_or_default();
    let page = ImportPage {
        layout: Layout::of(admin).within(&SECTIONS, users::PATH),
        file,
        is_ticked: dry_run || report.is_some(),
        report,
        dry_run,
        refusal: refusal.map(|refusal| refusal.text.as_str()),
        are_more: lines.len() == Faults::MAX_LISTED,
        lines,
    };
    Ok(again(html(status(refusal), &page)?, refusal))
}

/// What is wrong with which line, in the order of the file.
fn lines(faults: &Faults) -> Vec<(u64, &str)> {
    let number = |name: &str| name.strip_prefix("line ")?.trim_end_matches(':').parse().ok();
    let mut lines: Vec<_> = faults.iter().filter_map(|(name, fault)| Some((number(name)?, fault))).collect();
    lines.sort_unstable();
    lines
}

fn nothing_chosen() -> Refusal {
    let mut faults = Faults::default();
    faults.add(FILE, "must be chosen, and must not be empty");
    let mut refusal = Refusal::of_faults(faults);
    "Nothing was imported: there is no file.".clone_into(&mut refusal.text);
    refusal
}

/// `hint`: what seems to be wrong with the file as a whole.
fn refusal(error: impl Into<ApiError>, hint: Option<&str>) -> Result<Refusal, ApiError> {
    let mut refusal = Refusal::of(error)?;
    let text = match refusal.code {
        ErrorCode::ValidationFailed => hint.unwrap_or("Correct these lines, then choose the file again."),
        ErrorCode::PayloadTooLarge => {
            refusal.faults.add(FILE, "is larger than 16 MiB");
            "Split the file, and import one part after the other."
        }
        ErrorCode::Overloaded => {
            "Another file is being imported, or the service is busy. Wait a few seconds, then try again."
        }
        _ => return Ok(refusal),
    };
    refusal.text = format!("Nothing was imported. {text}");
    Ok(refusal)
}

/// What a file is instead, if it is plainly not JSON lines.
fn hint(file: &[u8]) -> Option<&'static str> {
    if std::str::from_utf8(file).is_err() {
        return Some("The file is not text in UTF-8. Save it in UTF-8, then choose it again.");
    }
    let first_line = file.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    match first_line.first()? {
        b'{' => None,
        b'[' => Some(
            "The file is a JSON list. Write each account on a line of its own, without brackets or commas between.",
        ),
        0xef if first_line.starts_with(b"\xef\xbb\xbf") => {
            Some("The file begins with a byte order mark. Save it in UTF-8 without one.")
        }
        _ if first_line.iter().any(|byte| b",;\t".contains(byte)) => {
            Some("The file looks like CSV. Convert it to JSON lines: each line is one account, as in the example.")
        }
        _ => Some("The file does not hold JSON lines: each line is one account, as in the example."),
    }
}
