-- What was asked of services, by minute, so that budgets hold over a restart. The key is known by
-- the beginning of its hash.
CREATE TABLE spend (
    provider TEXT NOT NULL,
    key_tag  TEXT NOT NULL,
    minute   INTEGER NOT NULL,
    units    INTEGER NOT NULL,
    PRIMARY KEY (provider, key_tag, minute)
) STRICT, WITHOUT ROWID;
