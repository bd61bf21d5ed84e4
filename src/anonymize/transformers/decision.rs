//! `keep`, `null` and `drop`: decisions that make no new value.
//!
//! Called by nobody but the list in `mod.rs`: what they do stands in [`Effect`].

use super::definition::{Definition, Draws, Effect, Uniqueness};

pub(super) const KEEP: Definition = Definition {
    name: "keep",
    summary: "the original, by explicit decision",
    preserves: "everything",
    accepts: "any type, whole objects and arrays",
    example: "id = \"keep\"",
    ..decision(Effect::Keep, Uniqueness::Always)
};

pub(super) const NULL: Definition = Definition {
    name: "null",
    summary: "null in place of whatever was there",
    preserves: "nothing",
    accepts: "any type that may be null, whole objects and arrays; not Redis, which has no null",
    example: "birthplace = \"null\"",
    ..decision(Effect::Null, Uniqueness::Never)
};

pub(super) const DROP: Definition = Definition {
    name: "drop",
    summary: "takes the field of a document or the element of a Redis key away",
    preserves: "nothing",
    accepts: "fields of MongoDB documents and JSON objects, elements of Redis keys, large objects",
    example: "profile = { json = { \"$.geo\" = \"drop\", \"$\" = \"keep\" } }",
    ..decision(Effect::Drop, Uniqueness::Always)
};

/// What all decisions have in common.
const fn decision(effect: Effect, unique: Uniqueness) -> Definition {
    Definition {
        name: "",
        aliases: &[],
        summary: "",
        preserves: "",
        accepts: "",
        parameters: &[],
        example: "",
        effect,
        keyed: false,
        draws: Draws::Original,
        unique,
    }
}
