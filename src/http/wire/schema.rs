//! The schemas of the API's types: limits and patterns come from the constants that `domain`
//! parses with.

use crate::domain::{
    Action, App, AppAccess, AppId, AppTokenId, ChainHash, ChartLength, Day, DisplayName, EmailAddress, GroupId,
    GroupName, HistoryActor, InvitationCount, InvitationId, Kind, Origin, PageSize, Password, Registration, Role,
    SearchPrefix, SessionId, SessionKind, Timestamp, Token, UserId, UserSort, Username,
};
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use serde_json::{Value, json};
use std::{net::IpAddr, sync::LazyLock, time::Duration};

/// A type with a schema.
pub trait ApiSchema {
    /// Whether an answer always has a member of this type.
    const REQUIRED: bool = true;

    fn schema() -> MetaSchemaRef;

    /// Adds what the schema refers to.
    fn register(_registry: &mut Registry) {}

    /// Whether this value is left out of the answer.
    fn is_left_out(&self) -> bool {
        false
    }
}

/// A span of time: a whole number of seconds, up to a year.
pub struct Seconds(pub Duration);

impl Seconds {
    pub const MAX: u32 = 31_536_000;
    const MAX_AS_NUMBER: f64 = 31_536_000.0;
}

/// The names of the groups that may enter an app.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub struct AppGroups(pub Vec<GroupName>);

/// A JSON object of the API, with an example for the spec, which tests check.
pub trait Example {
    fn example() -> Value;
}

fn inline(schema: MetaSchema) -> MetaSchemaRef {
    MetaSchemaRef::Inline(Box::new(schema))
}

macro_rules! described {
    ($($type:ty => $schema:expr,)*) => {$(
        impl ApiSchema for $type {
            fn schema() -> MetaSchemaRef {
                inline($schema)
            }
        }
    )*};
}

described! {
    String => MetaSchema::new("string"),
    &'static str => MetaSchema::new("string"),
    bool => MetaSchema::new("boolean"),
    i64 => MetaSchema::new_with_format("integer", "int64"),
    u64 => MetaSchema { minimum: Some(0.0), ..MetaSchema::new_with_format("integer", "int64") },
    InvitationId => MetaSchema { minimum: Some(1.0), ..MetaSchema::new_with_format("integer", "int64") },
    GroupId => MetaSchema { minimum: Some(1.0), ..MetaSchema::new_with_format("integer", "int64") },
    AppId => MetaSchema { minimum: Some(1.0), ..MetaSchema::new_with_format("integer", "int64") },
    AppTokenId => MetaSchema { minimum: Some(1.0), ..MetaSchema::new_with_format("integer", "int64") },
    PageSize => MetaSchema {
        minimum: Some(1.0),
        maximum: Some(PageSize::MAX.into()),
        default: Some(json!(PageSize::DEFAULT)),
        ..MetaSchema::new("integer")
    },
    InvitationCount => MetaSchema {
        minimum: Some(1.0),
        maximum: Some(InvitationCount::MAX.into()),
        ..MetaSchema::new("integer")
    },
    ChartLength => MetaSchema {
        minimum: Some(1.0),
        maximum: Some(ChartLength::MAX.into()),
        default: Some(json!(ChartLength::DEFAULT)),
        ..MetaSchema::new("integer")
    },
    Day => MetaSchema { example: Some(json!("2026-11-22")), ..MetaSchema::new_with_format("string", "date") },
    SearchPrefix => MetaSchema {
        min_length: Some(1),
        max_length: Some(SearchPrefix::MAX_LENGTH),
        ..MetaSchema::new("string")
    },
    UserSort => MetaSchema {
        enum_items: UserSort::ALL.iter().map(|sort| sort.as_str().into()).collect(),
        default: Some(json!(UserSort::default().as_str())),
        ..MetaSchema::new("string")
    },
    Seconds => MetaSchema { minimum: Some(1.0), maximum: Some(Seconds::MAX_AS_NUMBER), ..MetaSchema::new("integer") },
    SessionId => MetaSchema::new("string"),
    IpAddr => MetaSchema { description: Some("An IPv4 or IPv6 address"), ..MetaSchema::new("string") },
    UserId => MetaSchema { minimum: Some(1.0), example: Some(json!(42)), ..MetaSchema::new_with_format("integer", "int64") },
    Username => MetaSchema {
        min_length: Some(1),
        max_length: Some(Username::MAX_LENGTH),
        pattern: Some(Username::PATTERN.into()),
        example: Some(json!("ada")),
        ..MetaSchema::new("string")
    },
    GroupName => MetaSchema {
        min_length: Some(1),
        max_length: Some(GroupName::MAX_LENGTH),
        pattern: Some(GroupName::PATTERN.into()),
        example: Some(json!("family")),
        ..MetaSchema::new("string")
    },
    AppGroups => MetaSchema {
        items: Some(Box::new(GroupName::schema())),
        max_items: Some(App::MAX_GROUPS as usize),
        ..MetaSchema::new("array")
    },
    Origin => MetaSchema {
        max_length: Some(Origin::MAX_LENGTH),
        pattern: Some(Origin::PATTERN.into()),
        example: Some(json!("https://notes.example.com")),
        ..MetaSchema::new("string")
    },
    EmailAddress => MetaSchema {
        min_length: Some(3),
        max_length: Some(EmailAddress::MAX_LENGTH),
        pattern: Some(EmailAddress::PATTERN.into()),
        example: Some(json!("ada@example.com")),
        ..MetaSchema::new("string")
    },
    DisplayName => MetaSchema {
        min_length: Some(1),
        max_length: Some(DisplayName::MAX_LENGTH),
        pattern: Some(DisplayName::PATTERN.into()),
        example: Some(json!("Ada Lovelace")),
        ..MetaSchema::new("string")
    },
    Option<DisplayName> => MetaSchema {
        max_length: Some(DisplayName::MAX_LENGTH),
        pattern: Some(format!("{}|^$", DisplayName::PATTERN)),
        example: Some(json!("Ada Lovelace")),
        ..MetaSchema::new("string")
    },
    Password => MetaSchema {
        min_length: Some(Password::MIN_LENGTH),
        max_length: Some(Password::MAX_LENGTH),
        pattern: Some(Password::PATTERN.into()),
        example: Some(json!("correct horse battery staple")),
        ..MetaSchema::new_with_format("string", "password")
    },
    ChainHash => MetaSchema {
        min_length: Some(ChainHash::LENGTH),
        max_length: Some(ChainHash::LENGTH),
        pattern: Some(ChainHash::PATTERN.into()),
        ..MetaSchema::new("string")
    },
    Timestamp => MetaSchema { example: Some(json!("2026-11-22T10:00:00Z")), ..MetaSchema::new_with_format("string", "date-time") },
}

