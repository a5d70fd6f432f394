//! Names that have to lead somewhere, of a set that is changed by edits: only what the edits touch is looked at.

use std::collections::HashMap;

use super::ConfigSet;
use super::edit::{EntityEdit, Touched};
use crate::decode::{Place, closest};
use crate::entity::{ChainEntry, Destination, Service};
use crate::problem::Problem;
use crate::{Kind, Name, Problems};

/// Reports names of touched entities that lead nowhere, plugins that stand twice in a chain, and deleted entities that
/// others still name.
pub(super) fn check(set: &ConfigSet, touched: &Touched<'_>, problems: &mut Problems) {
    let mut check = Check { set, problems };
    for (kind, name) in &touched.put {
        check.entity(*kind, name);
    }
    for edit in &touched.refused {
        check.refused(edit);
    }
    if !touched.deleted.is_empty() {
        check.users(touched);
    }
}

struct Check<'s, 'p> {
    set: &'s ConfigSet,
    problems: &'p mut Problems,
}

impl Check<'_, '_> {
    fn entity(&mut self, kind: Kind, name: &str) {
        let section = Place::Root.key(kind.section());
        let place = section.key(name);
        let set = self.set;
        match kind {
            Kind::Service => {
                let Some(service) = set.services.get(name) else { return };
                if let Destination::Upstream { upstream, .. } = &service.destination {
                    self.leads(Kind::Upstream, upstream, &place.key("upstream"));
                }
                if let Some(certificate) = &service.tls.client_certificate {
                    let tls = place.key("tls");
                    self.leads(Kind::Certificate, certificate, &tls.key("client_certificate"));
                }
                self.chain(&service.chain, &place.key("chain"));
            }
            Kind::Route => {
                let Some(route) = set.routes.get(name) else { return };
                self.leads(Kind::Service, &route.service, &place.key("service"));
                self.chain(&route.chain, &place.key("chain"));
            }
            Kind::Consumer => {
                let Some(consumer) = set.consumers.get(name) else { return };
                self.chain(&consumer.chain, &place.key("chain"));
            }
            Kind::Sni => {
                let Some(sni) = set.snis.iter().find(|sni| sni.host.to_string() == name) else { return };
                self.leads(Kind::Certificate, &sni.certificate, &place.key("certificate"));
            }
            Kind::Chain => self.chain(&set.chain, &Place::Root.key("chain")),
            _ => {}
        }
    }

    /// Names in what could not be read as a whole.
    fn refused(&mut self, edit: &EntityEdit) {
        let Some(body) = &edit.body else { return };
        let section = Place::Root.key(edit.kind.section());
        let place = section.key(&edit.name);
        let name = |value: &serde_json::Value| Name::parse(value.as_str()?).ok();
        for (key, kind) in
            [("service", Kind::Service), ("upstream", Kind::Upstream), ("certificate", Kind::Certificate)]
        {
            let is_named = matches!(
                (edit.kind, kind),
                (Kind::Route, Kind::Service) | (Kind::Service, Kind::Upstream) | (Kind::Sni, Kind::Certificate)
            );
            if let Some(named) = body.get(key).and_then(name).filter(|_| is_named) {
                self.leads(kind, &named, &place.key(key));
            }
        }
        let place = place.key("chain");
        let entries = body.get("chain").and_then(serde_json::Value::as_array);
        for (index, entry) in entries.into_iter().flatten().enumerate() {
            if let Some(plugin) = name(entry.get("plugin").unwrap_or(entry)) {
                self.leads(Kind::Plugin, &plugin, &place.index(index));
            }
        }
    }

    fn chain(&mut self, chain: &[ChainEntry], place: &Place<'_>) {
        let mut seen: HashMap<&Name, usize> = HashMap::new();
        for (index, entry) in chain.iter().enumerate() {
            let at = place.index(index);
            self.leads(Kind::Plugin, &entry.plugin, &at);
            if let Some(first) = seen.insert(&entry.plugin, index) {
                let message = format!("the plugin `{}` is in this chain twice", entry.plugin);
                let problem = Problem::new(&at, message).with_elsewhere(&place.index(first), "first named here");
                let hint = "to run a module twice, make a second plugin of it with a name of its own";
                self.problems.add(problem.with_hint(hint));
            }
        }
    }

