//! Protecting an app: it is registered, and its proxy is told to ask here about every request.

use super::{
    SECTIONS,
    snippet::{Proxy, Upstream},
};
use crate::{
    domain::{
        App, AppAccess, AppId, DisplayName, Error, Faults, GroupName, LastAsked, NewApp, Origin, PageSize, Registration,
    },
    http::{
        auth::Member,
        pages::{
            form::{Choice, Field, Refusal, mark},
            view::{Layout, html, page, see_other},
        },
        wire::{error::ApiError, form::Form, query::parameter},
    },
};
use poem::{Request, Response, Result, handler, http::StatusCode};

/// Where the form is.
pub const PATH: &str = "/admin/apps/new";

/// The beginning of a choice that lets the members of one group in.
const GROUP: &str = "group:";

page! {
    ProtectPage from "protect.html" {
        path: &'static str,
        name: Field<'p>,
        url: Field<'p>,
        access: Choice,
        proxy: Choice,
        upstream: Field<'p>,
        /// Why the form is shown again.
        refusal: Option<&'p str>,
        /// Whether "everyone" is anybody who registers.
        is_open: bool,
    }
}

page! {
    AppPage from "app.html" {
        app: &'p App,
        access: String,
        asked: Option<LastAsked>,
        proxies: Vec<(Proxy, String)>,
        proxy: Proxy,
        snippet: String,
        file: String,
        /// Whether the app is where the files of the examples are for.
        is_usual: bool,
    }
}

/// What was typed.
struct Typed<'p> {
    name: &'p str,
    url: &'p str,
    access: &'p str,
    upstream: &'p str,
    proxy: Proxy,
}

/// The form. Administrators are preselected, so that nobody is let in by accident.
#[handler]
pub async fn show(visitor: Member) -> Result<Response> {
    let typed = Typed { name: "", url: "", access: AppAccess::Admins.as_str(), upstream: "", proxy: Proxy::Nginx };
    Ok(form(&visitor, &typed, &groups(&visitor).await?, None)?)
}

/// Registers the app, and leads to what its proxy needs; or shows the form again.
#[handler]
pub async fn protect(visitor: Member, sent: Form) -> Result<Response> {
    let groups = groups(&visitor).await?;
    let typed = Typed {
        name: sent.text("name"),
        url: sent.text("url"),
        access: sent.text("access"),
        upstream: sent.text("upstream"),
        proxy: Proxy::parse(sent.text("proxy")).unwrap_or(Proxy::Nginx),
    };
    let created = match read(&typed) {
        Ok((new, upstream)) => visitor.context.app.apps.create(&visitor.caller, new).await.map(|app| (app, upstream)),
        Err(error) => Err(error),
    };
    match created {
        Ok((app, upstream)) => Ok(see_other(&path_of(app.id, typed.proxy, &upstream))),
        Err(error) => Ok(form(&visitor, &typed, &groups, Some(&Refusal::of(error)?))?),
    }
}

/// What the proxy of an app needs, and whether it has asked.
#[handler]
pub async fn show_app(visitor: Member, request: &Request) -> Result<Response> {
    let id = visitor.context.path_parameters.first().and_then(|id| AppId::parse(id));
    let found = visitor.context.app.apps.with_last_asked(&visitor.caller, id);
    let (app, asked) = found.await.map_err(ApiError::from)?;
    let proxy = parameter(request, "proxy").and_then(|name| Proxy::parse(&name)).unwrap_or(Proxy::Nginx);
    // Not from a link of another site: what stands here is pasted into the configuration of a proxy.
    let upstream = parameter(request, "upstream").filter(|_| !visitor.comes_from_elsewhere);
    let upstream = upstream.and_then(|text| Upstream::parse(&text).ok()).unwrap_or_default();
    let access = match app.access {
        AppAccess::Everyone => "everyone with an account".to_owned(),
        AppAccess::Admins => "administrators".to_owned(),
        AppAccess::Groups => {
            let names: Vec<&str> = app.groups.iter().map(GroupName::as_str).collect();
            format!("members of {}", names.join(", "))
        }
    };
    let snippet = proxy.snippet(&app.url, &upstream);
    let page = AppPage {
        layout: Layout::of(&visitor).within(&SECTIONS, PATH),
        access,
        asked,
        proxies: Proxy::ALL.map(|other| (other, path_of(app.id, other, &upstream))).to_vec(),
        proxy,
        file: proxy.file(&app.url),
        is_usual: app.url.is_https() && app.url.host() == app.url.authority(),
        snippet,
        app: &app,
    };
    Ok(html(StatusCode::OK, &page)?)
}

