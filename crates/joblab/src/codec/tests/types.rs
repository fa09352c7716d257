//! Types as people have them.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque};
use std::ffi::{CString, OsString};
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZero, Saturating, Wrapping};
use std::ops::Bound;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::*;

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone, Copy, Eq, Hash, PartialOrd, Ord)]
struct Nothing;

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Empty {}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
struct New<T>(T);

#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(transparent)]
struct Transparent<T> {
    value: T,
}

#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Three(u8, String, Option<()>);

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone, Eq, Hash, PartialOrd, Ord)]
struct Point {
    x: i32,
    y: i32,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
enum External<T> {
    Unit,
    New(T),
    Tuple(u8, T),
    Struct { value: T, more: () },
    NoFields {},
    NoItems(),
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(tag = "kind")]
enum Internal<T> {
    Unit,
    Struct { value: T },
    New(New2<T>),
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
struct New2<T> {
    inner: T,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(tag = "kind", content = "what")]
enum Adjacent<T> {
    Unit,
    New(T),
    Tuple(T, u8),
    Struct { value: T },
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(untagged)]
enum Untagged<T> {
    Struct { value: T },
    Pair(T, Never<T>),
}

/// Nothing can be made of what serde keeps aside for it, but a value of the type.
#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Never<T> {
    only: T,
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
struct Flat<T> {
    first: u8,
    #[serde(flatten)]
    inner: Never<T>,
    #[serde(flatten)]
    rest: BTreeMap<String, T>,
}

/// A value in all that serde may wrap it in: where types have tags, and where they have none. It is one
/// type, so that the compiler has not thousands to do.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
struct Everywhere<T> {
    bare: T,
    option: Option<New<T>>,
    list: Vec<T>,
    external: [External<T>; 4],
    internal: [Internal<T>; 3],
    adjacent: [Adjacent<T>; 4],
    untagged: [Untagged<T>; 2],
    deep: Untagged<Internal<Adjacent<T>>>,
    flat: Flat<T>,
}

#[track_caller]
fn survives_everywhere<T>(value: T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug + Clone + 'static,
{
    let value = || value.clone();
    survives(Everywhere {
        bare: value(),
        option: Some(New(value())),
        list: vec![value(), value()],
        external: [
            External::New(value()),
            External::Tuple(1, value()),
            External::Struct { value: value(), more: () },
            External::Unit,
        ],
        internal: [
            Internal::Struct { value: value() },
            Internal::New(New2 { inner: value() }),
            Internal::Unit,
        ],
        adjacent: [
            Adjacent::New(value()),
            Adjacent::Tuple(value(), 1),
            Adjacent::Struct { value: value() },
            Adjacent::Unit,
        ],
        untagged: [
            Untagged::Struct { value: value() },
            Untagged::Pair(value(), Never { only: value() }),
        ],
        deep: Untagged::Struct { value: Internal::Struct { value: Adjacent::New(value()) } },
        flat: Flat {
            first: 1,
            inner: Never { only: value() },
            rest: BTreeMap::from([("a".to_owned(), value()), (String::new(), value())]),
        },
    });
}

#[test]
fn options_survive_however_deep() {
    type Deep<T> = Option<Option<Option<Option<T>>>>;
    let all: [Deep<u8>; 6] = [
        None,
        Some(None),
        Some(Some(None)),
        Some(Some(Some(None))),
        Some(Some(Some(Some(0)))),
        Some(Some(Some(Some(255)))),
    ];
    survives_everywhere((all, all.map(|option| option.map(New))));
    let all = [None, Some(None), Some(Some(()))];
    survives_everywhere((all, all.map(|option| option.map(|option| option.map(|()| Nothing)))));
    survives_everywhere(all);
    for option in all {
        survives(option);
    }
    survives(HashMap::from([(1_u8, Some(())), (2, None)]));
    survives(Some(Transparent { value: None::<u8> }));
    survives(None::<External<Option<()>>>);
}

#[test]
fn numbers_survive_everywhere() {
    survives_everywhere((
        (
            [u8::MIN, 127, 128, u8::MAX],
            [u16::MIN, u16::MAX],
            [u32::MIN, u32::MAX],
            [u64::MIN, u64::MAX],
            [usize::MIN, usize::MAX],
        ),
        (
            [i8::MIN, -1, 0, i8::MAX],
            [i16::MIN, i16::MAX],
            [i32::MIN, i32::MAX],
            [i64::MIN, -1, i64::MAX],
            [isize::MIN, isize::MAX],
        ),
        [f32::MIN, f32::MIN_POSITIVE, f32::INFINITY, 0.1],
        [f64::MIN, f64::MIN_POSITIVE, f64::NEG_INFINITY, 0.1],
        [true, false],
        ['\0', 'x', '\u{d7ff}', '\u{e000}', char::MAX],
        (Wrapping(-1_i8), Saturating(7_u16)),
        (NonZero::<u64>::MAX, NonZero::<i8>::MIN),
    ));
    survives_everywhere(u64::MAX);
    survives(u8::MAX);
    survives(i8::MIN);
    survives(u16::MAX);
    survives(i64::MIN);
    survives(f32::INFINITY);
    survives(true);
    survives('x');
}

#[test]
fn floats_survive_bit_by_bit() {
    #[derive(Serialize, Deserialize)]
    struct Floats(f64, f32, Vec<f64>, Vec<f32>, Untagged<f64>, Flat<f32>, VecDeque<f32>);

    let (double, single) = (f64::from_bits(0x7ff0_dead_beef_0001), f32::from_bits(0x7f80_0a01));
    let value = Floats(
        double,
        single,
        vec![double; 20],
        vec![single; 20],
        Untagged::Struct { value: double },
        Flat { first: 0, inner: Never { only: single }, rest: BTreeMap::new() },
        vec![single; 20].into(),
    );
    let bytes = written(&value);
    for read in [read::<Floats>(&bytes), read_in_parts(&bytes, 3), read_in_parts(&bytes, 100)] {
        let Floats(d, s, ds, ss, held, flat, queue) = read.unwrap();
        let Untagged::Struct { value: held } = held else { panic!("it is another variant") };
        assert!([d, held].iter().chain(&ds).all(|n| n.to_bits() == double.to_bits()));
        let singles = [s, flat.inner.only];
        assert!(singles.iter().chain(&ss).chain(&queue).all(|n| n.to_bits() == single.to_bits()));
        assert_eq!((ds.len(), ss.len(), queue.len()), (20, 20, 20));
    }
    let zero = read::<f64>(&written(&-0.0_f64)).unwrap();
    assert!(zero == 0.0 && zero.is_sign_negative());
}

#[test]
fn lists_of_numbers_survive_everywhere() {
    for length in [0, 1, 7, 8, 9, 100, 1025, 3000] {
        let numbers = || (0..length).map(|n| n as f64 / 3.0);
        let bytes = || (0..length).map(|n| (n % 256) as u8);
        survives(Never { only: numbers().collect::<Vec<_>>() });
        survives(Never { only: numbers().map(|n| n as f32).collect::<VecDeque<_>>() });
        survives(Untagged::Struct { value: bytes().collect::<Vec<_>>() });
        survives(Some(bytes().map(i128::from).collect::<Vec<_>>()));
        survives(Some(bytes().map(i16::from).collect::<LinkedList<_>>()));
        survives(Some(bytes().map(usize::from).collect::<BTreeSet<_>>()));
        survives(Internal::Struct { value: Bytes(bytes().collect()) });
    }
    survives_everywhere(Vec::<u8>::new());
    survives_everywhere((
        (0..40).collect::<Vec<u8>>(),
        (0..40).map(|n| -n).collect::<Vec<i64>>(),
        (0..40).map(Some).collect::<Vec<Option<u16>>>(),
        vec![vec![1.5_f32; 9], vec![], vec![2.5; 10]],
        (0..40).collect::<Vec<u8>>().into_boxed_slice(),
        Bytes((0..40).collect()),
        [[7_u8; 32]; 2],
        [0.5_f64; 32],
        (1_u8, 2_u8),
    ));
    survives((1_u8, 2_u8, 3_u8, 4_u8, 5_u8, 6_u8, 7_u8, 8_u8, 9_u8, 10_u8, 11_u8, 12_u16));
    survives((1_u8, 2_i8, 3_u8, 4_u8, 5_u8, 6_u8, 7_u8, 8_u8, 9_u8, 10_u8, 'a', "b".to_owned()));
}

#[test]
fn numbers_that_lie_together_take_no_more_than_in_memory() {
    let numbers = vec![0.5_f64; 1000];
    assert!(written(&Some(numbers.clone())).len() < 8000 + 40);
    assert!(written(&Some(VecDeque::from(numbers))).len() < 8000 + 40);
    assert!(written(&(vec![1_u8; 1000], 'x')).len() < 1000 + 60);
}

/// An item that is not always of the same kind.
#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
#[serde(untagged)]
enum Mixed {
    Small(u8),
    Real(f64),
    Text(String),
    Many(Vec<Mixed>),
}

#[test]
fn numbers_and_others_in_one_list_survive() {
    let mut list = Vec::new();
    for n in 0..60_u8 {
        list.extend(vec![Mixed::Small(n); (n % 13).into()]);
        list.extend(vec![Mixed::Real(f64::from(n) + 0.5); (n % 11).into()]);
        list.push(match n % 3 {
            0 => Mixed::Text("between".to_owned()),
            1 => Mixed::Many(vec![Mixed::Small(n); 20]),
            _ => Mixed::Many(Vec::new()),
        });
    }
    survives(list.clone());
    survives(Some(Mixed::Many(list)));
}

#[test]
fn numbers_of_128_bits_survive_where_serde_lets_them() {
    survives(u128::MAX);
    survives(i128::MIN);
    survives(vec![u128::MAX; 20]);
    survives(Some([i128::MIN, -1, 0, i128::MAX]));
    survives(HashMap::from([(i128::MIN, 'x')]));
    survives(External::Struct { value: u128::MAX, more: () });
    survives(Adjacent::Struct { value: Some(i128::MIN) });
    survives(NonZero::<i128>::MIN);
    let read = |bytes: &[u8]| read::<Untagged<u128>>(bytes).unwrap_err();
    let error = read(&written(&Untagged::Struct { value: u128::MAX }));
    assert!(error.contains("128 bits") && error.contains("serde(with"), "{error}");
    let flat = Flat { first: 1, inner: Never { only: i128::MIN }, rest: BTreeMap::new() };
    let error = super::read::<Flat<i128>>(&written(&flat)).unwrap_err();
    assert!(error.contains("128 bits") && error.contains("serde(with"), "{error}");

    #[derive(Serialize)]
    #[serde(tag = "kind")]
    enum Outer {
        Inner(Inner),
    }
    #[derive(Serialize)]
    enum Inner {
        Wide(u128, u128),
    }
    let wide = Outer::Inner(Inner::Wide(1, 2));
    let error = append(&wide, &mut Sink::growing(&mut Vec::new())).unwrap_err();
    assert!(error.contains("128 bits") && error.contains("serde(with"), "{error}");
}

#[test]
fn text_survives_everywhere() {
    survives(String::new());
    survives("a\0b\u{10ffff}\u{1f980}".to_owned());
    survives_everywhere((
        String::new(),
        "a\0b\u{10ffff}\u{1f980}".to_owned(),
        Cow::<'static, str>::Borrowed("cow"),
        Some(Box::<str>::from("boxed")),
    ));
    for length in [253, 254, 255, 256, 257, 70_000] {
        survives(Some("x".repeat(length)));
        survives(Untagged::Struct { value: "\u{e9}".repeat(length) });
        survives(Some(Bytes(vec![7; length])));
    }
    survives(PathBuf::from("/tmp/some where"));
    survives(Some(OsString::from("os")));
    survives(CString::new("c").unwrap());
}

#[test]
fn unit_and_empty_values_survive_everywhere() {
    survives(());
    survives(Nothing);
    survives(Empty {});
    survives(vec![(); 10_000]);
    survives_everywhere((
        (),
        Nothing,
        [External::<u8>::Unit, External::NoFields {}, External::NoItems()],
        Internal::<u8>::Unit,
        Adjacent::<u8>::Unit,
    ));
    survives([(); 0]);
    survives(std::marker::PhantomData::<String>);
}

#[test]
fn what_std_has_survives() {
    survives_everywhere((
        Duration::new(u64::MAX, 999_999_999),
        SystemTime::UNIX_EPOCH + Duration::from_nanos(1_234_567_891),
        3..9_u64,
        'a'..='z',
        ..5_u8,
        [Bound::Included(3_u8), Bound::Excluded(4), Bound::Unbounded],
        Reverse(3_u8),
        Ok::<u8, String>(1),
        Err::<Option<()>, _>("no".to_owned()),
    ));
    survives_everywhere((
        "127.0.0.1".parse::<IpAddr>().unwrap(),
        "[::1]:80".parse::<SocketAddr>().unwrap(),
    ));
    survives(std::cell::RefCell::new(std::cell::Cell::new(5)));
    survives(BinaryHeap::from([1_u8, 200]).into_sorted_vec());
}

#[test]
fn collections_survive() {
    survives_everywhere((
        HashMap::from([("a".to_owned(), 1_u64), ("b".to_owned(), u64::MAX)]),
        BTreeMap::from([(true, 'x'), (false, '\0')]),
        BTreeSet::from([Nothing]),
    ));
    survives(HashMap::<Point, Vec<Point>>::from([
        (Point { x: 1, y: -1 }, vec![Point { x: 0, y: 0 }]),
        (Point { x: 2, y: -1 }, vec![]),
    ]));
    survives(BTreeMap::from([((1, 'a'), vec![true]), ((2, 'b'), vec![])]));
    survives(BTreeMap::from([(None::<u8>, 1_u8), (Some(2), 2)]));
    survives(HashMap::from([((), 1_u8)]));
    survives(HashMap::from([(vec![1_u8; 20], ())]));
    survives(HashSet::from([1_u8, 200]));
    survives((0..100).map(|n| (n, n.to_string())).collect::<HashMap<u32, String>>());
    survives((1, -2, 3_u8, 'a', "b".to_owned(), (), [1_u16; 9], 0.5, true, None::<()>, (1,), [2]));
    survives(((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), (13, 14, 15, 16)));
    survives(Three(1, "two".to_owned(), Some(())));
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Default)]
#[serde(rename_all = "kebab-case", default)]
struct Fancy {
    #[serde(skip)]
    not_carried: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    may_be: Option<Option<u8>>,
    #[serde(rename = "type", alias = "kind")]
    renamed_field: u8,
    #[serde(with = "as_text")]
    by_hand: u128,
    bytes: Bytes,
}

mod as_text {
    use super::*;

