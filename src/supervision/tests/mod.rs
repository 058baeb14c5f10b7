//! Tests of the whole engine, from four sides.
//!
//! - `grid`, `grid_groups`: every policy, end and strategy, significance and `auto_shutdown`, from the tables that are also
//!   the documentation.
//! - `story_*`: one situation each, told step by step at a `desk`.
//! - `conformity`: the same ends given to the engine and to an `oracle`, which is OTP's algorithm written down
//!   again as the blocking recursion that it is there; both must do the same.
//! - `races`: random inputs in a simulated `world`, which knows only the laws that must never be broken.

mod conformity;
mod desk;
mod grid;
mod grid_groups;
mod oracle;
mod races;
mod shape;
mod story_changes;
mod story_groups;
mod story_operator;
mod story_restart;
mod story_start_stop;
mod trees;
mod world;
