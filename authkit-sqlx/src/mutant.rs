//! Faults that can be built into the store on purpose. A green contract proves nothing by itself: each of these must turn
//! it red (`tests/mutants.rs`). Without the feature `mutants`, which nobody but the tests enables, there is nothing here.

#[cfg(feature = "mutants")]
mod planted;

#[cfg(feature = "mutants")]
pub use planted::Mutant;
#[cfg(feature = "mutants")]
pub(crate) use planted::Mutation;

/// No fault at all.
#[cfg(not(feature = "mutants"))]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mutation;

#[cfg(not(feature = "mutants"))]
impl Mutation {
    pub(crate) const NONE: Self = Self;

    /// The text as it is.
    #[expect(clippy::unused_self, reason = "a planted fault looks at itself here")]
    pub(crate) const fn rewrite(self, sql: &'static str) -> &'static str {
        sql
    }

    /// As often as it should be.
    #[expect(clippy::unused_self, reason = "a planted fault looks at itself here")]
    pub(crate) const fn attempts(self, attempts: u32) -> u32 {
        attempts
    }
}
