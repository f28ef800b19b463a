//! Ids in paths. Whatever is no id names nothing, which is not an error of form: the answer is that there is none.

use crate::domain::{InvitationId, UserId};
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseFromParameter, ParseResult, Type},
};
use std::borrow::Cow;

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
