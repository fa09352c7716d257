//! Values that nobody thought of: all that serde has, in each other.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{EnumAccess, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;

use super::*;

/// Marsaglia's xorshift: the same numbers at each run, so that a failure can be repeated.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() >> 11) as usize % end
    }

    /// Often at an end of what there is.
    fn bits(&mut self) -> u64 {
        match self.below(4) {
            0 => 0,
            1 => u64::MAX,
            2 => self.next() % 256,
            _ => self.next(),
        }
    }
}

/// Equal only if all bits are.
#[derive(Serialize, Deserialize, Debug, Clone, Copy)]
pub(super) struct Real<F>(F);

impl PartialEq for Real<f64> {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl PartialEq for Real<f32> {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

#[derive(Serialize, Deserialize, PartialEq, Debug, Clone)]
pub(super) enum Value {
    Nothing,
    Unit(()),
    Bool(bool),
    Ints(u8, u16, u32, u64, i8, i16, i32, i64),
    Wide { unsigned: u128, signed: i128 },
    Floats(Real<f32>, Real<f64>),
    Char(char),
    Text(String),
    Bytes(Bytes),
    Option(Option<Option<Box<Value>>>),
    OptionalUnit(Option<()>),
    Many(Vec<Value>),
    Pair(Box<Value>, Box<Value>),
    Map(BTreeMap<String, Value>),
    Keys(BTreeMap<(u8, Option<bool>), Value>),
    Small(Vec<u8>),
    Reals(Vec<Real<f64>>),
    Signed(std::collections::VecDeque<i32>),
    Array([u16; 16]),
    Struct { a: Box<Value>, b: Option<Box<Value>>, c: Vec<Option<u32>> },
    Result(Result<Box<Value>, String>),
}

fn list<T>(random: &mut Random, mut item: impl FnMut(&mut Random) -> T) -> Vec<T> {
    let length = match random.below(20) {
        0 => random.below(3000),
        1..6 => random.below(30),
        _ => random.below(4),
    };
    (0..length).map(|_| item(random)).collect()
}

fn text(random: &mut Random) -> String {
    const CHARS: [char; 6] = ['a', '\0', '\u{e9}', '\u{20ac}', '\u{1f980}', 'z'];
    list(random, |random| CHARS[random.below(6)]).into_iter().collect()
}

impl Value {
    /// `depth` is how deep it may be nested. `wide` says whether there may be numbers of 128 bits.
    pub(super) fn random(random: &mut Random, depth: usize, wide: bool) -> Value {
        let inner = |random: &mut Random| Value::random(random, depth.saturating_sub(1), wide);
        let kinds = if depth == 0 { 14 } else { 21 };
        match random.below(kinds) {
            0 => Value::Nothing,
            1 => Value::Unit(()),
            2 => Value::Bool(random.below(2) == 0),
            3 => {
                let [a, b, c, d, e, f, g, h] = std::array::from_fn(|_| random.bits());
                Value::Ints(a as u8, b as u16, c as u32, d, e as i8, f as i16, g as i32, h as i64)
            }
            4 if wide => {
                let [a, b] = std::array::from_fn(|_| u128::from(random.bits()));
                Value::Wide { unsigned: a << 64 | b, signed: (b << 64 | a) as i128 }
            }
            4 | 5 => {
                let [a, b] = std::array::from_fn(|_| random.bits());
                Value::Floats(Real(f32::from_bits(a as u32)), Real(f64::from_bits(b)))
            }
            6 => Value::Char(char::from_u32(random.next() as u32 % 0x11_0000).unwrap_or('x')),
            7 => Value::Text(text(random)),
            8 => Value::Bytes(Bytes(list(random, |random| random.bits() as u8))),
            9 => Value::OptionalUnit((random.below(2) == 0).then_some(())),
            10 => Value::Small(list(random, |random| random.bits() as u8)),
            11 => Value::Reals(list(random, |random| Real(f64::from_bits(random.bits())))),
            12 => Value::Signed(list(random, |random| random.bits() as i32).into()),
            13 => Value::Array(std::array::from_fn(|_| random.bits() as u16)),
            14 => Value::Option(match random.below(3) {
                0 => None,
                1 => Some(None),
                _ => Some(Some(inner(random).into())),
            }),
            15 => Value::Many((0..random.below(6)).map(|_| inner(random)).collect()),
            16 => Value::Pair(inner(random).into(), inner(random).into()),
            17 => Value::Map((0..random.below(4)).map(|_| (text(random), inner(random))).collect()),
            18 => Value::Keys(
                (0..random.below(4))
                    .map(|n| ((n as u8, [None, Some(true)][random.below(2)]), inner(random)))
                    .collect(),
            ),
            19 => Value::Struct {
                a: inner(random).into(),
                b: (random.below(2) == 0).then(|| inner(random).into()),
                c: list(random, |random| Some(random.bits() as u32).filter(|n| n % 2 == 0)),
            },
            _ => Value::Result(match random.below(2) {
                0 => Ok(inner(random).into()),
                _ => Err(text(random)),
            }),
        }
    }
}

/// Whatever there is, as a deserializer describes it that is asked for nothing in particular.
#[derive(Debug, PartialEq)]
pub(super) enum Any {
    None,
    Some(Box<Any>),
    Unit,
    Bool(bool),
    Char(char),
    Text(String),
    Bytes(Vec<u8>),
    Seq(Vec<Any>),
    Map(Vec<(Any, Any)>),
    U8(u8),
    U16(u16),
    U32(u32),
    U64(u64),
    U128(u128),
    I8(i8),
    I16(i16),
    I32(i32),
    I64(i64),
    I128(i128),
    F32(f32),
    F64(f64),
}

impl Serialize for Any {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Any::None => serializer.serialize_none(),
            Any::Some(value) => serializer.serialize_some(value),
            Any::Unit => serializer.serialize_unit(),
            Any::Bool(value) => value.serialize(serializer),
            Any::Char(value) => value.serialize(serializer),
            Any::Text(value) => value.serialize(serializer),
            Any::Bytes(value) => serializer.serialize_bytes(value),
            Any::Seq(items) => serializer.collect_seq(items),
            Any::Map(entries) => {
                // As those do who do not know how many there will be.
                let mut map = serializer.serialize_map(None)?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
            Any::U8(n) => n.serialize(serializer),
            Any::U16(n) => n.serialize(serializer),
            Any::U32(n) => n.serialize(serializer),
            Any::U64(n) => n.serialize(serializer),
            Any::U128(n) => n.serialize(serializer),
            Any::I8(n) => n.serialize(serializer),
            Any::I16(n) => n.serialize(serializer),
            Any::I32(n) => n.serialize(serializer),
            Any::I64(n) => n.serialize(serializer),
            Any::I128(n) => n.serialize(serializer),
            Any::F32(n) => n.serialize(serializer),
            Any::F64(n) => n.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor)
    }
}

struct AnyVisitor;

macro_rules! visit {
    ($($method:ident $type:ty, $variant:ident)*) => {$(
        fn $method<E>(self, value: $type) -> Result<Any, E> {
            Ok(Any::$variant(value.into()))
        }
    )*};
}

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Any;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    visit! {
        visit_bool bool, Bool
        visit_char char, Char
        visit_str &str, Text
        visit_bytes &[u8], Bytes
        visit_u8 u8, U8
        visit_u16 u16, U16
        visit_u32 u32, U32
        visit_u64 u64, U64
        visit_u128 u128, U128
        visit_i8 i8, I8
        visit_i16 i16, I16
        visit_i32 i32, I32
        visit_i64 i64, I64
        visit_i128 i128, I128
        visit_f32 f32, F32
        visit_f64 f64, F64
    }

