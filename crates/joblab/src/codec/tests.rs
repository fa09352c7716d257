#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use serde::{Deserialize, Serializer};

    use super::*;

    #[track_caller]
    fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug + 'static>(value: T) {
        let mut bytes = b"in front".to_vec();
        append(&value, &mut Sink::growing(&mut bytes)).unwrap();
        assert_eq!(read::<T>(&bytes[8..]), Ok(value));
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    #[serde(untagged)]
    enum Untagged {
        Number(i64),
        Words(Vec<String>),
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Outer {
        #[serde(flatten)]
        inner: Inner,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        maybe: Option<u8>,
        result: Result<Option<char>, String>,
    }

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Inner {
        x: f32,
        y: (),
    }

    #[test]
    fn whatever_serde_carries_survives() {
        survives(());
        survives(u64::MAX);
        survives(i128::MIN);
        survives(f64::NEG_INFINITY);
        survives(vec![0_u8, 127, 128, 255]);
        survives((1_u8, [2_u8; 4], -3_i8, [0_u16; 3]));
        survives(Some(Some(vec![1.5_f64; 3])));
        survives("\u{1f980} and \0".to_owned());
        survives(BTreeMap::from([((1, 'a'), vec![true]), ((2, 'b'), vec![])]));
        survives(Untagged::Number(-1));
        survives(Untagged::Words(vec!["a".to_owned()]));
        survives(Err::<u8, String>("no".to_owned()));
        survives(Outer { inner: Inner { x: 0.5, y: () }, maybe: None, result: Ok(Some('x')) });
    }

    #[test]
    fn what_serde_refuses_is_an_error() {
        #[derive(Debug)]
        struct Refused;
        impl Serialize for Refused {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("not me"))
            }
        }
        let error = append(&Refused, &mut Sink::growing(&mut Vec::new())).unwrap_err();
        assert!(error.contains("not me"), "{error}");
        assert!(read::<u64>(&[]).is_err());
        assert!(read::<String>(&[0xff, 0xff]).is_err());
    }
}
