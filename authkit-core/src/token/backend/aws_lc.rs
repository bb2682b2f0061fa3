//! Signatures by aws-lc-rs, with every key parsed once.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use zeroize::Zeroizing;

use crate::model::KeyAlgorithm;
use crate::primitives::entropy::random_bytes;
use crate::primitives::{Entropy, SecretBytes};
use crate::token::key_material::KeyError;
use crate::token::{jwk, jws};

/// Room for the signature of an RSA key of 4096 bits, the longest that we meet.
const MAX_SIGNATURE_BYTES: usize = 520;

/// Makes the private key of an asymmetric algorithm, as PKCS#8 version 1.
pub(in crate::token) fn generate(algorithm: KeyAlgorithm, entropy: &dyn Entropy) -> Result<SecretBytes, KeyError> {
    match algorithm {
        KeyAlgorithm::Es256 => generate_p256(entropy),
        KeyAlgorithm::EdDsa => Ok(super::generate_ed25519(entropy)),
        KeyAlgorithm::Rs256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError::SelfTest)?;
            let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::Malformed)?;
            Ok(SecretBytes::new(der.as_ref().to_vec()))
        }
        KeyAlgorithm::Hs256 => Err(KeyError::WrongPurpose),
    }
}

/// A P-256 key whose scalar is drawn from `entropy`: candidates that are zero or not below the order of the group are
/// dropped (FIPS 186-5 appendix A.2.2, "rejection sampling"), which one in four billion is.
fn generate_p256(entropy: &dyn Entropy) -> Result<SecretBytes, KeyError> {
    // ECPrivateKey of RFC 5915 §3 without the public key, which aws-lc computes: version, scalar, the curve prime256v1.
    const PREFIX: [u8; 7] = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
    const SUFFIX: [u8; 12] = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    for _ in 0..16 {
        let scalar = Zeroizing::new(random_bytes::<32>(entropy));
        let der = Zeroizing::new([PREFIX.as_slice(), scalar.as_slice(), SUFFIX.as_slice()].concat());
        if let Ok(pair) = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der) {
            let pkcs8 = pair.to_pkcs8v1().map_err(|_| KeyError::Malformed)?;
            return Ok(SecretBytes::new(pkcs8.as_ref().to_vec()));
        }
    }
    // Sixteen refusals in a row say that the entropy source is broken.
    Err(KeyError::SelfTest)
}

/// A private key that is ready to sign.
pub(in crate::token) enum SigningKey {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
    Hs256(Box<hmac::Key>),
}

impl SigningKey {
    pub(in crate::token) fn from_pkcs8(algorithm: KeyAlgorithm, der: &[u8]) -> Result<Self, KeyError> {
        match algorithm {
            KeyAlgorithm::Es256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(Self::Es256),
            KeyAlgorithm::EdDsa => Ed25519KeyPair::from_pkcs8(der).map(Self::EdDsa),
            KeyAlgorithm::Rs256 => RsaKeyPair::from_pkcs8(der).map(Self::Rs256),
            KeyAlgorithm::Hs256 => return Err(KeyError::WrongPurpose),
        }
        .map_err(|_| KeyError::Malformed)
    }

    pub(in crate::token) fn from_secret(secret: &[u8]) -> Self {
        Self::Hs256(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// The public half; an error for a symmetric key.
    pub(in crate::token) fn public_jwk(&self) -> Result<Jwk, KeyError> {
        match self {
            Self::Es256(pair) => jwk::from_public_key(KeyAlgorithm::Es256, &DecodingKey::from_ec_der(pair.public_key().as_ref())),
            Self::EdDsa(pair) => jwk::from_public_key(KeyAlgorithm::EdDsa, &DecodingKey::from_ed_der(pair.public_key().as_ref())),
            Self::Rs256(pair) => {
                jwk::from_public_key(KeyAlgorithm::Rs256, &DecodingKey::from_rsa_der(pair.public_key().as_ref()))
            }
            Self::Hs256(_) => Err(KeyError::WrongPurpose),
        }
    }

    /// Appends the signature of `message` as base64url.
    pub(in crate::token) fn sign_into(&self, message: &[u8], token: &mut String) -> Result<(), KeyError> {
        match self {
            Self::Es256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| KeyError::SelfTest)?;
                jws::encode_into(signature.as_ref(), token);
            }
            Self::EdDsa(pair) => {
                let signature = pair.try_sign(message).map_err(|_| KeyError::SelfTest)?;
                jws::encode_into(signature.as_ref(), token);
            }
            Self::Rs256(pair) => {
                let mut buffer = [0_u8; MAX_SIGNATURE_BYTES];
                let signature = buffer.get_mut(..pair.public_modulus_len()).ok_or(KeyError::Malformed)?;
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, signature).map_err(|_| KeyError::SelfTest)?;
                jws::encode_into(signature, token);
            }
            Self::Hs256(key) => jws::encode_into(hmac::sign(key, message).as_ref(), token),
        }
        Ok(())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// A key that is ready to verify. Its algorithm is its own and never a token's.
pub(in crate::token) enum VerifyingKey {
    Asymmetric(ParsedPublicKey),
    Hs256(Box<hmac::Key>),
}

impl VerifyingKey {
    pub(in crate::token) fn from_jwk(algorithm: KeyAlgorithm, jwk: &Jwk) -> Result<Self, KeyError> {
        let member = |text: &str| jws::decode(text).ok_or(KeyError::Malformed);
        let parsed = match (algorithm, &jwk.algorithm) {
            (KeyAlgorithm::Es256, AlgorithmParameters::EllipticCurve(key)) => {
                // An uncompressed point (SEC 1 §2.3.3).
                ParsedPublicKey::new(
                    &ECDSA_P256_SHA256_FIXED,
                    [&[4], member(&key.x)?.as_slice(), member(&key.y)?.as_slice()].concat(),
                )
            }
            (KeyAlgorithm::EdDsa, AlgorithmParameters::OctetKeyPair(key)) => ParsedPublicKey::new(&ED25519, member(&key.x)?),
            (KeyAlgorithm::Rs256, AlgorithmParameters::RSA(key)) => {
                RsaPublicKeyComponents { n: member(&key.n)?, e: member(&key.e)? }
                    .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            }
            _ => return Err(KeyError::Malformed),
        };
        parsed.map(Self::Asymmetric).map_err(|_| KeyError::Malformed)
    }

    pub(in crate::token) fn from_secret(secret: &[u8]) -> Self {
        Self::Hs256(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// Whether `signature`, as base64url, is this key's for `message`.
    pub(in crate::token) fn verify(&self, message: &[u8], signature: &str) -> bool {
        let mut buffer = [0_u8; MAX_SIGNATURE_BYTES];
        let Some(signature) = jws::decode_into(signature, &mut buffer) else { return false };
        match self {
            Self::Asymmetric(key) => key.verify_sig(message, signature).is_ok(),
            Self::Hs256(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKey(…)")
    }
}
