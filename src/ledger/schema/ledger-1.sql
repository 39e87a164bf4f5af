-- Times are seconds since 1970; names are in lookup form, so that a domain stands before what lies
-- below it; lists and facts are JSON.

CREATE TABLE lookup (
    id          INTEGER PRIMARY KEY,
    provider    TEXT NOT NULL,
    indicator   TEXT NOT NULL,
    asked_at    INTEGER NOT NULL,
    outcome     TEXT NOT NULL,
    body_sha256 TEXT,
    facts       TEXT NOT NULL,
    keep_until  INTEGER NOT NULL
) STRICT;
CREATE INDEX lookup_indicator ON lookup (indicator, asked_at);
CREATE INDEX lookup_asked ON lookup (asked_at);

CREATE TABLE registration (
    domain        BLOB PRIMARY KEY,
    outcome       TEXT NOT NULL,
    protocol      TEXT NOT NULL,
    server        TEXT NOT NULL,
    asked_at      INTEGER NOT NULL,
    keep_until    INTEGER NOT NULL,
    registered_at INTEGER,
    changed_at    INTEGER,
    expires_at    INTEGER,
    registrar     TEXT,
    statuses      TEXT NOT NULL,
    name_servers  TEXT NOT NULL,
    body_sha256   TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX registration_asked ON registration (asked_at);

CREATE TABLE draw (
    indicator  TEXT PRIMARY KEY,
    source     TEXT NOT NULL,
    drawn_from INTEGER NOT NULL,
    drawn_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    id           INTEGER PRIMARY KEY,
    indicator    TEXT NOT NULL,
    answer       TEXT NOT NULL,
    by           TEXT NOT NULL,
    at           INTEGER NOT NULL,
    sources      TEXT NOT NULL,
    drawn_source TEXT,
    drawn_from   INTEGER
) STRICT;

CREATE TABLE report (
    id        INTEGER PRIMARY KEY,
    indicator TEXT NOT NULL,
    answer    TEXT NOT NULL,
    by        TEXT NOT NULL,
    at        INTEGER NOT NULL,
    note      TEXT,
    sources   TEXT NOT NULL,
    level     TEXT NOT NULL
) STRICT;

CREATE TABLE sign (
    kind       TEXT NOT NULL,
    client_group TEXT NOT NULL,
    subject    BLOB NOT NULL,
    first_at   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    evidence   TEXT NOT NULL,
    PRIMARY KEY (kind, client_group, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE mute (
    id           INTEGER PRIMARY KEY,
    subject      BLOB NOT NULL,
    kind         TEXT,
    client_group TEXT,
    until        INTEGER NOT NULL,
    by           TEXT NOT NULL,
    at           INTEGER NOT NULL,
    reason       TEXT
) STRICT;
