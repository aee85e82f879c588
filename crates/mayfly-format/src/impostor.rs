//! Files that are not what their name says, because something else was saved in their place: a Git LFS pointer, a web page.

use crate::error::{FormatError, Result};

/// How much of a file is looked at, in bytes.
const HEAD_BYTES: usize = 1 << 10;

/// What a file is that stands in another's place, and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Impostor {
    /// "a Git LFS pointer".
    pub what: &'static str,
    /// "fetch the content with `git lfs pull`".
    pub instead: &'static str,
}

const LFS: Impostor = Impostor {
    what: "a Git LFS pointer",
    instead: "it holds the address of the file and not the file: fetch the content with `git lfs pull`",
};
const ANNEX: Impostor = Impostor {
    what: "a git-annex pointer",
    instead: "it holds the address of the file and not the file: fetch the content with `git annex get`",
};
const HTML: Impostor = Impostor {
    what: "an HTML page",
    instead: "the download got a web page, perhaps an error or a login, and not the file: download it again by its direct (raw) address",
};
const XML: Impostor = Impostor {
    what: "an XML document",
    instead: "if the file was downloaded, this may be the server's error message: look into it, and download the file again",
};
const NOT_FOUND: Impostor = Impostor {
    what: "the answer of a web server that refused the download",
    instead: "look into the file, and download it again",
};

/// What the file that begins with `head` is, when it is none of the formats that it could be taken for.
///
/// ```
/// let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
/// assert_eq!(mayfly_format::impostor::of(pointer).map(|i| i.what), Some("a Git LFS pointer"));
/// assert_eq!(mayfly_format::impostor::of(b"a,b\n1,2\n"), None);
/// ```
pub fn of(head: &[u8]) -> Option<Impostor> {
    let head = head.get(..HEAD_BYTES).unwrap_or(head);
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let begins = |with: &str| head.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()));
    if begins("version https://git-lfs.github.com/") || begins("version https://hawser.github.com/") {
        return Some(LFS);
    }
    if begins("/annex/objects/") {
        return Some(ANNEX);
    }
    if ["<!doctype html", "<html", "<head", "<body", "<script", "<!--"].iter().any(|start| begins(start)) {
        return Some(HTML);
    }
    if begins("<?xml") {
        let is_page = head.windows(5).any(|part| part.eq_ignore_ascii_case(b"<html"));
        return Some(if is_page { HTML } else { XML });
    }
    let refusals =
        ["404: not found", "404 not found", "403 forbidden", "entry not found", "invalid username or password"];
    refusals.iter().any(|start| begins(start)).then_some(NOT_FOUND)
}

/// Refuses a file that begins with `head` and is something else; `file` is its name in the message.
///
/// # Errors
/// [`FormatError::Impostor`].
pub fn refuse(file: &str, head: &[u8]) -> Result<()> {
    match of(head) {
        None => Ok(()),
        Some(Impostor { what, instead }) => Err(FormatError::Impostor { file: file.to_owned(), what, instead }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_named_for_what_it_is() {
        let cases: [(&[u8], Option<Impostor>); 11] = [
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", Some(LFS)),
            (b"/annex/objects/SHA256E-s3--1.csv\n", Some(ANNEX)),
            (b"\n <!DOCTYPE html>\n<html><head>", Some(HTML)),
            (b"\xef\xbb\xbf<HTML lang=en>", Some(HTML)),
            (b"<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code></Error>", Some(XML)),
            (b"<?xml version=\"1.0\"?><html xmlns=\"x\">", Some(HTML)),
            (b"404: Not Found", Some(NOT_FOUND)),
            (b"version,size\n1,2\n", None),
            (b"", None),
            (b"FANN_FLO_2.1\n", None),
            (b"\x93NUMPY", None),
        ];
        for (head, want) in cases {
            assert_eq!(of(head), want, "{}", head.escape_ascii());
        }
    }
}
