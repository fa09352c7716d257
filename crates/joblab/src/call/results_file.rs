//! A file of results, to which they are added as they come: see
//! [`Parallel::resume`](crate::Parallel::resume).
//!
//! The file is [`HEADER`] and then one record after the other, each:
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | how many bytes the result has (u64, little-endian) |
//! | 16 | the [key](Key) of the task (u128, little-endian) |
//! | that many | the result, as the crate's [`codec`](crate::codec) writes it |
//! | 8 | the [check](check) of all that (u64, little-endian) |
//!
//! Nothing in it is ever written again. A record is handed to the system in one piece, so that a program
//! that is killed leaves at most one that is not whole, at the end; the next one that opens the file cuts
//! it off, with all that stands behind it, as after a record that a disk has spoilt.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::hash::Hasher;
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use siphasher::sip::SipHasher24;
use siphasher::sip128::{Hasher128, SipHasher24 as SipHasher128};

use crate::error::Error;
use crate::os::{let_others_open, open_alone};

/// Says what the file is, and in which edition of the format. Another edition of the codec needs another
/// number here.
pub(super) const HEADER: &[u8] = b"joblab results 1\n";
const LENGTH: usize = 8;
const KEY: usize = 16;
const CHECK: usize = 8;

/// Which task a result is of: SipHash-2-4 of 128 bits over what makes it this task.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(u128);

impl Key {
    /// Of a task that these parts make what it is, in this order.
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = SipHasher128::new();
        for part in parts {
            hasher.write(&(part.len() as u64).to_le_bytes());
            hasher.write(part);
        }
        Key(hasher.finish128().as_u128())
    }
}

/// SipHash-2-4 over a record without its check.
fn check(record: &[u8]) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(record);
    hasher.finish()
}

/// Where in the file a result is.
struct Place {
    at: u64,
    bytes: usize,
}

pub(super) struct ResultsFile {
    path: PathBuf,
    file: File,
    /// The results that were there when the file was opened and were not taken yet, as they come in it.
    there: HashMap<Key, VecDeque<Place>>,
    /// Records that are whole end here.
    end: u64,
    /// Records that are not in the file yet.
    records: Vec<u8>,
}

impl ResultsFile {
    /// Opens a file, or makes one, for this call alone.
    ///
    /// # Errors
    /// Where it cannot be used, is in use, or is another kind of file.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let opened = open_alone(OpenOptions::new().read(true).append(true).create(true), path);
        let file = opened.map_err(|reason| match reason.kind() {
            ErrorKind::ResourceBusy => Error::results_in_use(path),
            _ => Error::results(path, reason),
        })?;
        let (path, there, records) = (path.to_owned(), HashMap::new(), Vec::new());
        let mut opened = ResultsFile { path, file, there, end: 0, records };
        match opened.scan() {
            Ok(true) => Ok(opened),
            Ok(false) => Err(Error::results_foreign(&opened.path)),
            Err(reason) => Err(opened.unusable(reason)),
        }
    }

    /// Looks at all that is there, and cuts off what is not whole. False where it is another kind of
    /// file, which is left as it is.
    fn scan(&mut self) -> io::Result<bool> {
        let length = self.file.metadata()?.len();
        let mut reader = BufReader::with_capacity(1 << 16, &self.file);
        let mut header = Vec::new();
        (&mut reader).take(HEADER.len() as u64).read_to_end(&mut header)?;
        // A program may have been killed when it made the file.
        if !HEADER.starts_with(&header) {
            return Ok(false);
        }
        if header.len() < HEADER.len() {
            self.file.set_len(0)?;
            self.file.write_all(HEADER)?;
            self.end = HEADER.len() as u64;
            return Ok(true);
        }
        let (mut at, mut record) = (HEADER.len() as u64, Vec::new());
        let mut there: HashMap<Key, VecDeque<Place>> = HashMap::new();
        while let Some(key) = read_record(&mut reader, length - at, &mut record)? {
            let place =
                Place { at: at + (LENGTH + KEY) as u64, bytes: record.len() - LENGTH - KEY };
            there.entry(key).or_default().push_back(place);
            at += (record.len() + CHECK) as u64;
        }
        if at < length {
            self.file.set_len(at)?;
        }
        (self.there, self.end) = (there, at);
        Ok(true)
    }

    /// The next result of that task, which is taken then. None where there is none left.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub(super) fn take(&mut self, key: Key) -> Result<Option<Vec<u8>>, Error> {
        let Some(place) = self.there.get_mut(&key).and_then(VecDeque::pop_front) else {
            return Ok(None);
        };
        let mut result = vec![0; place.bytes];
        let read = self.file.seek(SeekFrom::Start(place.at));
        let read = read.and_then(|_| self.file.read_exact(&mut result));
        read.map(|()| Some(result)).map_err(|reason| self.unusable(reason))
    }

    /// Adds a result, which [`write`](Self::write) brings into the file.
    pub(super) fn add(&mut self, key: Key, result: &[u8]) {
        let start = self.records.len();
        self.records.reserve(LENGTH + KEY + result.len() + CHECK);
        self.records.extend((result.len() as u64).to_le_bytes());
        self.records.extend(key.0.to_le_bytes());
        self.records.extend(result);
        let check = check(&self.records[start..]);
        self.records.extend(check.to_le_bytes());
    }

    /// Writes what was added.
    ///
    /// # Errors
    /// Where it does not fit, for instance. None of it is in the file then.
    pub(super) fn write(&mut self) -> Result<(), Error> {
        let written = self.file.write_all(&self.records);
        if let Err(reason) = written {
            self.records.clear();
            // Should that fail too, the next one that opens the file does it.
            let _ = self.file.set_len(self.end);
            return Err(self.unusable(reason));
        }
        self.end += self.records.len() as u64;
        self.records.clear();
        Ok(())
    }

    fn unusable(&self, reason: io::Error) -> Error {
        Error::results(&self.path, reason)
    }
}

impl Drop for ResultsFile {
    fn drop(&mut self) {
        let_others_open(&self.file);
    }
}

/// Reads the next record, without its check, of a file that has so many bytes left. None where there is
/// none that is whole.
fn read_record(reader: &mut impl Read, left: u64, record: &mut Vec<u8>) -> io::Result<Option<Key>> {
    record.clear();
    let mut head = [0; LENGTH + KEY];
    if left < (head.len() + CHECK) as u64 {
        return Ok(None);
    }
    reader.read_exact(&mut head)?;
    let (length, key) = head.split_at(LENGTH);
    let length = u64::from_le_bytes(length.try_into().expect("that long"));
    if length > left - (head.len() + CHECK) as u64 {
        return Ok(None);
    }
    record.extend(head);
    reader.take(length).read_to_end(record)?;
    let mut expected = [0; CHECK];
    reader.read_exact(&mut expected)?;
    let key = Key(u128::from_le_bytes(key.try_into().expect("that long")));
    Ok((check(record) == u64::from_le_bytes(expected)).then_some(key))
}
