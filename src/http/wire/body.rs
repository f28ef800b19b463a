//! Bodies: JSON objects, read strictly, with every faulty field reported at once.

use super::{
    envelope,
    error::{ApiError, ErrorCode},
    schema::{ApiSchema, AppGroups, Seconds},
};
use crate::{
    app::Accounts,
    domain::{
        App, AppAccess, AppId, DisplayName, EmailAddress, Faults, GroupName, InvitationCount, Origin, Password, Role,
        StrictObject, Username, plain_name,
    },
    http::context::Context,
};
use poem::{
    IntoResponse, Request, RequestBody, Response,
    http::{HeaderMap, header},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    payload::Payload,
    registry::{MetaMediaType, MetaRequest, MetaSchemaRef, Registry},
};
use serde::{Serialize, de::DeserializeSeed};
use serde_json::{Map, Value};
use std::{borrow::Cow, pin::pin, time::Duration};
use tokio::io::AsyncReadExt;

/// Most answers are smaller than this.
const USUAL_BYTES: usize = 512;
const MAX_BYTES: usize = 64 * 1024;
/// How long a body may take to arrive in all.
const DEADLINE: Duration = Duration::from_secs(30);

/// An answer in JSON.
pub struct Json<T>(pub T);

impl<T: ApiSchema + Send> Payload for Json<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn schema_ref() -> MetaSchemaRef {
        T::schema()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Serialize + Send> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(USUAL_BYTES);
        match serde_json::to_writer(&mut body, &self.0) {
            Ok(()) => Response::builder().content_type("application/json").body(body),
            Err(error) => envelope::response(&ApiError::internal(error.to_string())),
        }
    }
}

/// A request's body, with all fields valid.
pub struct Body<T>(pub T);

/// A body that is declared with `body!`.
pub trait FromFields: ApiSchema + Sized + Send {
    /// Reads its fields. `None` means that a fault was added.
    fn read(fields: &mut Fields<'_>) -> Option<Self>;
}

impl<'a, T: FromFields> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: "application/json", schema: T::schema() }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let context = Context::of(request).map_err(ApiError::from)?;
        let bytes = receive(request, body, "application/json").await?;
        Ok(Self(parse(&bytes, &context.app.accounts)?))
    }
}

/// Receives a whole body of a media type.
pub(super) async fn receive(request: &Request, body: &mut RequestBody, media_type: &str) -> Result<Vec<u8>, ApiError> {
    let context = Context::of(request)?;
    check_media_type(request.headers(), &[media_type])?;
    refuse_announced_size(request.headers(), MAX_BYTES)?;
    let bytes = read(taken(body)?, MAX_BYTES, DEADLINE).await?;
    context.connection.has_complete_request();
    Ok(bytes)
}

/// The body, which only one extractor takes.
pub(super) fn taken(body: &mut RequestBody) -> Result<poem::Body, ApiError> {
    body.take().map_err(|_| ApiError::internal("a body was read twice"))
}

/// A body that must be empty, of an operation that takes none. Of any media type.
pub struct NoBody;

impl<'a> ApiExtractor<'a> for NoBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::PoemExtractor];
    type ParamType = ();
    type ParamRawType = ();

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let context = Context::of(request).map_err(ApiError::from)?;
        refuse_announced_size(request.headers(), MAX_BYTES)?;
        let bytes = read(taken(body)?, MAX_BYTES, DEADLINE).await?;
        context.connection.has_complete_request();
        if bytes.is_empty() {
            return Ok(Self);
        }
        Err(ApiError::with_message(ErrorCode::MalformedRequest, "this request takes no body").into())
    }
}

