//! The words of a line. A word that begins with a quote ends with it; in other words, quotes and backslashes stand for themselves, as for `etcdctl`:
//! `put k {"a":1}` needs no escapes.

/// A word and where it begins, counted from 1.
#[derive(Debug)]
pub struct Word {
    pub column: usize,
    pub bytes: Vec<u8>,
}

/// What is wrong with a line, and where.
#[derive(Debug)]
pub struct Fault {
    pub column: usize,
    pub message: String,
}

pub fn fault(column: usize, message: impl Into<String>) -> Fault {
    Fault { column, message: message.into() }
}

pub struct Scanner {
    chars: Vec<char>,
    at: usize,
}

impl Scanner {
    pub fn new(line: &str) -> Self {
        Self { chars: line.chars().collect(), at: 0 }
    }

    /// Where it stands, counted from 1.
    pub fn column(&self) -> usize {
        self.at + 1
    }

    pub fn skip_blanks(&mut self) {
        self.take_while(char::is_whitespace);
    }

    /// The next character that is no blank.
    pub fn next_is(&mut self, wanted: char) -> bool {
        self.skip_blanks();
        let is = self.peek() == Some(wanted);
        self.at += usize::from(is);
        is
    }

    pub fn is_at_end(&mut self) -> bool {
        self.skip_blanks();
        self.peek().is_none()
    }

    pub fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek().is_some_and(&belongs) {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    /// The next word: quoted, or up to a character that ends it.
    pub fn word(&mut self, ends: impl Fn(char) -> bool) -> Result<Word, Fault> {
        self.skip_blanks();
        let column = self.column();
        let bytes = match self.peek() {
            Some('"') => self.double_quoted()?,
            Some(quote @ ('\'' | '`')) => self.single_quoted(quote)?,
            _ => match self.take_while(|c| !ends(c)) {
                bare if bare.is_empty() => return Err(fault(column, "a word is missing here")),
                bare => return Ok(Word { column, bytes: bare.into_bytes() }),
            },
        };
        match self.peek() {
            Some(c) if !ends(c) => Err(fault(self.column(), "a blank is missing behind the quote")),
            _ => Ok(Word { column, bytes }),
        }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += usize::from(next.is_some());
        next
    }

    fn single_quoted(&mut self, quote: char) -> Result<Vec<u8>, Fault> {
        let opened = self.column();
        self.at += 1;
        let text = self.take_while(|c| c != quote);
        self.bump().ok_or_else(|| unclosed(opened))?;
        Ok(text.into_bytes())
    }

    fn double_quoted(&mut self) -> Result<Vec<u8>, Fault> {
        let opened = self.column();
        self.at += 1;
        let mut bytes = Vec::new();
        loop {
            match self.bump().ok_or_else(|| unclosed(opened))? {
                '"' => return Ok(bytes),
                '\\' => self.escape(opened, &mut bytes)?,
                c => push(&mut bytes, c),
            }
        }
    }

    /// As in a string of Go. The backslash is read already.
    fn escape(&mut self, opened: usize, bytes: &mut Vec<u8>) -> Result<(), Fault> {
        let column = self.at;
        let byte = match self.bump().ok_or_else(|| unclosed(opened))? {
            'a' => 0x07,
            'b' => 0x08,
            'f' => 0x0c,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 0x0b,
            '\\' => b'\\',
            '"' => b'"',
            '\'' => b'\'',
            'x' => self.byte(16, 2, column)?,
            '0'..='7' => {
                self.at -= 1;
                self.byte(8, 3, column)?
            }
            'u' => return self.character(4, column, bytes),
            'U' => return self.character(8, column, bytes),
            other => return Err(fault(column, format!("\\{other} is no escape: a backslash is written \\\\"))),
        };
        bytes.push(byte);
        Ok(())
    }

    fn byte(&mut self, radix: u32, digits: usize, column: usize) -> Result<u8, Fault> {
        let number = self.number(radix, digits, column)?;
        u8::try_from(number).map_err(|_| fault(column, "this is more than a byte holds"))
    }

    fn character(&mut self, digits: usize, column: usize, bytes: &mut Vec<u8>) -> Result<(), Fault> {
        let number = self.number(16, digits, column)?;
        push(bytes, char::from_u32(number).ok_or_else(|| fault(column, "there is no such character"))?);
        Ok(())
    }

    fn number(&mut self, radix: u32, digits: usize, column: usize) -> Result<u32, Fault> {
        (0..digits).try_fold(0, |number, _| {
            let digit = self.bump().and_then(|c| c.to_digit(radix));
            let digit = digit.ok_or_else(|| fault(column, format!("{digits} digits belong to this escape")))?;
            Ok(number * radix + digit)
        })
    }
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn unclosed(opened: usize) -> Fault {
    fault(opened, "this quote is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Vec<(usize, Vec<u8>)>, (usize, String)> {
        let (mut scanner, mut words) = (Scanner::new(line), Vec::new());
        while !scanner.is_at_end() {
            let word = scanner.word(char::is_whitespace).map_err(|fault| (fault.column, fault.message))?;
            words.push((word.column, word.bytes));
        }
        Ok(words)
    }

    fn bytes(line: &str) -> Vec<Vec<u8>> {
        words(line).unwrap().into_iter().map(|(_, bytes)| bytes).collect()
    }

    #[test]
    fn words_have_their_columns() {
        let found = words("  put ü 'a b'\t\"\"").unwrap();
        let columns: Vec<usize> = found.iter().map(|(column, _)| *column).collect();
        assert_eq!(columns, [3, 7, 9, 15]);
        assert_eq!(bytes("  put ü 'a b'\t\"\""), [&b"put"[..], "ü".as_bytes(), b"a b", b""]);
    }

    #[test]
    fn quotes_inside_of_words_stand_for_themselves() {
        assert_eq!(bytes(r#"put k {"a":1} x\n"#), [&b"put"[..], b"k", br#"{"a":1}"#, br"x\n"]);
    }

    #[test]
    fn escapes_are_those_of_go() {
        assert_eq!(bytes(r#""\a\b\f\n\r\t\v\\\"\'""#), [b"\x07\x08\x0c\n\r\t\x0b\\\"'"]);
        assert_eq!(bytes(r#""\xff\101\u00fc\U0001f642""#), [[&[0xff, b'A'][..], "ü🙂".as_bytes()].concat()]);
        assert_eq!(bytes(r"'a\n' `\x`"), [&br"a\n"[..], br"\x"]);
    }

    #[test]
    fn faults_have_their_columns() {
        for (line, column, part) in [
            (r#"put "abc"#, 5, "not closed"),
            (r#"put "abc\"#, 5, "not closed"),
            ("put 'abc", 5, "not closed"),
            (r#"put "a"b"#, 8, "blank"),
            (r#"put "a\q""#, 7, "no escape"),
            (r#"put "a\xg0""#, 7, "2 digits"),
            (r#"put "\400""#, 6, "more than a byte"),
            (r#"put "\ud800""#, 6, "no such character"),
        ] {
            let (at, message) = words(line).unwrap_err();
            assert_eq!(at, column, "{line}: {message}");
            assert!(message.contains(part), "{line}: {message}");
        }
    }
}
