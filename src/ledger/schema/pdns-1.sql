-- Times are seconds since 1970; names are in lookup form, so that a domain stands before what lies
-- below it. `kind` is 0 for one name, 1 for all that one party holds, and 2 for
-- a name that policy kept from those who asked. `days` are bits.

CREATE TABLE name (
    kind      INTEGER NOT NULL,
    name      BLOB NOT NULL,
    first_at  INTEGER NOT NULL,
    last_at   INTEGER NOT NULL,
    days      INTEGER NOT NULL,
    clients   INTEGER NOT NULL,
    today     INTEGER NOT NULL,
    yesterday INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

-- `rtype` is the record type's number, 0 for an address; the value is that of an address in four or
-- sixteen octets, or a name in lookup form.
CREATE TABLE record (
    owner    BLOB NOT NULL,
    rtype    INTEGER NOT NULL,
    value    BLOB NOT NULL,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (owner, rtype, value)
) STRICT, WITHOUT ROWID;

-- Since when anybody watches.
CREATE TABLE watch (
    since INTEGER NOT NULL
) STRICT;
