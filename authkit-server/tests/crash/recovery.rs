//! After the restart: every client goes on from what it knows.

use crate::clients::{Chain, Histories};
use crate::support::calls::{log_in, refresh, register};
use crate::support::{Connection, Dice, Reply, Server};

/// How many acknowledged registrations of a round prove their password; each costs a hash.
const LOGINS_PER_ROUND: usize = 3;

/// Every chain presents its newest acknowledged token, whether its last rotation was answered or not.
pub(super) async fn retry_chains(server: &Server, histories: &mut Histories) {
    let mut connection = server.connect();
    for chain in &mut histories.chains {
        let first = ask(&mut connection, refresh(chain.newest())).await;
        assert_eq!(
            first.status,
            200,
            "PROMISE BROKEN: {}. {} presented its newest acknowledged token after {} acknowledged rotations and got {}",
            if chain.in_flight { "a client that lost a reply is not logged out" } else { "an acknowledged rotation is not lost" },
            chain.email,
            chain.tokens.len() - 1,
            String::from_utf8_lossy(&first.body),
        );
        let successor = first.text("refresh_token");
        // The reply might be lost again: the same token must bring the same successor, or there would be two lineages.
        let again = ask(&mut connection, refresh(chain.newest())).await;
        assert_eq!(again.status, 200, "PROMISE BROKEN: a retry within the grace window succeeds ({})", chain.email);
        assert_eq!(again.text("refresh_token"), successor, "PROMISE BROKEN: retries bring one successor ({})", chain.email);

        chain.resume(successor, &mut histories.counts);
    }
}

/// Everything else that was acknowledged still works, everything unknown can be repeated, and an old token is refused.
pub(super) async fn resume(server: &Server, histories: &mut Histories, dice: &mut Dice) {
    let mut connection = server.connect();
    resume_registrations(&mut connection, histories, dice).await;
    resume_logins(&mut connection, histories).await;
    let index = dice.index(histories.chains.len());
    let old = dice.index(histories.chains[index].tokens.len() - 1);
    present_an_old_token(&mut connection, &mut histories.chains[index], old).await;
    histories.counts.reuses += 1;
}

async fn resume_registrations(connection: &mut Connection, histories: &mut Histories, dice: &mut Dice) {
    let (mut fresh, mut unknown) = (Vec::new(), Vec::new());
    for registrar in &mut histories.registrars {
        fresh.append(&mut registrar.fresh);
        unknown.extend(registrar.unknown.take());
    }
    histories.counts.registrations += fresh.len() as u64;
    for (email, token) in &fresh {
        let reply = ask(connection, refresh(token)).await;
        assert_eq!(reply.status, 200, "PROMISE BROKEN: the session of an acknowledged registration lives on ({email})");
    }
    for _ in 0..LOGINS_PER_ROUND.min(fresh.len()) {
        let (email, _) = &fresh[dice.index(fresh.len())];
        let reply = ask(connection, log_in(email)).await;
        assert_eq!(reply.status, 200, "PROMISE BROKEN: an acknowledged registration can log in ({email})");
        histories.logins.push(email.clone());
    }
    histories.registered.extend(fresh.into_iter().map(|(email, _)| email));

    for email in unknown {
        match ask(connection, register(&email)).await.status {
            201 => histories.counts.unknown_not_done += 1,
            409 => {
                // It is there; then all of it is there, the password included.
                let reply = ask(connection, log_in(&email)).await;
                assert_eq!(reply.status, 200, "PROMISE BROKEN: a registration is done or not done, never half ({email})");
                histories.counts.unknown_done += 1;
                histories.logins.push(email.clone());
            }
            status => panic!("PROMISE BROKEN: a registration without a reply can be repeated; {email} got {status}"),
        }
        histories.registered.push(email);
    }
}

async fn resume_logins(connection: &mut Connection, histories: &mut Histories) {
    for visitor in &mut histories.visitors {
        for (email, token) in visitor.fresh.drain(..) {
            let reply = ask(connection, refresh(&token)).await;
            assert_eq!(reply.status, 200, "PROMISE BROKEN: the session of an acknowledged login lives on ({email})");
            histories.counts.logins += 1;
            histories.logins.push(email);
        }
    }
}

/// Presents a token that is at least two generations old: it is refused, and its session ends. The chain begins anew.
async fn present_an_old_token(connection: &mut Connection, chain: &mut Chain, old: usize) {
    // The newest is used, so that its predecessor is outside the grace rule as well.
    let newest = ask(connection, refresh(chain.newest())).await.expect(200).text("refresh_token");
    let reply = ask(connection, refresh(&chain.tokens[old])).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (401, "auth.refresh_token_reused"),
        "PROMISE BROKEN: an older token is refused ({}, number {old} of {})",
        chain.email,
        chain.tokens.len()
    );
    let reply = ask(connection, refresh(&newest)).await;
    assert_eq!(reply.status, 401, "PROMISE BROKEN: the reuse of an old token ends the session ({})", chain.email);

    let token = ask(connection, log_in(&chain.email)).await.expect(200).text("refresh_token");
    chain.begin_anew(token);
}

async fn ask(connection: &mut Connection, request: hyper::Request<http_body_util::Full<bytes::Bytes>>) -> Reply {
    let path = request.uri().path().to_owned();
    connection.send(request).await.unwrap_or_else(|error| panic!("{path}: no reply after the restart: {error}"))
}
