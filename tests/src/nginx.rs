//! The real nginx, as an upstream.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{Identity, Process, eventually};

/// Runs in a folder of its own; both go with it.
#[derive(Debug)]
pub struct Nginx {
    // Before the folder: fields are dropped in order.
    process: Process,
    folder: TempDir,
    pub address: SocketAddr,
}

impl Nginx {
    /// Serves TLS with `identity`; `lines` stand in its `server` block, files that they name in its
    /// folder.
    pub async fn tls(identity: &Identity, parameters: &str, lines: &str, files: &[(&str, &str)]) -> Nginx {
        let folder = tempfile::Builder::new().prefix("tollgate-nginx-").tempdir().expect("a temporary folder");
        identity.write(folder.path(), "server");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("the folder is ours");
        }
        let listen = format!("ssl {parameters}");
        let lines = format!("ssl_certificate server.pem;\nssl_certificate_key server.key;\n{lines}");
        Nginx::start(folder, &listen, &lines).await
    }

    async fn start(folder: TempDir, parameters: &str, lines: &str) -> Nginx {
        // nginx does not tell which port the system chose: one that is free now.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a port is free");
        let text = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log error.log info;\n\
             events {{ worker_connections 512; }}\n\
             http {{\naccess_log off;\nclient_body_temp_path t1;\nproxy_temp_path t2;\nfastcgi_temp_path t3;\n\
             uwsgi_temp_path t4;\nscgi_temp_path t5;\n\
             server {{\nlisten {address} {parameters};\n{lines}\n}}\n}}\n"
        );
        std::fs::write(folder.path().join("nginx.conf"), text).expect("the folder is ours");
        let mut process = Process::start(command(folder.path()), folder.path().join("output.log"));
        eventually(Duration::from_secs(20), async || {
            assert!(process.exited().is_none(), "nginx ended at the start:\n{}", process.log());
            TcpStream::connect(address).map(drop)
        })
        .await;
        Nginx { process, folder, address }
    }

    /// Its error log, which tells of handshakes too.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }
}

fn command(folder: &Path) -> Command {
    // Debian's is not on every user's path.
    let program = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"].into_iter().find(|path| Path::new(path).is_file());
    let mut command = Command::new(program.unwrap_or("nginx"));
    command.arg("-p").arg(folder).arg("-e").arg("stderr").arg("-c").arg("nginx.conf");
    command
}
