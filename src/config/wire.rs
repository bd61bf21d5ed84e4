//! How a connection is encrypted, and which options of a url are refused.

use super::endpoint::Tls;
use super::key::Built;
use super::known;
use super::overlay::{Overlay, Url};
use super::table;
use super::words::TLS_VERSIONS;
use crate::error::{Error, Result};

impl Overlay<'_> {
    /// How the connection is encrypted: `ssl`, or what the url says.
    pub(crate) fn tls(&self, of_url: impl Fn(&Self, &Url) -> Result<Option<Tls>>) -> Result<Tls> {
        let mut tls = None;
        for block in &self.blocks {
            let path = format!("{}.ssl", block.path);
            let key = self.reader.node(&path).map(|node| node.source.layer);
            let from_key = key.map(|_| self.ssl(&path)).transpose()?;
            let from_url = match &block.url {
                Some(url) => of_url(self, url)?.map(|tls| (tls, url.layer)),
                None => None,
            };
            let found = match (from_key, from_url) {
                (Some(_), Some((tls, layer))) if Some(layer) > key => Some(tls),
                (Some(tls), _) | (None, Some((tls, _))) => Some(tls),
                (None, None) => None,
            };
            tls = tls.or(found);
        }
        Ok(tls.unwrap_or_default())
    }

    fn ssl(&self, path: &str) -> Result<Tls> {
        if self.reader.node(path).is_some_and(|node| !node.is_branch()) {
            let on = self.reader.flag(path).map_err(|error| error.hint("or an object"))?;
            let on = on.unwrap_or(false);
            return Ok(Tls { required: on, verify: on, ..Tls::default() });
        }
        let at = |key: &str| format!("{path}.{key}");
        let known = table::names_below(&path.split('.').collect::<Vec<_>>());
        for key in known.into_iter().map(at).filter(|_| self.reader.resolves()) {
            let built = table::row(&key).map(|row| row.built);
            if matches!(built, Some(Built::NotInStore)) && self.reader.present(&key) {
                let origin = self.reader.origin(&key);
                return Err(Error::not_built(format!("{origin}: `{key}`")));
            }
        }
        let required = self.reader.flag(&at("required"))?.unwrap_or(true);
        Ok(Tls {
            required,
            verify: self.reader.flag(&at("rejectUnauthorized"))?.unwrap_or(required),
            ca: self.reader.text(&at("ca"))?.filter(|ca| !ca.is_empty()).map(|ca| self.file(&ca)),
            tls13_only: self.reader.word(&at("minVersion"), &TLS_VERSIONS)?.unwrap_or(false),
        })
    }

    /// The value of the url's option; names of options are matched without case.
    pub(crate) fn option(&self, url: &Url, name: &str) -> Result<Option<String>> {
        let found =
            url.address.options.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name));
        match found {
            None => Ok(None),
            Some((_, template)) => self.resolved(template, &url.path),
        }
    }

    /// Refuses options that would weaken what pfdata promises, those that are not built, and
    /// slips of those that are read.
    pub(crate) fn check_options(&self, url: &Url, read: &[&str]) -> Result<()> {
        let origin = self.reader.origin(&url.path);
        for (key, value) in &url.address.options {
            let value = self.resolved(value, &url.path)?;
            if value.is_some_and(|value| weakens(&known::folded(key), &value)) {
                return Err(Error::usage(format!(
                    "{origin}: `{}` has the option {key}, which would weaken consistency",
                    url.path
                ))
                .hint("leave it out, or give pfdata its own url in `data.connect`"));
            }
            let exact = read.iter().any(|name| name.eq_ignore_ascii_case(key));
            if let Some(meant) = known::slip(key, read.iter().copied())
                && !exact
            {
                return Err(Error::usage(format!(
                    "{origin}: `{}` has the unknown option {key}, one slip from {meant}",
                    url.path
                )));
            }
        }
        Ok(())
    }
}

fn weakens(key: &str, value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    match key {
        "readconcernlevel" | "readpreferencetags" | "maxstalenessseconds" | "readfrom" => true,
        "readpreference" => value != "primary",
        "w" => value != "majority",
        "journal" | "j" => value != "true",
        "targetsessionattrs" => !["any", "read-write", "primary"].contains(&value.as_str()),
        // Session settings are what keeps a Postgres dump lossless.
        "options" | "replication" => true,
        _ => false,
    }
}
