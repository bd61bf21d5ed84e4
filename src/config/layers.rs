//! The layers: files and variables, laid over each other per environment.
//!
//! Highest first: the process environment, `config/secrets/<env>.env`, `.env`,
//! `config/<env>.json`, `config/default.json`. What is built in comes below all of them and is
//! applied where a value is read.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::document::{Content, Document, Node, Source};
use super::interpolate::{Answers, Context, Variables};
use super::keys;
use super::known::{self, Kind, folded};
use super::origin::{Layer, Origin};
use super::outside::read_text;
use super::{dotenv, names};
use crate::error::{Error, OrFail, Result};

/// One environment: its name, its merged tree, and what its references resolve against.
pub(crate) struct Loaded {
    /// The name of its file.
    pub(crate) name: String,
    /// Its file, for messages.
    pub(crate) file: String,
    /// Whether it has a `data` block of its own, in its file or in a variable.
    pub(crate) own_data: bool,
    /// Everything, with origins.
    pub(crate) tree: Node,
    /// What references resolve against.
    pub(crate) context: Context,
}

/// Where the files are.
pub(crate) struct Folders {
    /// The configuration folder as given.
    pub(crate) config: PathBuf,
    /// Its parent, absolute: relative paths start here.
    pub(crate) base: PathBuf,
}

impl Folders {
    /// Exit 2 when the folder does not exist.
    pub(crate) fn new(config: &Path) -> Result<Self> {
        let shown = config.display();
        if !config.is_dir() {
            return Err(Error::usage(format!("the configuration folder {shown} does not exist"))
                .hint("name it with --config-dir or PFDATA_CONFIG_DIR"));
        }
        let unreadable = || format!("the configuration folder {shown} cannot be found");
        let absolute = std::path::absolute(config).or_usage(unreadable)?;
        // `..` at the end has no parent that could be told from the text.
        let plain = absolute.components().next_back();
        let absolute = match plain {
            Some(std::path::Component::Normal(_)) => absolute,
            _ => std::fs::canonicalize(config).or_usage(unreadable)?,
        };
        let base = absolute.parent().map_or_else(|| absolute.clone(), Path::to_path_buf);
        Ok(Self { config: config.to_path_buf(), base })
    }

    /// A file beside the configuration folder, as the user would name it.
    fn shown_beside(&self, name: &str) -> String {
        let lexical = self.config.file_name().and(self.config.parent());
        let path = lexical.unwrap_or(&self.base).join(name).display().to_string();
        path.strip_prefix("./").map_or(path.clone(), str::to_owned)
    }

    /// A file of the configuration folder, as the user would name it.
    fn shown(&self, name: &str) -> String {
        let path = self.config.join(name).display().to_string();
        path.strip_prefix("./").map_or(path.clone(), str::to_owned)
    }
}

/// Reads every environment. `target` is the one acted on.
pub(crate) fn load(
    folders: &Folders,
    target: Option<&str>,
    process: HashMap<String, String>,
    answers: &Answers,
) -> Result<Vec<Loaded>> {
    let process = Arc::new(process);
    let default = read_document(folders, "default")?;
    let files = environment_files(folders)?;
    let names: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
    names::distinct(&names)?;
    let dotenv_path = folders.base.join(".env");
    let dotenv = Arc::new(read_variables(&dotenv_path, folders.shown_beside(".env"), false)?);
    let target = target.and_then(|target| names::find(&names, target));
    let process_overrides = overrides(&process, None, Layer::Process, &names, target, None)?;
    let dotenv_overrides =
        overrides(&dotenv.values, Some(&dotenv.file), Layer::DotEnv, &names, target, None)?;
    let mut loaded = Vec::with_capacity(files.len());
    for (name, document) in &files {
        let secrets_name = format!("secrets/{name}.env");
        let secrets_path = folders.config.join(&secrets_name);
        let secrets = read_variables(&secrets_path, folders.shown(&secrets_name), true)?;
        let own = Some(name.as_str());
        let secret_overrides =
            overrides(&secrets.values, Some(&secrets.file), Layer::SecretsFile, &names, own, own)?;
        let file = folders.shown(&format!("{name}.json"));
        let mut tree = Node::empty(&source(Layer::DefaultFile, &folders.shown("default.json")));
        if let Some(default) = &default {
            tree.merge(node(default, Layer::DefaultFile, &folders.shown("default.json"))?);
        }
        tree.merge(node(document, Layer::EnvironmentFile, &file)?);
        let mut own_data = document.get("data").is_some_and(Document::is_object);
        for given in [&dotenv_overrides, &secret_overrides, &process_overrides] {
            for item in given.iter().filter(|item| item.environment.as_deref() == own) {
                own_data |= item.apply(&mut tree)?;
            }
        }
        let context = Context {
            base: folders.base.clone(),
            process: Arc::clone(&process),
            secrets,
            dotenv: Arc::clone(&dotenv),
            answers: answers.clone(),
            withheld: Arc::default(),
        };
        loaded.push(Loaded { name: name.clone(), file, own_data, tree, context });
    }
    // The command of one environment is not to see the key of another.
    let blocks = loaded.iter().filter_map(|one| Some((one.tree.at("data")?, &one.context)));
    let withheld = Arc::new(keys::withheld(blocks));
    for loaded in &mut loaded {
        loaded.context.withheld = Arc::clone(&withheld);
    }
    Ok(loaded)
}

