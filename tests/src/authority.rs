use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

/// Somebody who issues certificates for a test.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are valid names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "tests");
        let issuer = CertifiedIssuer::self_signed(params, key()).expect("it signs itself");
        Authority(issuer)
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// For these hosts; the first is the common name as well.
    pub fn issue(&self, hosts: &[&str]) -> Issued {
        self.sign(params(hosts))
    }

    /// One that ended in 2020.
    pub fn issue_expired(&self, hosts: &[&str]) -> Issued {
        let mut params = params(hosts);
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Issued {
        let key = key();
        let certificate = params.signed_by(&key, &self.0).expect("the authority signs");
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Authority::new()
    }
}

fn params(hosts: &[&str]) -> CertificateParams {
    let names: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("the test's hosts are valid");
    params.distinguished_name.push(DnType::CommonName, hosts[0]);
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("random numbers")
}
