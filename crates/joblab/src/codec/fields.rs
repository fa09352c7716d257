//! Numbers and sized pieces in a message, one after the other.

/// What is left to be read of a message.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    /// The next `N` bytes.
    pub(crate) fn chunk<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (chunk, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(chunk)
    }

    /// The next number, little-endian.
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// As many bytes as the length in front of them says.
    pub(crate) fn sized(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u64()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

/// Leaves room for the length of what will follow; the place of it.
pub(crate) fn reserve_length(bytes: &mut Vec<u8>) -> usize {
    bytes.extend([0; 8]);
    bytes.len() - 8
}

/// Fills in the length of what follows the eight bytes at `at`.
pub(crate) fn write_length(bytes: &mut [u8], at: usize) {
    let length = (bytes.len() - at - 8) as u64;
    bytes[at..at + 8].copy_from_slice(&length.to_le_bytes());
}