fn source(layer: Layer, file: &str) -> Arc<Source> {
    Arc::new(Source { layer, origin: Origin::File(file.to_owned()) })
}

/// The two blocks of a file, checked for unknown keys.
fn node(document: &Document, layer: Layer, file: &str) -> Result<Node> {
    let source = source(layer, file);
    let mut root = Vec::new();
    for name in known::blocks() {
        if let Some(block) = document.get(name) {
            let block = Node::from_document(block, &source, name)?;
            root.push((name.to_owned(), block));
        }
    }
    let root = Node { source, content: Content::Branch(root) };
    known::check(&root)?;
    Ok(root)
}

fn read_document(folders: &Folders, name: &str) -> Result<Option<Document>> {
    let file = format!("{name}.json");
    let path = folders.config.join(&file);
    if !path.try_exists().or_usage(|| format!("cannot read {}", path.display()))? {
        return Ok(None);
    }
    Document::parse(&read_text(&path)?, &folders.shown(&file)).map(Some)
}

/// The environments' files in name order: those with a `database` or `data` block.
///
/// node-config's `custom-environment-variables.json` has a `database` block too, but it holds
/// names of variables; it is the only such file that is passed over.
fn environment_files(folders: &Folders) -> Result<Vec<(String, Document)>> {
    let shown = folders.config.display();
    let entries = std::fs::read_dir(&folders.config)
        .or_usage(|| format!("cannot list the folder {shown}"))?;
    let mut found = BTreeMap::new();
    for entry in entries {
        let entry = entry.or_usage(|| format!("cannot list the folder {shown}"))?;
        let file_name = entry.file_name();
        let Some(name) = file_name.to_str().and_then(|name| name.strip_suffix(".json")) else {
            continue;
        };
        let ours = !matches!(name, "" | "default" | "custom-environment-variables");
        if !ours || name.starts_with('.') || !entry.path().is_file() {
            continue;
        }
        let Some(document) = read_document(folders, name)? else { continue };
        let block = |key| document.get(key).is_some_and(Document::is_object);
        if block("database") || block("data") {
            names::check(name, &folders.shown(&format!("{name}.json")))?;
            found.insert(name.to_owned(), document);
        }
    }
    Ok(found.into_iter().collect())
}

/// The variables of a `.env` file; none when there is no such file. In a file of pfdata's own a
/// line that cannot be read is an error; `.env` belongs to the application.
fn read_variables(path: &Path, file: String, ours: bool) -> Result<Variables> {
    if !path.is_file() {
        return Ok(Variables { file, values: HashMap::new() });
    }
    let parsed = dotenv::parse(&read_text(path)?);
    if let Some(line) = parsed.bad_lines.first() {
        if ours {
            return Err(Error::usage(format!("{file}: line {line} is not NAME=value")));
        }
        tracing::warn!("{file}: line {line} is not NAME=value and is left out");
    }
    Ok(Variables { file, values: parsed.variables })
}

/// A variable that sets a value.
struct Override {
    /// The environment; `None` when it is for one acted on and there is none.
    environment: Option<String>,
    /// Its name parts after the environment.
    parts: Vec<String>,
    value: String,
    source: Arc<Source>,
}

