//! The common name in a certificate that was verified.

use rustls::pki_types::CertificateDer;
use std::sync::Arc;
use webpki::EndEntityCert;

/// Tags of DER.
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT: u8 = 0x06;
/// UTF8String, PrintableString and IA5String.
const TEXTS: [u8; 3] = [0x0c, 0x13, 0x16];
/// 2.5.4.3
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// The last one, if there are several: so Go takes it, and with it etcd.
pub(super) fn common_name(certificate: &CertificateDer<'_>) -> Option<Arc<str>> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    in_subject(certificate.subject()).filter(|name| !name.is_empty()).map(Arc::from)
}

/// Of sets of attributes, each an object id and a value.
fn in_subject(mut subject: &[u8]) -> Option<&str> {
    let mut last = None;
    while !subject.is_empty() {
        let mut set = take(&mut subject, |tag| tag == SET)?;
        while !set.is_empty() {
            let mut attribute = take(&mut set, |tag| tag == SEQUENCE)?;
            if take(&mut attribute, |tag| tag == OBJECT)? == COMMON_NAME {
                last = Some(std::str::from_utf8(take(&mut attribute, |tag| TEXTS.contains(&tag))?).ok()?);
            }
        }
    }
    last
}

/// The next value, if it has such a tag.
fn take<'d>(der: &mut &'d [u8], is_wanted: impl Fn(u8) -> bool) -> Option<&'d [u8]> {
    let (tag, rest) = der.split_first()?;
    let (len, rest) = match rest {
        [len @ ..=0x7f, rest @ ..] => (usize::from(*len), rest),
        [0x81, len, rest @ ..] => (usize::from(*len), rest),
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(len)?;
    *der = rest;
    is_wanted(*tag).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::in_subject;

    /// An attribute in a set of its own.
    fn attribute(object: &[u8], tag: u8, text: &str) -> Vec<u8> {
        let wrap = |tag: u8, inner: &[u8]| [&[tag, inner.len() as u8], inner].concat();
        wrap(0x31, &wrap(0x30, &[wrap(0x06, object), wrap(tag, text.as_bytes())].concat()))
    }

    #[test]
    fn the_last_common_name_counts() {
        let organisation = attribute(&[0x55, 4, 10], 0x0c, "org");
        let subject =
            [organisation.clone(), attribute(&[0x55, 4, 3], 0x13, "a"), attribute(&[0x55, 4, 3], 0x0c, "bü")].concat();
        assert_eq!(in_subject(&subject), Some("bü"));
        assert_eq!(in_subject(&organisation), None);
        assert_eq!(in_subject(&[]), None);
        assert_eq!(in_subject(&attribute(&[0x55, 4, 3], 0x1e, "wide")), None, "no text that is known");
    }

    #[test]
    fn what_is_cut_has_none() {
        let subject = attribute(&[0x55, 4, 3], 0x0c, "name");
        for len in 1..subject.len() {
            assert_eq!(in_subject(&subject[..len]), None);
        }
        let mut rng = mayfly_base::Rng::new(1);
        for _ in 0..10_000 {
            let mut broken = subject.clone();
            let at = rng.below(broken.len() as u64) as usize;
            broken[at] = rng.next_u64() as u8;
            let _ = in_subject(&broken); // whatever it says, it says so without a panic
        }
    }
}
