//! Two servers on one database: what one of them ends, the other refuses soon after.

use std::time::Duration;

use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::account::{LOGOUT, ME, REFRESH, Tokens, log_in, refresh_token, register};
use crate::support::Server;
use crate::{PUBLIC_URL, settings_with};

/// How long the other server may take to hear of it; the figure to expect is a second.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_logout_on_one_server_ends_the_session_on_the_other() {
    let here = Server::start(&settings_with(&[PUBLIC_URL])).await;
    let there = here.start_beside().await;
    let tokens = register(&here, "ada@example.com").await;
    let other = log_in(&there, "ada@example.com").await;
    for server in [&here, &there] {
        server.get_as(ME, &tokens.access).await.expect(200);
        server.get_as(ME, &other.access).await.expect(200);
    }
    // One lineage, whichever server rotates.
    let second = Tokens::of(&there.post(REFRESH, &refresh_token(&tokens)).await.expect(200));
    let again = Tokens::of(&here.post(REFRESH, &refresh_token(&tokens)).await.expect(200));
    assert_eq!(second.refresh, again.refresh);

    here.post(LOGOUT, &refresh_token(&second)).await.expect(200);
    here.get_as(ME, &second.access).await.problem(401, "auth.session_ended");
    there.post(REFRESH, &refresh_token(&second)).await.problem(401, "auth.invalid_refresh_token");
    let heard = timeout(HEARD_WITHIN, async {
        while there.get_as(ME, &second.access).await.status == 200 {
            sleep(Duration::from_millis(50)).await;
        }
    });
    heard.await.expect("the other server hears of the logout");
    there.get_as(ME, &tokens.access).await.problem(401, "auth.session_ended");
    there.get_as(ME, &other.access).await.expect(200);
    there.post(LOGOUT, &json!({ "refresh_token": other.refresh })).await.expect(200);
}
