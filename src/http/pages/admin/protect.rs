//! Protecting an app: it is registered, and its proxy is told to ask here about every request.

use super::{
    SECTIONS,
    access::{self, Access},
    app::path_of,
    apps,
    snippet::{Proxy, Upstream},
};
use crate::{
    domain::{DisplayName, Error, Faults, NewApp, Origin},
    http::{
        auth::{Administrator, Member},
        pages::{
            form::{self, Choice, Field, Refusal, mark},
            view::{Layout, html, page, see_other},
        },
        wire::{error::ApiError, form::Form},
    },
};
use poem::{Response, Result, handler};

/// Where the form is.
pub const PATH: &str = "/admin/apps/new";

page! {
    ProtectPage from "protect.html" {
        name: Field<'p>,
        url: Field<'p>,
        access: Access,
        proxy: Choice,
        upstream: Field<'p>,
        /// Why the form is shown again.
        refusal: Option<&'p str>,
    }
}

#[handler]
pub async fn show(member: Administrator) -> Result<Response> {
    Ok(render(&member, None, None).await?)
}

/// Registers the app, and leads to what its proxy needs; or shows the form again.
#[handler]
pub async fn protect(member: Administrator, sent: Form) -> Result<Response> {
    let created = match read(&sent) {
        Ok((new, upstream)) => member.context.app.apps.create(&member.caller, new).await.map(|app| (app, upstream)),
        Err(error) => Err(error),
    };
    match created {
        Ok((app, upstream)) => Ok(see_other(&path_of(app.id, proxy_of(Some(&sent)), &upstream))),
        Err(error) => Ok(render(&member, Some(&sent), Some(&Refusal::of(error)?)).await?),
    }
}

fn proxy_of(sent: Option<&Form>) -> Proxy {
    sent.and_then(|sent| Proxy::parse(sent.text("proxy"))).unwrap_or(Proxy::Nginx)
}

/// Reads the form, and reports all that is wrong with it together.
fn read(sent: &Form) -> Result<(NewApp, Upstream), Error> {
    let mut faults = Faults::default();
    let name = faults.collect("name", DisplayName::parse(sent.text("name")));
    let url = faults.collect("url", Origin::parse(sent.text("url").trim_end_matches('/')));
    let upstream = faults.collect("upstream", Upstream::parse(sent.text("upstream")));
    match (name, url, upstream, access::read(sent, &mut faults)) {
        (Some(name), Some(url), Some(upstream), Some((access, groups))) => {
            Ok((NewApp { name, url, access, groups }, upstream))
        }
        _ => Err(Error::Invalid(faults)),
    }
}

async fn render(member: &Member, sent: Option<&Form>, refusal: Option<&Refusal>) -> Result<Response, ApiError> {
    let scheme = if member.public_url.is_https() { "https" } else { "http" };
    let typed = |name| sent.map_or("", |sent| sent.text(name));
    let mut fields = [
        Field::new("name", "Name", "text", "off", typed("name")).with_help("What people see."),
        Field::new("url", "URL", "url", "off", typed("url")).with_help(format!(
            "Where browsers open the app, such as {scheme}://notes.example.com. No other app has its host."
        )),
        Field::new("upstream", "Where the proxy finds the app", "text", "off", typed("upstream"))
            .with_help("A host and a port that only the proxy can reach, such as 127.0.0.1:3000."),
    ];
    mark(&mut fields, refusal);
    let [name, url, upstream] = fields;
    let proxies = Proxy::ALL.map(|proxy| (proxy.name().to_owned(), proxy.title().to_owned()));
    let page = ProtectPage {
        layout: Layout::of(member).within(&SECTIONS, apps::PATH),
        name,
        url,
        access: Access::of(member, None, sent, refusal).await?,
        proxy: Choice::new("proxy", "Proxy", proxies, proxy_of(sent).name()),
        upstream,
        refusal: refusal.map(|refusal| refusal.text.as_str()),
    };
    Ok(form::again(html(form::status(refusal), &page)?, refusal))
}
