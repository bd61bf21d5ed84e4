//! Function libraries, which belong to the whole server: loaded only where no library of that name
//! exists; differing ones are listed.

use std::collections::BTreeMap;

use super::load::LoadReport;
use super::rdb::library::library_name;
use super::reply::{Reply, refusal};
use super::target::Target;
use crate::error::Result;

impl Target {
    /// Loads `functions` (sources) where the server has no library of that name.
    pub(super) async fn load_functions(
        &mut self,
        functions: Vec<Vec<u8>>,
        report: &mut LoadReport,
    ) -> Result<()> {
        if functions.is_empty() {
            return Ok(());
        }
        if self.server.major_minor < (7, 0) {
            let count = functions.len();
            report.remarks.push(format!("{count} function libraries left out: redis before 7.0"));
            return Ok(());
        }
        let there = self.libraries().await?;
        for code in functions {
            let Some(name) = library_name(&code) else {
                report.remarks.push("a function library without a name was left out".to_owned());
                continue;
            };
            match there.get(&name) {
                Some(found) if *found == code => {}
                Some(_) => report.remarks.push(format!(
                    "function library `{name}` differs from the server's, which stays"
                )),
                None => {
                    let what = format!("function library `{name}`");
                    self.connection.run(&what, &[b"FUNCTION", b"LOAD", &code]).await?;
                    report.functions_loaded += 1;
                }
            }
        }
        Ok(())
    }

    /// The server's libraries with their sources.
    async fn libraries(&mut self) -> Result<BTreeMap<String, Vec<u8>>> {
        let reply = self.connection.command(&[b"FUNCTION", b"LIST", b"WITHCODE"]).await?;
        if let Reply::Failure(text) = &reply {
            return Err(refusal("FUNCTION LIST", text));
        }
        let mut found = BTreeMap::new();
        for library in reply.items().unwrap_or_default() {
            let parts = library.items().unwrap_or_default();
            let value = |wanted: &[u8]| {
                parts
                    .chunks(2)
                    .find(|pair| pair.first().and_then(Reply::bytes) == Some(wanted))
                    .and_then(|pair| pair.get(1)?.bytes())
            };
            if let (Some(name), Some(code)) = (value(b"library_name"), value(b"library_code")) {
                found.insert(String::from_utf8_lossy(name).into_owned(), code.to_vec());
            }
        }
        Ok(found)
    }
}
