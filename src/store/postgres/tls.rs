//! TLS for connections to Postgres, and the same choice as libpq's environment variables.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::endpoint::Tls;
use crate::error::{Error, OrFail, Result};

/// Where systems keep their bundle of trusted authorities, after `SSL_CERT_FILE`.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whether the server's certificate is checked. Where TLS is only welcome, not required, a check
/// would protect nothing: whoever can forge the certificate can also refuse TLS.
fn verified(tls: &Tls) -> bool {
    tls.required && tls.verify
}

/// What connects with TLS as configured. Fails with exit 2 if the authorities cannot be read.
pub fn connector(tls: &Tls) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(ring::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] =
        if tls.tls13_only { &[&rustls::version::TLS13] } else { rustls::ALL_VERSIONS };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .or_fail(|| "TLS cannot be set up")?;
    let config = if verified(tls) {
        builder.with_root_certificates(roots(tls)?).with_no_client_auth()
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth()
    };
    Ok(MakeRustlsConnect::new(config))
}

fn roots(tls: &Tls) -> Result<RootCertStore> {
    let bundle = bundle(tls)?;
    let unreadable =
        || format!("the certificate authorities in {} cannot be read", bundle.display());
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&bundle).or_usage(unreadable)? {
        let certificate = certificate.or_usage(unreadable)?;
        // A system's bundle may hold authorities that rustls cannot use; a configured file must
        // be right as a whole.
        match store.add(certificate).or_usage(unreadable) {
            Ok(()) => {}
            Err(error) if tls.ca.is_some() => return Err(error),
            Err(error) => tracing::debug!(%error, "an authority of the system is left out"),
        }
    }
    if store.is_empty() {
        return Err(Error::usage(format!("{} holds no certificate", bundle.display())));
    }
    Ok(store)
}

fn bundle(tls: &Tls) -> Result<PathBuf> {
    if let Some(ca) = &tls.ca {
        return Ok(ca.clone());
    }
    let configured = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    configured
        .into_iter()
        .chain(BUNDLES.iter().map(PathBuf::from))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            Error::usage("no bundle of certificate authorities was found on this system")
                .hint("install ca-certificates, or set `ssl.ca` to a PEM file")
        })
}

/// The environment variables that make libpq (pg_dump, pg_restore) encrypt and check alike.
pub fn libpq(tls: &Tls) -> Result<Vec<(&'static str, PathBuf)>> {
    let value = |text: &str| Path::new(text).to_owned();
    let mode = match (tls.required, verified(tls)) {
        (false, _) => "prefer",
        (true, false) => "require",
        (true, true) => "verify-full",
    };
    let mut variables = vec![("PGSSLMODE", value(mode))];
    if verified(tls) {
        variables.push(("PGSSLROOTCERT", bundle(tls)?));
    } else {
        // A root certificate in the home folder would turn `require` into `verify-ca`.
        variables.push(("PGSSLROOTCERT", value("/nonexistent")));
    }
    if tls.tls13_only {
        variables.push(("PGSSLMINPROTOCOLVERSION", value("TLSv1.3")));
    }
    Ok(variables)
}

/// Accepts any certificate, for `rejectUnauthorized: false`; signatures are still checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
