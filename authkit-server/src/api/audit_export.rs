//! The audit log as a stream of lines, written while it is read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use authkit_core::audit::{EventRecord, record};
use authkit_core::model::AuditFilter;
use authkit_core::{AuthKit, PageLimit, PageRequest, Principal};
use poem::http::header;
use poem::{Body, IntoResponse, Response};
use poem_openapi::ApiResponse;
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry};
use tokio::io::{AsyncRead, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex};

/// How much waits for a reader that is slow. Beside it one page of 200 events is held.
const WAITING_BYTES: usize = 64 * 1_024;

/// Lines of JSON (<https://github.com/ndjson/ndjson-spec>).
pub(super) struct AuditLines(pub(super) Body);

impl Payload for AuditLines {
    const CONTENT_TYPE: &'static str = "application/x-ndjson";

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema { format: Some("binary"), ..MetaSchema::new("string") }))
    }
}

/// Under which name to keep it.
const DISPOSITION: &str = "attachment; filename=\"audit.jsonl\"";

impl IntoResponse for AuditLines {
    fn into_response(self) -> Response {
        let response = Response::builder().content_type(Self::CONTENT_TYPE);
        response.header(header::CONTENT_DISPOSITION, DISPOSITION).body(self.0)
    }
}

impl ApiResponse for AuditLines {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "One event a line.",
                status: Some(200),
                status_range: None,
                content: vec![MetaMediaType { content_type: Self::CONTENT_TYPE, schema: Self::schema_ref() }],
                headers: vec![MetaHeader {
                    name: "Content-Disposition".to_owned(),
                    description: Some("Under which name to keep it.".to_owned()),
                    required: true,
                    deprecated: false,
                    schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))),
                }],
            }],
        }
    }

    fn register(_: &mut Registry) {}
}

/// The events of a filter, read a page at a time as they are taken.
///
/// SECURITY: whether the caller may is asked of the store for every page: whoever loses the permission, or is logged out, gets no more.
pub(super) fn stream(auth: AuthKit, caller: Principal, filter: AuditFilter) -> Body {
    let (mut writer, reader) = duplex(WAITING_BYTES);
    let is_whole = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&is_whole);
    tokio::spawn(async move {
        let limit = PageLimit::new(PageLimit::MAX).unwrap_or_default();
        let mut page = PageRequest { limit, cursor: None };
        loop {
            let read = match auth.audit().events_for(&caller, &filter, page).await {
                Ok(read) => read,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "an export of the audit log broke off");
                    return;
                }
            };
            let mut lines = String::new();
            for event in &read.items {
                lines.push_str(&record::ascii_line(&EventRecord::from(event)));
                lines.push('\n');
            }
            // Nobody reads any more.
            if writer.write_all(lines.as_bytes()).await.is_err() {
                return;
            }
            page.cursor = read.next;
            if page.cursor.is_none() {
                done.store(true, Ordering::Release);
                return;
            }
        }
    });
    Body::from_async_read(Lines { reader, is_whole })
}

/// What is read, and an error where it ends before it is whole: the reader of a reply that just ended would take it for all of it.
struct Lines {
    reader: DuplexStream,
    is_whole: Arc<AtomicBool>,
}

impl AsyncRead for Lines {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.reader).poll_read(cx, buffer))?;
        let has_ended = buffer.filled().len() == before && buffer.remaining() > 0;
        if has_ended && !self.is_whole.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        Poll::Ready(Ok(()))
    }
}
