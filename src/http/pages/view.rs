//! What all pages share: the layout, the headers, and links.

pub use super::done::see_other;
use super::{assets, done::Done};
use crate::{
    app::Policy,
    domain::{Origin, Role, Timestamp},
    http::{auth::Visitor, wire::error::ApiError},
};
use askama::Template;
use poem::{
    Response,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use std::borrow::Cow;

const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// What the layout shows around each page.
pub struct Layout<'p> {
    /// The name of the installation.
    pub instance: &'p str,
    /// The public URL, since pages also appear on the hosts of apps.
    pub home: &'p str,
    pub style: &'static str,
    pub icon: &'static str,
    /// The username of the account that is signed in.
    pub signed_in: Option<&'p str>,
    /// Whether that is an administrator.
    pub is_admin: bool,
    /// The pages beside this one, with the path of the one that this one belongs to.
    pub sections: Option<(&'static Sections, &'static str)>,
    /// What a form has done that led here.
    pub done: Option<&'static str>,
}

/// Pages that belong together, as links on each of them.
#[derive(Debug)]
pub struct Sections {
    pub name: &'static str,
    /// Their paths and names.
    pub pages: &'static [(&'static str, &'static str)],
}

impl<'p> Layout<'p> {
    pub fn new(policy: &'p Policy, signed_in: Option<&'p str>) -> Self {
        let home = policy.public_url.as_ref().map_or("", Origin::as_str);
        Self {
            instance: &policy.instance_name,
            home,
            style: assets::style(),
            icon: assets::icon(),
            signed_in,
            is_admin: false,
            sections: None,
            done: None,
        }
    }

    pub fn of(visitor: &'p Visitor) -> Self {
        let user = visitor.caller.signed_in().map(|signed_in| &signed_in.user);
        let name = user.map(|user| user.username.as_str());
        Self {
            is_admin: user.is_some_and(|user| user.role == Role::Admin),
            done: Done::of(visitor),
            ..Self::new(visitor.context.app.policy(), name)
        }
    }

    /// The same for one of several pages that belong together.
    #[must_use]
    pub fn within(self, sections: &'static Sections, path: &'static str) -> Self {
        Self { sections: Some((sections, path)), ..self }
    }
}

/// A link to another page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// What stands before it.
    pub before: &'static str,
    pub to: Cow<'static, str>,
    pub label: &'static str,
}

/// Declares a page: what its template, which lies in `templates`, shows beside the layout.
macro_rules! page {
    ($name:ident from $path:literal { $($(#[doc = $doc:literal])* $field:ident: $type:ty,)* }) => {
        #[derive(askama::Template)]
        #[template(path = $path, config = "src/http/pages/askama.toml")]
        struct $name<'p> {
            layout: $crate::http::pages::view::Layout<'p>,
            $($(#[doc = $doc])* $field: $type,)*
        }

        impl $crate::http::pages::view::Page for $name<'_> {
            fn home(&self) -> &str {
                self.layout.home
            }
        }
    };
}
pub(super) use page;

/// A page that can be shown.
pub trait Page: Template {
    /// The public URL.
    fn home(&self) -> &str;
}

/// Nothing from another host than the public URL's (where a page on an app's host finds its style), no inline style, no
/// script of anybody else, and no frame around a page.
fn content_security_policy(home: &str) -> String {
    format!(
        "default-src 'none'; style-src 'self' {home}; img-src 'self' data: {home}; script-src 'self'; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'"
    )
}

/// A page.
pub fn html(status: StatusCode, template: &impl Page) -> Result<Response, ApiError> {
    let text = template.render().map_err(|error| ApiError::internal(format!("a page can't be rendered: {error}")))?;
    let mut response = Response::builder().status(status).content_type("text/html; charset=utf-8").body(text);
    let headers = response.headers_mut();
    let policy = HeaderValue::from_str(&content_security_policy(template.home()));
    headers.extend(policy.ok().map(|policy| (header::CONTENT_SECURITY_POLICY, policy)));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin"));
    Ok(response)
}

/// A time for people, to the minute, in UTC. Beside it stands the whole of it, for programs.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "templates have references")]
pub fn moment(at: &Timestamp) -> String {
    let text = at.to_string();
    format!("{} {} UTC", &text[..10], &text[11..16])
}

/// A role in words.
pub fn role(role: Role) -> &'static str {
    match role {
        Role::User => "User",
        Role::Admin => "Administrator",
    }
}

/// How long to wait, in words.
pub fn wait(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..=90 => (seconds, "second"),
        91..=5_400 => (seconds.div_ceil(60), "minute"),
        _ => (seconds.div_ceil(3_600), "hour"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_told_in_words_and_never_too_short() {
        for (seconds, words) in
            [(1, "1 second"), (90, "90 seconds"), (91, "2 minutes"), (300, "5 minutes"), (5_401, "2 hours")]
        {
            assert_eq!(wait(seconds), words);
        }
    }
}
