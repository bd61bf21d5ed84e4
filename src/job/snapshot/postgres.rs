//! Reading Postgres into parts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::plan::{Ruled, SnapshotPlan};
use super::read::{StoreRead, count, places};
use super::session::Session;
use crate::anonymize::postgres::PostgresPlan;
use crate::anonymize::problems::Problems;
use crate::anonymize::review;
use crate::error::{Error, Kind, OrFail, Result};
use crate::job::{Queue, endpoints};
use crate::pipeline::digest::{ContentDigest, RecordFormat};
use crate::pipeline::flow;
use crate::pipeline::progress::Meter;
use crate::pipeline::transform::{BlockTransform, Unruled};
use crate::repository::layout;
use crate::repository::manifest::{CollectionManifest, Part, PartKind, StoreManifest, Structure};
use crate::repository::part::PartSpec;
use crate::store::postgres::archive::Archive;
use crate::store::postgres::catalog;
use crate::store::postgres::connect::connect;
use crate::store::postgres::parts::TablePart;
use crate::store::postgres::reader::{Reader, TableRef};
use crate::store::postgres::source::{Source, SourceOptions};
use crate::store::shape::Table;
use crate::terms::StoreKind;

/// Takes the consistency point and every lock.
pub(super) async fn open(plan: &SnapshotPlan) -> Result<Source> {
    let endpoint = endpoints::postgres(&plan.environment)?;
    let options = SourceOptions {
        only: plan.request.only.clone(),
        exclude: plan.request.exclude.clone(),
        ..SourceOptions::default()
    };
    Source::open(&endpoint, options).await
}

/// Reads everything: schema, settings, sequences, tables, large objects.
pub(super) async fn read(
    plan: &SnapshotPlan,
    session: &Session,
    source: Source,
    meter: Arc<Meter>,
) -> Result<StoreRead> {
    let started = Instant::now();
    let mut rules = match &plan.ruled {
        Some(ruled) => {
            refuse_credentials(&source.catalog().credentials)?;
            let rules = Masking::lay(plan, ruled, &source).await?;
            let coverage = rules.plan.coverage();
            coverage.require_complete()?;
            plan.require_reviewed(&review::starred(&coverage))?;
            rules.try_out(&source).await?;
            Some(rules)
        }
        None => None,
    };
    meter.expect(source.catalog().tables.iter().map(|table| table.bytes).sum());
    let masked = rules.is_some();
    // The server answers pg_dump and sends columns at the same time.
    let ((mut parts, structure), _): ((Vec<Part>, _), _) = tokio::try_join!(
        schema(session, &source, masked),
        crate::job::when_some(rules.as_mut(), async |rules: &mut Masking| {
            rules.tell_spellings_apart(&source).await
        }),
    )?;
    let (data, digests) = data(session, &source, rules.as_ref(), &meter).await?;
    parts.extend(data);
    if source.catalog().large_objects > 0 {
        parts.push(large_objects(session, &source, rules.as_ref(), &meter).await?);
    }
    meter.finish();
    parts.sort_by_key(|part| part.number);
    let manifest = StoreManifest {
        partial: plan.is_partial(),
        masked_with: session.masked_with(StoreKind::Postgres),
        held: session.held(StoreKind::Postgres),
        store: StoreKind::Postgres,
        identity: source.identity(),
        server_version: source.server_version().to_owned(),
        consistency: source.consistency(),
        collections: collections(&source, &digests),
        parts,
        remarks: remarks(&source, &structure),
        structure,
    };
    // The locks and the snapshot have held to the end, or this is an error.
    source.finish().await?;
    let places = rules.map_or_else(Vec::new, |rules| places(&rules.plan.coverage()));
    Ok(StoreRead::new(manifest, started, places, session.jobs))
}

/// The rules laid over a database, and where the tables that are read stand in it.
struct Masking {
    plan: PostgresPlan,
    positions: Vec<usize>,
}

