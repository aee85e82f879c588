//! SecP384r1MLKEM1024 (draft-ietf-tls-ecdhe-mlkem): two key exchanges side by side, the elliptic curve's share and secret first.

use rustls::crypto::aws_lc_rs::kx_group;
use rustls::crypto::{ActiveKeyExchange, CompletedKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};
use zeroize::Zeroizing;

/// The group, for a rustls provider.
pub static SECP384R1_MLKEM1024: &dyn SupportedKxGroup = &Hybrid;

const NAME: NamedGroup = NamedGroup::Unknown(0x11ed);
/// An uncompressed point of P-384. What follows it is an ML-KEM-1024 key or ciphertext; both have the same length.
const EC_LEN: usize = 97;
const KEM_LEN: usize = 1568;
const INVALID: Error = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);

#[derive(Debug)]
struct Hybrid;

impl SupportedKxGroup for Hybrid {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let (ec, kem) = (kx_group::SECP384R1.start()?, kx_group::MLKEM1024.start()?);
        let share = [ec.pub_key(), kem.pub_key()].concat();
        Ok(Box::new(Active { ec, kem, share }))
    }

    fn start_and_complete(&self, client_share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (ec, kem) = split(client_share)?;
        let (ec, kem) = (kx_group::SECP384R1.start_and_complete(ec)?, kx_group::MLKEM1024.start_and_complete(kem)?);
        let pub_key = [ec.pub_key, kem.pub_key].concat();
        Ok(CompletedKeyExchange { group: NAME, pub_key, secret: join(&ec.secret, &kem.secret) })
    }

    fn name(&self) -> NamedGroup {
        NAME
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

/// The client's half-done exchange. It offers no part of itself separately: the curve alone is never enough.
struct Active {
    ec: Box<dyn ActiveKeyExchange>,
    kem: Box<dyn ActiveKeyExchange>,
    share: Vec<u8>,
}

impl ActiveKeyExchange for Active {
    fn complete(self: Box<Self>, peer_share: &[u8]) -> Result<SharedSecret, Error> {
        let (ec, kem) = split(peer_share)?;
        Ok(join(&self.ec.complete(ec)?, &self.kem.complete(kem)?))
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn group(&self) -> NamedGroup {
        NAME
    }
}

fn split(share: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    match share.len() {
        len if len == EC_LEN + KEM_LEN => Ok(share.split_at(EC_LEN)),
        _ => Err(INVALID),
    }
}

fn join(ec: &SharedSecret, kem: &SharedSecret) -> SharedSecret {
    let both = Zeroizing::new([ec.secret_bytes(), kem.secret_bytes()].concat());
    SharedSecret::from(both.as_slice())
}
