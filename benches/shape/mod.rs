//! The datagrams of the benchmarks in their usual shapes, one for each host.

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    Htb,
    Plg,
    Garbage,
}

/// One datagram for each host.
pub struct Load {
    pub datagrams: Vec<Vec<u8>>,
}

impl Load {
    pub fn new(shape: Shape, hosts: usize) -> Load {
        let mut prng = heartbeat::prng::Prng::new(7);
        let datagrams = (0..hosts).map(|i| match shape {
            Shape::Htb => htb(i),
            Shape::Plg => plg(i),
            Shape::Garbage => (0..60 + prng.below(400)).map(|_| prng.next_u64() as u8).collect(),
        });
        Load { datagrams: datagrams.collect() }
    }
}

pub fn htb(i: usize) -> Vec<u8> {
    format!(
        r#"{{"ID":"HTB","name":"host-{i:05}","seq":{},"interval":30,"rtt":0.412,"up":86400,"v":"0.1.0"}}"#,
        i + 1
    )
    .into_bytes()
}

/// A disk_monitor of 17 values, compressed as agents do.
pub fn plg(i: usize) -> Vec<u8> {
    let partition = |size: u32, used: u32| {
        format!(
            r#"{{"percent":{:.1},"total_gb":{size}.41,"used_gb":{used}.08,"free_gb":{}.33,"free_mb":{}.5}}"#,
            f64::from(used) * 100.0 / f64::from(size),
            size - used,
            (size - used) * 1024
        )
    };
    let json = format!(
        concat!(
            r#"{{"ID":"PLG","name":"host-{:05}","seq":{},"plugin":"disk_monitor","every":300,"#,
            r#""data":{{"partitions":{{"/":{},"/var":{},"/home":{}}},"#,
            r#""io":{{"sda":{{"read_mb_s":1.25,"write_mb_s":0.75}}}}}}}}"#
        ),
        i,
        i + 1,
        partition(50, 20),
        partition(200, 75),
        partition(900, 610)
    );
    miniz_oxide::deflate::compress_to_vec_zlib(json.as_bytes(), 6)
}
