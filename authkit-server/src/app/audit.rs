//! The audit log at the command line.

use std::borrow::Cow;
use std::io::Write;
use std::time::Duration;

use authkit_core::audit::{EventRecord, SealRecord, record};
use authkit_core::flows::{Administrator, Explanation, Verification, VerifyOptions};
use authkit_core::model::{AuditEvent, AuditFilter, RequestContext};
use authkit_core::{AuthKit, PageLimit, PageRequest};

use crate::cli::{AuditOperation, OperationError};

/// Does it, and writes what it found.
#[expect(clippy::future_not_send, reason = "a command has a runtime of its own, and blocks on it")]
pub(super) async fn run(auth: &AuthKit, operation: AuditOperation, out: &mut dyn Write) -> Result<(), OperationError> {
    let audit = auth.audit();
    match operation {
        AuditOperation::Verify(options) => verify(auth, &options, out).await,
        AuditOperation::Anchor => {
            let head =
                audit.head().await?.ok_or("nothing is sealed yet: `authkit-server audit seal` seals what is old enough")?;
            let (number, digest) = (head.number, record::encode(&head.digest));
            Ok(writeln!(out, "{number}:{digest}\nkey {} signature {}", head.key_id, head.signature)?)
        }
        AuditOperation::Keys => {
            audit.public_keys().iter().try_for_each(|(_, jwk)| writeln!(out, "{jwk}"))?;
            Ok(())
        }
        AuditOperation::Seal => {
            let sealed = audit.seal().await?;
            Ok(writeln!(out, "{} seals over {} events, {} of them late", sealed.seals, sealed.events, sealed.late)?)
        }
        AuditOperation::Purge { older_than, dry_run } => purge(auth, older_than, dry_run, out).await,
        AuditOperation::Export { filter, csv, with_seals } => export(auth, &filter, csv, with_seals, out).await,
        AuditOperation::Explain(request_id) => explain(&audit.explain(request_id).await?, out),
    }
}

#[expect(clippy::future_not_send, reason = "a command has a runtime of its own, and blocks on it")]
async fn verify(auth: &AuthKit, options: &VerifyOptions, out: &mut dyn Write) -> Result<(), OperationError> {
    let found = auth.audit().verify(options).await?;
    for problem in &found.problems {
        let event = problem.event.map(|event| format!(", event {event}")).unwrap_or_default();
        writeln!(out, "seal {}{event}: {}", problem.seal, problem.fault.as_str())?;
    }
    if found.more_problems > 0 {
        writeln!(out, "and {} more", found.more_problems)?;
    }
    summarize(&found, out)?;
    match found.problems.first() {
        None => Ok(()),
        Some(first) => {
            let event = first.event.map(|event| format!(" at event {event}")).unwrap_or_default();
            Err(format!("the audit log is not what was sealed, first in seal {}{event}", first.seal).into())
        }
    }
}

fn summarize(found: &Verification, out: &mut dyn Write) -> Result<(), OperationError> {
    writeln!(out, "{} seals and {} events are as they were sealed, {} of them late", found.seals, found.events, found.late)?;
    if found.purged_through > 0 {
        writeln!(out, "purged up to seal {}: {} events that can be proven no more", found.purged_through, found.purged)?;
    }
    match found.proven_until {
        Some(until) => {
            writeln!(out, "the log is covered by seals up to {until}; {} later events are not sealed yet", found.unsealed)?;
        }
        None => writeln!(out, "nothing is sealed; {} events wait for it", found.unsealed)?,
    }
    if let Some(head) = &found.head {
        writeln!(out, "head {}:{}", head.number, record::encode(&head.digest))?;
    }
    Ok(())
}

#[expect(clippy::future_not_send, reason = "a command has a runtime of its own, and blocks on it")]
async fn purge(auth: &AuthKit, older_than: Duration, dry_run: bool, out: &mut dyn Write) -> Result<(), OperationError> {
    let purge = auth.audit().purge(older_than, dry_run).await?;
    let Some(until) = purge.until else {
        return Ok(writeln!(out, "nothing to purge: {} events were left of an earlier purge", purge.deleted)?);
    };
    let (events, seal) = (purge.sealed_events, purge.through_seal);
    if dry_run {
        writeln!(out, "would purge {events} events up to {until} (seal {seal}); add --yes to do it")?;
    } else {
        writeln!(out, "purged {} events up to {until} (seal {seal}); their seals stay", purge.deleted)?;
    }
    Ok(())
}