/// The right media type, in UTF-8 (RFC 8259, section 8.1), and not compressed.
pub(super) fn check_media_type(headers: &HeaderMap, wanted: &[&str]) -> Result<(), ApiError> {
    let unsupported = || ApiError::new(ErrorCode::UnsupportedMediaType);
    let encoded = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(one), None, false) = (types.next(), types.next(), encoded) else { return Err(unsupported()) };
    let mut parts = one.to_str().map_err(|_| unsupported())?.split(';').map(str::trim);
    let is_wanted = parts.next().is_some_and(|kind| wanted.iter().any(|wanted| kind.eq_ignore_ascii_case(wanted)));
    let is_utf8 = |parameter: &str| {
        let charset = parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
        charset.is_none_or(|(_, value)| value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8"))
    };
    if is_wanted && parts.all(is_utf8) { Ok(()) } else { Err(unsupported()) }
}

/// Refuses a body by its announced size.
pub(super) fn refuse_announced_size(headers: &HeaderMap, most: usize) -> Result<(), ApiError> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most as u64) {
        return Err(ApiError::new(ErrorCode::PayloadTooLarge));
    }
    Ok(())
}

/// Reads a body of at most so many bytes, which must arrive in time.
pub(super) async fn read(body: poem::Body, most: usize, deadline: Duration) -> Result<Vec<u8>, ApiError> {
    let (mut body, mut bytes) = (pin!(body.into_async_read()), Vec::with_capacity(USUAL_BYTES));
    let read = async {
        while bytes.len() <= most {
            if body.read_buf(&mut bytes).await.map_err(|_| ErrorCode::MalformedRequest)? == 0 {
                return Ok(());
            }
        }
        Err(ErrorCode::PayloadTooLarge)
    };
    let read = tokio::time::timeout(deadline, read).await.unwrap_or(Err(ErrorCode::RequestTimeout));
    read.map_err(ApiError::new)?;
    Ok(bytes)
}

fn parse<T: FromFields>(bytes: &[u8], accounts: &Accounts) -> Result<T, ApiError> {
    let (mut faults, mut json) = (Faults::default(), serde_json::Deserializer::from_slice(bytes));
    let values = StrictObject(&mut faults).deserialize(&mut json).and_then(|values| json.end().map(|()| values));
    // The library's message would repeat parts of the body.
    let values = values.map_err(|_| ApiError::new(ErrorCode::MalformedRequest))?;
    let mut fields = Fields { values, known: Vec::new(), faults, accounts };
    let parsed = T::read(&mut fields);
    fields.refuse_unknown();
    match parsed {
        Some(parsed) if fields.faults.is_empty() => Ok(parsed),
        _ => Err(ApiError::invalid(fields.faults)),
    }
}

/// The members of a JSON object, and what is wrong with them.
pub struct Fields<'p> {
    values: Map<String, Value>,
    /// The names that were read.
    known: Vec<&'static str>,
    faults: Faults,
    accounts: &'p Accounts,
}

impl Fields<'_> {
    /// A member that must be there.
    pub fn required<T: FromJson>(&mut self, name: &'static str) -> Option<T> {
        if !self.values.contains_key(name) {
            self.faults.add(name, "is required");
        }
        self.optional(name).flatten()
    }

    /// A member that may be left out, which gives `Some(None)`. Null is not the same as left out.
    pub fn optional<T: FromJson>(&mut self, name: &'static str) -> Option<Option<T>> {
        self.known.push(name);
        let parsed = match self.values.get(name) {
            None => return Some(None),
            Some(Value::Null) => Err("must not be null; leave it out instead".into()),
            Some(value) => T::from_json(value, self),
        };
        self.faults.collect(name, parsed).map(Some)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(Value::as_str)
    }

    fn refuse_unknown(&mut self) {
        for name in self.values.keys().filter(|name| !self.known.contains(&name.as_str())) {
            self.faults.add(plain_name(name), "is not a field of this request");
        }
    }
}

/// Reads a member of a JSON object, or returns what is wrong with it.
pub trait FromJson: Sized {
    fn from_json(value: &Value, fields: &Fields<'_>) -> Result<Self, Cow<'static, str>>;
}

fn text(value: &Value) -> Result<&str, Cow<'static, str>> {
    value.as_str().ok_or_else(|| "must be a string".into())
}

