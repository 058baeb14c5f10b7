//! Pictures of a plan: processes as boxes, actors in them, an arrow from each actor to those it is wired to.
//!
//! Drawn from the [`Plan`](super::Plan) and nothing else, so a picture shows what will run (`T-2`).

mod drawing;
mod graphviz;
mod mermaid;

pub use drawing::SHOWN_REPLICAS;
pub use graphviz::graphviz;
pub use mermaid::mermaid;
