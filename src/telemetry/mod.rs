//! Log, metrics and the bounded stream of query events.
