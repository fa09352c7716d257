//! Circles in a graph of files.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// For each import that stands in a circle the shortest one, from its first file back to it; the
/// shortest of all first.
pub(super) fn shortest(imports: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<&str>> {
    let mut circles = BTreeSet::new();
    for (from, imported) in imports {
        for to in imported {
            if let Some(mut circle) = way(to, from, imports) {
                // The same circle may be met from each of its files.
                let first = (0..circle.len()).min_by_key(|&nth| circle[nth]).unwrap_or(0);
                circle.rotate_left(first);
                circle.push(circle[0]);
                circles.insert((circle.len(), circle));
            }
        }
    }
    circles.into_iter().map(|(_, circle)| circle).collect()
}

/// The files on the shortest way from one file to another, both included.
fn way<'a>(
    from: &'a str,
    to: &str,
    imports: &'a BTreeMap<String, BTreeSet<String>>,
) -> Option<Vec<&'a str>> {
    let mut reached_from: BTreeMap<&str, Option<&str>> = BTreeMap::from([(from, None)]);
    let mut waiting = VecDeque::from([from]);
    while let Some(file) = waiting.pop_front() {
        if file == to {
            let mut way = vec![file];
            while let Some(Some(before)) = way.last().and_then(|file| reached_from.get(*file)) {
                way.push(before);
            }
            way.reverse();
            return Some(way);
        }
        for next in imports.get(file).into_iter().flatten().map(String::as_str) {
            reached_from.entry(next).or_insert_with(|| {
                waiting.push_back(next);
                Some(file)
            });
        }
    }
    None
}
