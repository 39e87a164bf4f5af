//! Evidence in: schedule, fetch, parse.
