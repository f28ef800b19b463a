//! The `If-Match` header (RFC 9110, section 13.1.1).

use crate::app::ExpectedRevision;
use poem::{
    Request, RequestBody,
    http::{HeaderMap, header},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchema, MetaSchemaRef},
};

/// The revisions that a change may be made to; without the header, any revision.
pub struct IfMatch(pub ExpectedRevision);

impl<'a> ApiExtractor<'a> for IfMatch {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    type ParamType = ();
    type ParamRawType = ();

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Header)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        let description = "Go on only if the account still has one of these entity tags (a comma-separated list, or `*`); else `412`. Weak tags never match";
        let schema = MetaSchema { description: Some(description), ..MetaSchema::new("string") };
        Some(MetaSchemaRef::Inline(Box::new(schema)))
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self(expected(request.headers())))
    }
}

/// Several headers form one list. Unknown tags match nothing.
fn expected(headers: &HeaderMap) -> ExpectedRevision {
    let mut lines = headers.get_all(header::IF_MATCH).iter().peekable();
    if lines.peek().is_none() {
        return ExpectedRevision::Any;
    }
    let entries = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).map(str::trim);
    let entries: Vec<&str> = entries.collect();
    if entries.contains(&"*") {
        return ExpectedRevision::Any;
    }
    ExpectedRevision::OneOf(entries.into_iter().filter_map(revision).collect())
}

/// Reads `"<id>.<revision>"`, quotes included.
fn revision(tag: &str) -> Option<(i64, i64)> {
    let (id, revision) = tag.strip_prefix('"')?.strip_suffix('"')?.split_once('.')?;
    let number = |text: &str| text.parse().ok().filter(|number: &i64| number.to_string() == text);
    Some((number(id)?, number(revision)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &[&str]) -> ExpectedRevision {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_MATCH, line.parse().unwrap());
        }
        expected(&headers)
    }

    #[test]
    fn lists_and_stars_are_understood() {
        use ExpectedRevision::{Any, OneOf};
        assert_eq!(parse(&[]), Any);
        assert_eq!(parse(&["*"]), Any);
        assert_eq!(parse(&["\"1.2\""]), OneOf(vec![(1, 2)]));
        assert_eq!(parse(&["\"1.2\" , \"3.4\"", "\"5.6\""]), OneOf(vec![(1, 2), (3, 4), (5, 6)]));
    }

    #[test]
    fn weak_and_foreign_tags_match_nothing() {
        for line in ["W/\"1.2\"", "1.2", "\"1\"", "\"+1.2\"", "\"01.2\"", "\"\"", "", "\"1.2", "\"1.2.3\""] {
            assert_eq!(parse(&[line]), ExpectedRevision::OneOf(vec![]), "{line:?}");
        }
    }
}
