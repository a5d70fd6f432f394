use std::process::Command;

/// What a program said when it ended.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the real curl, quietly and with a time limit.
pub async fn curl(arguments: &[&str]) -> Ran {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "60"]).args(arguments);
    // A thread of its own: the upstream of the request may live on this one.
    tokio::task::spawn_blocking(|| Ran::of(command)).await.expect("running a program does not panic")
}

/// Runs any program, with nothing on its standard input.
pub async fn run(program: &str, arguments: &[&str]) -> Ran {
    let mut command = Command::new(program);
    command.args(arguments).stdin(std::process::Stdio::null());
    tokio::task::spawn_blocking(|| Ran::of(command)).await.expect("running a program does not panic")
}

impl Ran {
    pub(crate) fn of(mut command: Command) -> Ran {
        let output = command.output().unwrap_or_else(|error| {
            let program = command.get_program().to_string_lossy().into_owned();
            panic!("{program} does not run ({error}): install it, the tests use the real one")
        });
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
