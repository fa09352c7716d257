//! Lists of numbers as bytes: a `Vec` of plain numbers is carried as it lies in memory, all at once and
//! not number by number, since such lists are what is large.

use std::any::Any;
use std::io::{self, ErrorKind, Read, Write};

use bytemuck::Pod;

/// So many bytes are read at once: they stay in the processor's cache from being zeroed to being
/// written.
const STEP: usize = 1 << 16;

/// Does something for each type of list until it gives a value: `$list` stands for the type.
macro_rules! for_each_list {
    ($list:ident => $work:expr) => {
        for_each_list!($list => $work; u8 u16 u32 u64 usize i8 i16 i32 i64 isize f32 f64)
    };
    ($list:ident => $work:expr; $($number:ty)*) => {
        $({
            type $list = Vec<$number>;
            if let Some(done) = $work {
                return Some(done);
            }
        })*
    };
}

/// Writes a value that is a list of numbers; `None` if it is something else.
pub(crate) fn write<T: 'static>(value: &T, writer: &mut impl Write) -> Option<io::Result<()>> {
    let value: &dyn Any = value;
    for_each_list!(List => value.downcast_ref::<List>().map(|list| write_list(list, writer)));
    None
}

/// Reads what [`write`] wrote; `None` if a `T` is something else.
pub(crate) fn read<T: 'static>(reader: &mut impl Read) -> Option<io::Result<T>> {
    let mut value: Option<T> = None;
    let place: &mut dyn Any = &mut value;
    let read = (|| {
        for_each_list!(List => place.downcast_mut::<Option<List>>().map(|place| {
            *place = Some(read_list(reader)?);
            Ok(())
        }));
        None
    })()?;
    read.map(|()| value).transpose()
}

/// The number of numbers (u64, little-endian), and the numbers.
fn write_list<N: Pod>(list: &[N], writer: &mut impl Write) -> io::Result<()> {
    writer.write_all(&(list.len() as u64).to_le_bytes())?;
    writer.write_all(bytemuck::cast_slice(list))
}

fn read_list<N: Pod>(reader: &mut impl Read) -> io::Result<Vec<N>> {
    let mut length = [0; 8];
    reader.read_exact(&mut length)?;
    let length = usize::try_from(u64::from_le_bytes(length));
    let length = length.map_err(|_| ErrorKind::OutOfMemory)?;
    let mut list = Vec::new();
    list.try_reserve_exact(length).map_err(|_| ErrorKind::OutOfMemory)?;
    while list.len() < length {
        let start = list.len();
        list.resize(length.min(start + STEP / size_of::<N>()), N::zeroed());
        reader.read_exact(bytemuck::cast_slice_mut(&mut list[start..]))?;
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn survives<N: Pod + PartialEq + std::fmt::Debug>(list: Vec<N>) {
        let mut bytes = Vec::new();
        write(&list, &mut bytes).expect("it is a list of numbers").unwrap();
        assert_eq!(bytes.len(), 8 + size_of_val(list.as_slice()));
        for cut in [0, 7, bytes.len() - 1] {
            let read = read::<Vec<N>>(&mut &bytes[..cut]).expect("it is a list of numbers");
            assert!(read.is_err() || cut >= 8 && list.is_empty(), "{cut} bytes");
        }
        assert_eq!(read::<Vec<N>>(&mut &bytes[..]).unwrap().unwrap(), list);
    }

    #[test]
    fn lists_of_numbers_survive() {
        survives(Vec::<f64>::new());
        survives(vec![0.5_f64, f64::MIN, -0.0]);
        survives((0..=65_535_u16).map(|n| n as u8).collect::<Vec<u8>>());
        survives((0..100_001).collect::<Vec<i32>>());
        survives(vec![usize::MAX; 3]);
    }

    #[test]
    fn all_else_is_left_alone() {
        let mut bytes = Vec::new();
        assert!(write(&vec![true], &mut bytes).is_none());
        assert!(write(&1.5_f64, &mut bytes).is_none());
        assert!(write(&vec![vec![1_u8]], &mut bytes).is_none() && bytes.is_empty());
        assert!(read::<String>(&mut &[0; 8][..]).is_none());
    }

    #[test]
    fn a_length_that_is_a_lie_is_an_error() {
        for length in [3, u64::MAX / 8, u64::MAX] {
            let bytes = [&length.to_le_bytes()[..], &[0; 16]].concat();
            assert!(read::<Vec<f64>>(&mut &bytes[..]).unwrap().is_err());
        }
    }
}
