//! A node's folder: its two files and its modules.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::program::Ran;
use crate::{Gateway, modules};

/// A gateway that is to be started.
#[derive(Debug)]
pub struct Setup {
    pub(crate) folder: TempDir,
    gateway: String,
    store: String,
    workers: usize,
    proxy: String,
    plugins: String,
    node: String,
    environment: Vec<(String, String)>,
    listen: Vec<(&'static str, String)>,
}

impl Setup {
    /// `gateway` is the text of `gateway.toml`.
    pub fn new(gateway: impl Into<String>) -> Setup {
        let folder = tempfile::Builder::new().prefix("tollgate-e2e-").tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("plugins")).expect("an empty folder takes another");
        Setup {
            folder,
            gateway: gateway.into(),
            store: "url = \"file:gateway.toml\"".to_owned(),
            workers: 2,
            proxy: String::new(),
            plugins: String::new(),
            node: String::new(),
            environment: Vec::new(),
            listen: Vec::new(),
        }
    }

    /// A node whose configuration is in a database; `url` is one of it, relative to the node's folder.
    pub fn database(url: &str) -> Setup {
        Setup { store: format!("url = \"{url}\""), ..Setup::new("") }
    }

    /// More lines of `[store]`.
    pub fn store(mut self, lines: &str) -> Setup {
        self.store.push('\n');
        self.store.push_str(lines);
        self
    }

    pub fn workers(mut self, workers: usize) -> Setup {
        self.workers = workers;
        self
    }

    /// More lines of `[proxy]` in `tollgate.toml`.
    pub fn proxy(mut self, lines: &str) -> Setup {
        self.proxy.push_str(lines);
        self.proxy.push('\n');
        self
    }

    /// The most instances of all modules together.
    pub fn instances(mut self, most: u32) -> Setup {
        self.plugins.push_str(&format!("instances = {most}\n"));
        self
    }

    /// More tables of `tollgate.toml`.
    pub fn node(mut self, text: &str) -> Setup {
        self.node.push_str(text);
        self.node.push('\n');
        self
    }

    /// Puts a file beside `gateway.toml`.
    pub fn file(self, name: &str, text: &str) -> Setup {
        fs::write(self.folder.path().join(name), text).expect("the folder is ours");
        self
    }

    /// A variable of the gateway's environment.
    pub fn variable(mut self, name: &str, value: &str) -> Setup {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Puts official plugins into the plugins folder.
    pub fn plugins(self, names: &[&str]) -> Setup {
        names.iter().fold(self, |setup, name| setup.module(name, &modules::plugin(name)))
    }

    /// Puts test guests into the plugins folder.
    pub fn guests(self, names: &[&str]) -> Setup {
        names.iter().fold(self, |setup, name| setup.module(name, &modules::guest(name)))
    }

    /// Puts a module into the plugins folder under `name`.
    pub fn module(self, name: &str, file: &Path) -> Setup {
        fs::copy(file, self.module_path(name)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self
    }

    pub fn module_bytes(self, name: &str, bytes: &[u8]) -> Setup {
        fs::write(self.module_path(name), bytes).expect("the plugins folder is ours");
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Gateway {
        self.write();
        Gateway::start(self.folder, self.environment).await
    }

    /// Starts it by the command that `prepare` makes of `tollgate run …`, and waits until it is ready.
    pub async fn start_by(self, prepare: impl FnOnce(Command) -> Command) -> Gateway {
        self.write();
        let command = prepare(crate::gateway::run_command(self.folder.path(), &self.environment));
        Gateway::start_by(self.folder, self.environment, command).await
    }

    /// Runs `tollgate run` by the command that `prepare` makes of it, which is to end by itself.
    pub fn run(self, prepare: impl FnOnce(Command) -> Command) -> Ran {
        self.write();
        Ran::of(prepare(crate::gateway::run_command(self.folder.path(), &self.environment)))
    }

    /// Other addresses than ports that the system chooses, of this listener (`proxy`, `admin`, `status`).
    pub fn listen(mut self, listener: &'static str, address: impl ToString) -> Setup {
        self.listen.push((listener, address.to_string()));
        self
    }

    /// Runs `tollgate validate` on it.
    pub fn validate(self) -> Ran {
        self.write();
        validate(&self.folder.path().join("tollgate.toml"))
    }

    fn module_path(&self, name: &str) -> PathBuf {
        self.folder.path().join("plugins").join(name).with_added_extension("wasm")
    }

    fn write(&self) {
        let Setup { workers, proxy, plugins, node, store, .. } = self;
        let listen = |listener: &str| {
            let stated = self.listen.iter().find(|(name, _)| *name == listener);
            stated.map_or("127.0.0.1:0", |(_, address)| address.as_str())
        };
        let [at_proxy, at_admin, at_status] = ["proxy", "admin", "status"].map(listen);
        let text = format!(
            r#"[proxy]
listen = "{at_proxy}"
workers = {workers}
{proxy}
[admin]
listen = "{at_admin}"

[status]
listen = "{at_status}"

[store]
{store}

[plugins]
folder = "plugins"
{plugins}
[node]
data = "data"
{node}"#
        );
        fs::write(self.folder.path().join("tollgate.toml"), text).expect("the folder is ours");
        fs::write(self.folder.path().join("gateway.toml"), &self.gateway).expect("the folder is ours");
    }
}

/// Runs `tollgate validate -c file`.
pub fn validate(file: &Path) -> Ran {
    validate_with(file, &[])
}

/// As [`validate`], with more arguments.
pub fn validate_with(file: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(modules::gateway_binary());
    command.arg("validate").arg("-c").arg(file).args(arguments).env("NO_COLOR", "1");
    Ran::of(command)
}
