//! Mail over SMTP when the other side does what it likes: refuses now or for good, hangs up, is slow, or is somebody else.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::account::register;
use crate::links::{VERIFY, link_of};
use crate::settings_with;
use crate::support::Server;

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// What happens to the next mail.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// The recipient is refused with this line.
    Refuse(&'static str),
    /// The mail is taken, and the line is dead before that is said.
    DropAfterData,
    /// The mail is taken after a while.
    Slow,
}

/// A mail server that plays a script, and keeps mail when that is over.
#[derive(Default)]
struct Desk {
    script: Mutex<VecDeque<Act>>,
    mails: Mutex<Vec<String>>,
    account: Option<(&'static str, &'static str)>,
    tls: Option<TlsAcceptor>,
    /// How many mails were begun on a line that anybody can read.
    in_clear: AtomicUsize,
}

impl Desk {
    fn playing(script: &[Act]) -> Self {
        Self { script: Mutex::new(script.iter().copied().collect()), ..Self::default() }
    }

    async fn open(self) -> (u16, Arc<Self>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (port, desk) = (listener.local_addr().expect("bound").port(), Arc::new(self));
        let serving = Arc::clone(&desk);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let desk = Arc::clone(&serving);
                tokio::spawn(async move {
                    let mut wire: Box<dyn Wire> = Box::new(stream);
                    if wire.write_all(b"220 test\r\n").await.is_ok() {
                        // `None`: the line is dead.
                        let _ = desk.converse(wire, false).await;
                    }
                });
            }
        });
        (port, desk)
    }

    fn mails(&self) -> Vec<String> {
        self.mails.lock().expect("not poisoned").clone()
    }

    /// Waits until so many mails are here.
    async fn has(&self, count: usize, server: &Server) -> Vec<String> {
        for _ in 0..4_000 {
            let mails = self.mails();
            if mails.len() >= count {
                return mails;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} mails of {count} came; the log:\n{}", self.mails().len(), server.log());
    }

    async fn converse(&self, mut wire: Box<dyn Wire>, is_safe: bool) -> Option<()> {
        let (mut is_known, mut act) = (self.account.is_none(), None);
        loop {
            let line = line(&mut wire).await?;
            let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            let reply = match verb.as_str() {
                "EHLO" => self.greeting(is_safe),
                "STARTTLS" => {
                    wire.write_all(b"220 go on\r\n").await.ok()?;
                    let tls = self.tls.as_ref()?.accept(wire).await.ok()?;
                    return Box::pin(self.converse(Box::new(tls), true)).await;
                }
                "AUTH" => {
                    let (user, password) = self.account?;
                    let expected = STANDARD.encode(format!("\0{user}\0{password}"));
                    is_known = line == format!("AUTH PLAIN {expected}");
                    if is_known { "235 welcome\r\n" } else { "535 5.7.8 who are you\r\n" }.to_owned()
                }
                "MAIL" if !is_known => "530 5.7.0 log in first\r\n".to_owned(),
                "MAIL" => {
                    self.in_clear.fetch_add(usize::from(!is_safe), Ordering::Relaxed);
                    act = self.script.lock().expect("not poisoned").pop_front();
                    "250 ok\r\n".to_owned()
                }
                "RCPT" => match act {
                    Some(Act::Refuse(line)) => format!("{line}\r\n"),
                    _ => "250 ok\r\n".to_owned(),
                },
                "DATA" => {
                    wire.write_all(b"354 go on\r\n").await.ok()?;
                    let mail = body(&mut wire).await?;
                    if matches!(act, Some(Act::Slow)) {
                        tokio::time::sleep(Duration::from_secs(3)).await;
                    }
                    self.mails.lock().expect("not poisoned").push(mail);
                    if matches!(act, Some(Act::DropAfterData)) {
                        return None;
                    }
                    "250 kept\r\n".to_owned()
                }
                "QUIT" => {
                    wire.write_all(b"221 bye\r\n").await.ok()?;
                    return Some(());
                }
                _ => "250 ok\r\n".to_owned(),
            };
            wire.write_all(reply.as_bytes()).await.ok()?;
            wire.flush().await.ok()?;
        }
    }

    fn greeting(&self, is_safe: bool) -> String {
        let starttls = if self.tls.is_some() && !is_safe { "250-STARTTLS\r\n" } else { "" };
        let auth = if self.account.is_some() { "250-AUTH PLAIN\r\n" } else { "" };
        format!("250-test\r\n{starttls}{auth}250 8BITMIME\r\n")
    }
}

