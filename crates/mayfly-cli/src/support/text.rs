//! Strangers' words on a terminal: names, descriptions and messages out of files and from the network must not steer it.
use serde_json::Value;

/// Bytes that are no text, in lowercase hexadecimal.
#[cfg(any(test, feature = "run", feature = "swarm"))]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One line: whatever would move the cursor, change colours, break the line or turn the direction of writing is shown by its code.
#[cfg(any(test, feature = "swarm"))]
pub fn plain(text: &str) -> String {
    shown(text, |_| false)
}

/// Whatever would move the cursor, change colours or turn the direction of writing is shown by its code; line breaks and tabs stay.
pub fn lines(text: &str) -> String {
    shown(text, |c| matches!(c, '\n' | '\t'))
}

/// An object on one line of pure JSON, in which such characters are escaped: a reader gets them back, a terminal does not obey them.
pub fn json(object: &Value) -> String {
    let mut out = String::new();
    for c in object.to_string().chars() {
        // serde_json has escaped everything below a space already; what is left stands inside of strings only.
        if steers(c) {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out += &format!("\\u{unit:04x}"));
        } else {
            out.push(c);
        }
    }
    out
}

fn shown(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) && !keep(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Control characters, and those that are not seen but change how the rest is read.
fn steers(c: char) -> bool {
    let hidden = ['\u{ad}', '\u{61c}', '\u{180e}', '\u{2028}', '\u{2029}', '\u{feff}'];
    c.is_control()
        || hidden.contains(&c)
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(plain("\x1b[2J\x1b[Hofficial\r\n1\u{9b}2J"), "\\u{1b}[2J\\u{1b}[Hofficial\\r\\n1\\u{9b}2J");
        assert_eq!(plain("a\u{202e}b\u{200b}\u{e0041}\u{7f}"), "a\\u{202e}b\\u{200b}\\u{e0041}\\u{7f}");
        assert_eq!(plain("grüße, 日本語, 🙂 \\ \"x\""), "grüße, 日本語, 🙂 \\ \"x\"");
        assert_eq!(lines("a\n\tb\x07"), "a\n\tb\\u{7}");
    }

    #[test]
    fn json_keeps_the_meaning() {
        let object = json!({"a\x1b": "\u{9b}2J \u{202e} \u{e0041} \n ü 🙂"});
        let text = super::json(&object);
        assert!(text.chars().all(|c| !steers(c)), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), object);
    }
}
