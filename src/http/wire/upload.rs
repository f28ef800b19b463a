//! Files that administrators upload. A file may be larger than everything that strangers may hold together, so nothing of it
//! is read before the caller is known.

use super::{
    body::{check_media_type, read, refuse_announced_size, taken},
    error::ApiError,
};
use crate::http::context::Context;
use poem::{Body, Request, RequestBody, http::HeaderMap};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef},
};
use std::{sync::Arc, time::Duration};

const MEDIA_TYPES: [&str; 2] = ["application/x-ndjson", "application/jsonl"];
/// For the spec.
pub const EXAMPLE: &str = "{\"username\":\"ada\",\"email\":\"ada@example.com\",\"password_hash\":\"!\"}\n";
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Sixteen MiB at a megabit a second take two minutes.
const DEADLINE: Duration = Duration::from_mins(3);

/// A file of JSON lines that has not been read.
pub struct Upload {
    headers: HeaderMap,
    body: Body,
    context: Arc<Context>,
}

impl<'a> ApiExtractor<'a> for Upload {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        let schema = || MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")));
        let content = MEDIA_TYPES.map(|content_type| MetaMediaType { content_type, schema: schema() });
        Some(MetaRequest { description: None, content: content.into(), required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let context = Context::shared(request).map_err(ApiError::from)?.clone();
        Ok(Self { headers: request.headers().clone(), body: taken(body)?, context })
    }
}

impl Upload {
    /// Receives the file of a caller who may send one; one at a time.
    pub async fn receive(self) -> Result<Vec<u8>, ApiError> {
        check_media_type(&self.headers, &MEDIA_TYPES)?;
        refuse_announced_size(&self.headers, MAX_BYTES)?;
        self.context.connection.vouch();
        read(self.body, MAX_BYTES, DEADLINE).await
    }
}
