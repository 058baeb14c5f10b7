//! The children of a tree by their numbers. A number is never used twice, and a child that was removed leaves nothing.

use super::action::ChildId;
use super::child::Child;

/// Children in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Children {
    rows: Vec<Child>,
    next: u32,
}

impl Children {
    /// Takes in a child that is made for the number after the last.
    pub(super) fn add(&mut self, make: impl FnOnce(ChildId) -> Child) -> ChildId {
        let id = ChildId(self.next);
        self.next = self.next.checked_add(1).expect("fewer than 2^32 children in one life");
        self.rows.push(make(id));
        id
    }

    pub(super) fn remove(&mut self, id: ChildId) -> Option<Child> {
        self.position(id).map(|at| self.rows.remove(at))
    }

    pub(super) fn find(&self, id: ChildId) -> Option<&Child> {
        self.position(id).map(|at| &self.rows[at])
    }

    pub(super) fn find_mut(&mut self, id: ChildId) -> Option<&mut Child> {
        self.position(id).map(|at| &mut self.rows[at])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Child> {
        self.rows.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Until the first removal a number is a position.
    fn position(&self, id: ChildId) -> Option<usize> {
        let guess = id.0 as usize;
        match self.rows.get(guess) {
            Some(child) if child.id == id => Some(guess),
            _ => self.rows.binary_search_by_key(&id, |child| child.id).ok(),
        }
    }
}
