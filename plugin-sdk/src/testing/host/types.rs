#[derive(Clone, Copy, Debug)]
pub struct Text {
    pub start: u32,
    pub length: u32,
}

#[derive(Clone, Copy, Debug)]
pub struct LogRecord {
    pub started_at: u64,
    pub duration: u64,
    pub upstream_duration: u64,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub status: u16,
    pub attempts: u16,
    pub aborted: bool,
    pub request_id: Text,
    pub client_address: Text,
    pub method: Text,
    pub scheme: Text,
    pub host: Text,
    pub target: Text,
    pub http_version: Text,
    pub user_agent: Text,
    pub route: Text,
    pub service: Text,
    pub upstream: Text,
    pub consumer: Text,
    pub fields: Text,
}
