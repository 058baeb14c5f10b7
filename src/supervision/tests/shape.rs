//! The tree as the world knows it: who is in which group, in which order, without any state.

use crate::supervision::{ChildId, GroupId, GroupSpec, Member, Strategy};

/// A tree whose members may come and go, numbered as the engine numbers them.
pub(super) struct Shape {
    groups: Vec<Node>,
    next: u32,
}

struct Node {
    above: Option<GroupId>,
    /// Without its members.
    spec: GroupSpec,
    members: Vec<Sits>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sits {
    Child(ChildId),
    Group(GroupId),
}

impl Shape {
    pub(super) fn new(tree: &GroupSpec) -> Shape {
        let mut shape = Shape { groups: Vec::new(), next: 0 };
        shape.plant(tree, None);
        shape
    }

    fn plant(&mut self, tree: &GroupSpec, above: Option<GroupId>) -> GroupId {
        let id = GroupId(u32::try_from(self.groups.len()).unwrap());
        let spec = GroupSpec { members: Vec::new(), ..tree.clone() };
        self.groups.push(Node { above, spec, members: Vec::new() });
        for member in &tree.members {
            let sits = match member {
                Member::Child(_) => Sits::Child(self.number()),
                Member::Group(group) => Sits::Group(self.plant(group, Some(id))),
            };
            self.node_mut(id).members.push(sits);
        }
        id
    }

    fn number(&mut self) -> ChildId {
        self.next += 1;
        ChildId(self.next - 1)
    }

    fn node(&self, group: GroupId) -> &Node {
        &self.groups[group.0 as usize]
    }

    fn node_mut(&mut self, group: GroupId) -> &mut Node {
        &mut self.groups[group.0 as usize]
    }

    pub(super) fn has_group(&self, group: GroupId) -> bool {
        (group.0 as usize) < self.groups.len()
    }

    pub(super) fn group(&self, group: GroupId) -> &GroupSpec {
        &self.node(group).spec
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = &GroupSpec> {
        self.groups.iter().map(|node| &node.spec)
    }

    pub(super) fn add(&mut self, group: GroupId) -> ChildId {
        let child = self.number();
        self.node_mut(group).members.push(Sits::Child(child));
        child
    }

    pub(super) fn remove(&mut self, child: ChildId) {
        self.groups.iter_mut().for_each(|node| node.members.retain(|sits| *sits != Sits::Child(child)));
    }

    /// Every child, in start order.
    pub(super) fn order(&self) -> Vec<ChildId> {
        let mut order = Vec::new();
        self.collect(GroupId::TOP, &mut order);
        order
    }

    fn collect(&self, group: GroupId, order: &mut Vec<ChildId>) {
        for sits in &self.node(group).members {
            match sits {
                Sits::Child(child) => order.push(*child),
                Sits::Group(group) => self.collect(*group, order),
            }
        }
    }

    /// Whom a group restarts with one of its members: with a group in it, or, where it is none, with this child.
    pub(super) fn restarted_with(
        &self,
        group: GroupId,
        member: Option<GroupId>,
        child: ChildId,
    ) -> Vec<ChildId> {
        let Node { spec, members, .. } = self.node(group);
        let failed = member.map_or(Sits::Child(child), Sits::Group);
        let at = members.iter().position(|sits| *sits == failed).expect("it sits there");
        let row = match spec.strategy {
            Strategy::OneForOne => at..at + 1,
            Strategy::OneForAll => 0..members.len(),
            Strategy::RestForOne => at..members.len(),
        };
        let mut restarted = Vec::new();
        for sits in &members[row] {
            match sits {
                Sits::Child(child) => restarted.push(*child),
                Sits::Group(group) => self.collect(*group, &mut restarted),
            }
        }
        restarted
    }

    /// The group of a child and those above it, from within; none if there is no such child.
    pub(super) fn above(&self, child: ChildId) -> Vec<GroupId> {
        let mut above = Vec::new();
        let own = self.groups.iter().position(|node| node.members.contains(&Sits::Child(child)));
        let mut next = own.map(|at| GroupId(u32::try_from(at).unwrap()));
        while let Some(group) = next {
            above.push(group);
            next = self.node(group).above;
        }
        above
    }
}
