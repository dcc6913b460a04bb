//! TLS for MySQL clients: a certificate of our own, made at first start, replaceable by a better one.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self as tls, DigitallySignedStruct, ServerConfig, SignatureScheme};

use crate::datadir::{DataDir, DataDirError, private_dir};

const CERTIFICATE: &str = "tls/cert.pem";
const KEY: &str = "tls/key.pem";

/// The acceptor for this node's certificate; makes one (for `localhost` and the node's name) if there is none.
///
/// # Errors
/// When the files cannot be written, read, or used.
pub fn acceptor(dir: &DataDir, node_name: &str) -> anyhow::Result<TlsAcceptor> {
    if dir.read_text(CERTIFICATE)?.is_none() {
        make(dir, node_name)?;
    }
    there(dir)?.context("tls/cert.pem is missing")
}

/// The acceptor for the certificate that is there, if one is.
///
/// # Errors
/// When it or its key cannot be read or used.
pub(crate) fn there(dir: &DataDir) -> anyhow::Result<Option<TlsAcceptor>> {
    let Some(certificate) = dir.read_text(CERTIFICATE)? else { return Ok(None) };
    let key = dir.read_text(KEY)?.ok_or_else(|| {
        anyhow!(
            "{} is missing\n  hint: remove tls/cert.pem, too, and both are made anew",
            dir.path(KEY).display()
        )
    })?;
    let bad = |what: &str| {
        format!(
            "{} cannot be used\n  hint: put a good one there, or remove tls/cert.pem and tls/key.pem to have both made anew",
            dir.path(what).display()
        )
    };
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| bad(CERTIFICATE))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).with_context(|| bad(KEY))?;
    let provider = aws_lc_rs::default_provider();
    provider.key_provider.load_private_key(key.clone_key()).with_context(|| bad(KEY))?;
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| match e {
            // Which of the two is another one nobody can tell.
            tls::Error::InconsistentKeys(_) => anyhow!(
                "{} is not the key of {}\n  hint: put the right ones there, or remove both to have them made anew",
                dir.path(KEY).display(),
                dir.path(CERTIFICATE).display()
            ),
            e => anyhow::Error::from(e).context(bad(CERTIFICATE)),
        })?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

/// For a client of this node, or of any: it encrypts. With the certificate that lies in the node's directory it also knows that it speaks
/// with the one who has its key; without, whoever answers is believed, as the mysql client does (`--ssl-mode=PREFERRED`).
///
/// # Errors
/// When the file is no certificate.
pub(crate) fn for_client(certificate: Option<&str>) -> anyhow::Result<Arc<tls::ClientConfig>> {
    let expected = certificate.map(|text| CertificateDer::from_pem_slice(text.as_bytes())).transpose()?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let known = Known { expected, provider: provider.clone() };
    let config = tls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(known))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The certificate that [`acceptor`] made or was given.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn certificate(dir: &DataDir) -> Result<Option<String>, DataDirError> {
    dir.read_text(CERTIFICATE)
}

#[derive(Debug)]
struct Known {
    expected: Option<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, tls::Error> {
        match &self.expected {
            Some(expected) if expected != shown => Err(tls::Error::General(
                "the certificate is not the one in tls/cert.pem of the data directory; another program answers there, or the node runs with an earlier one".to_owned(),
            )),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, tls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        tls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, tls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        tls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn make(dir: &DataDir, node_name: &str) -> anyhow::Result<()> {
    private_dir(&dir.path("tls"))?;
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if node_name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.') {
        names.push(node_name.to_owned());
    }
    let made = rcgen::generate_simple_self_signed(names).context("cannot make a TLS certificate")?;
    dir.write_secret(KEY, made.signing_key.serialize_pem().as_bytes())?;
    dir.write_secret(CERTIFICATE, made.cert.pem().as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_made_once_and_a_damaged_one_is_named() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let dir = DataDir::at(temp.path());
        acceptor(&dir, "node one").expect("made");
        let first = dir.read_text(CERTIFICATE).expect("read");
        acceptor(&dir, "node one").expect("kept");
        assert_eq!(dir.read_text(CERTIFICATE).expect("read"), first);
        let refused = |why: &str| {
            let Err(error) = acceptor(&dir, "node one") else { panic!("a damaged file was used") };
            assert!(format!("{error:#}").contains(why), "{error:#}");
        };
        let whole = dir.read_text(KEY).expect("read").expect("there");
        // A digit of the key itself, which leaves the file one of its kind.
        let at = whole.lines().next().expect("a line").len() + 3;
        let other = if whole.as_bytes()[at] == b'A' { "B" } else { "A" };
        let mut flipped = whole.clone();
        flipped.replace_range(at..=at, other);
        for bad in ["nonsense", &flipped] {
            dir.write_secret(KEY, bad.as_bytes()).expect("write");
            refused("key.pem cannot be used");
        }
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
        dir.write_secret(KEY, other.signing_key.serialize_pem().as_bytes()).expect("write");
        refused("key.pem is not the key of");
        dir.write_secret(KEY, whole.as_bytes()).expect("write");
        dir.write_secret(CERTIFICATE, b"nonsense").expect("write");
        refused("cert.pem cannot be used");
    }
}
