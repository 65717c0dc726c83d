//! Names as numbers: a plugin of a host is a group, a metric of a plugin is a column.
//!
//! Owns both tables and how a metric path finds its columns. Ids are given once and never again, so that what is
//! kept of a host that was dropped belongs to nobody, and not to one that later has its name.

use crate::config::server::containers;
use crate::engine::record::Shape;
use crate::limits;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The plugin name under which round trips are kept.
pub const RTT: &str = "rtt";
/// The group of a host itself, under which its standings are kept.
pub const HOST: &str = "";

/// A name that has an id since the last [`Catalog::take_news`].
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    Group { id: u32, host: Arc<str>, plugin: Arc<str> },
    Column { id: u32, plugin: Arc<str>, leaf: Arc<str> },
}

#[derive(Default)]
pub struct Catalog {
    groups: BTreeMap<Arc<str>, Vec<(Arc<str>, u32)>>,
    group_count: usize,
    group_next: u32,
    columns: BTreeMap<Arc<str>, BTreeMap<Arc<str>, u32>>,
    /// By id.
    names: HashMap<u32, (Arc<str>, Arc<str>)>,
    column_next: u32,
    /// The columns of shapes, by where they stand; each holds its shape, so that no other comes to stand there.
    shapes: HashMap<usize, (Arc<Shape>, Arc<[u32]>)>,
    news: Vec<News>,
}

impl Catalog {
    /// Takes over what was kept.
    pub fn restore(&mut self, name: News) {
        match name {
            News::Group { id, host, plugin } => {
                self.group_next = self.group_next.max(id.saturating_add(1));
                if host.is_empty() {
                    // Of a host that was dropped only the number is left.
                    return;
                }
                let plugin = self.plugin(&plugin);
                self.groups.entry(host).or_default().push((plugin, id));
                self.group_count += 1;
            }
            News::Column { id, plugin, leaf } => {
                let plugin = self.plugin(&plugin);
                self.names.insert(id, (plugin.clone(), leaf.clone()));
                self.columns.entry(plugin).or_default().insert(leaf, id);
                self.column_next = self.column_next.max(id.saturating_add(1));
            }
        }
    }

    /// One copy of each plugin's name.
    fn plugin(&self, name: &str) -> Arc<str> {
        let known = self.columns.get_key_value(name).map(|(known, _)| known.clone());
        known.unwrap_or_else(|| name.into())
    }

    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Ids below this were given.
    pub fn group_end(&self) -> u32 {
        self.group_next
    }

    /// All groups that belong to a host, in the order of their ids.
    pub fn group_ids(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self.groups.values().flatten().map(|(_, id)| *id).collect();
        ids.sort_unstable();
        ids
    }

    pub fn hosts(&self) -> impl Iterator<Item = &Arc<str>> {
        self.groups.keys()
    }

    pub fn find_group(&self, host: &str, plugin: &str) -> Option<u32> {
        let groups = self.groups.get(host)?;
        groups.iter().find(|(name, _)| **name == *plugin).map(|(_, id)| *id)
    }

    /// The id of a group, given now where it has none; `None` where there are too many.
    pub fn group(&mut self, host: &Arc<str>, plugin: &str) -> Option<u32> {
        if let Some(id) = self.find_group(host, plugin) {
            return Some(id);
        }
        if self.group_count >= limits::HISTORY_GROUPS || self.group_next == u32::MAX {
            return None;
        }
        let id = self.group_next;
        let name = News::Group { id, host: host.clone(), plugin: self.plugin(plugin) };
        self.restore(name.clone());
        self.news.push(name);
        Some(id)
    }

    /// Forgets a host: the ids of its groups, which nobody gets any more.
    pub fn drop_host(&mut self, host: &str) -> Vec<u32> {
        let groups = self.groups.remove(host).unwrap_or_default();
        self.group_count -= groups.len();
        groups.into_iter().map(|(_, id)| id).collect()
    }

    pub fn find_column(&self, plugin: &str, leaf: &str) -> Option<u32> {
        self.columns.get(plugin)?.get(leaf).copied()
    }

    pub fn column(&mut self, plugin: &str, leaf: &str) -> Option<u32> {
        if let Some(id) = self.find_column(plugin, leaf) {
            return Some(id);
        }
        if self.names.len() >= limits::HISTORY_COLUMNS || self.column_next == u32::MAX {
            return None;
        }
        let id = self.column_next;
        let name = News::Column { id, plugin: self.plugin(plugin), leaf: leaf.into() };
        self.restore(name.clone());
        self.news.push(name);
        Some(id)
    }

    /// The columns of a shape, in its order; `None` where there are too many.
    pub fn columns_of(&mut self, shape: &Arc<Shape>) -> Option<Arc<[u32]>> {
        let key = Arc::as_ptr(shape) as usize;
        if let Some((_, columns)) = self.shapes.get(&key) {
            return Some(columns.clone());
        }
        if self.shapes.len() >= limits::HISTORY_SHAPES {
            self.shapes.retain(|_, (shape, _)| Arc::strong_count(shape) > 1);
            if self.shapes.len() >= limits::HISTORY_SHAPES {
                self.shapes.clear();
            }
        }
        let leaves = shape.leaves().iter();
        let ids: Option<Arc<[u32]>> =
            leaves.map(|leaf| self.column(shape.plugin(), leaf)).collect();
        let ids = ids?;
        self.shapes.insert(key, (shape.clone(), ids.clone()));
        Some(ids)
    }

    /// The leaf's path within its plugin's data.
    pub fn leaf(&self, column: u32) -> Option<&Arc<str>> {
        self.names.get(&column).map(|(_, leaf)| leaf)
    }

