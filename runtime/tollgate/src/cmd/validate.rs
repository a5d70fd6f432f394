use std::sync::Arc;

use tollgate_limits::Local;
use tollgate_plugin_host::{Host, Prepared};
use tollgate_store::FileStore;

use super::Invalid;
use crate::certificates::{CertificateFiles, CertificateReport};
use crate::cli::ConfigArgs;
use crate::config::{NodeConfig, environment};
use crate::reconciler::settings_report;

/// Checks what `run` would check before it serves. Modules that are missing are told, not refused:
/// they may be on the nodes that serve.
#[allow(clippy::print_stdout, reason = "the verb's output")]
pub fn run(args: &ConfigArgs) -> anyhow::Result<()> {
    let config = NodeConfig::load(&args.config)?;
    let loaded = FileStore::open(&config.store).read(None, environment).map_err(Invalid)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let prepared = runtime.block_on(async {
        let host = Host::start(config.plugins.clone(), Arc::new(Local::new()))?;
        host.refresh_all().await;
        let prepared = host.prepare(&loaded.set, &Prepared::default()).await;
        Ok::<_, anyhow::Error>(prepared.map_err(|problems| Invalid(settings_report(&loaded.document, &problems))))
    })??;
    for (name, plugin) in &prepared.plugins {
        if let Err(reason) = plugin {
            println!("warning: plugin {name}: {reason}; its routes would answer 503 on this node");
        }
    }
    let set = &loaded.set;
    let folder = config.store.parent().unwrap_or(std::path::Path::new("."));
    let certificates = CertificateFiles::new(folder, Arc::default()).refresh(set).unwrap_or_default();
    for CertificateReport { name, problem, .. } in certificates {
        if let Some(problem) = problem {
            println!("warning: certificate {name}: {problem}; this node would not show it");
        }
    }
    for route in set.routes.values() {
        for remark in set.lint_route(route) {
            println!("warning: route {}: {remark}", route.name);
        }
    }
    println!(
        "{} is valid: {} routes, {} services, {} consumers, {} plugins",
        config.store.display(),
        set.routes.len(),
        set.services.len(),
        set.consumers.len(),
        set.plugins.len()
    );
    Ok(())
}