impl Masking {
    /// The rules are judged by the whole database, also where only a part of it is read: a rule
    /// for a table that is left out is no mistake.
    async fn lay(plan: &SnapshotPlan, ruled: &Ruled, source: &Source) -> Result<Self> {
        let read = source.catalog();
        let partial = !plan.request.only.is_empty() || !plan.request.exclude.is_empty();
        let whole = if partial {
            let endpoint = endpoints::postgres(&plan.environment)?;
            let client = connect(&endpoint, None).await?;
            &catalog::read(&client, &endpoint.schemas).await?
        } else {
            read
        };
        let position = |table: &Table| {
            whole.tables.iter().position(|other| other.oid == table.oid).ok_or_else(|| {
                Error::failed(format!("table `{}` was dropped meanwhile", table.full_name()))
            })
        };
        let positions = read.tables.iter().map(position).collect::<Result<_>>()?;
        let plan = ruled.rules.postgres(&whole.tables, read.large_objects > 0, &ruled.key)?;
        Ok(Self { plan, positions })
    }

    /// What the rules write must fit the types, domains and checks of the tables.
    async fn try_out(&self, source: &Source) -> Result<()> {
        let trial = source.trial().await?;
        let mut problems = Problems::default();
        for (table, position) in source.catalog().tables.iter().zip(&self.positions) {
            for sample in self.plan.samples(*position)? {
                match trial.judge(table, &sample).await {
                    Err(error) if error.kind() == Kind::Usage => problems.add(error),
                    judged => judged?,
                }
            }
        }
        trial.finish().await?;
        problems.finish()
    }

    /// Finds the values of unique columns that differ in their spelling alone, so that their
    /// pseudonyms do too, and references that would no longer find what they refer to.
    async fn tell_spellings_apart(&mut self, source: &Source) -> Result<()> {
        let mut found = Vec::new();
        let mut reader = None;
        for (table, position) in source.catalog().tables.iter().zip(&self.positions) {
            for place in self.plan.spelled(*position)? {
                let reader = reader_of(&mut reader, source).await?;
                let texts = reader.spellings(table, place.spelled()).await?;
                if !texts.is_empty() {
                    found.push((place, texts));
                }
            }
        }
        self.plan.tell_apart(&found)?;
        let mut problems = Problems::default();
        for (table, position) in source.catalog().tables.iter().zip(&self.positions) {
            for key in &table.foreign_keys {
                for (at, column) in key.columns.iter().enumerate() {
                    if self.plan.is_spelled(*position, column)? {
                        let reader = reader_of(&mut reader, source).await?;
                        let ends = reader.references_spelled_otherwise(table, key, at).await?;
                        problems.note(self.plan.stay_joined(*position, column, &ends));
                    }
                }
            }
        }
        problems.finish()
    }
}

/// One connection for all that is looked for, made when it is needed.
async fn reader_of<'a>(reader: &'a mut Option<Reader>, source: &Source) -> Result<&'a mut Reader> {
    match reader {
        Some(reader) => Ok(reader),
        none => Ok(none.insert(source.reader().await?)),
    }
}

/// The archive of the schema would carry them out of production.
fn refuse_credentials(found: &[String]) -> Result<()> {
    match found {
        [] => Ok(()),
        found => Err(Error::findings(format!(
            "the schema holds credentials that no rule can mask: {}",
            found.join(", ")
        ))
        .hint(
            "take them out of there, and read them with current_setting or from outside; user \
             mappings and subscriptions are left out for a role that cannot see them \
             (data.connect.postgres)",
        )),
    }
}

/// The schema archive of a masked snapshot: without the settings of the database, of which nothing
/// else may tell the values either.
async fn cleared_archive(source: &Source, bytes: Vec<u8>) -> Result<(Vec<u8>, Vec<Structure>)> {
    let archive = Archive::parse(bytes)?.without_settings()?;
    refuse_credentials(&archive.credentials())?;
    archive.refuse_withheld(&source.withheld_settings().await?)?;
    let carried = archive.carried();
    let structure = carried.into_iter().map(|found| Structure::of(found.kind, found.names));
    let structure = structure.collect();
    Ok((archive.into_bytes(), structure))
}

async fn schema(
    session: &Session,
    source: &Source,
    ruled: bool,
) -> Result<(Vec<Part>, Vec<Structure>)> {
    let bytes = source.schema_archive().await?.archive;
    let (bytes, structure) =
        if ruled { cleared_archive(source, bytes).await? } else { (bytes, Vec::new()) };
    // Settings of the application's own may hold credentials: they stay with a raw snapshot.
    let settings = if ruled {
        source.cleared_database_json().await?
    } else {
        source.database_json_with_custom_settings().await?
    };
    let settings =
        serde_json::to_vec_pretty(&settings).or_fail(|| "cannot write the database's settings")?;
    let sequences = source.sequences_sql().into_bytes();
    let place = ("", "");
    let parts = vec![
        session.small(PartKind::Schema, layout::POSTGRES_SCHEMA.into(), place, bytes).await?,
        session
            .small(PartKind::Sequences, layout::POSTGRES_SEQUENCES.into(), place, sequences)
            .await?,
        session
            .small(PartKind::Database, layout::POSTGRES_DATABASE.into(), place, settings)
            .await?,
    ];
    Ok((parts, structure))
}

