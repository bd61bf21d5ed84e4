//! What a column without a link is called: the place that its pseudonyms belong to.
//!
//! Columns that foreign keys tie together are one place, and so are the columns that partitions
//! and children have from their parents: equal values must stay equal there.

use std::collections::HashMap;

use super::postgres_checks as checks;
use crate::store::shape::{Column, Table};

/// The place of every column of every table, in their order.
pub(crate) fn of(tables: &[Table]) -> Vec<Vec<String>> {
    let known: HashMap<String, &Table> =
        tables.iter().map(|table| (table.full_name(), table)).collect();
    let mut union = Union::default();
    for table in tables {
        for column in &table.columns {
            let mut own = union.node(checks::place(table, column));
            for parent in origins(&known, table, column) {
                let parent = union.node(parent);
                union.tie(own, parent);
                own = parent;
            }
        }
        for key in &table.foreign_keys {
            let target = format!("{}.{}", key.target_schema, key.target_table);
            for (name, target_name) in key.columns.iter().zip(&key.target_columns) {
                let from = union.node(named(&table.full_name(), name));
                let to = union.node(named(&target, target_name));
                union.tie(from, to);
            }
        }
    }
    let best = union.best();
    let name = |table: &Table, column: &Column| {
        let place = checks::place(table, column);
        let set = union.nodes.get(&place).map(|node| union.set(*node));
        set.and_then(|set| best.get(&set))
            .and_then(|best| union.names.get(*best))
            .cloned()
            .unwrap_or(place)
    };
    let names = |table: &Table| table.columns.iter().map(|column| name(table, column)).collect();
    tables.iter().map(names).collect()
}

fn named(table: &str, column: &str) -> String {
    format!("postgres|{table}|{column}")
}

/// The columns of parents that a column comes from, nearest first. A parent that is not among
/// the tables is partitioned, and all columns of a partition are its.
fn origins(
    known: &HashMap<String, &Table>,
    table: &Table,
    column: &Column,
) -> impl Iterator<Item = String> {
    let has = |name: &String| {
        let parent = known.get(name);
        parent.is_none_or(|parent| parent.columns.iter().any(|other| other.name == column.name))
    };
    let parents = table.parents.iter().map(|(schema, name)| format!("{schema}.{name}"));
    parents.filter(has).map(|name| named(&name, &column.name))
}

/// Sets of columns; each is called by a column of its own that refers to no other.
#[derive(Default)]
struct Union {
    nodes: HashMap<String, usize>,
    names: Vec<String>,
    sets: Vec<usize>,
    /// Whether it refers to another.
    refers: Vec<bool>,
}

impl Union {
    fn node(&mut self, name: String) -> usize {
        let next = self.names.len();
        let node = *self.nodes.entry(name.clone()).or_insert(next);
        if node == next {
            self.names.push(name);
            self.sets.push(next);
            self.refers.push(false);
        }
        node
    }

    fn set(&self, mut node: usize) -> usize {
        while let Some(&up) = self.sets.get(node)
            && up != node
        {
            node = up;
        }
        node
    }

    fn tie(&mut self, from: usize, to: usize) {
        let (a, b) = (self.set(from), self.set(to));
        if let Some(refers) = self.refers.get_mut(from) {
            *refers |= from != to;
        }
        // The lower one speaks for both, so that no chain has a loop.
        if let Some(set) = self.sets.get_mut(a.max(b)) {
            *set = a.min(b);
        }
    }

    /// The column that each set is called by.
    fn best(&self) -> HashMap<usize, usize> {
        let rank = |node: &usize| (self.refers.get(*node), self.names.get(*node));
        let mut best: HashMap<usize, usize> = HashMap::new();
        for node in 0..self.names.len() {
            let known = best.entry(self.set(node)).or_insert(node);
            if rank(&node) < rank(known) {
                *known = node;
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anonymize::testing::{foreign_key, table};

    #[test]
    fn tied_columns_are_one_place_named_by_the_referenced_root() {
        let users = table("users", &[("id", "integer"), ("email", "text")]);
        let mut orders = table("orders", &[("user_id", "integer"), ("email", "text")]);
        orders.foreign_keys.push(foreign_key("user_id", "users", "id"));
        let mut lines = table("lines", &[("owner", "integer")]);
        lines.foreign_keys.push(foreign_key("owner", "orders", "user_id"));
        let places = of(&[lines, orders, users]);
        assert_eq!(places[0][0], "postgres|public.users|id");
        assert_eq!(places[1], ["postgres|public.users|id", "postgres|public.orders|email"]);
        assert_eq!(places[2][1], "postgres|public.users|email");
    }

    #[test]
    fn partitions_and_children_are_their_parents_but_for_columns_of_their_own() {
        let mut leaf = table("p1", &[("v", "text")]);
        leaf.parents = vec![("public".into(), "p".into()), ("public".into(), "root".into())];
        let parent = table("parent", &[("v", "text")]);
        let mut child = table("child", &[("v", "text"), ("own", "text")]);
        child.parents = vec![("public".into(), "parent".into())];
        let places = of(&[leaf, parent, child]);
        assert_eq!(places[0][0], "postgres|public.root|v");
        assert_eq!(places[1][0], "postgres|public.parent|v");
        assert_eq!(places[2], ["postgres|public.parent|v", "postgres|public.child|own"]);
    }

    #[test]
    fn a_cycle_has_one_name() {
        let mut a = table("a", &[("x", "integer")]);
        a.foreign_keys.push(foreign_key("x", "b", "x"));
        let mut b = table("b", &[("x", "integer")]);
        b.foreign_keys.push(foreign_key("x", "a", "x"));
        assert_eq!(of(&[a.clone(), b.clone()])[0], of(&[b, a])[0]);
    }
}
