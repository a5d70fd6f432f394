//! `tollgate` as people type it, beside a node.

use std::process::{Command, Stdio};

use crate::program::Ran;
use crate::{Gateway, modules};

impl Gateway {
    /// `tollgate …` on this node, by its own file and with its token. Starts in its folder.
    pub async fn tollgate(&self, arguments: &[&str]) -> Ran {
        let mut command = self.tollgate_command(arguments);
        command.arg("-c").arg(self.path("tollgate.toml"));
        run(command).await
    }

    /// As [`Gateway::tollgate`], without its file: no token is found, unless `variables` or `arguments` have one.
    pub async fn tollgate_as(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
        let mut command = self.tollgate_command(arguments);
        command.current_dir("/").envs(variables.iter().copied());
        run(command).await
    }

    fn tollgate_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(modules::gateway_binary());
        command.args(arguments).arg("--admin").arg(format!("http://{}", self.admin));
        command.current_dir(self.path("")).stdin(Stdio::null()).env("NO_COLOR", "1");
        command.env_remove("TOLLGATE_ADMIN").env_remove("TOLLGATE_TOKEN");
        command
    }
}

/// `tollgate …` without any node.
pub async fn tollgate(arguments: &[&str]) -> Ran {
    let mut command = Command::new(modules::gateway_binary());
    command.args(arguments).current_dir("/").stdin(Stdio::null()).env("NO_COLOR", "1");
    command.env_remove("TOLLGATE_ADMIN").env_remove("TOLLGATE_TOKEN");
    run(command).await
}

/// A thread of its own: the node's upstream may live on this one.
async fn run(command: Command) -> Ran {
    tokio::task::spawn_blocking(|| Ran::of(command)).await.expect("running a program does not panic")
}
