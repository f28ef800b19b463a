//! What a form of a page sends (WHATWG URL, "application/x-www-form-urlencoded").

use super::{
    body::receive,
    error::{ApiError, ErrorCode},
};
use crate::http::context::{Context, FormFields};
use poem::{FromRequest, Request, RequestBody};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// What was sent.
pub struct Form(FormFields);

impl Form {
    /// What was typed into a field; nothing where the form does not have it.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |text| text.as_str())
    }

    /// The fields whose names begin so, without that beginning: boxes of a list.
    pub fn beginning_with<'f>(&'f self, beginning: &'f str) -> impl Iterator<Item = (&'f str, &'f str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(beginning)?, value.as_str())))
    }

    /// Whether a box is ticked.
    pub fn is_ticked(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A field that comes twice makes the form unreadable.
    fn parse(bytes: &[u8]) -> Result<Self, ApiError> {
        let mut fields = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            if fields.insert(name.into_owned(), Zeroizing::new(value.into_owned())).is_some() {
                return Err(ApiError::new(ErrorCode::MalformedRequest));
            }
        }
        Ok(Self(fields.into()))
    }
}

impl<'a> FromRequest<'a> for Form {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        let bytes = Zeroizing::new(receive(request, body, "application/x-www-form-urlencoded").await?);
        let form = Self::parse(&bytes)?;
        Context::of(request).map_err(ApiError::from)?.form.set(form.0.clone()).ok();
        Ok(form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_and_none_may_come_twice() {
        let form = Form::parse(b"login=ada%40example.com&password=+a%2Bb%C3%A9&keep=on").unwrap();
        assert_eq!(
            (form.text("login"), form.text("password"), form.text("other")),
            ("ada@example.com", " a+b\u{e9}", "")
        );
        assert_eq!((form.is_ticked("keep"), form.is_ticked("other")), (true, false));
        assert_eq!(Form::parse(b"a=1&a=1").err().unwrap().code, ErrorCode::MalformedRequest);
    }
}
