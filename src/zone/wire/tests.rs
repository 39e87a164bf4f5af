//! Transfers from writer to reader, and with other people's servers.

use super::*;
