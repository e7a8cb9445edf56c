//! Nodes whose clocks differ, and nodes that were cut off.
