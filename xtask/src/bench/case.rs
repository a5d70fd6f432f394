//! What is compared: ours and nginx, each bare and with a chain of key, rate limit per consumer and access log.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{Rig, keys, server};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    NginxBare,
    NginxChain,
    LuaChain,
    OursBare,
    OursChain,
}

impl Case {
    pub const ALL: [Case; 5] = [Case::NginxBare, Case::NginxChain, Case::LuaChain, Case::OursBare, Case::OursChain];

    pub fn name(self) -> &'static str {
        match self {
            Case::NginxBare => "nginx bare",
            Case::NginxChain => "nginx chain",
            Case::LuaChain => "nginx + Lua chain",
            Case::OursBare => "tollgate bare",
            Case::OursChain => "tollgate chain",
        }
    }
}

impl Rig {
    /// The command that serves a case on `port`, its configuration written into `folder`.
    pub fn command(&self, case: Case, port: u16, upstream: u16, folder: &Path) -> Result<Command> {
        match case {
            Case::NginxBare => self.nginx("nginx-bare.conf", port, upstream, folder),
            Case::NginxChain => self.nginx("nginx-chain.conf", port, upstream, folder),
            Case::LuaChain => self.nginx("nginx-lua-chain.conf", port, upstream, folder),
            Case::OursBare => self.ours("gateway-bare.toml", port, upstream, folder),
            Case::OursChain => self.ours("gateway-chain.toml", port, upstream, folder),
        }
    }

    /// nginx as the service behind every gateway.
    pub fn upstream(&self, port: u16, folder: &Path) -> Result<Command> {
        self.nginx("upstream.conf", port, port, folder)
    }

    fn nginx(&self, template: &str, port: u16, upstream: u16, folder: &Path) -> Result<Command> {
        write(folder.join("keys.map"), &keys::nginx_map(&self.keys))?;
        write(folder.join("keys.lua"), &keys::lua_table(&self.keys))?;
        let config = folder.join("nginx.conf");
        write(config.clone(), &self.filled(template, port, upstream, folder)?)?;
        let mut command = Command::new("nginx");
        command.arg("-c").arg(config).arg("-e").arg(folder.join("error.log"));
        Ok(command)
    }

    fn ours(&self, template: &str, port: u16, upstream: u16, folder: &Path) -> Result<Command> {
        let entities = self.filled(template, port, upstream, folder)? + &keys::consumers(&self.keys);
        write(folder.join("gateway.toml"), &entities)?;
        let config = folder.join("tollgate.toml");
        write(config.clone(), &self.filled("tollgate.toml", port, upstream, folder)?)?;
        let mut command = Command::new(&self.gateway);
        command.arg("run").arg("-c").arg(config);
        Ok(command)
    }

    /// A template of benches/peers with its `@NAMES@` replaced.
    fn filled(&self, template: &str, port: u16, upstream: u16, folder: &Path) -> Result<String> {
        let file = self.peers.join(template);
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(text
            .replace("@PORT@", &port.to_string())
            .replace("@UPSTREAM@", &upstream.to_string())
            .replace("@FOLDER@", &folder.display().to_string())
            .replace("@PEERS@", &self.peers.display().to_string())
            .replace("@PLUGINS@", &self.plugins.display().to_string())
            .replace("@ADMIN@", &server::free_port()?.to_string())
            .replace("@STATUS@", &server::free_port()?.to_string())
            .replace("@BODY@", &"x".repeat(1024)))
    }
}

fn write(file: PathBuf, text: &str) -> Result<()> {
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
}