async fn line(wire: &mut Box<dyn Wire>) -> Option<String> {
    let mut line = Vec::new();
    loop {
        match wire.read_u8().await.ok()? {
            b'\n' => return Some(String::from_utf8_lossy(&line).trim_end().to_owned()),
            byte => line.push(byte),
        }
    }
}

async fn body(wire: &mut Box<dyn Wire>) -> Option<String> {
    let mut mail = String::new();
    loop {
        match line(wire).await?.as_str() {
            "." => return Some(mail),
            line => {
                mail.push_str(line);
                mail.push_str("\r\n");
            }
        }
    }
}

const FROM: (&str, &str) = ("AUTHKIT_MAIL_FROM", "AuthKit <no-reply@auth.example>");

/// The messages in a state, as the command line lists them.
async fn messages(server: &Server, state: &str) -> Vec<Value> {
    let output = server.run(&["outbox", "list", "--state", state, "--format", "json"], &[], "").await;
    let list: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    list["messages"].as_array().expect("a list").clone()
}

fn message_id(mail: &str) -> &str {
    mail.lines().find_map(|line| line.strip_prefix("Message-ID: ")).expect("a Message-ID")
}

#[tokio::test]
async fn a_mail_that_is_refused_for_now_comes_later_and_one_that_is_refused_for_good_is_kept_for_the_operator() {
    let script = [Act::Refuse("451 4.7.1 greylisted"), Act::Refuse("550 5.1.1 no such mailbox"), Act::Slow];
    let (port, desk) = Desk::playing(&script).open().await;
    let url = format!("smtp://127.0.0.1:{port}");
    let server = Server::start(&settings_with(&[("AUTHKIT_SMTP_URL", &url), FROM])).await;
    register(&server, "later@example.com").await;
    wait_for_log(&server, "it is tried again").await;
    register(&server, "never@example.com").await;
    wait_for_log(&server, "was given up").await;
    register(&server, "slow@example.com").await;
    let mails = desk.has(2, &server).await;
    assert!(!mails.iter().any(|mail| mail.contains("To: never@example.com")));
    let dead = messages(&server, "dead").await;
    assert_eq!((dead.len(), &dead[0]["last_error"], &dead[0]["attempts"]), (1, &json!("permanent"), &json!(1)));
    // What the operator has tried again, the mailbox may take by then.
    let id = dead[0]["id"].as_str().expect("an id");
    assert!(server.run(&["outbox", "retry", id], &[], "").await.status.success());
    let mails = desk.has(3, &server).await;
    let never = mails.iter().find(|mail| mail.contains("To: never@example.com")).expect("it has come");
    assert!(message_id(never).contains(id));
}

#[tokio::test]
async fn a_mail_whose_line_died_comes_again_under_the_same_id() {
    let (port, desk) = Desk::playing(&[Act::DropAfterData]).open().await;
    let url = format!("smtp://127.0.0.1:{port}");
    let server = Server::start(&settings_with(&[("AUTHKIT_SMTP_URL", &url), FROM])).await;
    register(&server, "ada@example.com").await;
    let mails = desk.has(2, &server).await;
    assert_eq!(message_id(&mails[0]), message_id(&mails[1]), "a receiver can tell");
    let (one, two) = (link_of(&mails[0]).expect("a link").0, link_of(&mails[1]).expect("a link").0);
    assert_eq!(one, two);
    server.post(VERIFY, &json!({ "token": two })).await.expect(200);
}

