//! "Did you mean": names close to one that does not exist.

use crate::engine::view::View;

const NEAR_MAX: usize = 3;
/// Names compared letter by letter in one request.
const COMPARED_MAX: usize = 20_000;

/// At most three names that begin with `name`, or differ from it by two letters at most; the
/// closest first.
pub fn names<'a>(view: &'a View, name: &str) -> Vec<&'a str> {
    let name = name.to_ascii_lowercase();
    if name.is_empty() || name.len() > crate::limits::NAME_MAX {
        return Vec::new();
    }
    let mut near: Vec<(usize, &str)> = Vec::new();
    let start = view.names.partition_point(|(own, _)| **own < *name);
    let longer = view.names[start..].iter().take_while(|(own, _)| own.starts_with(&*name));
    near.extend(longer.take(NEAR_MAX).map(|(own, _)| (1, &**own)));
    for (own, _) in view.names.iter().take(COMPARED_MAX) {
        // Who leaves the domain out means the first label.
        let part = if name.contains('.') { &**own } else { own.split('.').next().unwrap_or(own) };
        if part.len().abs_diff(name.len()) <= 2 && !near.iter().any(|(_, n)| *n == &**own) {
            let distance = distance(part.as_bytes(), name.as_bytes());
            if distance <= 2 {
                near.push((distance, own));
            }
        }
    }
    near.sort();
    near.truncate(NEAR_MAX);
    near.into_iter().map(|(_, name)| name).collect()
}

/// At most three of the words that differ from `wish` by two letters at most, by one in a short one.
pub fn words<'a>(known: impl Iterator<Item = &'a str>, wish: &str) -> Vec<&'a str> {
    let (wish, slack) = (wish.to_lowercase(), if wish.len() > 2 { 2 } else { 1 });
    let mut near: Vec<(usize, &str)> = known
        .take(COMPARED_MAX)
        .filter(|own| {
            own.len().abs_diff(wish.len()) <= slack && own.len() <= crate::limits::NAME_MAX
        })
        .map(|own| (distance(own.to_lowercase().as_bytes(), wish.as_bytes()), own))
        .filter(|(distance, _)| *distance <= slack)
        .collect();
    near.sort();
    near.truncate(NEAR_MAX);
    near.into_iter().map(|(_, own)| own).collect()
}

/// Letters to insert, remove or replace (Levenshtein).
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::fixture;

    #[test]
    fn close_names_are_found_and_distant_ones_are_not() {
        let view = fixture::view(16);
        let table: [(&str, &[&str]); 5] = [
            ("db-2", &["db-01.bsl"]),
            ("db-02.bsl", &["db-01.bsl", "web-02.bsl"]),
            ("RTR", &["rtr-aarau", "rtr-chur"]),
            ("printer", &[]),
            ("", &[]),
        ];
        for (name, want) in table {
            assert_eq!(names(&view, name), want, "{name}");
        }
    }
}
