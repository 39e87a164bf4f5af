//! Answers from the rest of the world.

mod assemble;
mod convert;
mod delegations;
mod roots;
#[cfg(test)]
mod testing;
