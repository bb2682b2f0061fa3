//! Keeps one session alive: rotates its refresh token, and repeats the request as long as it is not answered.

use crate::client::{Client, Told};
use crate::history::Deed;
use crate::support::calls;

#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) email: String,
    /// The newest token that was acknowledged.
    pub(crate) token: String,
}

impl Keeper {
    pub(crate) const fn new(email: String, token: String) -> Self {
        Self { email, token }
    }

    pub(crate) async fn work(mut self, mut client: Client) -> Self {
        while !client.closing.is_called() && self.turn(&mut client).await {}
        self
    }

    /// One rotation; `false` when the session is over, which is for the record to judge.
    pub(crate) async fn turn(&mut self, client: &mut Client) -> bool {
        let deed = Deed::Refresh { token: self.token.clone() };
        match client.ask(&self.email, deed, calls::refresh(&self.token), 200).await {
            Told::Done(reply) => self.token = reply.text("refresh_token"),
            Told::Refused { status: 401 } => return false,
            Told::Refused { .. } | Told::Unknown => {}
        }
        true
    }
}
