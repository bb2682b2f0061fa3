//! Logs in and out again.

use std::time::Duration;

use crate::client::{Client, Told};
use crate::history::Deed;
use crate::stopwatch::Stopwatch;
use crate::support::calls;

/// A session whose end was acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) access_token: String,
    since: Stopwatch,
}

impl Ended {
    /// How long ago the end was acknowledged.
    pub(crate) fn age(&self) -> Duration {
        self.since.elapsed()
    }
}

#[derive(Debug)]
pub(crate) struct Visitor {
    pub(crate) email: String,
    /// The sessions whose end was acknowledged.
    pub(crate) ended: Vec<Ended>,
    /// The access and the refresh token of a session whose end is not yet acknowledged.
    leaving: Option<(String, String)>,
}

impl Visitor {
    pub(crate) const fn new(email: String) -> Self {
        Self { email, ended: Vec::new(), leaving: None }
    }

    pub(crate) async fn work(mut self, mut client: Client) -> Self {
        while !client.closing.is_called() {
            self.turn(&mut client).await;
        }
        self
    }

    async fn turn(&mut self, client: &mut Client) {
        let Some((access_token, token)) = self.leaving.take() else {
            let deed = Deed::LogIn { is_guess: false };
            if let Told::Done(reply) = client.ask(&self.email, deed, calls::log_in(&self.email), 200).await {
                self.leaving = Some((reply.text("access_token"), reply.text("refresh_token")));
            }
            return;
        };
        let deed = Deed::LogOut { token: token.clone() };
        match client.ask(&self.email, deed, calls::log_out(&token), 200).await {
            Told::Done(_) => self.ended.push(Ended { access_token, since: Stopwatch::start() }),
            Told::Refused { .. } | Told::Unknown => self.leaving = Some((access_token, token)),
        }
    }
}