fn explain(explanation: &Explanation, out: &mut dyn Write) -> Result<(), OperationError> {
    if explanation.events.is_empty() {
        return Ok(writeln!(out, "{}", Explanation::NOTHING)?);
    }
    for (event, text) in &explanation.events {
        let account = event.subject.map(|subject| format!(" account {subject}")).unwrap_or_default();
        let client = event.client.ip.map(|ip| format!(" from {ip}")).unwrap_or_default();
        writeln!(out, "{} {} {}{account}{client}: {text}", event.at, event.action.as_str(), event.outcome.as_str())?;
    }
    Ok(())
}

/// Writes page by page: what is held at a time is one page.
#[expect(clippy::future_not_send, reason = "a command has a runtime of its own, and blocks on it")]
async fn export(
    auth: &AuthKit,
    filter: &AuditFilter,
    csv: bool,
    with_seals: bool,
    out: &mut dyn Write,
) -> Result<(), OperationError> {
    // Before the first line: whoever takes the log out is in it.
    let filter = &auth.audit().begin_export(Administrator::Operator, filter.clone(), &RequestContext::default()).await?;
    let limit = PageLimit::new(PageLimit::MAX).unwrap_or_default();
    let mut page = PageRequest { limit, cursor: None };
    if csv {
        write_rows(out, std::iter::once(COLUMNS.map(Cow::Borrowed)))?;
    }
    loop {
        let read = auth.audit().events(filter, page).await?;
        if csv {
            write_rows(out, read.items.iter().map(cells))?;
        } else {
            for event in &read.items {
                writeln!(out, "{}", record::ascii_line(&EventRecord::from(event)))?;
            }
        }
        page.cursor = read.next;
        if page.cursor.is_none() {
            break;
        }
    }
    if with_seals {
        export_seals(auth, limit, out).await?;
    }
    Ok(out.flush()?)
}

#[expect(clippy::future_not_send, reason = "a command has a runtime of its own, and blocks on it")]
async fn export_seals(auth: &AuthKit, limit: PageLimit, out: &mut dyn Write) -> Result<(), OperationError> {
    let mut after = 0;
    loop {
        let seals = auth.audit().seals(after, limit).await?;
        let Some(last) = seals.last() else { return Ok(()) };
        after = last.number;
        for seal in &seals {
            writeln!(out, "{}", record::ascii_line(&SealRecord::from(seal)))?;
        }
    }
}

const COLUMNS: [&str; 12] = [
    "id",
    "at",
    "action",
    "outcome",
    "actor",
    "actor_id",
    "actor_session_id",
    "subject_id",
    "ip",
    "user_agent",
    "request_id",
    "details",
];

fn cells(event: &AuditEvent) -> [Cow<'_, str>; 12] {
    let record = EventRecord::from(event);
    let owned = |text: Option<String>| Cow::Owned(text.unwrap_or_default());
    [
        owned(Some(event.id.to_string())),
        owned(Some(event.at.to_string())),
        Cow::Borrowed(record.action),
        Cow::Borrowed(record.outcome),
        Cow::Borrowed(record.actor),
        owned(record.actor_id.map(|id| id.to_string())),
        owned(record.actor_session_id.map(|id| id.to_string())),
        owned(record.subject_id.map(|id| id.to_string())),
        owned(record.ip),
        Cow::Owned(record.user_agent.unwrap_or_default().to_owned()),
        Cow::Owned(record.request_id.unwrap_or_default().to_owned()),
        owned(serde_json::to_string(&event.details).ok()),
    ]
}

/// Writes records as RFC 4180 §2 has it, every cell in quotes.
///
/// SECURITY: a cell that begins like a formula gets an apostrophe in front, so that a spreadsheet shows it and does not run it (OWASP,
/// CSV Injection).
fn write_rows<'c, Row>(out: &mut dyn Write, rows: impl Iterator<Item = Row>) -> Result<(), OperationError>
where
    Row: IntoIterator<Item = Cow<'c, str>>,
{
    let mut writer =
        csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row.into_iter().map(|cell| harmless(cell).into_owned()))?;
    }
    let bytes = writer.into_inner().map_err(|error| error.to_string())?;
    Ok(out.write_all(&bytes)?)
}

fn harmless(cell: Cow<'_, str>) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { Cow::Owned(format!("'{cell}")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_run_and_none_ends_early() {
        let mut out = Vec::new();
        let cells = ["=1+1", "@SUM(A1)", "-2", "+3", "\t=x", "a\",\"=b", "plain", "ünïcode"];
        write_rows(&mut out, std::iter::once(cells.map(Cow::Borrowed))).expect("writes");
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(text, "\"'=1+1\",\"'@SUM(A1)\",\"'-2\",\"'+3\",\"'\t=x\",\"a\"\",\"\"=b\",\"plain\",\"ünïcode\"\r\n");
    }
}
