//! One connection to one server.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo, ProtocolVersion, PushInfo,
    PushKind, RedisConnectionInfo, Value,
};
use secrecy::ExposeSecret;
use tokio::sync::watch;

use super::{Address, Login, RedisFailure, RedisOptions};

/// What is done with a message. Called on the connection's own task, so it must not wait.
pub type OnPush = Arc<dyn Fn(PushInfo) + Send + Sync>;

/// Ends when it is dropped.
pub struct Connection {
    commands: MultiplexedConnection,
    has_ended: watch::Receiver<bool>,
    server: Address,
    options: Arc<RedisOptions>,
}

impl Connection {
    /// `login` and `database` are what this server wants, which may be a sentinel.
    pub(super) async fn open(
        options: &Arc<RedisOptions>,
        server: &Address,
        login: Option<&Login>,
        database: u32,
        on_push: Option<OnPush>,
    ) -> Result<Connection, RedisFailure> {
        let client = client(options, server, login, database).await?;
        let (ended, has_ended) = watch::channel(false);
        let pushes = move |info: PushInfo| -> Result<(), std::convert::Infallible> {
            match (&info.kind, &on_push) {
                // Nobody here unsubscribes: what the server took away is as good as lost.
                (PushKind::Disconnection | PushKind::Unsubscribe, _) => drop(ended.send_replace(true)),
                (_, Some(on_push)) => on_push(info),
                _ => {}
            }
            Ok(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(Some(options.timeout))
            .set_push_sender(pushes);
        let opened = client.get_multiplexed_async_connection_with_config(&config).await;
        let commands = opened.map_err(|error| RedisFailure::of(&error, server, options))?;
        Ok(Connection { commands, has_ended, server: server.clone(), options: Arc::clone(options) })
    }

    pub fn server(&self) -> &Address {
        &self.server
    }

    /// # Errors
    /// [`RedisFailure::Refused`] when the connection is as good as before, otherwise it should be given up.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisFailure> {
        let asked = command.query_async(&mut self.commands.clone()).await;
        asked.map_err(|error| RedisFailure::of(&error, &self.server, &self.options))
    }

    /// Waits until the server, or the network, ends it.
    pub async fn ended(&self) -> RedisFailure {
        // An error: the library gave the connection up without a word.
        let _ = self.has_ended.clone().wait_for(|has_ended| *has_ended).await;
        RedisFailure::Away { server: self.server.clone(), reason: "the connection broke".to_owned() }
    }

    /// Whether the server answers, and passes on what is published there: a replica keeps it to itself, but in a cluster.
    /// Unlike PING, HELLO tells the role, and whoever may connect may ask.
    pub(super) async fn reaches_all(&self) -> Result<bool, RedisFailure> {
        let about: HashMap<String, Value> = self.query(redis::cmd("HELLO").arg(3)).await?;
        let says =
            |key, words: &[&[u8]]| matches!(about.get(key), Some(Value::BulkString(word)) if words.contains(&&**word));
        Ok(says("mode", &[b"cluster"]) || !says("role", &[b"replica", b"slave"]))
    }
}

async fn client(
    options: &RedisOptions,
    server: &Address,
    login: Option<&Login>,
    database: u32,
) -> Result<Client, RedisFailure> {
    let address = match (server, &options.tls) {
        (Address::Unix(path), _) => ConnectionAddr::Unix(path.clone()),
        (Address::Tcp { host, port }, None) => ConnectionAddr::Tcp(host.clone(), *port),
        (Address::Tcp { host, port }, Some(_)) => {
            ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
        }
    };
    // Naming the library would need a permission more.
    let mut session = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_db(database.into())
        .set_skip_set_lib_name();
    if let Some(Login { username, password }) = login {
        session = session.set_password(password.expose_secret());
        if let Some(username) = username {
            session = session.set_username(username);
        }
    }
    let refused = |error| RedisFailure::of(&error, server, options);
    let info = address.into_connection_info().map_err(refused)?;
    let info = info.set_redis_settings(session).set_tcp_settings(TcpSettings::default().set_nodelay(true));
    match options.tls.clone() {
        Some(tls) if matches!(server, Address::Tcp { .. }) => {
            let read = tokio::task::spawn_blocking(move || tls.secure(info)).await;
            read.unwrap_or_else(|error| Err(RedisFailure::Tls(error.to_string())))
        }
        _ => Client::open(info).map_err(refused),
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a connection to {}", self.server)
    }
}