    fn leads(&mut self, kind: Kind, name: &Name, place: &Place<'_>) {
        let set = self.set;
        let known: Box<dyn Iterator<Item = &Name>> = match kind {
            Kind::Upstream if !set.upstreams.contains_key(name) => Box::new(set.upstreams.keys()),
            Kind::Certificate if !set.certificates.contains_key(name) => Box::new(set.certificates.keys()),
            Kind::Service if !set.services.contains_key(name) => Box::new(set.services.keys()),
            Kind::Plugin if !set.plugins.contains_key(name) => Box::new(set.plugins.keys()),
            _ => return,
        };
        let problem = Problem::new(place, format!("there is no {kind} `{name}`"));
        self.problems.add(match closest(name.as_str(), known.map(Name::as_str)) {
            Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
            None => problem.with_hint("make it first, or in the same change"),
        });
    }

    /// Who still names what is deleted.
    fn users(&mut self, touched: &Touched<'_>) {
        let mut users: HashMap<(Kind, &str), Users> = HashMap::new();
        let mut note = |kind: Kind, name: &Name, user: (Kind, &str)| {
            if let Some((kind, name)) = touched.deleted.get(&(kind, name.as_str().to_owned())).map(|(k, n)| (*k, n)) {
                users.entry((kind, name.as_str())).or_default().note(user);
            }
        };
        let kinds: Vec<Kind> = touched.deleted.iter().map(|(kind, _)| *kind).collect();
        let plugins = kinds.contains(&Kind::Plugin);
        if plugins {
            self.set.chain.iter().for_each(|entry| note(Kind::Plugin, &entry.plugin, (Kind::Chain, Kind::GLOBAL)));
        }
        if plugins || kinds.contains(&Kind::Upstream) || kinds.contains(&Kind::Certificate) {
            for (name, service) in &self.set.services {
                named_by(service).for_each(|(kind, named)| note(kind, named, (Kind::Service, name.as_str())));
            }
        }
        if plugins || kinds.contains(&Kind::Service) {
            for (name, route) in &self.set.routes {
                note(Kind::Service, &route.service, (Kind::Route, name.as_str()));
                route.chain.iter().for_each(|entry| note(Kind::Plugin, &entry.plugin, (Kind::Route, name.as_str())));
            }
        }
        if plugins {
            for (name, consumer) in &self.set.consumers {
                let user = (Kind::Consumer, name.as_str());
                consumer.chain.iter().for_each(|entry| note(Kind::Plugin, &entry.plugin, user));
            }
        }
        if kinds.contains(&Kind::Certificate) {
            for sni in &self.set.snis {
                note(Kind::Certificate, &sni.certificate, (Kind::Sni, &sni.host.to_string()));
            }
        }
        let mut users: Vec<_> = users.into_iter().collect();
        users.sort_by_key(|(deleted, _)| *deleted);
        for ((kind, name), Users { first, more }) in users {
            let section = Place::Root.key(kind.section());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let problem =
                Problem::new(&section.key(name), format!("the {kind} `{name}` is still used by {first}{more}"));
            self.problems.add(problem.with_hint("change or delete that first, or in the same change"));
        }
    }
}

#[derive(Default)]
struct Users {
    first: String,
    more: usize,
}

impl Users {
    fn note(&mut self, (kind, name): (Kind, &str)) {
        match (self.first.is_empty(), kind) {
            (true, Kind::Chain) => self.first = "the global chain".to_owned(),
            (true, _) => self.first = format!("the {kind} `{name}`"),
            (false, _) => self.more += 1,
        }
    }
}

fn named_by(service: &Service) -> impl Iterator<Item = (Kind, &Name)> {
    let upstream = match &service.destination {
        Destination::Upstream { upstream, .. } => Some((Kind::Upstream, upstream)),
        Destination::Host { .. } => None,
    };
    let certificate = service.tls.client_certificate.as_ref().map(|name| (Kind::Certificate, name));
    let plugins = service.chain.iter().map(|entry| (Kind::Plugin, &entry.plugin));
    upstream.into_iter().chain(certificate).chain(plugins)
}
