//! What is damaged, or nested without end, is an error and nothing worse.

use super::random::{Any, KeptAside, Random, Value};
use super::*;
use crate::codec::format::*;

/// Reading ends, and not with a panic.
#[track_caller]
fn is_harmless<T: DeserializeOwned + 'static>(bytes: &[u8], size: usize) {
    for read in [read::<T>(bytes).map(drop), read_in_parts::<T>(bytes, size).map(drop)] {
        let error = read.err().unwrap_or_default();
        assert!(!error.contains("it panicked"), "{error}: {bytes:?}");
    }
}

#[test]
fn damaged_bytes_are_harmless() {
    for round in 1..=1_500_u64 {
        let mut random = Random(round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let value = Value::random(&mut random, 3, true);
        let whole = written(&value);
        for length in (0..whole.len()).step_by(1 + whole.len() / 20) {
            let cut = &whole[..length];
            assert!(read::<Value>(cut).is_err() && read_in_parts::<Value>(cut, 9).is_err());
            assert!(read::<Any>(cut).is_err() && read::<IgnoredAny>(cut).is_err());
        }
        for _ in 0..20 {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len());
                match random.below(4) {
                    0 => bytes[at] ^= 1 << random.below(8),
                    1 => bytes[at] = 255,
                    2 => bytes[at] = random.below(28) as u8,
                    _ => bytes.insert(at, random.next() as u8),
                }
            }
            let size = 1 + random.below(100);
            is_harmless::<Value>(&bytes, size);
            is_harmless::<Any>(&bytes, size);
            is_harmless::<IgnoredAny>(&bytes, size);
            is_harmless::<KeptAside<Value>>(&bytes, size);
            is_harmless::<Vec<u64>>(&bytes, size);
            is_harmless::<(String, Vec<f64>)>(&bytes, size);
        }
    }
}

/// A tag, a length that is a lie, and a few bytes.
fn lie(tags: &[u8], length: u64) -> Vec<u8> {
    [tags, &[LONG], &length.to_le_bytes(), &[16; 20]].concat()
}

#[test]
fn lengths_that_are_lies_are_errors_and_cost_no_memory() {
    for length in [21, (1 << 32) + 16, 1 << 40, 1 << 61, u64::MAX] {
        for size in [1, 7, 1000] {
            let in_parts = |bytes: &[u8]| read_in_parts::<Any>(bytes, size).is_err();
            for tag in [STR, BYTES] {
                let bytes = lie(&[tag], length);
                assert!(read::<String>(&bytes).is_err() && in_parts(&bytes));
                assert!(read::<Bytes>(&bytes).is_err() && read::<IgnoredAny>(&bytes).is_err());
                assert!(read::<(Vec<u8>,)>(&lie(&[SEQ, 1, tag], length)).is_err());
            }
            for tag in [U8, F64, I128] {
                let bytes = lie(&[SEQ, 0, NUMBERS, tag], length);
                assert!(read::<Box<[u8]>>(&bytes).is_err() && in_parts(&bytes));
                assert!(
                    read::<(Vec<f64>,)>(&bytes).is_err() && read::<IgnoredAny>(&bytes).is_err()
                );
            }
            let mut list = lie(&[SEQ], length);
            assert!(read::<Vec<String>>(&list).is_err() && in_parts(&list));
            list.splice(10.., [U8, 1, END]);
            assert_eq!(read::<Box<[u8]>>(&list), Ok(Box::from([1])), "it is only a hint");
            assert!(!in_parts(&list));
            let map = lie(&[MAP], length);
            assert!(read::<std::collections::HashMap<u8, u8>>(&map).is_err() && in_parts(&map));
            let plain = [&length.to_le_bytes()[..], &[0; 20]].concat();
            assert!(read::<Vec<u8>>(&plain).is_err());
            assert!(read_in_parts::<Vec<u8>>(&plain, size).is_err());
            assert!(read_in_parts::<Vec<f64>>(&plain, size).is_err());
        }
    }
}

#[test]
fn a_string_that_is_no_utf_8_is_an_error_and_not_passed_over() {
    let bytes = [STR, 1, 0xff, STR, 1, b'x'];
    for size in [1, 2, 6] {
        for read in [read::<String>(&bytes), read_in_parts(&bytes, size)] {
            assert!(read.unwrap_err().contains("UTF-8"));
        }
        assert!(read_in_parts::<Any>(&bytes, size).is_err());
    }
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Linked {
    number: u64,
    next: Option<Box<Linked>>,
}

fn linked(length: u64) -> Linked {
    (0..length).fold(Linked { number: 0, next: None }, |list, number| Linked {
        number,
        next: Some(Box::new(list)),
    })
}

/// As std makes threads if it is not asked otherwise.
fn in_a_thread(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn what_is_nested_deep_survives_and_what_is_nested_deeper_is_an_error() {
    in_a_thread(|| {
        let list = linked(1000);
        let bytes = written(&list);
        assert!(read::<Linked>(&bytes).as_ref() == Ok(&list));
        assert!(read_in_parts::<Linked>(&bytes, 1000).as_ref() == Ok(&list));

        // It is left alone, since dropping it takes stack too.
        let list = Box::leak(Box::new(linked(100_000)));
        let error = append(list, &mut Sink::growing(&mut Vec::new())).unwrap_err();
        assert!(error.contains("nested too deeply"), "{error}");
    });
}

#[test]
fn bytes_that_are_nested_without_end_are_an_error() {
    in_a_thread(|| {
        let many = 1_000_000;
        let options = [vec![SOME; many], vec![NONE]].concat();
        let lists = [[SEQ, 0].repeat(many), vec![END; many]].concat();
        let maps = [[MAP, 0, UNIT].repeat(many), vec![UNIT], vec![END; many]].concat();
        let variants = [[VARIANT, STR, 1, b'x'].repeat(many), vec![UNIT]].concat();
        for bytes in [options, lists, maps, variants] {
            let too_deep = |error: String| {
                assert!(error.contains("nested too deeply"), "{error}");
            };
            too_deep(read::<Any>(&bytes).unwrap_err());
            too_deep(read_in_parts::<Any>(&bytes, 1000).unwrap_err());
            too_deep(read::<KeptAside<Value>>(&bytes).unwrap_err());
            assert!(read::<IgnoredAny>(&bytes).is_ok());
        }
    });
}

/// Takes 13 GB and a minute: run it by hand.
#[test]
#[ignore = "takes 13 GB"]
fn more_than_four_gigabytes_survive() {
    const LENGTH: usize = (1 << 32) + 16;
    let value = ("x".repeat(LENGTH), 7_u8);
    let bytes = written(&value);
    let (text, seven) = read::<(String, u8)>(&bytes).unwrap();
    assert!(seven == 7 && text == value.0);
}
