//! Where a repository is.

use std::fmt;
use std::path::{Path, PathBuf};

use super::reader::Reader;
use super::redact;
use crate::error::{Error, Result};

/// A repository's place. Only `file://` is built.
#[derive(Clone, PartialEq, Eq)]
pub struct RepositoryLocation {
    /// The url as configured, references resolved.
    pub url: String,
    /// The folder that it means, absolute.
    pub path: PathBuf,
    /// Where it was configured: the file or variable, for messages.
    pub origin: String,
}

impl fmt::Debug for RepositoryLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = redact::url(&self.url);
        f.debug_struct("RepositoryLocation").field("url", &url).finish_non_exhaustive()
    }
}

const EXAMPLE: &str =
    "`file:///backups`, or `file://backups` for a folder beside the config folder";

/// Checks a repository's url at load, as far as it needs no reference.
pub(crate) fn check(reader: Reader<'_>, path: &str) -> Result<()> {
    reader.template(path)?;
    match reader.filled(path)? {
        Some(url) => split(reader, path, &url).map(|_| ()),
        None => Ok(()),
    }
}

/// Scheme and rest of a url of a known scheme.
fn split<'u>(reader: Reader<'_>, path: &str, url: &'u str) -> Result<(&'u str, &'u str)> {
    let parts = url.split_once("://");
    parts
        .filter(|(scheme, _)| ["file", "s3", "gs", "az"].contains(scheme))
        .ok_or_else(|| reader.wrong(path, "a file://, s3://, gs:// or az:// url").hint(EXAMPLE))
}

/// Reads the repository at `path`; `None` when it is not configured.
pub(crate) fn read(reader: Reader<'_>, path: &str) -> Result<Option<RepositoryLocation>> {
    let Some(url) = reader.filled(path)? else { return Ok(None) };
    let origin = reader.origin(path).to_string();
    let (scheme, rest) = split(reader, path, &url)?;
    if scheme != "file" {
        return Err(Error::not_built(format!("{origin}: `{path}` with {scheme}://")));
    }
    let rest = rest.strip_prefix("localhost/").map_or_else(|| rest.to_owned(), |r| format!("/{r}"));
    if rest.is_empty() || rest.contains(['\0', '?', '#']) {
        return Err(Error::usage(format!("{origin}: `{path}` names no folder")).hint(EXAMPLE));
    }
    let folder = super::address::percent_decoded(&rest)
        .ok_or_else(|| Error::usage(format!("{origin}: `{path}` is not a valid url")))?;
    let path = normalized(&reader.loaded().context.base.join(folder));
    Ok(Some(RepositoryLocation { url, path, origin }))
}

/// A path without `.` parts, so that two spellings of one folder are equal more often.
fn normalized(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect()
}
