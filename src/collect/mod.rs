//! What a machine says of itself: pure parsers of `/proc`, `/sys` and tool output, and the plugins over them.
