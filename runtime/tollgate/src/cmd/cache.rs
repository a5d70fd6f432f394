use serde_json::json;
use tollgate_model::Kind;

use super::Outcome;
use super::api::{Api, path, query};
use crate::cli::{CacheVerb, Wait};

pub fn run(verb: &CacheVerb) -> anyhow::Result<Outcome> {
    match verb {
        CacheVerb::Get { kind, name, api } => {
            let held = Api::open(api)?;
            let section = Kind::of_word(kind).map_or(kind.as_str(), |kind| kind.section());
            let told = held.get(&path(&["cache", section, name]))?.json()?;
            held.show(&told, || format!("{told:#}\n"))?;
        }
        CacheVerb::Clear { scope, api } => {
            let api = Api::open(api)?;
            let is_cluster = *scope == Wait::Cluster;
            let parameter = is_cluster.then(|| ("scope", "cluster".to_owned()));
            let answer = api.delete(&query("/cache", parameter))?;
            let who = if is_cluster { "every node loads" } else { "the node loads" };
            let told = json!({ "revision": answer.revision() });
            api.show(&told, || format!("{who} everything anew\n"))?;
        }
    }
    Ok(Outcome::Done)
}
