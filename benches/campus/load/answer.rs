//! Finds where an HTTP answer ends. No more of it is understood than that takes.

use memchr::memmem;

/// An answer that has come whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer<'a> {
    /// Its status.
    pub(crate) status: u16,
    /// Its head, with the empty line.
    pub(crate) head: &'a [u8],
    /// Its body.
    pub(crate) body: &'a [u8],
}

impl<'a> Answer<'a> {
    /// The first answer in `bytes`: none if it is still to be completed.
    ///
    /// # Errors
    /// When it is none of ours: all that are measured tell the length of a body.
    pub(crate) fn first(bytes: &'a [u8]) -> Result<Option<Answer<'a>>, &'static str> {
        let Some(end) = memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
        let (head, rest) = bytes.split_at(end + 4);
        let status = head.strip_prefix(b"HTTP/1.1 ").and_then(number).ok_or("not HTTP/1.1")?;
        let length = header(head, b"content-length").and_then(number).ok_or("an answer without a length")?;
        let body = rest.get(..length as usize);
        Ok(body.map(|body| Answer { status: status as u16, head, body }))
    }

    /// How long it is as a whole.
    pub(crate) fn length(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

/// The value of a header, by its name in small letters.
pub(crate) fn header<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = head;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let (line, after) = rest.split_at(end + 1);
        rest = after;
        if let Some((of, value)) = line.split_at_checked(name.len())
            && of.eq_ignore_ascii_case(name)
            && let Some(value) = value.strip_prefix(b":")
        {
            return Some(value.trim_ascii());
        }
    }
    None
}

/// The digits that `bytes` begins with, as a number.
pub(crate) fn number(bytes: &[u8]) -> Option<u64> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit());
    let mut number = None;
    for digit in digits {
        number = Some(number.unwrap_or(0u64).checked_mul(10)?.checked_add(u64::from(digit - b'0'))?);
    }
    number
}
