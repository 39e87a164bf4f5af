//! Policy files to decisions, decisions to rules.