    fn visit_unit<E>(self) -> Result<Any, E> {
        Ok(Any::Unit)
    }

    fn visit_none<E>(self) -> Result<Any, E> {
        Ok(Any::None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Any, D::Error> {
        Ok(Any::Some(Any::deserialize(deserializer)?.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Any, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Any::Seq(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Any, A::Error> {
        let mut list = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            list.push(entry);
        }
        Ok(Any::Map(list))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Any, A::Error> {
        Err(serde::de::Error::custom("a variant should have come as a string or a map"))
    }
}

/// What serde keeps aside before it makes something of it.
#[derive(Serialize, Deserialize, PartialEq, Debug)]
#[serde(untagged)]
pub(super) enum KeptAside<T> {
    It(T),
}

const ROUNDS: u64 = 10_000;

#[test]
fn values_that_nobody_thought_of_survive() {
    for round in 1..=ROUNDS {
        let seed = round.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = Random(seed);
        let wide = random.below(2) == 0;
        let value = Value::random(&mut random, 4, wide);
        let bytes = written(&value);
        let size = 1 + random.below(bytes.len().min(2000) + 10);
        for read in [read::<Value>(&bytes), read_in_parts(&bytes, size)] {
            assert!(
                read.as_ref() == Ok(&value),
                "seed {seed}, parts of {size}: {read:?}\n{value:?}"
            );
        }
        assert!(read::<IgnoredAny>(&bytes).is_ok(), "seed {seed}: {value:?}");
        assert!(read_in_parts::<IgnoredAny>(&bytes, size).is_ok(), "seed {seed}: {value:?}");

        // What says of what kind it is says all.
        for any in [read::<Any>(&bytes), read_in_parts(&bytes, size)] {
            let any = any.unwrap_or_else(|error| panic!("seed {seed}: {error}\n{value:?}"));
            let again = read::<Value>(&written(&any));
            assert!(again.as_ref() == Ok(&value), "seed {seed}: {again:?}\n{value:?}");
        }
        if !wide {
            let value = KeptAside::It(value);
            let bytes = written(&value);
            for read in [read::<KeptAside<Value>>(&bytes), read_in_parts(&bytes, size)] {
                assert!(read.as_ref() == Ok(&value), "seed {seed}: {read:?}\n{value:?}");
            }
        }
    }
}
