//! Parameters in paths. What is not an id names nothing, which is not an error of form: the answer is that there is none.

use super::error::ApiError;
use crate::{
    domain::{InvitationId, UserId},
    http::context::Context,
};
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchema, MetaSchemaRef},
    types::{ParseFromParameter, ParseResult, Type},
};
use std::borrow::Cow;

/// A parameter of the path, from the route that the edge found.
pub struct Path<T>(pub T);

impl<'a, T: ParseFromParameter> ApiExtractor<'a> for Path<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    const PARAM_IS_REQUIRED: bool = true;
    type ParamType = ();
    type ParamRawType = ();

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Path)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(T::schema_ref())
    }

    /// The generator calls a path's parameters `param0`, `param1` and so on.
    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let context = Context::of(request).map_err(ApiError::from)?;
        let place = options.name.strip_prefix("param").and_then(|place| place.parse::<usize>().ok());
        let text = place.and_then(|place| context.path_parameters.get(place));
        let parsed = T::parse_from_parameter(text.ok_or_else(|| ApiError::internal("a route lacks a parameter"))?);
        parsed.map(Self).map_err(|_| ApiError::internal("a parameter that may be anything was refused").into())
    }
}

/// A number in a path, in canonical decimal.
pub struct IdPath<T>(pub Option<T>);

/// What such a number names.
pub trait Numbered: Sized + Send + Sync {
    fn parse(text: &str) -> Option<Self>;
}

impl Numbered for UserId {
    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl Numbered for InvitationId {
    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

impl<T: Numbered> Type for IdPath<T> {
    const IS_REQUIRED: bool = true;
    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "integer_int64".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let schema = MetaSchema { minimum: Some(1.0), ..MetaSchema::new_with_format("integer", "int64") };
        MetaSchemaRef::Inline(Box::new(schema))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl<T: Numbered> ParseFromParameter for IdPath<T> {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Ok(Self(T::parse(value)))
    }
}
