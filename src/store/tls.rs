//! Which certificate authorities are trusted, and what a connection over TLS checks, for every
//! store alike.
//!
//! The authorities are those in `ssl.ca`; without it those in the file that `SSL_CERT_FILE` names;
//! without that the system's bundle. It is always one PEM file, since libpq and the driver of
//! MongoDB take nothing else; hence `SSL_CERT_DIR` has no say.
//!
//! Called by each store's `connect`, and for `pg_dump` and `pg_restore`. Reads that one file.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::config::endpoint::Tls;
use crate::error::{Error, OrFail, Result};

/// Where systems keep their bundle of trusted authorities.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whether the server's certificate is checked. Where TLS is only welcome, not required, a check
/// would protect nothing: whoever can forge the certificate can also refuse TLS.
pub fn verified(tls: &Tls) -> bool {
    tls.required && tls.verify
}

/// How rustls encrypts and checks.
///
/// # Errors
/// Exit 2 if the authorities cannot be read.
pub fn client(tls: &Tls) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] =
        if tls.tls13_only { &[&rustls::version::TLS13] } else { rustls::ALL_VERSIONS };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .or_fail(|| "TLS cannot be set up")?;
    if verified(tls) {
        let roots = Authorities::of(tls)?.read()?;
        return Ok(builder.with_root_certificates(roots).with_no_client_auth());
    }
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth())
}

/// The PEM file of the authorities, for what reads it by itself. It has been read here: what is
/// wrong with it is told in the same words.
///
/// # Errors
/// Exit 2 if the authorities cannot be read.
pub fn authorities(tls: &Tls) -> Result<PathBuf> {
    let authorities = Authorities::of(tls)?;
    authorities.read()?;
    Ok(authorities.file)
}

/// What to do about a connection that failed with `text`, if it failed for its certificate.
pub fn hint(text: &str) -> Option<&'static str> {
    text.contains("certificate")
        .then_some("set `ssl.ca` to the authority that signed the server's certificate")
}

/// A file of authorities.
struct Authorities {
    file: PathBuf,
    /// Whether every one in it must be usable: a system's bundle may hold some that rustls does
    /// not know what to do with.
    strict: bool,
}

impl Authorities {
    fn of(tls: &Tls) -> Result<Self> {
        if let Some(ca) = &tls.ca {
            return Ok(Self { file: ca.clone(), strict: true });
        }
        let named = std::env::var_os("SSL_CERT_FILE").filter(|name| !name.is_empty());
        let file = match named {
            // A file that is named and is not there must not mean other authorities.
            Some(name) => Some(PathBuf::from(name)),
            None => BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file()),
        };
        let file = file.ok_or_else(|| {
            Error::usage("no bundle of certificate authorities was found on this system")
                .hint("install ca-certificates, or set `ssl.ca` to a PEM file")
        })?;
        Ok(Self { file, strict: false })
    }

    fn read(&self) -> Result<RootCertStore> {
        let place = self.file.display();
        let unreadable = || format!("the certificate authorities in {place} cannot be read");
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(&self.file).or_usage(unreadable)? {
            match store.add(certificate.or_usage(unreadable)?).or_usage(unreadable) {
                Ok(()) => {}
                Err(error) if self.strict => return Err(error),
                Err(error) => tracing::debug!(%error, "an authority of the system is left out"),
            }
        }
        if store.is_empty() {
            return Err(Error::usage(format!("{place} holds no certificate")));
        }
        Ok(store)
    }
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
