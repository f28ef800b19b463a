//! Files that administrators upload. A file may be larger than everything that strangers may hold together, so nothing of it
//! is read before the caller is known.

use super::{
    body::{check_media_type, read, refuse_announced_size, taken},
    error::{ApiError, ErrorCode},
};
use crate::http::context::Context;
use futures_util::{future::ready, stream::once};
use multer::{Constraints, Multipart, SizeLimit};
use poem::{
    Body, FromRequest, Request, RequestBody,
    http::{HeaderMap, header},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef},
};
use std::{collections::BTreeMap, convert::Infallible, pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, copy, sink},
    time::timeout,
};

const MEDIA_TYPES: [&str; 2] = ["application/x-ndjson", "application/jsonl"];
/// For the spec.
pub const EXAMPLE: &str = "{\"username\":\"ada\",\"email\":\"ada@example.com\",\"password_hash\":\"!\"}\n";
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Sixteen MiB at a megabit a second take two minutes.
const DEADLINE: Duration = Duration::from_mins(3);

/// What a form adds to its file: its other fields, and what stands between them.
const MAX_FORM_OVERHEAD: usize = 16 * 1024;
/// How much is read of what is refused.
const MAX_DISCARDED: u64 = 64 * 1024 * 1024;

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
        Ok(Self::of(request, body)?)
    }
}

impl Upload {
    fn of(request: &Request, body: &mut RequestBody) -> Result<Self, ApiError> {
        Ok(Self { headers: request.headers().clone(), body: taken(body)?, context: Context::shared(request)?.clone() })
    }

    /// Receives the file of a caller who may send one; one at a time.
    pub async fn receive(self) -> Result<Vec<u8>, ApiError> {
        check_media_type(&self.headers, &MEDIA_TYPES)?;
        refuse_announced_size(&self.headers, MAX_BYTES)?;
        self.context.connection.vouch();
        read(self.body, MAX_BYTES, DEADLINE).await
    }
}

/// A form of a page with a file (RFC 7578), that has not been read.
pub struct FormUpload(Upload);

impl<'a> FromRequest<'a> for FormUpload {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self(Upload::of(request, body)?))
    }
}

impl FormUpload {
    /// Receives a form with these fields of a caller who may send a file; one at a time.
    pub async fn receive(self, names: &[&str]) -> Result<FileForm, ApiError> {
        let media_type = self.0.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let boundary = media_type.and_then(|value| multer::parse_boundary(value).ok());
        let boundary = boundary.ok_or_else(|| ApiError::new(ErrorCode::UnsupportedMediaType))?;
        if let Err(refusal) = refuse_announced_size(&self.0.headers, MAX_BYTES + MAX_FORM_OVERHEAD) {
            self.discard().await;
            return Err(refusal);
        }
        self.0.context.connection.vouch();
        // Whole, because the library searches all that it holds whenever more arrives.
        let bytes = read(self.0.body, MAX_BYTES + MAX_FORM_OVERHEAD, DEADLINE).await?;
        let limits =
            Constraints::new().allowed_fields(names.to_vec()).size_limit(SizeLimit::new().per_field(MAX_BYTES as u64));
        let form = Multipart::with_constraints(once(ready(Ok::<_, Infallible>(bytes))), boundary, limits);
        FileForm::read(form).await.map_err(ApiError::new)
    }

    /// Reads what a caller who is known has sent, and keeps nothing of it. A browser sends a form whole before it reads the
    /// answer, which it would lose if the connection was closed before.
    pub async fn discard(self) {
        // With it, the client waits for another answer before it sends anything.
        if self.0.headers.contains_key(header::EXPECT) {
            return;
        }
        self.0.context.connection.vouch();
        let mut rest = pin!(self.0.body.into_async_read().take(MAX_DISCARDED));
        timeout(DEADLINE, copy(&mut rest, &mut sink())).await.ok();
    }
}

/// A form with a file, which came whole.
pub struct FileForm(BTreeMap<String, Vec<u8>>);

impl FileForm {
    async fn read(mut form: Multipart<'static>) -> Result<Self, ErrorCode> {
        let mut fields = BTreeMap::new();
        while let Some(mut field) = form.next_field().await.map_err(|error| code(&error))? {
            let (name, mut bytes) = (field.name().unwrap_or_default().to_owned(), Vec::new());
            while let Some(more) = field.chunk().await.map_err(|error| code(&error))? {
                bytes.extend_from_slice(&more);
            }
            if fields.insert(name, bytes).is_some() {
                return Err(ErrorCode::MalformedRequest);
            }
        }
        Ok(Self(fields))
    }

    /// The file of a field; an empty one where none was chosen.
    pub fn take_file(&mut self, name: &str) -> Vec<u8> {
        self.0.remove(name).unwrap_or_default()
    }

    /// Whether a box is ticked.
    pub fn is_ticked(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

fn code(error: &multer::Error) -> ErrorCode {
    match error {
        multer::Error::FieldSizeExceeded { .. } => ErrorCode::PayloadTooLarge,
        _ => ErrorCode::MalformedRequest,
    }
}
