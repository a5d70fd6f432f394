//! Who is measured: a server, its configuration, and how clients reach it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::rig::{Rig, write};
use super::server;
use super::{certificate, entities, keys};
use crate::process;

/// One server in one configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contender {
    pub name: &'static str,
    server: Program,
    listen: Listen,
    pub workers: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    /// With a template of benches/peers.
    Nginx(&'static str),
    Haproxy(&'static str),
    Ours(Entities),
    /// Of the benches crate.
    Minimal,
    /// Of benches/peers/pingora.
    Pingora,
}

/// What our gateway serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entities {
    Template(&'static str),
    /// So many routes, see [`entities::routes`].
    Routes(usize),
}

/// How clients connect. The gateway tells HTTP/2 in clear text by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    Clear,
    ClearHttp2,
    Tls,
}

pub const NGINX_BARE: Contender = Contender::new("nginx bare", Program::Nginx("nginx-bare.conf"));
pub const NGINX_CHAIN: Contender = Contender::new("nginx chain", Program::Nginx("nginx-chain.conf"));
pub const LUA_CHAIN: Contender = Contender::new("nginx + Lua chain", Program::Nginx("nginx-lua-chain.conf"));
pub const HAPROXY_BARE: Contender = Contender::new("HAProxy bare", Program::Haproxy("haproxy-bare.cfg"));
pub const HAPROXY_CHAIN: Contender = Contender::new("HAProxy chain", Program::Haproxy("haproxy-chain.cfg"));
pub const MINIMAL: Contender = Contender::new("minimal hyper proxy", Program::Minimal);
pub const PINGORA: Contender = Contender::new("pingora bare", Program::Pingora);
pub const OURS_BARE: Contender = Contender::ours("tollgate bare", "gateway-bare.toml");
pub const OURS_CHAIN: Contender = Contender::ours("tollgate chain", "gateway-chain.toml");
pub const OURS_FRESH: Contender = Contender::ours("tollgate chain, fresh instances", "gateway-chain-fresh.toml");

impl Contender {
    const fn new(name: &'static str, server: Program) -> Contender {
        Contender { name, server, listen: Listen::Clear, workers: 1 }
    }

    const fn ours(name: &'static str, entities: &'static str) -> Contender {
        Contender::new(name, Program::Ours(Entities::Template(entities)))
    }

    /// The gateway with so many routes.
    pub const fn routes(name: &'static str, count: usize) -> Contender {
        Contender::new(name, Program::Ours(Entities::Routes(count)))
    }

    /// The same under another name.
    pub const fn named(self, name: &'static str) -> Contender {
        Contender { name, ..self }
    }

    pub const fn reached_by(self, listen: Listen) -> Contender {
        Contender { listen, ..self }
    }

    pub const fn with_workers(self, workers: usize) -> Contender {
        Contender { workers, ..self }
    }

    pub fn is_tls(&self) -> bool {
        self.listen == Listen::Tls
    }

    /// Whether it is the gateway, which tells when it is ready.
    pub fn is_ours(&self) -> bool {
        matches!(self.server, Program::Ours(_))
    }

    /// The command that serves on these ports, its configuration written into `folder`.
    pub fn command(&self, rig: &Rig, ports: Ports, folder: &Path) -> Result<Command> {
        if self.is_tls() {
            certificate::write(folder)?;
        }
        let fill = Fill { rig, ports, folder, contender: self };
        match self.server {
            Program::Nginx(template) => fill.nginx(template),
            Program::Haproxy(template) => fill.haproxy(template),
            Program::Ours(entities) => fill.ours(entities),
            Program::Minimal => Ok(fill.numbers(&rig.bench_program("minimal-proxy"))),
            Program::Pingora => Ok(fill.numbers(&rig.pingora)),
        }
    }
}

/// Where a contender listens and whom it asks, on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub clients: u16,
    pub upstream: u16,
    /// The gateway's status listener.
    pub status: u16,
}

