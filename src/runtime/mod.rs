//! Programs, roots, deployments.
