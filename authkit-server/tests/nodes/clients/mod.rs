//! Those who use the service all the time, each in its own way. What one of them knows it takes along from round to round.

mod changer;
mod keeper;
mod registrar;
mod visitor;

pub(crate) use changer::Changer;
pub(crate) use keeper::Keeper;
pub(crate) use registrar::Registrar;
pub(crate) use visitor::{Ended, Visitor};
