//! What a plan reads and writes.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde_json::Value;
use tollgate_model::decode::Place;
use tollgate_model::entity::{CertificateSource, Plugin};
use tollgate_model::problem::Problem;
use tollgate_model::set::EntityEdit;
use tollgate_model::{ConfigSet, Kind};
use tollgate_store::database::{Edit, Filter, NewRow, Row, Writing};

use super::WriteError;
use super::locked::aside;
use crate::configuration::{Known, StoredModule, Unsealed, Vault};

/// A change in the making, with the revision locked.
pub struct Draft<'w> {
    writing: &'w mut Writing,
    known: &'w Known,
    vault: &'w Vault,
    planned: Planned,
}

/// What a plan came to, in its order.
#[derive(Default)]
pub struct Planned {
    pub(super) edits: Vec<PlannedEdit>,
    pub(super) blobs: Vec<(String, Vec<u8>)>,
    pub(super) forced: bool,
}

pub(super) struct PlannedEdit {
    kind: Kind,
    name: String,
    /// `None`: deleted.
    entity: Option<NewEntity>,
}

struct NewEntity {
    tags: Vec<String>,
    /// Secrets in the clear.
    body: Value,
    owner: Option<String>,
    fingerprint: Option<String>,
}

impl<'w> Draft<'w> {
    pub(super) fn new(writing: &'w mut Writing, known: &'w Known, vault: &'w Vault) -> Draft<'w> {
        Draft { writing, known, vault, planned: Planned::default() }
    }

    /// All that is there at the locked revision.
    pub fn known(&self) -> &'w Known {
        self.known
    }

