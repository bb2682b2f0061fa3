//! A script, and the name that Redis knows it by.

/// A script in Lua. It is run by the digest of its text, which is short, and sent whole where Redis does not know it yet.
#[derive(Debug)]
pub(crate) struct Script {
    text: &'static str,
    digest: String,
}

impl Script {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text, digest: redis::Script::new(text).get_hash().to_owned() }
    }

    pub(crate) const fn text(&self) -> &'static str {
        self.text
    }

    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }
}
