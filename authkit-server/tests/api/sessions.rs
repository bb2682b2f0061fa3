//! `/api/v1/users/me/sessions`: the caller's devices, page by page, and the end of one.

use std::collections::BTreeSet;

use hyper::Method;
use serde_json::{Value, json};

use crate::SETTINGS;
use crate::account::{LOGIN, LOGOUT, ME, PASSWORD, REFRESH, SESSIONS, Tokens, assert_over, log_in, refresh_token, register};
use crate::own_account::request;
use crate::support::{Reply, Server, get};

async fn end(server: &Server, token: &str, id: &str) -> Reply {
    server.send(request(Method::DELETE, &format!("{SESSIONS}/{id}"), token, &Value::Null)).await
}

#[tokio::test]
async fn sessions_are_listed_page_by_page_and_one_is_ended_by_its_owner_only() {
    let server = Server::start(SETTINGS).await;
    let first = register(&server, "ada@example.com").await;
    let body = json!({ "email": "ada@example.com", "password": PASSWORD, "device_name": "phone" });
    let phone = Tokens::of(&server.post(LOGIN, &body).await.expect(200));
    let third = log_in(&server, "ada@example.com").await;
    let stranger = register(&server, "bob@example.com").await;

    // Youngest first, each once, whatever the size of a page.
    let all = server.get_as(SESSIONS, &first.access).await.expect(200).json();
    let ids = |page: &Value| {
        page["items"].as_array().expect("items").iter().map(|s| s["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((ids(&all).len(), &all["next_cursor"]), (3, &Value::Null));
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = server.get_as(&format!("{SESSIONS}?limit=1{cursor}"), &first.access).await.expect(200).json();
        paged.extend(ids(&page));
        let Some(next) = page["next_cursor"].as_str() else { break };
        assert!(paged.len() < 10, "the list ends");
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, ids(&all));
    assert_eq!(paged.iter().collect::<BTreeSet<_>>().len(), 3);

    let items = all["items"].as_array().expect("items");
    assert_eq!(items.iter().map(|s| s["current"].as_bool().expect("a flag")).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!((&items[1]["device_name"], &items[1]["ip"]), (&json!("phone"), &json!("127.0.0.1")));
    for time in ["created_at", "last_used_at", "expires_at"] {
        assert!(items[0][time].as_str().is_some_and(|time| time.ends_with('Z')), "{}", items[0]);
    }

    for query in ["limit=0", "limit=201", "limit=-1", "limit=", "limit=x", "limit=1.0", "limit=%00", "limit=99999999999999999999"]
    {
        server.get_as(&format!("{SESSIONS}?{query}"), &first.access).await.problem_of(400, "request.invalid_parameter", "limit");
    }
    for query in ["cursor=", "cursor=x", "cursor=%00", "cursor=%ff", &format!("cursor={}", "a".repeat(4_000))] {
        server.get_as(&format!("{SESSIONS}?{query}"), &first.access).await.problem_of(400, "request.invalid_parameter", "cursor");
    }

    // Somebody else's session, one that never was, and what is no id are all the same: not there.
    let foreign = ids(&server.get_as(SESSIONS, &stranger.access).await.expect(200).json()).remove(0);
    let nobodys = "01a20acc-6966-722d-9525-9529da83d756";
    for id in [foreign.as_str(), nobodys, "x", "%00", "..%2f..%2fme", "'%20OR%201=1--", &"1".repeat(2_000)] {
        end(&server, &first.access, id).await.problem(404, "session.not_found");
    }
    server.get_as(ME, &stranger.access).await.expect(200);
    server.send(get(&format!("{SESSIONS}/{nobodys}"), Some(&first.access))).await.problem(405, "request.method_not_allowed");
    end(&server, "x", &paged[1]).await.problem(401, "auth.invalid_token");

    assert!(end(&server, &first.access, &paged[1]).await.expect(204).body.is_empty());
    assert_over(&server, &phone).await;
    end(&server, &first.access, &paged[1]).await.problem(404, "session.not_found");
    assert_eq!(ids(&server.get_as(SESSIONS, &first.access).await.expect(200).json()), [paged[0].clone(), paged[2].clone()]);
    // A refresh keeps the session, a logout takes it off the list.
    let third = Tokens::of(&server.post(REFRESH, &refresh_token(&third)).await.expect(200));
    assert_eq!(ids(&server.get_as(SESSIONS, &third.access).await.expect(200).json()), [paged[0].clone(), paged[2].clone()]);
    server.post(LOGOUT, &refresh_token(&third)).await.expect(200);
    assert_eq!(ids(&server.get_as(SESSIONS, &first.access).await.expect(200).json()), [paged[2].clone()]);
    // One's own session can be ended as well.
    end(&server, &first.access, &paged[2]).await.expect(204);
    assert_over(&server, &first).await;
}
