use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use tollgate_model::entity::Consumer;
use tollgate_plugin_host::Identity;

/// Who a request is made by, ready to be told to the upstream.
pub(super) fn identity(consumer: &Consumer, credential_id: Option<Arc<str>>, anonymous: bool) -> Identity {
    let mut headers = Vec::new();
    let mut tell = |name: &'static str, value: &str| {
        // Texts that no field can carry (a control character in a custom id) are left out.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.push((HeaderName::from_static(name), value));
        }
    };
    tell("x-consumer-id", consumer.name.as_str());
    tell("x-consumer-username", consumer.name.as_str());
    if let Some(custom_id) = &consumer.custom_id {
        tell("x-consumer-custom-id", custom_id);
    }
    if !consumer.groups.is_empty() {
        tell("x-consumer-groups", &consumer.groups.join(", "));
    }
    if let Some(credential) = &credential_id {
        tell("x-credential-identifier", credential);
    }
    if anonymous {
        tell("x-anonymous-consumer", "true");
    }
    Identity {
        consumer_id: consumer.name.shared(),
        consumer_name: consumer.name.shared(),
        custom_id: consumer.custom_id.as_deref().map(Arc::from),
        credential_id,
        anonymous,
        headers,
    }
}
