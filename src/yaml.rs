//! YAML text into the configuration tree, with line and column of every key and value.
