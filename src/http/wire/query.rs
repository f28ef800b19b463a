//! Query parameters, read as strictly as bodies: unknown and repeated ones are refused, and all faults are reported.

use super::{error::ApiError, schema::ApiSchema};
use crate::domain::{
    Action, ChartLength, Faults, PageSize, Role, SearchPrefix, Timestamp, UserId, UserSort, plain_name,
};
use base64ct::{Base64UrlUnpadded, Encoding};
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchema, MetaSchemaRef, Registry},
};
use std::borrow::Cow;

/// The query of a request, with all parameters valid. `openapi` adds each member to the spec as a separate parameter.
pub struct Query<T>(pub T);

/// The name of the query in the generator's output, before `openapi` splits it.
pub const PARAMETER: &str = "query";

/// A query that is declared with `query!`.
pub trait FromParameters: ApiSchema + Sized + Send {
    fn read(parameters: &mut Parameters<'_>) -> Option<Self>;
}

impl<'a, T: FromParameters> ApiExtractor<'a> for Query<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Query)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(T::schema())
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self(parse(request.uri().query().unwrap_or_default())?))
    }
}

/// The first parameter of this name in the URL of a page, decoded. Pages ignore others.
pub fn parameter(request: &Request, name: &str) -> Option<String> {
    let query = request.uri().query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

/// Refuses the query of an operation that takes no parameters. An empty one is none.
pub fn refuse(query: &str) -> Result<(), ApiError> {
    let mut parameters = Parameters::of(query);
    parameters.refuse_unknown();
    if parameters.faults.is_empty() { Ok(()) } else { Err(ApiError::invalid(parameters.faults)) }
}

fn parse<T: FromParameters>(query: &str) -> Result<T, ApiError> {
    let mut parameters = Parameters::of(query);
    let read = T::read(&mut parameters);
    parameters.refuse_unknown();
    match read {
        Some(read) if parameters.faults.is_empty() => Ok(read),
        _ => Err(ApiError::invalid(parameters.faults)),
    }
}

/// The parameters of a query, and what is wrong with them.
#[derive(Default)]
pub struct Parameters<'q> {
    values: Vec<(Cow<'q, str>, Cow<'q, str>)>,
    known: Vec<&'static str>,
    faults: Faults,
}

impl<'q> Parameters<'q> {
    fn of(query: &'q str) -> Self {
        Self { values: form_urlencoded::parse(query.as_bytes()).collect(), ..Default::default() }
    }

    /// A parameter that may be left out, which gives `Some(None)`. `None` means that a fault was added.
    pub fn optional<T: FromParameter>(&mut self, name: &'static str) -> Option<Option<T>> {
        self.known.push(name);
        let mut given = self.values.iter().filter(|(given, _)| given == name);
        let read = match (given.next(), given.next()) {
            (None, _) => return Some(None),
            (Some((_, text)), None) => T::from_parameter(text),
            (Some(_), Some(_)) => Err("must be given only once".into()),
        };
        self.faults.collect(name, read).map(Some)
    }

    fn refuse_unknown(&mut self) {
        for (name, _) in self.values.iter().filter(|(name, _)| !self.known.contains(&name.as_ref())) {
            self.faults.add(plain_name(name), "is not a parameter of this request");
        }
    }
}

/// Reads a parameter, or returns what is wrong with it.
pub trait FromParameter: Sized {
    fn from_parameter(text: &str) -> Result<Self, Cow<'static, str>>;
}

impl FromParameter for bool {
    fn from_parameter(text: &str) -> Result<Self, Cow<'static, str>> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("must be true or false".into()),
        }
    }
}

impl FromParameter for UserId {
    fn from_parameter(text: &str) -> Result<Self, Cow<'static, str>> {
        Self::parse(text).ok_or_else(|| "must be a user's id, a positive integer".into())
    }
}

macro_rules! parsed_parameters {
    ($($type:ty),*) => {$(
        impl FromParameter for $type {
            fn from_parameter(text: &str) -> Result<Self, Cow<'static, str>> {
                Self::parse(text)
            }
        }
    )*};
}
parsed_parameters!(Action, ChartLength, PageSize, Role, SearchPrefix, Timestamp, UserSort);

