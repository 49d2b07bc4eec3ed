//! Models of the protocols on which a kill rests, small enough to look at every order in which
//! things can happen: [`epoch`] within one database, [`regions`] between several.
//!
//! Each model can be built with a [`epoch::Flaw`] or [`regions::Flaw`] of which the checker must
//! find a run that breaks the guarantee; a model that finds none of them would show nothing.

pub mod epoch;
pub mod regions;
