//! Texts that are no key in PEM, and how to convert them.

use crate::token::error::{KeyError, KeyErrorKind};

/// Which half of a pair a PEM should contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Private,
    Public,
}

/// Returns an error that says how to convert `pem`, if it is a key in another form than that of the
/// expected half. The error contains no text of the key (P10).
pub(super) fn check_form(pem: &[u8], expected: Half) -> Result<(), KeyError> {
    let convert = match label(pem) {
        None if pem.starts_with(&[0x30]) => {
            "the key is in DER: convert it to PEM with `openssl pkey -inform DER -in key.der`, with \
             `-pubin` for a public key"
        }
        None if pem.starts_with(b"ssh-") || pem.starts_with(b"ecdsa-sha2-") => {
            "a public key of OpenSSH: convert it with `ssh-keygen -e -m PKCS8 -f key.pub`"
        }
        None => {
            "not a key in PEM: it begins with `-----BEGIN PRIVATE KEY-----` or \
             `-----BEGIN PUBLIC KEY-----`"
        }
        Some(_) if contains(pem, br"\n") => {
            r#"the PEM contains `\n` as two characters where line breaks should be, as in a JSON \
file or an environment variable: replace them, with `pem.replace("\\n", "\n")`"#
        }
        Some(_) if !pem.contains(&b'\n') && !pem.contains(&b'\r') => {
            "the PEM has no line breaks: put one after `-----BEGIN ..-----` and one before \
             `-----END ..-----`"
        }
        Some(b"EC PRIVATE KEY" | b"EC PARAMETERS") => {
            "an EC key in SEC1: convert it to PKCS#8 with \
             `openssl pkcs8 -topk8 -nocrypt -in key.pem -out key.pk8.pem`"
        }
        Some(b"ENCRYPTED PRIVATE KEY") => ENCRYPTED,
        Some(_) if contains(pem, b"Proc-Type: 4,ENCRYPTED") => ENCRYPTED,
        Some(b"OPENSSH PRIVATE KEY") => {
            "a private key of OpenSSH: convert a copy of it with `ssh-keygen -p -m PKCS8 -f key`"
        }
        Some(b"CERTIFICATE") if expected == Half::Private => {
            "a certificate, where a private key is expected"
        }
        Some(b"PRIVATE KEY" | b"RSA PRIVATE KEY") if expected == Half::Public => {
            "a private key, where a public one is expected: take its public half with \
             `openssl pkey -pubout -in key.pem`"
        }
        Some(b"PUBLIC KEY" | b"RSA PUBLIC KEY") if expected == Half::Private => {
            "a public key, where a private one is expected"
        }
        Some(_) => return Ok(()),
    };
    Err(KeyError::new(KeyErrorKind::Malformed, convert))
}

const ENCRYPTED: &str =
    "the private key is encrypted: decrypt it with `openssl pkey -in key.pem -out key.plain.pem`";

/// The first label (RFC 7468 section 2).
fn label(pem: &[u8]) -> Option<&[u8]> {
    let begin = b"-----BEGIN ";
    let start = pem.windows(begin.len()).position(|part| part == begin)? + begin.len();
    let end = pem[start..].windows(5).position(|part| part == b"-----")?;
    Some(&pem[start..start + end])
}

fn contains(pem: &[u8], text: &[u8]) -> bool {
    pem.windows(text.len()).any(|part| part == text)
}