    /// Where the numbers of a metric path of a host are: its group and the columns that go by that name, with and
    /// without the container that a path may leave out. `None` where nothing is known of it.
    pub fn resolve(&self, host: &str, path: &str) -> Option<(u32, Vec<u32>)> {
        if let Some(families) = rtt_families(host, path) {
            let group = self.find_group(host, RTT)?;
            let known = self.columns.get(RTT)?;
            let ids = families.iter().filter_map(|family| known.get(*family)).copied().collect();
            return Some((group, ids));
        }
        let (plugin, metric) = path.split_once('.')?;
        if plugin == RTT {
            return None;
        }
        let group = self.find_group(host, plugin)?;
        let known = self.columns.get(plugin)?;
        let mut ids: Vec<u32> = known.get(metric).copied().into_iter().collect();
        for container in containers(plugin) {
            ids.extend(known.get(format!("{container}.{metric}").as_str()));
        }
        if plugin == "memory_monitor" && matches!(metric, "percent" | "memory_percent") {
            ids.extend(known.get("percent").into_iter().chain(known.get("memory_percent")));
            ids.sort_unstable();
            ids.dedup();
        }
        Some((group, ids))
    }
}

/// The families that a round trip's path means: `rtt.web1` both, `rtt.web1.ipv6` one; `rtt`, `rtt.ipv6` the same of
/// the host that is asked about.
fn rtt_families(host: &str, path: &str) -> Option<&'static [&'static str]> {
    const BOTH: &[&str] = &["ipv4", "ipv6"];
    let rest = path.strip_prefix(RTT)?;
    let rest = match rest.strip_prefix('.') {
        Some(rest) => rest,
        None if rest.is_empty() => return Some(BOTH),
        None => return None,
    };
    let family = match rest.get(..host.len()) {
        Some(name) if name.eq_ignore_ascii_case(host) => &rest[host.len()..],
        _ if BOTH.contains(&rest) => {
            return Some(if rest == "ipv4" { &BOTH[..1] } else { &BOTH[1..] });
        }
        _ => return None,
    };
    match family {
        "" => Some(BOTH),
        ".ipv4" => Some(&BOTH[..1]),
        ".ipv6" => Some(&BOTH[1..]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        let host: Arc<str> = "web1.lan".into();
        for (plugin, leaves) in [
            ("disk_monitor", &["partitions./.percent", "io.sda.busy_percent"][..]),
            ("network_monitor", &["interfaces.eth0.errors_total", "errors_total"]),
            ("rtt", &["ipv4", "ipv6"]),
            ("mine", &["partitions.x"]),
            ("memory_monitor", &["memory_percent"]),
        ] {
            catalog.group(&host, plugin).unwrap();
            for leaf in leaves {
                catalog.column(plugin, leaf).unwrap();
            }
        }
        catalog
    }

    #[test]
    fn metric_paths_find_their_columns() {
        let catalog = catalog();
        let table = [
            ("disk_monitor./.percent", Some(&["partitions./.percent"][..])),
            ("disk_monitor.partitions./.percent", Some(&["partitions./.percent"])),
            ("disk_monitor.sda.busy_percent", Some(&["io.sda.busy_percent"])),
            ("network_monitor.errors_total", Some(&["errors_total"])),
            ("network_monitor.eth0.errors_total", Some(&["interfaces.eth0.errors_total"])),
            ("mine.partitions.x", Some(&["partitions.x"])),
            ("mine.x", Some(&[])),
            ("memory_monitor.percent", Some(&["memory_percent"])),
            ("rtt", Some(&["ipv4", "ipv6"])),
            ("rtt.web1.lan", Some(&["ipv4", "ipv6"])),
            ("rtt.WEB1.lan.ipv6", Some(&["ipv6"])),
            ("rtt.ipv4", Some(&["ipv4"])),
            ("rtt.other", None),
            ("other.x", None),
            ("disk_monitor", None),
        ];
        for (path, want) in table {
            let found = catalog.resolve("web1.lan", path).map(|(_, ids)| {
                ids.iter().map(|id| catalog.leaf(*id).unwrap().to_string()).collect::<Vec<_>>()
            });
            let want = want.map(|w| w.iter().map(|s| (*s).to_owned()).collect());
            assert_eq!(found, want, "{path}");
        }
        assert_eq!(catalog.resolve("web2", "mine.x"), None);
    }

    #[test]
    fn ids_survive_and_are_never_given_twice() {
        let mut first = catalog();
        let news = first.take_news();
        let mut second = Catalog::default();
        news.into_iter().for_each(|name| second.restore(name));
        let path = "disk_monitor./.percent";
        assert_eq!(first.resolve("web1.lan", path), second.resolve("web1.lan", path));
        assert_eq!(second.take_news(), []);
        let end = second.group_end();
        assert_eq!(second.drop_host("web1.lan").len(), 5);
        assert_eq!(second.group(&"web1.lan".into(), "mine"), Some(end));
    }

    #[test]
    fn a_shape_is_looked_up_once() {
        let mut catalog = Catalog::default();
        let shape = Arc::new(Shape::new("p", &["a", "b"]));
        let ids = catalog.columns_of(&shape).unwrap();
        assert!(Arc::ptr_eq(&ids, &catalog.columns_of(&shape).unwrap()));
        assert_eq!(*ids, [0, 1]);
        for i in 0..limits::HISTORY_SHAPES + 5 {
            catalog.columns_of(&Arc::new(Shape::new("p", &["a", &format!("c{}", i % 3)]))).unwrap();
        }
        assert!(catalog.shapes.len() <= limits::HISTORY_SHAPES);
    }
}
