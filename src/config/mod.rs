//! The configuration file, turned into each module's own settings.
