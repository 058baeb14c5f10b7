//! The declared topology and its validated plan.