impl Override {
    /// Lays the value over the tree; true when it was one of the `data` block.
    fn apply(&self, tree: &mut Node) -> Result<bool> {
        let parts: Vec<&str> = self.parts.iter().map(String::as_str).collect();
        let origin = &self.source.origin;
        let (path, kind) = known::find(&parts, tree)
            .map_err(|why| Error::usage(format!("{origin} cannot be applied: {why}")))?;
        let dotted = path.join(".");
        let document = match kind {
            Kind::Text => Document::Leaf(Value::String(self.value.clone())),
            Kind::Parsed | Kind::FlagOrObject => {
                // Text that is no JSON stays text: `7d`, `zstd`.
                Document::parse(&self.value, "")
                    .unwrap_or_else(|_| Document::Leaf(Value::String(self.value.clone())))
            }
            Kind::Object | Kind::Sets => {
                Document::parse(&self.value, "").ok().filter(Document::is_object).ok_or_else(
                    || Error::usage(format!("{origin}: `{dotted}` must be a JSON object")),
                )?
            }
        };
        let node = Node::from_document(&document, &self.source, &dotted)?;
        let mut alone = Node::empty(&self.source);
        alone.set(&path, node.clone());
        known::check(&alone)?;
        refuse_weakening(&alone, origin)?;
        tree.set(&path, node);
        Ok(path.first().is_some_and(|first| first == "data"))
    }
}

/// What an environment is, is written in its file, where it is reviewed: no variable says it, and
/// none takes its protection away.
fn refuse_weakening(given: &Node, origin: &Origin) -> Result<()> {
    if given.at("data.class").is_some() {
        return Err(Error::usage(format!("{origin}: `data.class` cannot be given here"))
            .hint("it is read from config/<env>.json or config/default.json only"));
    }
    let weaker = given.at("data.protected").map(|node| &node.content);
    if matches!(weaker, Some(Content::Leaf(Value::Null | Value::Bool(false)))) {
        return Err(Error::usage(format!(
            "{origin}: `data.protected` can only be set to true here"
        ))
        .hint("it is taken away in config/<env>.json or config/default.json only"));
    }
    Ok(())
}

/// The overrides among `variables`, in the order in which they are applied: for a named
/// environment before those for the one acted on, outer paths before inner ones.
///
/// `own` is set for a file that belongs to one environment; naming another in it is an error.
fn overrides(
    variables: &HashMap<String, String>,
    file: Option<&str>,
    layer: Layer,
    names: &[String],
    target: Option<&str>,
    own: Option<&str>,
) -> Result<Vec<Override>> {
    let mut found: BTreeMap<(bool, usize, String), Override> = BTreeMap::new();
    let mut sorted: Vec<_> = variables.iter().collect();
    sorted.sort();
    for (name, value) in sorted {
        // A name without `__` (PFDATA_ENV, PFDATA_CONFIG_DIR) sets no value.
        let Some(rest) = name.strip_prefix("PFDATA_") else { continue };
        let acted_on = rest.starts_with('_');
        let rest = rest.strip_prefix('_').unwrap_or(rest);
        let mut parts: Vec<String> = rest.split("__").map(str::to_owned).collect();
        let origin = Origin::Variable { name: name.clone(), file: file.map(str::to_owned) };
        let environment = if acted_on {
            target.map(str::to_owned)
        } else if parts.len() > 1 {
            Some(named(&parts.remove(0), names, &origin)?)
        } else {
            continue;
        };
        if let (Some(own), Some(named)) = (own, &environment)
            && own != named
        {
            return Err(Error::usage(format!(
                "{origin} is for `{named}`, but the file is for `{own}`"
            )));
        }
        let key: Vec<String> = parts.iter().map(|part| folded(part)).collect();
        let environment_key = environment.as_deref().unwrap_or("");
        let key = (acted_on, parts.len(), format!("{environment_key}/{}", key.join("/")));
        let source = Arc::new(Source { layer, origin: origin.clone() });
        let item = Override { environment, parts, value: value.clone(), source };
        if let Some(other) = found.insert(key, item) {
            return Err(Error::usage(format!(
                "{} and {origin} set the same value",
                other.source.origin
            )));
        }
    }
    Ok(found.into_values().collect())
}

fn named(part: &str, names: &[String], origin: &Origin) -> Result<String> {
    names::find_folded(names, part).map(str::to_owned).ok_or_else(|| {
        let hint = known::suggest(&part.to_lowercase(), names.iter().map(String::as_str));
        Error::usage(format!("{origin} names no environment")).hint(hint)
    })
}