#[tokio::test]
async fn mail_goes_over_tls_to_whoever_is_trusted_and_to_nobody_else() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let folder = tempfile::tempdir().expect("a folder");
    let trusted = folder.path().join("ca.pem");
    std::fs::write(&trusted, made.cert.pem()).expect("is written");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let config = config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).expect("fits");
    let tls = Some(TlsAcceptor::from(Arc::new(config)));
    let account = Some(("relay", "s3cret"));
    let trusted = trusted.to_str().expect("text");

    let (port, desk) = Desk { tls: tls.clone(), account, ..Desk::default() }.open().await;
    let url = format!("smtp://relay:s3cret@localhost:{port}?tls=required");
    let settings = [("AUTHKIT_SMTP_URL", url.as_str()), FROM, ("AUTHKIT_SMTP_CA_FILE", trusted)];
    let server = Server::start(&settings_with(&settings)).await;
    register(&server, "ada@example.com").await;
    desk.has(1, &server).await;
    assert_eq!(desk.in_clear.load(Ordering::Relaxed), 0);
    assert!(!server.log().contains("s3cret"));

    // A certificate that nobody vouches for; a line in the middle that says there is no TLS; a password that is none.
    let (stranger, no_one) = Desk { tls: tls.clone(), ..Desk::default() }.open().await;
    let (stripped, nothing) = Desk::default().open().await;
    let (stern, nobody) = Desk { account, tls, ..Desk::default() }.open().await;
    let cases = [
        (format!("smtp://localhost:{stranger}?tls=required"), None, no_one),
        (format!("smtp://localhost:{stripped}?tls=required"), Some(trusted), nothing),
        (format!("smtp://relay:wrong@localhost:{stern}?tls=required"), Some(trusted), nobody),
    ];
    for (url, ca_file, desk) in cases {
        let settings = [("AUTHKIT_SMTP_URL", url.as_str()), FROM];
        let ca_file = ca_file.map(|file| ("AUTHKIT_SMTP_CA_FILE", file));
        let settings: Vec<(&str, &str)> = settings.into_iter().chain(ca_file).collect();
        let server = Server::start(&settings_with(&settings)).await;
        register(&server, "ada@example.com").await;
        wait_for_log(&server, "it is tried again").await;
        assert!(desk.mails().is_empty(), "{url}");
        // What is wrong with the settings or the line gives no mail up.
        assert!(messages(&server, "dead").await.is_empty(), "{url}");
    }
}

async fn wait_for_log(server: &Server, what: &str) {
    for _ in 0..3_000 {
        if server.log().contains(what) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing says {what:?}; the log:\n{}", server.log());
}

#[tokio::test]
async fn a_kill_between_the_commit_and_the_sending_loses_no_mail() {
    // It takes the connection, and says nothing: the worker has the message in its hands when it dies.
    let hole = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("smtp://{}", hole.local_addr().expect("bound"));
    let mut server = Server::start(&settings_with(&[("AUTHKIT_SMTP_URL", &url), FROM])).await;
    register(&server, "ada@example.com").await;
    let (line, _) = hole.accept().await.expect("the worker comes");
    server.kill();
    drop(line);
    let (port, desk) = Desk::default().open().await;
    end_leases(&server).await;
    server.set("AUTHKIT_SMTP_URL", &format!("smtp://127.0.0.1:{port}"));
    server.start_again().await;
    let mails = desk.has(1, &server).await;
    let (token, _) = link_of(&mails[0]).expect("a link");
    server.post(VERIFY, &json!({ "token": token })).await.expect(200);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(desk.mails().len(), 1);
}

/// Two minutes later: whatever a dead worker had in its hands is anybody's again.
async fn end_leases(server: &Server) {
    use sqlx::Connection as _;
    let url = format!("sqlite://{}", server.data_dir().join("authkit.sqlite3").display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.expect("opens");
    let sql = "UPDATE authkit_outbox SET due_at = created_at WHERE state = 'pending' AND attempts > 0";
    let done = sqlx::query(sql).execute(&mut connection).await.expect("updates");
    assert_eq!(done.rows_affected(), 1, "the worker had it");
}
