use serde_json::Value;

use super::{Decode, Fields, Place, parse_authority, text};
use crate::Problems;
use crate::entity::UpstreamTls;
use crate::problem::Complaint;

impl Decode for UpstreamTls {
    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<UpstreamTls> {
        let mut fields = Fields::open(value, place, problems);
        let verify = fields.optional("verify", true);
        let ca_file = fields.maybe("ca_file");
        let server_name = fields.maybe_with("server_name", server_name);
        let client_certificate = fields.maybe("client_certificate");
        if !verify && fields.has("ca_file") {
            let hint = "leave `verify` out, or `ca_file`";
            fields.refuse_key("ca_file", Complaint::new("nothing is verified against it", hint));
        }
        fields.finish()?;
        Some(UpstreamTls { verify, ca_file, server_name, client_certificate })
    }
}

fn server_name(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<String> {
    text(value, place, problems, "a host such as \"api.internal\"", |text| {
        let authority = parse_authority(text)?;
        match authority.port {
            None => Ok(authority.host),
            Some(_) => Err(Complaint::new("a certificate is for a host, not for a port", "as in \"api.internal\"")),
        }
    })
}
