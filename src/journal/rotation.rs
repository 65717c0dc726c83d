//! Rotation: when it is due, and by which renames. `0` stands for the journal itself, `n` for its backup `<name>.n`.

/// Backups that a configuration can ask for.
const BACKUPS_MAX: u32 = 1000;

/// `journal_max_size` (bytes) and `journal_max_backups`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    pub size_max: u64,
    pub backups_max: u32,
}

/// One change of a directory. Each is atomic, and after each of them every line still lies in exactly one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Rename { from: u32, to: u32 },
    Remove(u32),
}

impl Rotation {
    /// Whether a file of `len` bytes is rotated before a line of `line` bytes. A line larger than the limit has
    /// a file for itself.
    pub fn is_due(self, len: u64, line: usize) -> bool {
        len > 0 && len.saturating_add(line as u64) > self.size_max
    }

    /// What makes room for a new journal, in this order. The oldest backup goes when all places are taken; after
    /// a rotation that was cut short the gap it left is filled first.
    pub fn steps(self, exists: impl Fn(u32) -> bool) -> Vec<Step> {
        let mut steps: Vec<Step> = (self.backups_max + 1..=BACKUPS_MAX)
            .take_while(|n| exists(*n))
            .map(Step::Remove)
            .collect();
        steps.reverse();
        if self.backups_max == 0 {
            steps.push(Step::Remove(0));
            return steps;
        }
        let free = (1..self.backups_max).find(|n| !exists(*n)).unwrap_or(self.backups_max);
        steps.extend((0..free).rev().map(|n| Step::Rename { from: n, to: n + 1 }));
        steps
    }
}

/// `messages.journal` for 0, `messages.journal.1` for the newest backup.
pub fn file_name(name: &str, n: u32) -> String {
    if n == 0 { name.to_owned() } else { format!("{name}.{n}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn rotation_is_due_before_the_line_that_would_pass_the_limit() {
        let rotation = Rotation { size_max: 100, backups_max: 1 };
        for (len, line, due) in [
            (0, 1, false),
            (0, 500, false),
            (90, 10, false),
            (90, 11, true),
            (100, 1, true),
            (1, 100, true),
        ] {
            assert_eq!(rotation.is_due(len, line), due, "{len} {line}");
        }
    }

    #[test]
    fn steps_table() {
        let table: [(u32, &[u32], &str); 7] = [
            (0, &[0], "-0"),
            (3, &[0], "0>1"),
            (3, &[0, 1], "1>2 0>1"),
            (3, &[0, 1, 2, 3], "2>3 1>2 0>1"),
            (3, &[0, 2, 3], "0>1"),
            (1, &[0, 1, 2, 3], "-3 -2 0>1"),
            (0, &[0, 1, 2], "-2 -1 -0"),
        ];
        for (backups_max, present, want) in table {
            let steps = Rotation { size_max: 1, backups_max }.steps(|n| present.contains(&n));
            let shown: Vec<String> = steps
                .iter()
                .map(|step| match step {
                    Step::Rename { from, to } => format!("{from}>{to}"),
                    Step::Remove(n) => format!("-{n}"),
                })
                .collect();
            assert_eq!(shown.join(" "), want, "{backups_max} {present:?}");
        }
    }

    /// A directory as a map, and lines as (number, length).
    #[derive(Default)]
    struct Model {
        files: BTreeMap<u32, Vec<(u32, usize)>>,
        next: u32,
    }

    impl Model {
        fn len(&self, n: u32) -> u64 {
            self.files.get(&n).map_or(0, |lines| lines.iter().map(|(_, len)| *len as u64).sum())
        }

        /// Rotates, but for steps beyond `steps_max`: the process was killed there.
        fn rotate(&mut self, rotation: Rotation, steps_max: usize) {
            let steps = rotation.steps(|n| self.files.contains_key(&n));
            for step in steps.into_iter().take(steps_max) {
                match step {
                    Step::Remove(n) => drop(self.files.remove(&n)),
                    Step::Rename { from, to } => {
                        if let Some(lines) = self.files.remove(&from) {
                            self.files.insert(to, lines);
                        }
                    }
                }
            }
        }

        fn write(&mut self, rotation: Rotation, len: usize, steps_max: usize) {
            if rotation.is_due(self.len(0), len) {
                self.rotate(rotation, steps_max);
                if rotation.is_due(self.len(0), len) {
                    return;
                }
            }
            self.files.entry(0).or_default().push((self.next, len));
            self.next += 1;
        }

        /// Oldest first.
        fn lines(&self) -> Vec<u32> {
            self.files.values().rev().flatten().map(|(number, _)| *number).collect()
        }
    }

    proptest! {
        #[test]
        fn rotation_loses_no_line_that_it_should_keep(
            size_max in 50u64..500,
            backups_max in 0u32..5,
            writes in proptest::collection::vec((1usize..120, 0usize..8), 1..200),
        ) {
            let rotation = Rotation { size_max, backups_max };
            let mut model = Model::default();
            for (len, cut) in writes {
                let full = model.files.len() as u32 > backups_max;
                let before = model.lines();
                // Most rotations run to their end; some are cut short.
                model.write(rotation, len, if cut < 4 { cut } else { usize::MAX });
                let after = model.lines();
                prop_assert!(after.windows(2).all(|w| w[0] + 1 == w[1]), "in order, without gaps: {:?}", after);
                if !full {
                    prop_assert!(before.iter().all(|number| after.contains(number)));
                }
                for (n, lines) in &model.files {
                    prop_assert!(*n <= backups_max);
                    prop_assert!(model.len(*n) <= size_max || lines.len() == 1);
                }
            }
        }
    }
}