impl<K: Kind> ApiSchema for Token<K> {
    fn schema() -> MetaSchemaRef {
        inline(MetaSchema {
            min_length: Some(Self::LENGTH),
            max_length: Some(Self::LENGTH),
            pattern: Some(K::PATTERN.into()),
            ..MetaSchema::new("string")
        })
    }
}

impl<K: Kind> serde::Serialize for Token<K> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.reveal())
    }
}

/// An item of a list.
pub trait Item: ApiSchema {
    /// The maximum number in one answer.
    const MAX: u32;
}

impl<T: Item> ApiSchema for Vec<T> {
    fn schema() -> MetaSchemaRef {
        let items = Some(Box::new(T::schema()));
        inline(MetaSchema { items, max_items: Some(T::MAX as usize), ..MetaSchema::new("array") })
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// A closed set of texts, listed once under the type's name.
macro_rules! string_enum {
    ($type:ident) => {
        impl $crate::http::wire::schema::ApiSchema for $type {
            fn schema() -> poem_openapi::registry::MetaSchemaRef {
                poem_openapi::registry::MetaSchemaRef::Reference(stringify!($type).into())
            }

            fn register(registry: &mut poem_openapi::registry::Registry) {
                registry.create_schema::<Self, _>(stringify!($type).into(), |_| poem_openapi::registry::MetaSchema {
                    enum_items: Self::ALL.iter().map(|item| item.as_str().into()).collect(),
                    ..poem_openapi::registry::MetaSchema::new("string")
                });
            }
        }
    };
}
pub(in crate::http) use string_enum;
string_enum!(Role);
string_enum!(AppAccess);
string_enum!(SessionKind);
string_enum!(Registration);
string_enum!(HistoryActor);

impl ApiSchema for Action {
    fn schema() -> MetaSchemaRef {
        MetaSchemaRef::Reference("Action".into())
    }

    fn register(registry: &mut Registry) {
        static MEANINGS: LazyLock<String> = LazyLock::new(|| {
            let line = |action: &Action| match action.meaning() {
                "" => format!("\n- `{}`", action.as_str()),
                meaning => format!("\n- `{}`: {meaning}", action.as_str()),
            };
            let lines: String = Action::ALL.iter().map(line).collect();
            format!("What happened. Later versions may add actions.\n{lines}")
        });
        registry.create_schema::<Self, _>("Action".into(), |_| MetaSchema {
            description: Some(&MEANINGS),
            enum_items: Self::ALL.iter().map(|action| action.as_str().into()).collect(),
            ..MetaSchema::new("string")
        });
    }
}

/// An action as it was recorded, perhaps by a later version.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub struct RecordedAction(pub String);

impl ApiSchema for RecordedAction {
    fn schema() -> MetaSchemaRef {
        Action::schema()
    }

    fn register(registry: &mut Registry) {
        Action::register(registry);
    }
}

/// One property of an object, as an answer shows it or a body takes it.
pub struct Property {
    pub name: &'static str,
    pub schema: MetaSchemaRef,
    pub required: bool,
    pub description: &'static str,
}

impl Property {
    /// A reference can't carry a description of its own (OpenAPI 3.0), so it is wrapped. The description stands beside
    /// `allOf`: inside it, generators of clients take it for a second type.
    fn described(self) -> (&'static str, MetaSchemaRef) {
        let description = Some(self.description.trim()).filter(|text| !text.is_empty());
        let schema = match self.schema {
            reference @ MetaSchemaRef::Reference(_) if description.is_some() => {
                inline(MetaSchema { description, all_of: vec![reference], ..MetaSchema::ANY })
            }
            schema => schema.merge(MetaSchema { description, ..MetaSchema::ANY }),
        };
        (self.name, schema)
    }
}

/// The schema of an object from its properties. `closed` refuses any others.
pub fn object(description: &'static str, properties: Vec<Property>, closed: bool, example: Value) -> MetaSchema {
    let nothing = || MetaSchemaRef::Inline(Box::new(MetaSchema::ANY));
    MetaSchema {
        description: Some(description.trim()),
        required: properties.iter().filter(|property| property.required).map(|property| property.name).collect(),
        properties: properties.into_iter().map(Property::described).collect(),
        // The library can't write `false`: `openapi::spec` replaces this marker.
        additional_properties: closed
            .then(|| Box::new(nothing().merge(MetaSchema { title: Some(CLOSED.into()), ..MetaSchema::ANY }))),
        example: Some(example),
        ..MetaSchema::new("object")
    }
}

/// See `object`.
pub const CLOSED: &str = "closed";

/// A field that can be null.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub struct Nullable<T>(pub Option<T>);

impl<T: ApiSchema> ApiSchema for Nullable<T> {
    fn schema() -> MetaSchemaRef {
        T::schema().merge(MetaSchema { nullable: true, ..MetaSchema::ANY })
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// A member that is included only on request.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub struct Optional<T>(pub Option<T>);

impl<T: ApiSchema> ApiSchema for Optional<T> {
    const REQUIRED: bool = false;

    fn schema() -> MetaSchemaRef {
        T::schema()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn is_left_out(&self) -> bool {
        self.0.is_none()
    }
}

/// Implements `ApiSchema` for a struct that `answer!` or `body!` declares.
macro_rules! object_schema {
    ($name:ident as $title:literal, $closed:literal, [$($doc:literal)*], {
        $([$($field_doc:literal)*] $field:ident: $type:ty, $required:expr;)*
    }) => {
        impl $crate::http::wire::schema::ApiSchema for $name {
            fn schema() -> poem_openapi::registry::MetaSchemaRef {
                poem_openapi::registry::MetaSchemaRef::Reference($title.into())
            }

            fn register(registry: &mut poem_openapi::registry::Registry) {
                registry.create_schema::<Self, _>($title.into(), |registry| {
                    $(<$type as $crate::http::wire::schema::ApiSchema>::register(registry);)*
                    let properties = vec![$($crate::http::wire::schema::Property {
                        name: stringify!($field),
                        schema: <$type as $crate::http::wire::schema::ApiSchema>::schema(),
                        required: $required,
                        description: concat!($($field_doc, "\n"),*),
                    },)*];
                    let example = <Self as $crate::http::wire::schema::Example>::example();
                    $crate::http::wire::schema::object(concat!($($doc, "\n"),*), properties, $closed, example)
                });
            }
        }
    };
}
pub(in crate::http) use object_schema;

/// Declares an object that the API answers with: the struct, how it is written, and its schema, from one list.
macro_rules! answer {
    ($(#[doc = $doc:literal])* $name:ident as $title:literal {
        $($(#[doc = $field_doc:literal])* $field:ident: $type:ty,)*
    }) => {
        $(#[doc = $doc])*
        #[derive(Debug, serde::Serialize)]
        pub struct $name {
            $(#[serde(skip_serializing_if = "crate::http::wire::schema::ApiSchema::is_left_out")] pub $field: $type,)*
        }

        $crate::http::wire::schema::object_schema!($name as $title, false, [$($doc)*], {
            $([$($field_doc)*] $field: $type, <$type as $crate::http::wire::schema::ApiSchema>::REQUIRED;)*
        });
    };
}
pub(in crate::http) use answer;
