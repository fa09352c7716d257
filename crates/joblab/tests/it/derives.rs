//! serde's derives as joblab hands them on: types whose crate depends on joblab only.

use std::collections::HashMap;

use joblab::{Deserialize, Parallel, Serialize};

use crate::BACKENDS;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Point {
    /// A field's documentation is no attribute of serde's.
    pub x: f64,
    y: Option<Box<Self>>,
    #[serde(default)]
    names: HashMap<String, Vec<Colour>>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Colour {
    #[default]
    Red,
    Mixed(u8, Box<Colour>),
    Named {
        r#type: String,
        #[serde(skip)]
        kept: u8,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Metres(f64);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Nothing;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Wrapped {
    inner: Metres,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "other", tag = "kind")]
enum Tagged {
    One { n: u8 },
}

fn point() -> Point {
    let inner = Point { x: 0.5, y: None, names: HashMap::new() };
    let mixed = Colour::Mixed(7, Box::default());
    let names = HashMap::from([("a".to_owned(), vec![mixed])]);
    Point { x: 1.5, y: Some(Box::new(inner)), names }
}

#[test]
fn types_are_written_as_serdes_own_derives_write_them() {
    let json = serde_json::to_value(point()).unwrap();
    let inner = serde_json::json!({ "x": 0.5, "y": null, "names": {} });
    let names = serde_json::json!({ "a": [{ "mixed": [7, "red"] }] });
    assert_eq!(json, serde_json::json!({ "x": 1.5, "y": inner, "names": names }));
    assert_eq!(serde_json::from_value::<Point>(json).unwrap(), point());

    let named = Colour::Named { r#type: "t".to_owned(), kept: 3 };
    let json = serde_json::to_string(&named).unwrap();
    assert_eq!(json, r#"{"named":{"type":"t"}}"#);
    let read: Colour = serde_json::from_str(&json).unwrap();
    assert_eq!(read, Colour::Named { r#type: "t".to_owned(), kept: 0 });

    let wrapped = Wrapped { inner: Metres(2.5) };
    assert_eq!(serde_json::to_string(&wrapped).unwrap(), "2.5");
    assert_eq!(serde_json::from_str::<Wrapped>("2.5").unwrap(), wrapped);
    assert_eq!(serde_json::to_string(&Nothing).unwrap(), "null");
    assert_eq!(serde_json::to_string(&Tagged::One { n: 1 }).unwrap(), r#"{"kind":"One","n":1}"#);
    let error = serde_json::from_str::<Point>("[]").unwrap_err().to_string();
    assert!(error.contains("struct Point"), "{error}");
}

#[test]
fn they_travel_on_every_backend() {
    let mirrored = |point: Point| Point { x: -point.x, ..point };
    let wanted = Point { x: -1.5, ..point() };
    for &backend in BACKENDS {
        let run = Parallel::new(2).backend(backend).map(mirrored, [point(), point()]);
        assert_eq!(run.unwrap().results, [wanted.clone(), wanted.clone()]);
    }
}
