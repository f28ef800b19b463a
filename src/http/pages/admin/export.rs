//! The audit log as a file: streamed a few entries at a time, however long it is.

use super::audit::Asked;
use crate::{
    app::AuditExport,
    domain::{AuditEntry, Faults, Usernames},
    http::{
        auth::{Administrator, Member},
        wire::{
            error::{ApiError, ErrorCode},
            query::parameter,
        },
    },
};
use futures_util::stream::{self, Stream};
use poem::{Body, Request, Response, Result, handler, http::header};
use std::{borrow::Cow, io, sync::Arc};

pub const PATH: &str = "/admin/audit/export";

/// What the file is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    JsonLines,
}

impl Format {
    fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        match text {
            "csv" => Ok(Self::Csv),
            "jsonl" => Ok(Self::JsonLines),
            _ => Err("must be csv or jsonl".into()),
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::JsonLines => "application/jsonl",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Csv => "attachment; filename=\"audit-log.csv\"",
            Self::JsonLines => "attachment; filename=\"audit-log.jsonl\"",
        }
    }

    fn beginning(self) -> &'static str {
        match self {
            Self::Csv => "id,time,action,description,actor,user,count,ip,request_id,hash\r\n",
            Self::JsonLines => "",
        }
    }

    fn line(self, entry: &AuditEntry, names: &Usernames) -> io::Result<String> {
        match self {
            Self::Csv => Ok(csv(entry, names)),
            Self::JsonLines => Ok(serde_json::to_string(entry)? + "\n"),
        }
    }
}

/// A line of a table (RFC 4180).
fn csv(entry: &AuditEntry, names: &Usernames) -> String {
    let number = |number: Option<i64>| number.map_or_else(String::new, |number| number.to_string());
    let cells = [
        entry.id.to_string(),
        entry.at.to_string(),
        cell(&entry.action),
        cell(&entry.in_words(names)),
        number(entry.actor),
        number(entry.subject),
        entry.count.to_string(),
        cell(entry.ip.as_deref().unwrap_or_default()),
        cell(entry.request_id.as_deref().unwrap_or_default()),
        entry.hash.to_string(),
    ];
    cells.join(",") + "\r\n"
}

/// A text in quotes. One that a spreadsheet would take for a formula gets an apostrophe before it.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    format!("\"{}{}\"", if formula { "'" } else { "" }, text.replace('"', "\"\""))
}

/// Needs a recent sign-in: somebody who finds an open browser must not take the whole log away.
#[handler]
pub async fn download(admin: Administrator, request: &Request) -> Result<Response> {
    if admin.comes_from_elsewhere {
        return Err(
            ApiError::with_message(ErrorCode::Forbidden, "a link of another site does not take the log away").into()
        );
    }
    let (filter, mut faults) = Asked::of(request).read(&admin).await?;
    let format = faults.collect("format", Format::parse(&parameter(request, "format").unwrap_or_default()));
    let Some(format) = format.filter(|_| faults.is_empty()) else { return Err(refused(&faults).into()) };
    let export = admin.context.app.audit.export(&admin.caller, filter).await.map_err(ApiError::from)?;
    let body = Body::from_bytes_stream(lines(&admin, export, format));
    let response = Response::builder().content_type(format.media_type());
    Ok(response.header(header::CONTENT_DISPOSITION, format.file()).body(body))
}

fn refused(faults: &Faults) -> ApiError {
    let faults: Vec<String> = faults.iter().map(|(field, fault)| format!("{field} {fault}")).collect();
    ApiError::with_message(ErrorCode::ValidationFailed, faults.join("; "))
}

/// The file, a part of it at a time. A failure breaks the download off, so that nobody takes a part for the whole.
fn lines(admin: &Member, export: AuditExport, format: Format) -> impl Stream<Item = io::Result<String>> + use<> {
    let (context, caller) = (admin.context.clone(), admin.caller.clone());
    let beginning = format.beginning().to_owned();
    let audit = move |state: Option<(AuditExport, String)>| {
        let (context, caller) = (Arc::clone(&context), caller.clone());
        async move {
            let Some((export, mut text)) = state else { return Ok(None) };
            let audit = &context.app.audit;
            let failed = |error: crate::domain::Error| io::Error::other(error.to_string());
            let (entries, rest) = audit.next_part(&caller, export).await.map_err(failed)?;
            let names = audit.usernames(&caller, &entries).await.map_err(failed)?;
            for entry in &entries {
                text += &format.line(entry, &names)?;
            }
            Ok(Some((text, rest.map(|rest| (rest, String::new())))))
        }
    };
    stream::try_unfold(Some((export, beginning)), audit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_one_cell_and_no_formula() {
        for (text, written) in [
            ("ada signed in", "\"ada signed in\""),
            ("a\"b,c\r\nd", "\"a\"\"b,c\r\nd\""),
            ("=1+1", "\"'=1+1\""),
            ("-ada signed in", "\"'-ada signed in\""),
            ("@SUM", "\"'@SUM\""),
            ("", "\"\""),
        ] {
            assert_eq!(cell(text), written);
        }
    }
}
