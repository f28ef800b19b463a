//! One app: what its proxy needs, whether it asks, and how the app is changed and deleted.

use super::{
    SECTIONS, access,
    access::Access,
    apps,
    snippet::{Proxy, Upstream},
};
use crate::{
    app::Apps,
    domain::{App, AppAccess, AppChanges, AppId, DisplayName, Error, Faults, GroupName, LastAsked, Origin},
    http::{
        auth::{Administrator, Member},
        pages::{
            deletion,
            done::Done,
            form::{self, Field, Refusal, it_is_now, mark},
            view::{Layout, html, page},
        },
        wire::{
            error::{ApiError, ErrorCode},
            form::Form,
            query::parameter,
        },
    },
};
use poem::{Request, Response, Result, handler};

/// What another URL brings with it.
const MOVING: &str = "With another one, its proxy needs another file. People who are inside must enter again, and its app tokens \
                      are revoked.";

page! {
    AppPage from "app.html" {
        app: &'p App,
        access_in_words: String,
        asked: Option<LastAsked>,
        /// The number of sessions in it.
        inside: String,
        proxies: Vec<(Proxy, String)>,
        proxy: Proxy,
        snippet: String,
        file: String,
        /// Whether the app is where the files of the examples are for.
        is_usual: bool,
        name: Field<'p>,
        url: Field<'p>,
        access: Access,
        /// What the form is shown with, in hidden fields.
        was: Vec<(String, &'p str)>,
        /// Why the form is shown again.
        refusal: Option<&'p str>,
        /// Where the name is typed to delete it.
        typed_name: Field<'p>,
        deletion_refusal: Option<&'p str>,
    }
}

/// What was typed, and what is wrong with it.
#[derive(Default)]
struct Again<'p> {
    form: Option<&'p Form>,
    refusal: Option<&'p Refusal>,
    deletion: Option<&'p Refusal>,
}

impl Again<'_> {
    /// Whether somebody else has changed the app since the form was shown.
    fn was_changed(&self) -> bool {
        self.refusal.is_some_and(|refusal| refusal.code == ErrorCode::PreconditionFailed)
    }
}

/// What the proxy of an app needs, whether it has asked, and the forms.
#[handler]
pub async fn show(member: Administrator, request: &Request) -> Result<Response> {
    Ok(render(&member, request, &Again::default()).await?)
}

/// Changes the app, if it still is as the form was shown with; or shows the form again.
#[handler]
pub async fn save(member: Administrator, request: &Request, sent: Form) -> Result<Response> {
    let (app, _) = find(&member).await?;
    let saved = match read(app.id, &sent) {
        Ok((changes, seen)) => member.context.app.apps.update(&member.caller, Some(app.id), changes, Some(seen)).await,
        Err(error) => Err(error),
    };
    match saved {
        Ok(app) => Ok(Done::Saved.at(&format!("{}/{}", apps::PATH, app.id))),
        Err(error) => {
            let refusal = Refusal::of(error)?;
            Ok(render(&member, request, &Again { form: Some(&sent), refusal: Some(&refusal), deletion: None }).await?)
        }
    }
}

/// Deletes the app whose name was typed.
#[handler]
pub async fn delete(member: Administrator, request: &Request, sent: Form) -> Result<Response> {
    let (app, _) = find(&member).await?;
    let deleted = match deletion::confirm(app.name.as_str(), sent.text(deletion::FIELD)) {
        Ok(()) => member.context.app.apps.delete(&member.caller, Some(app.id)).await,
        Err(error) => Err(error),
    };
    match deleted {
        Ok(()) => Ok(Done::AppDeleted.at(apps::PATH)),
        Err(error) => {
            let refusal = deletion::refusal(error)?;
            Ok(render(&member, request, &Again { deletion: Some(&refusal), ..Again::default() }).await?)
        }
    }
}

async fn find(member: &Member) -> Result<(App, Option<LastAsked>), ApiError> {
    let id = member.context.path_parameters.first().and_then(|id| AppId::parse(id));
    Ok(member.context.app.apps.with_last_asked(&member.caller, id).await?)
}

/// Reads the form, and reports all that is wrong with it together. Returns the app that it was shown with, too.
fn read(id: AppId, sent: &Form) -> Result<(AppChanges, App), Error> {
    let mut faults = Faults::default();
    let name = faults.collect("name", DisplayName::parse(sent.text("name")));
    let url = faults.collect("url", Origin::parse(sent.text("url").trim_end_matches('/')));
    let (access, groups) = access::read(sent, &mut faults).unzip();
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    let seen = seen(id, sent).ok_or(Error::PreconditionFailed)?;
    let url = url.filter(|url| *url != seen.url);
    Ok((AppChanges { name, url, access, groups }, seen))
}