impl ApiSchema for Cursor {
    fn schema() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema { min_length: Some(1), ..MetaSchema::new("string") }))
    }
}

/// Where a page begins, as opaque text that needs no escapes in a URL.
#[derive(Debug)]
pub struct Cursor(String);

impl Cursor {
    /// Encodes a place in a list.
    pub fn text_of(place: &str) -> String {
        Base64UrlUnpadded::encode_string(place.as_bytes())
    }

    /// The place in the list.
    pub fn place(&self) -> &str {
        &self.0
    }

    pub fn fault() -> Cow<'static, str> {
        "must be a next_cursor of the same list, in the same order".into()
    }
}

impl FromParameter for Cursor {
    fn from_parameter(text: &str) -> Result<Self, Cow<'static, str>> {
        let place = Base64UrlUnpadded::decode_vec(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        place.map(Self).ok_or_else(Self::fault)
    }
}

/// A fault that is found after all parameters were read.
pub fn fault(name: &'static str, fault: Cow<'static, str>) -> ApiError {
    let mut faults = Faults::default();
    faults.add(name, fault);
    ApiError::invalid(faults)
}

/// The place in a list that a cursor names, if one was given.
pub fn place<T>(cursor: Option<Cursor>, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>, ApiError> {
    let place = cursor.map(|cursor| parse(cursor.place()).ok_or_else(|| fault("cursor", Cursor::fault())));
    place.transpose()
}

/// Declares a query: the struct, how it is read, and its parameters, from one list. All of them may be left out.
macro_rules! query {
    ($(#[doc = $doc:literal])* $name:ident as $title:literal {
        $($(#[doc = $field_doc:literal])* $field:ident: $type:ty,)*
    }) => {
        $(#[doc = $doc])*
        pub struct $name { $(pub $field: Option<$type>,)* }

        $crate::http::wire::schema::object_schema!($name as $title, true, [$($doc)*], {
            $([$($field_doc)*] $field: $type, false;)*
        });

        impl $crate::http::wire::schema::Example for $name {
            fn example() -> serde_json::Value {
                serde_json::json!({})
            }
        }

        impl $crate::http::wire::query::FromParameters for $name {
            fn read(parameters: &mut $crate::http::wire::query::Parameters<'_>) -> Option<Self> {
                // Every parameter is read before the first fault ends it.
                $(let $field = parameters.optional(stringify!($field));)*
                Some(Self { $($field: $field?,)* })
            }
        }
    };
}
pub(in crate::http) use query;

query! {
    /// Which part of a list.
    Part as "PartQuery" {
        /// The maximum number of items on a page
        limit: PageSize,
        /// The `next_cursor` of the previous page
        cursor: Cursor,
    }
}

impl Part {
    /// After which item the part begins, by its id, and how many items it has.
    pub fn read<Id>(self, parse: impl Fn(&str) -> Option<Id>) -> Result<(Option<Id>, PageSize), ApiError> {
        Ok((place(self.cursor, parse)?, self.limit.unwrap_or_default()))
    }
}

/// Declares a page of a list that is ordered by ids, from the use case's.
macro_rules! page_answer {
    ($(#[doc = $doc:literal])* $name:ident as $title:literal { $items:ident: $item:ty, from $from:ty, by $id:ty }) => {
        $crate::http::wire::schema::answer! {
            $(#[doc = $doc])*
            $name as $title {
                $items: Vec<$item>,
                /// Where the next page begins; null on the last page
                next_cursor: $crate::http::wire::schema::Nullable<String>,
            }
        }

        impl From<$crate::domain::Page<$from, $id>> for $name {
            fn from(page: $crate::domain::Page<$from, $id>) -> Self {
                let next = page.next.map(|id| $crate::http::wire::query::Cursor::text_of(&id.to_string()));
                let next_cursor = $crate::http::wire::schema::Nullable(next);
                Self { $items: page.items.into_iter().map(<$item>::from).collect(), next_cursor }
            }
        }

        impl $crate::http::wire::schema::Example for $name {
            fn example() -> serde_json::Value {
                let item = <$item as $crate::http::wire::schema::Example>::example();
                serde_json::json!({stringify!($items): [item], "next_cursor": null})
            }
        }
    };
}
pub(in crate::http) use page_answer;
