use std::sync::Arc;

use anyhow::Context;
use tollgate_keys::Pepper;
use tollgate_limits::Local;
use tollgate_plugin_host::{Host, Prepared, SettingsProblem};
use tollgate_proxy::{Builder, TlsServer};
use tollgate_store::FileStore;

use super::Invalid;
use crate::certificates::{CertificateFiles, CertificateReport};
use crate::cli::ValidateArgs;
use crate::config::{NO_CERTIFICATE, NodeConfig, environment};
use crate::credentials::credentials_of;
use crate::settings_report::{completed, missing_modules, settings_report};

/// Checks what `run` would check before it serves. Modules that are missing are refused, or only told
/// if the caller says that they are on the nodes that serve.
#[allow(clippy::print_stdout, reason = "the verb's output")]
pub fn run(args: &ValidateArgs) -> anyhow::Result<()> {
    let config = NodeConfig::load(&args.config.config)?;
    if let Some(tls) = &config.tls {
        TlsServer::new(tls, Arc::default()).context("proxy.tls.client_ca_file")?;
    }
    let Some(path) = config.store.file() else { return node_alone(&config) };
    let store = FileStore::open(path);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let host = runtime.block_on(async {
        let host = Host::start(config.plugins.clone(), Arc::new(Local::new()))?;
        host.refresh_all().await;
        Ok::<_, anyhow::Error>(host)
    })?;
    let loaded = match store.read(None, environment) {
        Ok(loaded) => loaded,
        Err(report) => {
            let report = runtime.block_on(completed(report, &store, &host, &Prepared::default()));
            return Err(Invalid(report).into());
        }
    };
    let plugins = &config.plugins.folder;
    if !loaded.set.plugins.is_empty() && !plugins.is_dir() {
        println!("warning: the plugins folder {} is missing", plugins.display());
    }
    let prepared = runtime.block_on(async {
        let missing = match args.allow_missing_modules {
            true => Vec::new(),
            false => missing_modules(&host, &loaded.set, plugins).into_iter().map(avoidable).collect(),
        };
        match host.prepare(&loaded.set, &Prepared::default()).await {
            Ok(prepared) => {
                let refused: Vec<_> =
                    missing.into_iter().chain(host.unusable_modules(&loaded.set, &prepared)).collect();
                if refused.is_empty() { Ok(prepared) } else { Err(refused) }
            }
            Err(unprepared) => Err(missing.into_iter().chain(unprepared.problems).collect()),
        }
    });
    let prepared = prepared.map_err(|problems: Vec<_>| Invalid(settings_report(&loaded.document, &problems)))?;
    for (name, plugin) in &prepared.plugins {
        if let Err(reason) = plugin {
            println!("warning: plugin {name}: {reason}; its routes would answer 503 on this node");
        }
    }
    let set = &loaded.set;
    let folder = config.base.as_path();
    let certificates = CertificateFiles::new(folder, Arc::default()).refresh(set).unwrap_or_default();
    for CertificateReport { name, problem, .. } in certificates {
        if let Some(problem) = problem {
            println!("warning: certificate {name}: {problem}; this node would not show it");
        }
    }
    if config.tls.is_some() && set.certificates.is_empty() {
        println!("warning: proxy.tls: {NO_CERTIFICATE}");
    }
    // As the node would: what can't be used is told service by service.
    let pepper = Arc::new(Pepper::random());
    let credentials = credentials_of(set, &pepper, None);
    let snapshot = Builder::new(pepper, folder, config.proxy.name_ttl).build(set, &credentials, &prepared);
    for (place, reason) in snapshot.degraded().into_iter().filter(|(place, _)| place.starts_with("service ")) {
        println!("warning: {place}: {reason}; it would answer 503 on this node");
    }
    for route in set.routes.values() {
        for remark in set.lint_route(route) {
            println!("warning: route {}: {remark}", route.name);
        }
    }
    println!(
        "{} is valid: {} routes, {} services, {} consumers, {} plugins",
        path.display(),
        set.routes.len(),
        set.services.len(),
        set.consumers.len(),
        set.plugins.len()
    );
    Ok(())
}

/// What a database has was checked when it was written.
#[allow(clippy::print_stdout, reason = "the verb's output")]
fn node_alone(config: &NodeConfig) -> anyhow::Result<()> {
    if let Some(database) = config.store.database() {
        config.cluster.keyring(&config.data, database.options.url.is_shared())?;
    }
    println!("the node's file is valid; what {} has is checked when it is written", config.store.shown());
    Ok(())
}

/// With what to do about a module that is not there.
fn avoidable(missing: SettingsProblem) -> SettingsProblem {
    let hint = match &missing.hint {
        Some(near) => format!("{near} If not, {COPY}"),
        None => COPY.to_owned(),
    };
    SettingsProblem { hint: Some(hint), ..missing }
}

const COPY: &str = "copy it there; on a machine that serves nothing, --allow-missing-modules only warns of it";
