//! Reading Redis into a part: one RDB of the environment's index.

use std::sync::Arc;
use std::time::Instant;

use super::plan::SnapshotPlan;
use super::read::{StoreRead, places};
use super::session::Session;
use crate::anonymize::redis_plan::functions_left_out;
use crate::anonymize::review;
use crate::error::Result;
use crate::job::endpoints;
use crate::pipeline::digest::RecordFormat;
use crate::pipeline::flow;
use crate::pipeline::progress::Meter;
use crate::pipeline::transform::{KeyTransform, UnruledKeys};
use crate::repository::layout;
use crate::repository::manifest::{CollectionManifest, PartKind, StoreManifest};
use crate::repository::part::PartSpec;
use crate::store::redis::source::Source;
use crate::terms::StoreKind;

/// Connects; the consistency point is the moment the server forks.
pub(super) async fn open(plan: &SnapshotPlan) -> Result<Source> {
    let endpoint = endpoints::redis(&plan.environment)?;
    Source::open(&endpoint).await
}

/// Reads the index.
pub(super) async fn read(
    plan: &SnapshotPlan,
    session: &Session,
    source: Source,
    meter: Arc<Meter>,
) -> Result<StoreRead> {
    let started = Instant::now();
    let endpoint = endpoints::redis(&plan.environment)?;
    let rules = match &plan.ruled {
        Some(ruled) => {
            let rules = ruled.rules.redis(&ruled.key)?;
            plan.require_reviewed(&review::starred(&rules.coverage()))?;
            Some(rules)
        }
        None => None,
    };
    let transform: Box<dyn KeyTransform> = match &rules {
        Some(rules) => rules.transform()?,
        None => Box::new(UnruledKeys(session.unruled()?)),
    };
    meter.expect(source.bytes_estimate());
    let number = session.number();
    let index = endpoint.db.to_string();
    let spec = PartSpec {
        number,
        kind: PartKind::Data,
        path: layout::keys(&endpoint.host, endpoint.port, session.codec),
        namespace: String::new(),
        name: index.clone(),
        slice: "all".to_owned(),
        format: RecordFormat::Opaque,
    };
    let (identity, version) = (source.identity(), source.server_version());
    let writer = session.writer(spec)?;
    let read = async |blocks| source.read(transform, blocks).await;
    let (summary, writer) = flow::run_cleared(read, writer, Arc::clone(&meter)).await?;
    let (mut part, _) = session.finish(writer).await?;
    part.records = summary.keys;
    meter.finish();
    let consistency = summary.consistency();
    let mut remarks = summary.remarks;
    if summary.dropped > 0 {
        remarks.push(format!("{} keys were left out by rules", summary.dropped));
    }
    let functions = summary.functions_left_out;
    if !functions.is_empty() {
        remarks.push(format!(
            "{} function libraries were left out: {}; [redis.\":functions\"] action = \"keep\" \
             carries them",
            functions.len(),
            functions.join(", ")
        ));
    }
    let manifest = StoreManifest {
        partial: plan.is_partial(),
        masked_with: session.masked_with(StoreKind::Redis),
        held: session.held(StoreKind::Redis),
        store: StoreKind::Redis,
        identity,
        server_version: version,
        consistency,
        collections: vec![CollectionManifest {
            namespace: String::new(),
            name: index,
            records: summary.keys,
            expiring: Some(summary.expiring),
            digest: summary.digest,
            level: None,
            columns: Vec::new(),
        }],
        parts: vec![part],
        structure: Vec::new(),
        remarks,
    };
    let mut coverage = rules.map(|rules| rules.coverage()).unwrap_or_default();
    if !functions.is_empty() {
        coverage.entries.push(functions_left_out());
    }
    let places = places(&coverage);
    Ok(StoreRead::new(manifest, started, places, 1))
}
