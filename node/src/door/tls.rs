//! TLS for MySQL clients: a certificate of our own, made at first start, replaceable by a better one.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::datadir::{DataDir, private_dir};

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
    let certificate = dir.read_text(CERTIFICATE)?.context("tls/cert.pem is missing")?;
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
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(|| bad(CERTIFICATE))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
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
        dir.write_secret(KEY, b"nonsense").expect("write");
        let Err(error) = acceptor(&dir, "node one") else { panic!("a damaged key was used") };
        assert!(format!("{error:#}").contains("key.pem cannot be used"), "{error:#}");
    }
}
