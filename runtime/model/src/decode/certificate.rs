use serde_json::Value;

use super::{Decode, Fields, Place, text};
use crate::Problems;
use crate::entity::{Certificate, CertificateSource, SecretText, Sni};
use crate::problem::Complaint;

impl Decode for Certificate {
    const ITEM: &'static str = "{ … }";

    fn decode(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<Certificate> {
        let mut fields = Fields::open(value, place, problems);
        let name = fields.required("name");
        let source = source(&mut fields);
        let tags = fields.optional("tags", Vec::new());
        check_source(&mut fields);
        fields.finish()?;
        Some(Certificate { name: name?, source: source?, tags })
    }
}

fn source(fields: &mut Fields<'_, '_>) -> Option<CertificateSource> {
    let files = (fields.maybe("certificate_file"), fields.maybe("key_file"));
    let texts = (fields.maybe_with("certificate", chain), fields.maybe_with("key", private_key));
    match (files, texts) {
        ((Some(certificate), Some(key)), (None, None)) => Some(CertificateSource::Files { certificate, key }),
        ((None, None), (Some(certificate), Some(key))) => Some(CertificateSource::Texts { certificate, key }),
        _ => None,
    }
}

/// Exactly one pair has to be there, right or wrong by itself.
fn check_source(fields: &mut Fields<'_, '_>) {
    let [files, texts] = [FILES, TEXTS].map(|pair| pair.map(|key| fields.has(key)));
    match (files, texts) {
        ([true, true], [false, false]) | ([false, false], [true, true]) => {}
        // A key that is unknown may be the misspelt one.
        ([false, false], [false, false]) if fields.has_unknown() => {}
        ([false, false], [false, false]) => {
            let hint = "write certificate_file and key_file, or certificate and key with the PEM itself";
            fields.refuse_table(Complaint::new("it is not said where the certificate and its key are", hint));
        }
        (files, [false, false]) => refuse_half(FILES, files, fields),
        ([false, false], texts) => refuse_half(TEXTS, texts, fields),
        (_, [has_chain, _]) => {
            let hint = "keep `certificate_file` and `key_file`, or `certificate` and `key`";
            let key = if has_chain { TEXTS[0] } else { TEXTS[1] };
            fields.refuse_key(key, Complaint::new("the certificate is given by files already", hint));
        }
    }
}

fn refuse_half([chain, key]: [&str; 2], [has_chain, _]: [bool; 2], fields: &mut Fields<'_, '_>) {
    let (there, missing) = if has_chain { (chain, key) } else { (key, chain) };
    fields.refuse_table(format!("`{missing}` is missing, which belongs to `{there}`"));
}

const FILES: [&str; 2] = ["certificate_file", "key_file"];
const TEXTS: [&str; 2] = ["certificate", "key"];

/// A chain has no secret in it: it is shown, as clients are.
fn chain(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<String> {
    text(value, place, problems, EXPECTED, |pem| {
        if pem.contains(PRIVATE_KEY) {
            let hint = "move that block to `key`: what stands here is shown";
            return Err(Complaint::new("there is a private key in the certificate", hint));
        }
        if !begins(pem).any(|label| label == "CERTIFICATE") {
            return Err(Complaint::new("there is no certificate in PEM", hint(pem, "certificate_file")));
        }
        Ok(pem.to_owned())
    })
}

/// Of the forms that are read: PKCS #8, PKCS #1, SEC 1.
fn private_key(value: &Value, place: &Place<'_>, problems: &mut Problems) -> Option<SecretText> {
    text(value, place, problems, EXPECTED, |pem| {
        if begins(pem).any(|label| label == "ENCRYPTED PRIVATE KEY") || pem.contains("Proc-Type: 4,ENCRYPTED") {
            let hint = "decrypt it first, as by `openssl pkey`: where secrets are stored they are sealed anyway";
            return Err(Complaint::new("the private key is encrypted", hint));
        }
        if !begins(pem).any(|label| matches!(label, "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY")) {
            return Err(Complaint::new("there is no private key in PEM", hint(pem, "key_file")));
        }
        Ok(SecretText::new(pem))
    })
}

const EXPECTED: &str = "a text in PEM such as \"-----BEGIN …\"";
const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// Labels of the blocks (RFC 7468); they begin on lines of their own.
fn begins(pem: &str) -> impl Iterator<Item = &str> {
    pem.lines().filter_map(|line| line.trim_end().strip_prefix("-----BEGIN ")?.strip_suffix("-----"))
}

fn hint(pem: &str, file_key: &str) -> String {
    match pem {
        _ if pem.contains("-----BEGIN ") => {
            "`-----BEGIN …` stands on a line of its own; in TOML such a text is written between \"\"\" and \"\"\""
                .to_owned()
        }
        _ if pem.contains('\n') => "it has lines such as `-----BEGIN …`".to_owned(),
        _ => format!("to name a file write `{file_key}`"),
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::decode::whole;

    const CHAIN: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----\n";

    fn told(value: &Value) -> String {
        whole::<Certificate>(value).expect_err("it is wrong").to_string()
    }

    #[test]
    fn a_certificate_is_in_files_or_in_texts() {
        let files = json!({ "name": "a", "certificate_file": "a.pem", "key_file": "a.key", "tags": ["x"] });
        let read = whole::<Certificate>(&files).expect("files");
        let CertificateSource::Files { certificate, key } = &read.source else { panic!("{read:?}") };
        assert_eq!((certificate.as_path(), key.as_path()), (Path::new("a.pem"), Path::new("a.key")));
        assert_eq!(read.tags, ["x"]);
        for label in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
            let key = KEY.replace("PRIVATE KEY", label).replace('\n', "\r\n");
            let texts = json!({ "name": "a", "certificate": CHAIN, "key": key, "key_file": null });
            let read = whole::<Certificate>(&texts).expect("texts");
            assert!(!format!("{read:?}").contains("s3cret"), "{read:?}");
            assert_eq!(read.source, CertificateSource::Texts { certificate: CHAIN.into(), key: SecretText::new(key) });
        }
    }

    #[test]
    fn exactly_one_pair_is_taken() {
        let wrong = |more: Value| {
            let mut table = json!({ "name": "a" });
            table.as_object_mut().expect("a table").extend(more.as_object().expect("a table").clone());
            told(&table)
        };
        assert!(wrong(json!({})).starts_with("it is not said where the certificate and its key are (write "));
        assert_eq!(
            wrong(json!({ "key_flie": "a.key" })),
            "key_flie: unknown key `key_flie` (did you mean `key_file`?)"
        );
        for (more, expected) in [
            (json!({ "certificate_file": "a" }), "`key_file` is missing, which belongs to `certificate_file`"),
            (json!({ "key_file": "a" }), "`certificate_file` is missing, which belongs to `key_file`"),
            (json!({ "certificate": CHAIN }), "`key` is missing, which belongs to `certificate`"),
            (json!({ "key": KEY }), "`certificate` is missing, which belongs to `key`"),
        ] {
            assert_eq!(wrong(more), expected);
        }
        let both = json!({ "certificate_file": "a", "key_file": "a", "certificate": CHAIN, "key": KEY });
        assert!(wrong(both).starts_with("certificate: the certificate is given by files already (keep "));
        let mixed = json!({ "certificate_file": "a", "key": KEY });
        assert!(wrong(mixed).starts_with("key: the certificate is given by files already (keep "));
    }

    #[test]
    fn what_is_no_pem_is_refused_without_being_shown() {
        let both = format!("{CHAIN}{KEY}");
        let encrypted = KEY.replace("PRIVATE", "ENCRYPTED PRIVATE");
        let legacy = KEY.replace("s3cret", "Proc-Type: 4,ENCRYPTED\n\ns3cret").replace(" PRIV", " RSA PRIV");
        let (flat_chain, flat_key) = (CHAIN.replace('\n', ""), KEY.replace('\n', ""));
        for (certificate, key, expected) in [
            (&both[..], KEY, "certificate: there is a private key in the certificate (move"),
            (KEY, KEY, "certificate: there is a private key in the certificate (move"),
            (
                "s3cret.pem",
                KEY,
                "certificate: there is no certificate in PEM (to name a file write `certificate_file`)",
            ),
            ("s3cret\n", KEY, "certificate: there is no certificate in PEM (it has lines"),
            (&flat_chain, KEY, "certificate: there is no certificate in PEM (`-----BEGIN …` stands on a line"),
            (CHAIN, "s3cret.key", "key: there is no private key in PEM (to name a file write `key_file`)"),
            (CHAIN, CHAIN, "key: there is no private key in PEM (`-----BEGIN …` stands on a line"),
            (CHAIN, &flat_key, "key: there is no private key in PEM (`-----BEGIN …` stands on a line"),
            (CHAIN, &encrypted, "key: the private key is encrypted (decrypt it first"),
            (CHAIN, &legacy, "key: the private key is encrypted (decrypt it first"),
        ] {
            let told = told(&json!({ "name": "a", "certificate": certificate, "key": key }));
            assert!(told.starts_with(expected) && !told.contains("s3cret"), "{expected}: {told}");
        }
        assert!(told(&json!({ "name": "a", "certificate": CHAIN, "key": 5 })).contains("found a number"));
    }
}