    pub fn vault(&self) -> &'w Vault {
        self.vault
    }

    /// As stored; what was planned up to now does not show.
    pub async fn row(&mut self, kind: Kind, name: &str) -> Result<Option<Row>, WriteError> {
        Ok(self.writing.row(kind, name).await?)
    }

    pub async fn row_by_id(&mut self, kind: Kind, id: &str) -> Result<Option<Row>, WriteError> {
        Ok(self.writing.row_by_id(kind, id).await?)
    }

    pub async fn rows(&mut self, kind: Kind, filter: &Filter) -> Result<Vec<Row>, WriteError> {
        Ok(self.writing.rows(kind, filter).await?)
    }

    /// All of an owner's, or of a kind.
    pub async fn all_rows(&mut self, kind: Kind, owner: Option<&str>) -> Result<Vec<Row>, WriteError> {
        let mut filter = Filter { owner: owner.map(str::to_owned), limit: PAGE, ..Filter::default() };
        let mut all = Vec::new();
        loop {
            let mut page = self.rows(kind, &filter).await?;
            let is_last = page.len() < PAGE as usize;
            filter.after = page.last().map(|row| row.name.clone());
            all.append(&mut page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// The edits that lead back to that revision; `None` if that is not known any more, or not yet.
    pub async fn images_at(&mut self, number: u64) -> Result<Option<Vec<Edit>>, WriteError> {
        Ok(self.writing.images_at(number).await?)
    }

    /// A stored body with its secrets in the clear.
    pub fn opened(&self, row: &Row) -> Result<Value, WriteError> {
        let Unsealed { body, problem } = self.vault.open(row.kind, &row.name, &row.body);
        match problem {
            None => Ok(body),
            Some(problem) => Err(WriteError::Conflict(format!(
                "what is stored of the {} `{}` can't be read: {problem}; put it anew, whole",
                row.kind, row.name
            ))),
        }
    }

    /// Makes or replaces. `body` is without `name` and `tags`, its secrets in the clear.
    pub fn put(
        &mut self,
        kind: Kind,
        name: &str,
        tags: Vec<String>,
        body: Value,
        owner: Option<String>,
        fingerprint: Option<String>,
    ) {
        self.plan(kind, name, Some(NewEntity { tags, body, owner, fingerprint }));
    }

    pub fn delete(&mut self, kind: Kind, name: &str) {
        self.plan(kind, name, None);
    }

    /// Bytes of a module, by their digest.
    pub fn put_blob(&mut self, digest: String, bytes: Vec<u8>) {
        self.planned.blobs.push((digest, bytes));
    }

    /// Makes a revision even if nothing changes.
    pub fn force_revision(&mut self) {
        self.planned.forced = true;
    }

    /// What the entities would be after what was planned up to now.
    pub async fn preview(&self) -> Result<ConfigSet, WriteError> {
        self.previewed(self.planned.entities()).await
    }

    /// What the entities would be after these edits.
    pub async fn previewed(&self, edits: Vec<EntityEdit>) -> Result<ConfigSet, WriteError> {
        let before = Arc::clone(&self.known.set);
        Ok(aside(move || before.edit(&edits)).await?)
    }

    pub(super) fn into_planned(self) -> Planned {
        self.planned
    }

    fn plan(&mut self, kind: Kind, name: &str, entity: Option<NewEntity>) {
        self.planned.edits.push(PlannedEdit { kind, name: name.to_owned(), entity });
    }
}

impl Planned {
    pub(super) fn entities(&self) -> Vec<EntityEdit> {
        self.edits.iter().map(PlannedEdit::entity).collect()
    }

    /// All modules as they would be.
    pub(super) fn modules(&self, known: &Arc<BTreeMap<String, StoredModule>>) -> Arc<BTreeMap<String, StoredModule>> {
        let mut modules = Arc::clone(known);
        for edit in self.edits.iter().filter(|edit| edit.kind == Kind::Module) {
            let modules = Arc::make_mut(&mut modules);
            match edit.entity.as_ref().and_then(|entity| serde_json::from_value(entity.body.clone()).ok()) {
                Some(module) => modules.insert(edit.name.clone(), module),
                None => modules.remove(&edit.name),
            };
        }
        modules
    }

    /// The plugins of `set` whose settings are to be checked: those that change, and all of a module that does.
    pub(super) fn plugins(&self, set: &ConfigSet, known: &Known) -> Vec<Arc<Plugin>> {
        let modules: HashSet<&str> = self.of(Kind::Module).collect();
        let changed = self.of(Kind::Plugin).filter_map(|name| set.plugins.get(name));
        let is_new = |plugin: &&Arc<Plugin>| known.set.plugins.get(&plugin.name).is_none_or(|before| before != *plugin);
        let mut plugins: Vec<_> = changed.filter(is_new).cloned().collect();
        if !modules.is_empty() {
            plugins.retain(|plugin| !modules.contains(plugin.module.as_str()));
            plugins.extend(set.plugins.values().filter(|plugin| modules.contains(plugin.module.as_str())).cloned());
        }
        plugins
    }

    /// The certificates of `set` that change and are not in files.
    pub(super) fn certificates<'s>(&self, set: &'s ConfigSet) -> impl Iterator<Item = (&'s str, &'s str, &'s str)> {
        let changed = self.of(Kind::Certificate).filter_map(|name| set.certificates.get(name));
        changed.filter_map(|certificate| match &certificate.source {
            CertificateSource::Files { .. } => None,
            CertificateSource::Texts { certificate: chain, key } => {
                Some((certificate.name.as_str(), chain.as_str(), key.expose()))
            }
        })
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.edits.iter().filter(move |edit| edit.kind == kind).map(|edit| edit.name.as_str())
    }

    /// As stored.
    pub(super) fn sealed(&self, vault: &Vault) -> Result<Vec<Edit>, WriteError> {
        self.edits.iter().map(|edit| edit.sealed(vault)).collect()
    }
}

impl PlannedEdit {
    fn entity(&self) -> EntityEdit {
        let body = self.entity.as_ref().map(|NewEntity { tags, body, .. }| {
            let mut body = body.clone();
            if let (Value::Object(table), false) = (&mut body, tags.is_empty()) {
                table.insert("tags".to_owned(), tags.clone().into());
            }
            body
        });
        EntityEdit { kind: self.kind, name: self.name.clone(), body }
    }

    fn sealed(&self, vault: &Vault) -> Result<Edit, WriteError> {
        let (kind, name) = (self.kind, self.name.clone());
        let Some(NewEntity { tags, body, owner, fingerprint }) = &self.entity else {
            return Ok(Edit::Delete { kind, name });
        };
        let body = match kind {
            // What they are is hashed already, and a schema is no secret.
            Kind::Key | Kind::Token | Kind::Module => body.to_string(),
            _ => vault.seal(kind, &name, body).map_err(|error| {
                let section = Place::Root.key(kind.section());
                Problem::new(&section.key(&name), error.to_string())
            })?,
        };
        Ok(Edit::Put(NewRow {
            kind,
            name,
            owner: owner.clone(),
            fingerprint: fingerprint.clone(),
            tags: tags.clone(),
            body,
        }))
    }
}

const PAGE: u32 = 1000;
