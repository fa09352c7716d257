//! Lists of numbers as bytes: a `Vec` of plain numbers is carried as it lies in memory, all at once and
//! not number by number, since such lists are what is large.

use std::any::{Any, TypeId};

use bytemuck::Pod;

use super::error::Error;
use super::parts::Sink;
use super::source::Source;
use crate::os;

/// Does something for each type of list: `$list` stands for it.
macro_rules! for_each_list {
    ($list:ident => $work:expr) => {
        for_each_list!($list => $work; u8 u16 u32 u64 usize i8 i16 i32 i64 isize f32 f64)
    };
    ($list:ident => $work:expr; $($number:ty)*) => {
        $({
            type $list = Vec<$number>;
            if let Some(done) = $work {
                return done;
            }
        })*
    };
}

/// Whether values of this type are lists of numbers.
pub(super) fn is_list(id: TypeId) -> bool {
    for_each_list!(List => (id == TypeId::of::<List>()).then_some(true));
    false
}

/// Writes a value that is a list of numbers.
pub(super) fn write(value: &dyn Any, sink: &mut Sink<'_>) -> Result<(), String> {
    for_each_list!(List => value.downcast_ref::<List>().map(|list| {
        sink.expect(size_of_val(list.as_slice()));
        sink.put(&(list.len() as u64).to_le_bytes())?;
        sink.put(bytemuck::cast_slice(list))
    }));
    Err(NO_LIST.to_owned())
}

/// Reads what [`write`] wrote into `place`, an `Option` of that type of list.
pub(super) fn read(place: &mut dyn Any, source: &mut Source<'_>) -> Result<(), Error> {
    for_each_list!(List => place.downcast_mut::<Option<List>>().map(|place| {
        *place = Some(read_list(source)?);
        Ok(())
    }));
    Err(Error::new(NO_LIST))
}

const NO_LIST: &str = "it is no list of numbers";

/// The number of numbers (u64, little-endian), and the numbers.
fn read_list<N: Pod>(source: &mut Source<'_>) -> Result<Vec<N>, Error> {
    let length = u64::from_le_bytes(source.array()?);
    let length = usize::try_from(length).map_err(|_| Error::cut())?;
    if source.known().is_some_and(|bytes| length > bytes / size_of::<N>()) {
        return Err(Error::cut());
    }
    let mut list: Vec<N> = Vec::new();
    // Memory is taken as it is written to: where a length is a lie, there is none of it in vain.
    list.try_reserve_exact(length).map_err(|error| Error::new(error.to_string()))?;
    os::prefer_large_pages(&mut list);
    while list.len() < length {
        let room = length - list.len();
        let pieces = source.pieces(room * size_of::<N>(), size_of::<N>())?;
        if pieces.is_empty() {
            // A number that lies in two parts.
            let mut number = [N::zeroed()];
            source.fill(bytemuck::cast_slice_mut(&mut number))?;
            list.extend(number);
        } else if let Ok(numbers) = bytemuck::try_cast_slice(pieces) {
            list.extend_from_slice(numbers);
        } else {
            let numbers = pieces.chunks_exact(size_of::<N>());
            list.extend(numbers.map(bytemuck::pod_read_unaligned::<N>));
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_whole<T: 'static>(bytes: &[u8]) -> Result<T, String> {
        let mut place: Option<T> = None;
        let mut source = Source::whole(bytes);
        read(&mut place, &mut source)
            .and_then(|()| source.finish())
            .map_err(|error| error.to_string())?;
        Ok(place.expect("it was read"))
    }

    #[track_caller]
    fn survives<N: Pod + PartialEq + std::fmt::Debug>(list: Vec<N>) {
        let mut bytes = Vec::new();
        write(&list, &mut Sink::growing(&mut bytes)).unwrap();
        assert_eq!(bytes.len(), 8 + size_of_val(list.as_slice()));
        for cut in [0, 7, bytes.len() - 1] {
            let read = read_whole::<Vec<N>>(&bytes[..cut]);
            assert!(read.is_err(), "{cut} bytes");
        }
        assert_eq!(read_whole::<Vec<N>>(&bytes), Ok(list));
        bytes.push(0);
        assert!(read_whole::<Vec<N>>(&bytes).is_err());
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
        assert!(write(&vec![true], &mut Sink::growing(&mut bytes)).is_err());
        assert!(write(&1.5_f64, &mut Sink::growing(&mut bytes)).is_err());
        assert!(write(&vec![vec![1_u8]], &mut Sink::growing(&mut bytes)).is_err());
        assert!(bytes.is_empty() && !is_list(TypeId::of::<String>()));
        assert!(read_whole::<String>(&[0; 8]).is_err());
    }

    #[test]
    fn a_length_that_is_a_lie_is_an_error() {
        for length in [3, u64::MAX / 8, u64::MAX] {
            let bytes = [&length.to_le_bytes()[..], &[0; 16]].concat();
            assert!(read_whole::<Vec<f64>>(&bytes).is_err());
        }
    }
}
