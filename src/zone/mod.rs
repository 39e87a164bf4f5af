//! Zones as data: rules under one name.