impl FromJson for String {
    fn from_json(value: &Value, _fields: &Fields<'_>) -> Result<Self, Cow<'static, str>> {
        text(value).map(str::to_owned)
    }
}

impl FromJson for bool {
    fn from_json(value: &Value, _fields: &Fields<'_>) -> Result<Self, Cow<'static, str>> {
        value.as_bool().ok_or_else(|| "must be true or false".into())
    }
}

impl FromJson for AppId {
    fn from_json(value: &Value, _fields: &Fields<'_>) -> Result<Self, Cow<'static, str>> {
        value.as_i64().and_then(Self::new).ok_or_else(|| "must be the id of an app".into())
    }
}

impl FromJson for InvitationCount {
    fn from_json(value: &Value, _fields: &Fields<'_>) -> Result<Self, Cow<'static, str>> {
        value.as_u64().map_or_else(|| Err(Self::fault()), Self::new)
    }
}

impl FromJson for Seconds {
    fn from_json(value: &Value, _fields: &Fields<'_>) -> Result<Self, Cow<'static, str>> {
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| (1..=Self::MAX).contains(number));
        let span = number.map(|number| Self(Duration::from_secs(number.into())));
        span.ok_or_else(|| format!("must be a whole number of seconds from 1 to {}", Self::MAX).into())
    }
}

macro_rules! parsed_members {
    ($($type:ty),*) => {$(
        impl FromJson for $type {
            fn from_json(value: &Value, _fields: &Fields<'_>) -> Result<Self, Cow<'static, str>> {
                Self::parse(text(value)?)
            }
        }
    )*};
}
parsed_members!(AppAccess, DisplayName, EmailAddress, GroupName, Origin, Role, Username);

/// An empty text means none: forms and shells can send that, and null is never taken.
impl FromJson for Option<DisplayName> {
    fn from_json(value: &Value, _fields: &Fields<'_>) -> Result<Self, Cow<'static, str>> {
        Some(text(value)?).filter(|text| !text.is_empty()).map(DisplayName::parse).transpose()
    }
}

impl FromJson for AppGroups {
    fn from_json(value: &Value, _fields: &Fields<'_>) -> Result<Self, Cow<'static, str>> {
        let names = value.as_array().ok_or("must be a list of names of groups")?;
        if names.len() > App::MAX_GROUPS as usize {
            return Err(format!("must name at most {} groups", App::MAX_GROUPS).into());
        }
        let names = names.iter().map(|name| GroupName::parse(text(name)?)).collect::<Result<_, Cow<'static, str>>>();
        names.map(Self).map_err(|fault| format!("must be a list of names of groups, each of which {fault}").into())
    }
}

impl FromJson for Password {
    fn from_json(value: &Value, fields: &Fields<'_>) -> Result<Self, Cow<'static, str>> {
        let names: Vec<&str> = ["username", "email"].into_iter().filter_map(|name| fields.text(name)).collect();
        fields.accounts.accept_password(text(value)?, &names)
    }
}

/// Declares a body: the struct, how it is read, and its schema, from one list. `required` members must be there.
macro_rules! body {
    ($(#[doc = $doc:literal])* $name:ident as $title:literal {
        $($(#[doc = $field_doc:literal])* $kind:ident $field:ident: $type:ty,)*
    }) => {
        $(#[doc = $doc])*
        pub struct $name { $(pub $field: body!(@type $kind $type),)* }

        $crate::http::wire::schema::object_schema!($name as $title, true, [$($doc)*], {
            $([$($field_doc)*] $field: $type, stringify!($kind) == "required";)*
        });

        impl $crate::http::wire::body::FromFields for $name {
            fn read(fields: &mut $crate::http::wire::body::Fields<'_>) -> Option<Self> {
                // Every member is read before the first fault ends it.
                $(let $field = fields.$kind(stringify!($field));)*
                Some(Self { $($field: $field?,)* })
            }
        }
    };
    (@type required $type:ty) => { $type };
    (@type optional $type:ty) => { Option<$type> };
}
pub(in crate::http) use body;
