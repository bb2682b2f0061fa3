//! Makes accounts, each once: what was not answered is left as it is, done or not.

use crate::client::{Client, Told};
use crate::history::Deed;
use crate::support::calls;

#[derive(Debug)]
pub(crate) struct Registrar {
    name: usize,
    next: u64,
}

impl Registrar {
    pub(crate) const fn new(name: usize) -> Self {
        Self { name, next: 0 }
    }

    pub(crate) async fn work(mut self, mut client: Client) -> Self {
        while !client.closing.is_called() {
            let email = format!("registrar-{}-{}@nodes.example", self.name, self.next);
            if let Told::Done(_) | Told::Unknown = client.ask(&email, Deed::Register, calls::register(&email), 201).await {
                self.next += 1;
            }
        }
        self
    }
}
