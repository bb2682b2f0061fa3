//! Changes a password again and again; what was not answered is found out by logging in.

use crate::client::{Client, Told};
use crate::history::Deed;
use crate::support::calls;

/// How often every password that may be in force is tried before one has to be. More than once: a change that was given up for
/// lost can still arrive between two tries.
const ROUNDS_OF_GUESSES: usize = 5;

#[derive(Debug)]
pub(crate) struct Changer {
    pub(crate) email: String,
    access_token: String,
    /// The password that was in force when that was last known.
    password: String,
    /// The passwords that were asked for since, and may be in force.
    asked_for: Vec<String>,
    next: u64,
    must_find_out: bool,
}

impl Changer {
    pub(crate) fn new(email: String, access_token: String) -> Self {
        let password = calls::PASSWORD.to_owned();
        Self { email, access_token, password, asked_for: Vec::new(), next: 0, must_find_out: false }
    }

    pub(crate) async fn work(mut self, mut client: Client) -> Self {
        while !client.closing.is_called() {
            if self.must_find_out {
                self.find_out(&mut client).await;
            } else {
                self.change(&mut client).await;
            }
        }
        self
    }

    async fn change(&mut self, client: &mut Client) {
        self.next += 1;
        let new = format!("plumage-orbit-{}-cadence", 4_417 + self.next);
        let request = calls::change_password(&self.access_token, &self.password, &new);
        match client.ask(&self.email, Deed::ChangePassword, request, 200).await {
            Told::Done(_) => self.is_in_force(new),
            Told::Unknown => {
                self.asked_for.push(new);
                self.must_find_out = true;
            }
            // An earlier change has arrived after all.
            Told::Refused { status: 401 | 403 } if !self.asked_for.is_empty() => self.must_find_out = true,
            Told::Refused { .. } => {}
        }
    }

    async fn find_out(&mut self, client: &mut Client) {
        for _ in 0..ROUNDS_OF_GUESSES {
            let mut refused = 0;
            let guesses: Vec<_> = self.asked_for.iter().rev().chain([&self.password]).cloned().collect();
            for guess in &guesses {
                let request = calls::log_in_with(&self.email, guess);
                match client.ask(&self.email, Deed::LogIn { is_guess: true }, request, 200).await {
                    Told::Done(reply) => {
                        self.access_token = reply.text("access_token");
                        self.password.clone_from(guess);
                        self.must_find_out = false;
                        return;
                    }
                    Told::Refused { status: 401 } => refused += 1,
                    Told::Refused { .. } | Told::Unknown => return,
                }
            }
            assert!(refused == guesses.len(), "every guess was tried");
        }
        panic!("PROMISE BROKEN: one of the passwords that {} asked for is in force", self.email);
    }

    fn is_in_force(&mut self, password: String) {
        self.password = password;
        // The guard of a change names the hash that it replaces: none that was asked for before can arrive now.
        self.asked_for.clear();
    }
}