fn path_of(app: AppId, proxy: Proxy, upstream: &Upstream) -> String {
    format!("/admin/apps/{app}?proxy={}&upstream={upstream}", proxy.name())
}

/// The groups that may be chosen. Only administrators see them.
async fn groups(visitor: &Member) -> Result<Vec<GroupName>, ApiError> {
    let listed = visitor.context.app.groups.list(&visitor.caller, None, PageSize::MAX_SIZE).await?;
    Ok(listed.items.into_iter().map(|group| group.name).collect())
}

/// Reads the form, and reports all that is wrong with it together.
fn read(typed: &Typed<'_>) -> Result<(NewApp, Upstream), Error> {
    let mut faults = Faults::default();
    let name = faults.collect("name", DisplayName::parse(typed.name));
    let url = faults.collect("url", Origin::parse(typed.url.trim_end_matches('/')));
    let upstream = faults.collect("upstream", Upstream::parse(typed.upstream));
    let group = typed.access.strip_prefix(GROUP);
    let access = group.map_or_else(|| AppAccess::parse(typed.access), |_| Ok(AppAccess::Groups));
    let access = faults.collect("access", access);
    let groups = group.map(GroupName::parse).transpose();
    let groups = faults.collect("access", groups);
    match (name, url, upstream, access, groups) {
        (Some(name), Some(url), Some(upstream), Some(access), Some(groups)) => {
            Ok((NewApp { name, url, access, groups: groups.into_iter().collect() }, upstream))
        }
        _ => Err(Error::Invalid(faults)),
    }
}

fn form(
    visitor: &Member,
    typed: &Typed<'_>,
    groups: &[GroupName],
    refusal: Option<&Refusal>,
) -> Result<Response, ApiError> {
    let scheme = if visitor.public_url.is_https() { "https" } else { "http" };
    let mut fields = [
        Field::new("name", "Name", "text", "off", typed.name).with_help("What people see."),
        Field::new("url", "URL", "url", "off", typed.url).with_help(format!(
            "Where browsers open the app, such as {scheme}://notes.example.com. No other app has its host."
        )),
        Field::new("upstream", "Where the proxy finds the app", "text", "off", typed.upstream)
            .with_help("A host and a port that only the proxy can reach, such as 127.0.0.1:3000."),
    ];
    mark(&mut fields, refusal);
    let [name, url, upstream] = fields;
    let mut who = vec![
        (AppAccess::Admins.as_str().to_owned(), "Administrators".to_owned()),
        (AppAccess::Everyone.as_str().to_owned(), "Everyone with an account".to_owned()),
    ];
    who.extend(groups.iter().map(|group| (format!("{GROUP}{group}"), format!("Members of {group}"))));
    let faults = refusal.map(|refusal| &refusal.faults);
    let fault = faults.is_some_and(|faults| faults.contains("access") || faults.contains("groups"));
    let fault = fault.then(|| "Choose again: that is no longer there.".to_owned());
    let proxies = Proxy::ALL.map(|proxy| (proxy.name().to_owned(), proxy.title().to_owned()));
    let page = ProtectPage {
        layout: Layout::of(visitor).within(&SECTIONS, PATH),
        path: PATH,
        name,
        url,
        access: Choice { fault, ..Choice::new("access", "Who may enter", who, typed.access) },
        proxy: Choice::new("proxy", "Proxy", proxies, typed.proxy.name()),
        upstream,
        refusal: refusal.map(|refusal| refusal.text.as_str()),
        is_open: visitor.context.app.policy().registration == Registration::Open,
    };
    html(refusal.map_or(StatusCode::OK, |refusal| refusal.status), &page)
}
