//! Path parameters. An invalid id is not a malformed request: it names nothing, so the answer is `404`.

use super::error::ApiError;
use crate::{
    domain::{AppId, AppTokenId, GroupId, InvitationId, SessionId, UserId},
    http::context::Context,
};
use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchema, MetaSchemaRef},
};

/// A parameter of the path, from the route that the edge found.
pub struct Path<T>(pub T);

/// The value of a path parameter. Every text can be read.
pub trait PathParameter: Send {
    fn read(text: &str) -> Self;
    fn schema() -> MetaSchema;
}

macro_rules! ids {
    ($($id:ident),*) => {$(
        impl PathParameter for Option<$id> {
            fn read(text: &str) -> Self {
                $id::parse(text)
            }

            fn schema() -> MetaSchema {
                number()
            }
        }
    )*};
}
ids!(UserId, InvitationId, GroupId, AppId, AppTokenId);

impl PathParameter for SessionId {
    fn read(text: &str) -> Self {
        Self::from_stored(text.to_owned())
    }

    fn schema() -> MetaSchema {
        MetaSchema::new("string")
    }
}

/// In canonical decimal.
fn number() -> MetaSchema {
    MetaSchema { minimum: Some(1.0), ..MetaSchema::new_with_format("integer", "int64") }
}

impl<'a, T: PathParameter> ApiExtractor<'a> for Path<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    const PARAM_IS_REQUIRED: bool = true;
    type ParamType = ();
    type ParamRawType = ();

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Path)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(MetaSchemaRef::Inline(Box::new(T::schema())))
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
        Ok(Self(T::read(text.ok_or_else(|| ApiError::internal("a route lacks a parameter"))?)))
    }
}