impl Ports {
    /// Free ones.
    pub fn choose(upstream: u16) -> Result<Self> {
        Ok(Ports { clients: server::free_port()?, upstream, status: server::free_port()? })
    }
}

/// nginx as the service behind every gateway.
pub const UPSTREAM: Contender = Contender::new("upstream", Program::Nginx("upstream.conf"));

/// Configurations of one contender.
struct Fill<'a> {
    rig: &'a Rig,
    contender: &'a Contender,
    ports: Ports,
    folder: &'a Path,
}

impl Fill<'_> {
    fn nginx(&self, template: &str) -> Result<Command> {
        write(&self.folder.join("keys.map"), &keys::nginx_map(&self.rig.keys))?;
        write(&self.folder.join("keys.lua"), &keys::lua_table(&self.rig.keys))?;
        let config = self.folder.join("nginx.conf");
        write(&config, &self.filled(template)?)?;
        let mut command = Command::new(process::find("nginx").context("nginx is gone")?);
        command.arg("-c").arg(config).arg("-e").arg(self.folder.join("error.log"));
        Ok(command)
    }

    fn haproxy(&self, template: &str) -> Result<Command> {
        write(&self.folder.join("keys.map"), &keys::haproxy_map(&self.rig.keys))?;
        let config = self.folder.join("haproxy.cfg");
        write(&config, &self.filled(template)?)?;
        let mut command = Command::new(process::find("haproxy").context("haproxy is gone")?);
        // In the foreground: its log goes to its standard output.
        command.arg("-db").arg("-f").arg(config);
        Ok(command)
    }

    fn ours(&self, entities: Entities) -> Result<Command> {
        let mut text = match entities {
            Entities::Template(template) => self.filled(template)? + &entities::consumers(&self.rig.keys),
            Entities::Routes(count) => entities::routes(count, self.ports.upstream),
        };
        let node = if self.contender.is_tls() { "tollgate-tls.toml" } else { "tollgate.toml" };
        if self.contender.is_tls() {
            text += entities::CERTIFICATE;
        }
        write(&self.folder.join("gateway.toml"), &text)?;
        let config = self.folder.join("tollgate.toml");
        write(&config, &self.filled(node)?)?;
        self.rig.lend_compiled_plugins(&self.folder.join("data/compiled"))?;
        let mut command = Command::new(&self.rig.gateway);
        command.arg("run").arg("-c").arg(config);
        Ok(command)
    }

    fn numbers(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .args([self.ports.clients, self.ports.upstream].map(|port| port.to_string()))
            .arg(self.contender.workers.to_string());
        command
    }

    /// A template of benches/peers with its `@NAMES@` replaced.
    fn filled(&self, template: &str) -> Result<String> {
        let file = self.rig.peers.join(template);
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let folder = self.folder.display();
        let listen = match self.contender.listen {
            Listen::Clear => format!("listen 127.0.0.1:{}", self.ports.clients),
            Listen::ClearHttp2 => format!("listen 127.0.0.1:{} http2", self.ports.clients),
            Listen::Tls => format!(
                "listen 127.0.0.1:{} ssl http2; ssl_certificate {folder}/certificate.pem; \
                 ssl_certificate_key {folder}/key.pem",
                self.ports.clients
            ),
        };
        Ok(text
            .replace("@LISTEN@", &listen)
            .replace("@PORT@", &self.ports.clients.to_string())
            .replace("@WORKERS@", &self.contender.workers.to_string())
            .replace("@UPSTREAM@", &self.ports.upstream.to_string())
            .replace("@FOLDER@", &folder.to_string())
            .replace("@PEERS@", &self.rig.peers.display().to_string())
            .replace("@PLUGINS@", &self.rig.plugins.display().to_string())
            .replace("@CLEAR@", &server::free_port()?.to_string())
            .replace("@ADMIN@", &server::free_port()?.to_string())
            .replace("@STATUS@", &self.ports.status.to_string())
            .replace("@BODY@", &"x".repeat(1024)))
    }
}
