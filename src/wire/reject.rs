//! Why a datagram was not taken. Each reason is counted, shown in `/healthz`, and has a seed in the
//! corpus.

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident => $code:literal, $words:literal;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reject { $($(#[$doc])* $variant),* }

        impl Reject {
            /// Every reason, in a fixed order.
            pub const ALL: &'static [Reject] = &[$(Reject::$variant),*];

            /// The stable name used in `/healthz` and `/metrics`.
            pub const fn code(self) -> &'static str {
                match self { $(Reject::$variant => $code),* }
            }

            /// The reason in words, for a person.
            pub const fn words(self) -> &'static str {
                match self { $(Reject::$variant => $words),* }
            }
        }
    };
}

reasons! {
    Empty => "empty", "empty datagram";
    TooLong => "too_long", "longer than a datagram can be";
    BadMagic => "bad_magic", "neither JSON nor zlib nor a sealed datagram";
    /// A sealed datagram of a version, shape or key that this server does not have.
    Sealed => "sealed", "sealed, but no key of this server opens it";
    /// The key is known, but the tag is not its own.
    BadSeal => "bad_seal", "sealed, but not with the key that it names";
    /// The number was taken before, or is too old to tell.
    Replayed => "replayed", "a sealed datagram that was taken before";
    BadZlib => "bad_zlib", "bad zlib header or data";
    TooBig => "too_big", "inflates to more than 128 KiB";
    BadUtf8 => "bad_utf8", "not UTF-8";
    BadJson => "bad_json", "not one JSON object";
    TooDeep => "too_deep", "JSON nested too deep";
    TooManyNodes => "too_many_nodes", "too many JSON values";
    TooManyLeaves => "too_many_leaves", "too many values in plugin data";
    DuplicateKey => "duplicate_key", "the same top-level key twice";
    KeyTooLong => "key_too_long", "a key of plugin data is too long";
    MissingId => "missing_id", "no message ID";
    UnknownId => "unknown_id", "a message ID this server does not know";
    NotForServer => "not_for_server", "a message that only servers send";
    SealedOnly => "sealed_only", "a message that is taken sealed only";
    MissingName => "missing_name", "no host name";
    BadName => "bad_name", "not a host name";
    BadField => "bad_field", "a field has the wrong type or is out of range";
    /// The name is not declared, keyed or accepted, and `udp_policy` is not `open`.
    UnknownHost => "unknown_host", "not a known host (udp_policy)";
    HostsFull => "hosts_full", "the host table is full (hosts_max)";
    NewHostRate => "new_host_rate", "too many new names from this address";
    HostRate => "host_rate", "too many datagrams from this host";
    AddressRate => "address_rate", "too many datagrams from this address";
    AddressNotAllowed => "address_not_allowed", "the host may not speak from this address (addr)";
    /// The host has a key, so plain datagrams never count.
    PlainForKeyed => "plain_for_keyed", "plain datagram of a host that has a key";
    PluginsFull => "plugins_full", "the host has too many plugins";
    MetricsFull => "metrics_full", "the host has too many metrics";
}

impl std::fmt::Display for Reject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.words())
    }
}
