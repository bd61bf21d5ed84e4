//! Every future of the store can be given to `tokio::spawn`: this file only has to compile.

use std::path::Path;

use pfdata::pipeline::block::{Block, Cleared, Raw};
use pfdata::store::postgres::{
    Loader, Reader, Slice, Source, SourceOptions, TableRef, Target, TargetOptions, check, connect,
    swap,
};
use tokio::sync::mpsc;

use crate::endpoint;

fn sendable<T: Send>(_: T) {}

#[allow(dead_code)]
fn futures_can_be_spawned(
    source: Source,
    mut reader: Reader,
    loader: &Loader,
    target: &Target,
    table: &TableRef,
    out: &mpsc::Sender<Block<Raw>>,
    blocks: &mut mpsc::Receiver<Block<Cleared>>,
) {
    let endpoint = endpoint("x");
    sendable(connect::connect(&endpoint, None));
    sendable(Source::open(&endpoint, SourceOptions::default()));
    sendable(source.reader());
    sendable(source.schema_archive());
    sendable(source.database_json());
    sendable(source.finish());
    sendable(reader.read(table, Slice::All, out));
    sendable(reader.digest(table, Slice::All));
    sendable(reader.count(table));
    sendable(reader.large_objects(out));
    sendable(loader.load(table, blocks, 0, true));
    sendable(loader.load_large_objects(blocks, 0));
    sendable(Target::prepare(&endpoint, TargetOptions::default()));
    sendable(target.load_pre_data(Path::new("x")));
    sendable(target.load_post_data(Path::new("x"), 2));
    sendable(target.load_sequences(""));
    sendable(target.apply_settings(&serde_json::Value::Null));
    sendable(target.apply_grants_of_live());
    sendable(target.analyze(2));
    sendable(target.run_sql(&[]));
    sendable(target.catalog());
    sendable(target.digest(table));
    sendable(target.count(table));
    sendable(swap::swap(&endpoint));
    sendable(swap::swap_back(&endpoint, true));
    sendable(swap::undo(&endpoint, true));
    sendable(swap::state(&endpoint));
    sendable(swap::sizes(&endpoint));
    sendable(swap::drop_new(&endpoint));
    sendable(swap::drop_previous(&endpoint));
    sendable(check::check(&endpoint, true));
}
