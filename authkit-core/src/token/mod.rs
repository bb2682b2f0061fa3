//! Tokens: signed access tokens, rotating refresh tokens, and the keys behind both.
