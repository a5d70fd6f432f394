//! Types of the interface `types`, and of the hooks' parameters.

use wasmtime::component::{ComponentType, Lift, Lower, flags};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Action {
    #[component(name = "continue")]
    Continue,
    #[component(name = "respond")]
    Respond,
}

flags! {
    HookFlags {
        #[component(name = "request")]
        const REQUEST;
        #[component(name = "request-body")]
        const REQUEST_BODY;
        #[component(name = "response")]
        const RESPONSE;
        #[component(name = "response-body")]
        const RESPONSE_BODY;
        #[component(name = "log")]
        const LOG;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Capability {
    #[component(name = "credentials")]
    Credentials,
    #[component(name = "files")]
    Files,
    #[component(name = "standard-output")]
    StandardOutput,
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Manifest {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) description: String,
    pub(crate) hooks: HookFlags,
    pub(crate) capabilities: Vec<Capability>,
    #[component(name = "decides-access")]
    pub(crate) decides_access: bool,
    #[component(name = "settings-schema")]
    pub(crate) settings_schema: String,
}

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Subscription {
    pub(crate) hooks: HookFlags,
    #[component(name = "request-body-limit")]
    pub(crate) request_body_limit: u64,
    #[component(name = "response-body-limit")]
    pub(crate) response_body_limit: u64,
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct ConfigProblem {
    pub(crate) path: String,
    pub(crate) message: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Text {
    pub(crate) start: u32,
    pub(crate) length: u32,
}

#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct LogRecord {
    #[component(name = "started-at")]
    pub(crate) started_at: u64,
    pub(crate) duration: u64,
    #[component(name = "upstream-duration")]
    pub(crate) upstream_duration: u64,
    #[component(name = "request-bytes")]
    pub(crate) request_bytes: u64,
    #[component(name = "response-bytes")]
    pub(crate) response_bytes: u64,
    pub(crate) status: u16,
    pub(crate) attempts: u16,
    pub(crate) aborted: bool,
    #[component(name = "request-id")]
    pub(crate) request_id: Text,
    #[component(name = "client-address")]
    pub(crate) client_address: Text,
    pub(crate) method: Text,
    pub(crate) scheme: Text,
    pub(crate) host: Text,
    pub(crate) target: Text,
    #[component(name = "http-version")]
    pub(crate) http_version: Text,
    #[component(name = "user-agent")]
    pub(crate) user_agent: Text,
    pub(crate) route: Text,
    pub(crate) service: Text,
    pub(crate) upstream: Text,
    pub(crate) consumer: Text,
    pub(crate) fields: Text,
}