type Digests = BTreeMap<usize, (u64, ContentDigest)>;

/// Every slice of every table, by `jobs` workers with a connection each.
async fn data(
    session: &Session,
    source: &Source,
    rules: Option<&Masking>,
    meter: &Arc<Meter>,
) -> Result<(Vec<Part>, Digests)> {
    let work = async |queue| worker(session, source, rules, meter, queue).await;
    let made = crate::job::share(source.parts(), session.jobs, work).await?;
    let (mut parts, mut digests) = (Vec::new(), Digests::new());
    for (table, part, digest) in made {
        let entry = digests.entry(table).or_default();
        entry.0 += part.records;
        entry.1.merge(digest);
        parts.push(part);
    }
    Ok((parts, digests))
}

async fn worker(
    session: &Session,
    source: &Source,
    rules: Option<&Masking>,
    meter: &Arc<Meter>,
    queue: Queue<TablePart>,
) -> Result<Vec<(usize, Part, ContentDigest)>> {
    let mut done = Vec::new();
    let mut reader = None;
    while let Ok(slice) = queue.recv().await {
        let _worker = session.workers.acquire().await.or_fail(|| "the workers have stopped")?;
        let mut connected = match reader.take() {
            Some(reader) => reader,
            None => source.reader().await?,
        };
        let table = &source.catalog().tables[slice.table];
        let number = session.number();
        let spec = PartSpec {
            number,
            kind: PartKind::Data,
            path: layout::table(&table.schema, &table.name, number, session.codec),
            namespace: table.schema.clone(),
            name: table.name.clone(),
            slice: slice.slice.to_string(),
            format: RecordFormat::CopyText,
        };
        let transform: Box<dyn BlockTransform> = match rules {
            Some(rules) => rules.plan.transform(rules.positions[slice.table])?,
            None => Box::new(Unruled(session.unruled()?)),
        };
        let columns = TableRef::from(table);
        let read = async |blocks| {
            crate::job::apart(async move {
                let rows = connected.read(&columns, slice.slice, &blocks).await?;
                Ok((rows, connected))
            })
            .await?
        };
        let (part, digest, connected) = session.part(spec, transform, meter, read).await?;
        done.push((slice.table, part, digest));
        reader = Some(connected);
    }
    Ok(done)
}

async fn large_objects(
    session: &Session,
    source: &Source,
    rules: Option<&Masking>,
    meter: &Arc<Meter>,
) -> Result<Part> {
    let number = session.number();
    let spec = PartSpec {
        number,
        kind: PartKind::LargeObjects,
        path: layout::large_objects(number, session.codec),
        namespace: String::new(),
        name: String::new(),
        slice: "all".to_owned(),
        format: RecordFormat::Lines,
    };
    let transform: Box<dyn BlockTransform> = match rules {
        Some(rules) => rules.plan.large_object_transform()?,
        None => Box::new(Unruled(session.unruled()?)),
    };
    let writer = session.writer(spec)?;
    let mut reader = source.reader().await?;
    let read = async |blocks| reader.large_objects(&blocks).await;
    let (_, writer) = flow::run(read, transform, writer, Arc::clone(meter)).await?;
    let (part, _) = session.finish(writer).await?;
    count(meter, &part);
    Ok(part)
}

fn collections(source: &Source, digests: &Digests) -> Vec<CollectionManifest> {
    let tables = source.catalog().tables.iter().enumerate();
    tables
        .map(|(at, table)| {
            let (records, digest) = digests.get(&at).copied().unwrap_or_default();
            CollectionManifest {
                namespace: table.schema.clone(),
                name: table.name.clone(),
                records,
                expiring: None,
                digest,
                level: None,
                columns: table.columns.iter().map(|column| column.name.clone()).collect(),
            }
        })
        .collect()
}

fn remarks(source: &Source, structure: &[Structure]) -> Vec<String> {
    source.remarks().iter().cloned().chain(Structure::told(structure)).collect()
}