/// How the names of the hidden fields begin that say what the form was shown with.
const WAS: &str = "was-";
const WAS_GROUP: &str = "was-group-";

/// The hidden fields. A form that is shown again without saying what has been changed meanwhile has those it came with.
fn as_shown<'p>(app: &'p App, again: &Again<'p>) -> Vec<(String, &'p str)> {
    if let Some(form) = again.form.filter(|_| !again.was_changed()) {
        return form.beginning_with(WAS).map(|(name, value)| (format!("{WAS}{name}"), value)).collect();
    }
    let fields = [("name", app.name.as_str()), ("url", app.url.as_str()), ("access", app.access.as_str())];
    let fields = fields.map(|(name, value)| (format!("{WAS}{name}"), value)).into_iter();
    fields.chain(app.groups.iter().map(|group| (format!("{WAS_GROUP}{group}"), "yes"))).collect()
}

/// The app that the form was shown with.
fn seen(id: AppId, sent: &Form) -> Option<App> {
    let was = |name| sent.text(&format!("{WAS}{name}"));
    let groups = sent.beginning_with(WAS_GROUP).map(|(name, _)| GroupName::parse(name).ok());
    let mut groups: Vec<GroupName> = groups.collect::<Option<_>>()?;
    groups.sort_by_cached_key(GroupName::key);
    let (name, url) = (DisplayName::parse(was("name")).ok()?, Origin::parse(was("url")).ok()?);
    Some(App { id, name, url, access: AppAccess::parse(was("access")).ok()?, groups })
}

async fn render(member: &Member, request: &Request, again: &Again<'_>) -> Result<Response, ApiError> {
    let (app, asked) = find(member).await?;
    let proxy = parameter(request, "proxy").and_then(|name| Proxy::parse(&name)).unwrap_or(Proxy::Nginx);
    // Not from a link of another site: what stands here is pasted into the configuration of a proxy.
    let upstream = parameter(request, "upstream").filter(|_| !member.comes_from_elsewhere);
    let upstream = upstream.and_then(|text| Upstream::parse(&text).ok()).unwrap_or_default();
    let inside = member.context.app.apps.count_sessions(&member.caller, app.id).await?;
    let [name, url, typed_name] = fields(&app, again);
    let page = AppPage {
        layout: Layout::of(member).within(&SECTIONS, apps::PATH),
        access_in_words: apps::access_in_words(&app),
        asked,
        inside: if inside < Apps::MAX_COUNTED_SESSIONS { inside.to_string() } else { format!("{inside} or more") },
        proxies: Proxy::ALL.map(|other| (other, path_of(app.id, other, &upstream))).to_vec(),
        proxy,
        file: proxy.file(&app.url),
        is_usual: app.url.is_https() && app.url.host() == app.url.authority(),
        snippet: proxy.snippet(&app.url, &upstream),
        name,
        url,
        access: Access::of(member, Some(&app), again.form, again.refusal).await?,
        was: as_shown(&app, again),
        refusal: again.refusal.map(|refusal| refusal.text.as_str()),
        typed_name,
        deletion_refusal: again.deletion.map(|refusal| refusal.text.as_str()),
        app: &app,
    };
    let refusal = again.refusal.or(again.deletion);
    Ok(form::again(html(form::status(refusal), &page)?, refusal))
}

/// With what was typed, and if somebody else has changed the app meanwhile, with what it has now. The cursor is placed only
/// where something is wrong: most people come to read.
fn fields<'p>(app: &'p App, again: &Again<'p>) -> [Field<'p>; 3] {
    let field = |name, label, kind, now: &'p str| {
        let typed = again.form.map_or(now, |form| form.text(name));
        Field {
            help: it_is_now(typed, now).filter(|_| again.was_changed()),
            ..Field::new(name, label, kind, "off", typed)
        }
    };
    let url = field("url", "URL", "url", app.url.as_str());
    let mut fields = [
        field("name", "Name", "text", app.name.as_str()),
        if url.help.is_none() { url.with_help(MOVING) } else { url },
        deletion::field("Name of the app", app.name.as_str(), ""),
    ];
    if let Some(refusal) = again.refusal {
        mark(&mut fields[..2], Some(refusal));
    }
    if let Some(refusal) = again.deletion {
        mark(&mut fields[2..], Some(refusal));
    }
    fields
}

/// The page of an app, with what its proxy needs.
pub fn path_of(app: AppId, proxy: Proxy, upstream: &Upstream) -> String {
    format!("{}/{app}?proxy={}&upstream={upstream}", apps::PATH, proxy.name())
}
