//! What is wrong with the service: what `usher check` reports, as far as a running server can know.

use super::SECTIONS;
use crate::{
    app::{Finding, Verdict},
    http::{
        auth::Administrator,
        pages::view::{Layout, html, page},
        wire::error::ApiError,
    },
};
use poem::{Response, Result, handler, http::StatusCode};

pub const PATH: &str = "/admin/health";

page! {
    HealthPage from "health.html" {
        summary: Summary,
        /// The worst first.
        findings: Vec<Finding>,
    }
}

#[handler]
pub async fn show(admin: Administrator) -> Result<Response> {
    let mut findings = admin.context.app.health.examine(&admin.caller).await.map_err(ApiError::from)?;
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    let page =
        HealthPage { layout: Layout::of(&admin).within(&SECTIONS, PATH), summary: Summary::of(&findings), findings };
    Ok(html(StatusCode::OK, &page)?)
}

/// All findings in a line.
pub struct Summary {
    /// The class of the worst verdict.
    pub worst: &'static str,
    pub text: String,
}

impl Summary {
    pub fn of(findings: &[Finding]) -> Self {
        let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
        let some = |count, one, many| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            _ => Some(format!("{count} {many}")),
        };
        let errors = some(count(Verdict::Error), "error", "errors");
        let warnings = some(count(Verdict::Warning), "warning", "warnings");
        let worst = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok);
        let parts: Vec<String> = errors.into_iter().chain(warnings).collect();
        let text = if parts.is_empty() { "All is well".to_owned() } else { parts.join(" and ") };
        Self { worst: class_of(worst), text }
    }
}

/// In words, and as the name of a class.
pub fn class_of(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Warning => "warning",
        Verdict::Error => "error",
    }
}

/// The page on which something can be done about it.
pub fn place_of(finding: &Finding) -> Option<&'static str> {
    match finding.subject {
        "app" | "apps" => Some("/admin/apps"),
        "accounts" | "passwords" => Some("/admin/users"),
        "groups" => Some("/admin/groups"),
        "invitations" => Some("/admin/invitations"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_what_is_wrong_and_says_when_nothing_is() {
        let (ok, warning, error) = (Finding::ok("a", "x"), Finding::warning("b", "x"), Finding::error("c", "x"));
        let of = |findings: &[&Finding]| {
            let summary = Summary::of(&findings.iter().map(|finding| (*finding).clone()).collect::<Vec<_>>());
            (summary.worst, summary.text)
        };
        assert_eq!(of(&[&ok]), ("ok", "All is well".to_owned()));
        assert_eq!(of(&[&ok, &warning]), ("warning", "1 warning".to_owned()));
        assert_eq!(of(&[&error, &warning, &ok, &warning]), ("error", "1 error and 2 warnings".to_owned()));
    }
}
