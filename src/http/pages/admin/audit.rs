//! The audit log: what happened, in words.

use super::SECTIONS;
use crate::{
    domain::{
        Action, AuditCursor, AuditEntry, AuditFilter, Error, Faults, PageSize, Timestamp, UserId, UserSelector,
        Usernames,
    },
    http::{
        auth::{Administrator, Member},
        pages::{
            form::{Choice, Field, Refusal, mark, status},
            list::{Ways, filter, place},
            view::{Layout, html, page},
        },
        wire::error::ApiError,
    },
};
use poem::{Request, Response, Result, handler};
use std::{borrow::Cow, time::Duration};

pub const PATH: &str = "/admin/audit";

page! {
    AuditPage from "audit.html" {
        action: Choice,
        account: Field<'p>,
        part: Choice,
        from: Field<'p>,
        to: Field<'p>,
        entries: Vec<Told>,
        ways: Ways,
        /// What was asked for, for the links of the export.
        query: String,
        refusal: Option<&'p str>,
    }
}

/// An entry as people read it.
pub struct Told {
    entry: AuditEntry,
    words: String,
    /// The accounts that it is about, with their usernames, unless they were deleted.
    accounts: Vec<(i64, Option<String>)>,
}

impl Told {
    fn of(entry: AuditEntry, names: &Usernames) -> Self {
        let mut ids: Vec<i64> = entry.actor.into_iter().chain(entry.subject).collect();
        ids.dedup();
        let accounts = ids.into_iter().map(|id| (id, names.get(id).map(ToString::to_string))).collect();
        Self { words: entry.in_words(names), accounts, entry }
    }
}

/// What narrows the log, as it was asked for.
pub struct Asked {
    action: String,
    account: String,
    part: String,
    /// The first and the last day, in UTC.
    from: String,
    to: String,
}

/// The part of an account in what happened.
const PARTS: [(&str, &str); 2] = [("", "It was affected"), ("actor", "It did it")];

impl Asked {
    pub fn of(request: &Request) -> Self {
        let given = |name| filter(request, name).unwrap_or_default();
        let [action, account, part, from, to] = ["action", "account", "part", "from", "to"].map(given);
        Self { action, account, part, from, to }
    }

    /// What it means. What means nothing narrows nothing, and is told at its field.
    pub async fn read(&self, member: &Member) -> Result<(AuditFilter, Faults), ApiError> {
        let mut faults = Faults::default();
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let action = given(&self.action).and_then(|text| faults.collect("action", Action::parse(&text)));
        let account = match given(&self.account).and_then(|text| faults.collect("account", UserSelector::parse(&text)))
        {
            None => None,
            Some(selector) => faults.collect("account", id_of(member, selector).await?.ok_or_else(|| NOBODY.into())),
        };
        if !PARTS.iter().any(|(value, _)| *value == self.part) {
            faults.add("part", "must be one of these");
        }
        let since = given(&self.from).and_then(|day| faults.collect("from", midnight(&day)));
        let until = given(&self.to).and_then(|day| faults.collect("to", midnight(&day))).map(|day| day + DAY);
        let (actor, subject) = if self.part == "actor" { (account, None) } else { (None, account) };
        Ok((AuditFilter { action, actor, subject, since, until }, faults))
    }

    fn pairs(&self) -> [(&'static str, &str); 5] {
        let Self { action, account, part, from, to } = self;
        [("action", action), ("account", account), ("part", part), ("from", from), ("to", to)]
    }
}

const DAY: Duration = Duration::from_hours(24);

/// When a day begins, which is written as browsers send it: `2026-11-22`.
fn midnight(day: &str) -> Result<Timestamp, Cow<'static, str>> {
    Timestamp::parse(&format!("{day}T00:00:00Z")).map_err(|_| "must be a day such as 2026-11-22".into())
}

const NOBODY: &str = "is that of nobody; one that was deleted is found by its id";

/// The id of the account that is meant. One that was deleted is known by its id alone.
async fn id_of(member: &Member, selector: UserSelector) -> Result<Option<UserId>, ApiError> {
    if let UserSelector::Id(id) = selector {
        return Ok(Some(id));
    }
    match member.context.app.accounts.find(&member.caller, selector).await {
        Ok(user) => Ok(Some(user.id)),
        Err(Error::UserNotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[handler]
pub async fn show(admin: Administrator, request: &Request) -> Result<Response> {
    let asked = Asked::of(request);
    let (narrowed, faults) = asked.read(&admin).await?;
    let before = place(request, AuditCursor::parse)?;
    let begins = before.is_none();
    let audit = &admin.context.app.audit;
    let listed = audit.page(&admin.caller, narrowed, before, PageSize::default()).await.map_err(ApiError::from)?;
    let names = audit.usernames(&admin.caller, &listed.items).await.map_err(ApiError::from)?;
    let refusal = (!faults.is_empty()).then(|| Refusal::of_faults(faults));
    let ways = Ways::new(PATH, &asked.pairs(), begins, listed.next.as_ref());
    let entries = listed.items.into_iter().map(|entry| Told::of(entry, &names)).collect();
    Ok(render(&admin, &asked, entries, ways, refusal.as_ref())?)
}

fn render(
    admin: &Member,
    asked: &Asked,
    entries: Vec<Told>,
    ways: Ways,
    refusal: Option<&Refusal>,
) -> Result<Response, ApiError> {
    let mut fields = [
        Field::new("account", "Account", "search", "off", &asked.account)
            .with_help("A username, an e-mail address or an id."),
        Field::new("from", "First day (UTC)", "date", "off", &asked.from),
        Field::new("to", "Last day (UTC)", "date", "off", &asked.to),
    ]
    .map(Field::optional);
    if refusal.is_some() {
        mark(&mut fields, refusal);
    }
    let [account, from, to] = fields;
    let choose = |name, label, options: Vec<(String, String)>, chosen: &str| {
        Choice::new(name, label, options, chosen).marked(refusal)
    };
    let any = std::iter::once((String::new(), "Any".to_owned()));
    let actions = any.chain(Action::ALL.iter().map(|action| (action.as_str().to_owned(), action.as_str().to_owned())));
    let own = |(value, label): (&str, &str)| (value.to_owned(), label.to_owned());
    let page = AuditPage {
        layout: Layout::of(admin).within(&SECTIONS, PATH),
        action: choose("action", "Action", actions.collect(), &asked.action),
        account,
        from,
        to,
        part: choose("part", "Part of the account", PARTS.map(own).to_vec(), &asked.part),
        entries,
        ways,
        query: form_urlencoded::Serializer::new(String::new()).extend_pairs(asked.pairs()).finish(),
        refusal: refusal.map(|refusal| refusal.text.as_str()),
    };
    html(status(refusal), &page)
}
