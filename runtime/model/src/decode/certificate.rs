use serde_json::Value;

use super::{Decode, Fields, Place};
use crate::Problems;
use crate::entity::{Certificate, Sni};

impl Decode for Certificate {
    const ITEM: &'static str = "{ … }";

    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Certificate> {
        let mut fields = Fields::open(value, place, problems);
        let name = fields.required("name");
        let certificate_file = fields.required("certificate_file");
        let key_file = fields.required("key_file");
        let tags = fields.optional("tags", Vec::new());
        fields.finish()?;
        Some(Certificate { name: name?, certificate_file: certificate_file?, key_file: key_file?, tags })
    }
}

impl Decode for Sni {
    const ITEM: &'static str = "{ … }";

    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Sni> {
        let mut fields = Fields::open(value, place, problems);
        let host = fields.required("host");
        let certificate = fields.required("certificate");
        fields.finish()?;
        Some(Sni { host: host?, certificate: certificate? })
    }
}