    pub(super) fn serialize<S: Serializer>(n: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(n)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[test]
fn what_attributes_say_is_done() {
    survives(Fancy::default());
    for may_be in [None, Some(None), Some(Some(3))] {
        let fancy =
            || Fancy { may_be, by_hand: u128::MAX, bytes: Bytes(vec![1]), ..Fancy::default() };
        survives(fancy());
        survives(Untagged::Struct { value: New(1_u8) });
        survives(Adjacent::New(1_u64));
        survives(Some(Box::new(fancy())));
    }
    // Keys of flattened maps that are no strings.
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Keys {
        #[serde(flatten)]
        rest: BTreeMap<i16, u8>,
    }
    survives(Keys { rest: BTreeMap::from([(-5, 1), (700, 2)]) });

    // Fields that only one side knows.
    #[derive(Serialize)]
    struct More {
        x: i32,
        unknown: Vec<External<Vec<f64>>>,
        y: i32,
    }
    let unknown = vec![External::New(vec![0.5; 20]), External::Unit, External::Tuple(1, vec![])];
    let bytes = written(&More { x: 1, unknown, y: 2 });
    assert_eq!(read(&bytes), Ok(Point { x: 1, y: 2 }));
    assert_eq!(read_in_parts(&bytes, 3), Ok(Point { x: 1, y: 2 }));
}

#[test]
fn what_was_written_by_hand_in_another_way_is_taken() {
    // As text formats have them.
    assert_eq!(read(&written(&"Unit".to_owned())), Ok(External::<u8>::Unit));
    let by_hand = written(&BTreeMap::from([("New", 7_u8)]));
    assert_eq!(read(&by_hand), Ok(External::New(7_u8)));
    assert_eq!(read(&written(&(5_u8,))), Ok((Some(5_u8),)));
    assert_eq!(read(&written(&())), Ok(None::<u8>));
    assert_eq!(read(&written(&(1, 2))), Ok(Point { x: 1, y: 2 }));
    assert_eq!(read(&written(&Bytes(vec![1, 2, 3]))), Ok((1_u8, 2_u8, 3_u8)));
    assert_eq!(read(&written(&'x')), Ok("x".to_owned()));
    // Numbers of another width, if they fit.
    assert_eq!(read(&written(&(200_u8,))), Ok((200_i64,)));
    assert_eq!(read(&written(&(-5_i64,))), Ok((-5_i8,)));
    assert_eq!(read(&written(&(200_u64,))), Ok((200_i128,)));
    assert_eq!(read(&written(&(2_u8,))), Ok((2.0_f64,)));
    assert_eq!(read(&written(&(0.5_f32,))), Ok((0.5_f64,)));
    assert!(read::<(i8,)>(&written(&(200_u8,))).is_err());
    assert!(read::<(u64,)>(&written(&(-1_i8,))).is_err());
}

#[test]
fn what_serde_refuses_is_an_error() {
    #[derive(Debug)]
    struct Refused;
    impl Serialize for Refused {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            assert!(serializer.is_human_readable());
            Err(serde::ser::Error::custom("not me"))
        }
    }
    let error = append(&Refused, &mut Sink::growing(&mut Vec::new())).unwrap_err();
    assert!(error.contains("not me"), "{error}");
    let error = read::<(u64,)>(&written(&("words".to_owned(),))).unwrap_err();
    assert!(error.contains("string") && error.contains("u64"), "{error}");
    assert!(read::<u64>(&[]).is_err());
    assert!(read::<(u8, u8)>(&written(&(1_u8, 2_u8, 3_u8))).is_err());
    assert!(read::<(u8, u8, u8)>(&written(&(1_u8, 2_u8))).is_err());
    assert!(read::<External<u8>>(&written(&"Other".to_owned())).is_err());
}
