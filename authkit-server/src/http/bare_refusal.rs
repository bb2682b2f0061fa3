//! What hyper answers before any request of ours exists, made a problem document.
//!
//! Bytes that hyper cannot parse never reach the shell: hyper refuses them itself, with a status and an empty body. A client
//! deserves to read why, and an id under which to ask.

use authkit_core::{Clock as _, OsEntropy, RequestId, SystemClock};
use poem::http::StatusCode;

use crate::problem::{PROBLEM_JSON, Problem};

/// A refusal of hyper's own is a line and three short headers.
const MAX_BYTES: usize = 256;

/// The reply to send in place of what hyper wrote, if that is a refusal of its own.
pub(super) fn replacement(written: &[u8]) -> Option<Vec<u8>> {
    // Cheap for every reply that is none: its first line says so. Every reply of the shell has more than hyper's headers.
    let is_whole = written.len() <= MAX_BYTES && written.starts_with(b"HTTP/1.1 4") && written.ends_with(b"\r\n\r\n");
    let text = is_whole.then(|| std::str::from_utf8(written).ok()).flatten()?;
    let mut lines = text.split_terminator("\r\n");
    let status: StatusCode = lines.next()?.get(9..12)?.parse().ok()?;
    let known =
        |line: &str| line.is_empty() || ["connection: close", "content-length: 0"].contains(&line) || line.starts_with("date: ");
    lines.all(known).then(|| reply(status))
}

fn reply(status: StatusCode) -> Vec<u8> {
    let problem = match status {
        StatusCode::BAD_REQUEST => Problem::malformed(),
        status => Problem::of_status(status),
    };
    let id = RequestId::generate(SystemClock.now(), &OsEntropy);
    let (shown, status) = (id.as_str().to_owned(), problem.status());
    let body = problem.with_request_id(id).to_json().to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {length}\r\ncache-control: no-store\r\n\
         x-content-type-options: nosniff\r\nx-request-id: {shown}\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_of_hypers_own_is_replaced() {
        let own = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: now\r\n\r\n";
        let replaced = String::from_utf8(replacement(own).expect("is replaced")).expect("text");
        assert!(replaced.starts_with("HTTP/1.1 431 ") && replaced.contains("request.headers_too_large"), "{replaced}");
        for other in [
            &b"HTTP/1.1 404 Not Found\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n",
            b"{\"code\":\"HTTP/1.1 400\"}",
            b"",
        ] {
            assert_eq!(replacement(other), None);
        }
    }
}
