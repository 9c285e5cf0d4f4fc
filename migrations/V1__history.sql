-- The history: who said what of which PC, in the order of the versions (invariant 5).
--
-- The names are those of the database this one replaces, so that queries written for it keep working. Its columns were
-- declared STRING, which has numeric affinity and turned "007" into 7: here they are TEXT.
PRAGMA application_id = 1953194596; -- "tkbd": what tells this file from another program's

-- A name is damaged when the text somebody once pushed can no longer be told from what is stored. It stays for
-- the rows that need it, but no push finds it: a PC named "7" that is pushed today gets a row of its own.
CREATE TABLE sources (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    damaged INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX sources_name ON sources (name) WHERE NOT damaged;

-- `occupation` is the state in the PC's last row, kept here so that a start need not look for it in all rows.
CREATE TABLE pcs (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    damaged INTEGER NOT NULL DEFAULT 0,
    occupation TEXT
);
CREATE UNIQUE INDEX pcs_name ON pcs (name) WHERE NOT damaged;

-- One row a changed PC and push. The ids have no gaps, so that the n-th row is found by its id. `datetime` and
-- `occupation` may hold what an original database held, whatever that is.
CREATE TABLE occupationUpdates (
    id INTEGER PRIMARY KEY,
    pc INTEGER NOT NULL REFERENCES pcs (id),
    source INTEGER NOT NULL REFERENCES sources (id),
    datetime INTEGER,
    occupation TEXT
);
CREATE INDEX pc_datetime ON occupationUpdates (pc, datetime);

-- One row. `ahead` is how far the versions that clients have seen may be past the recorded ones; `commits` counts
-- transactions, so that after a failed commit it can be known whether it took effect.
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    occupation INTEGER NOT NULL DEFAULT 0,
    roomMap INTEGER NOT NULL DEFAULT 0,
    schedule INTEGER NOT NULL DEFAULT 0,
    tagMap INTEGER NOT NULL DEFAULT 0,
    ahead INTEGER NOT NULL DEFAULT 0,
    commits INTEGER NOT NULL DEFAULT 0,
    clean INTEGER NOT NULL DEFAULT 1,
    digestRoomMap INTEGER,
    digestSchedule INTEGER,
    digestTagMap INTEGER
);
INSERT INTO state (one) VALUES (1);

-- What channels listen to, for clients that come back after a restart. A filter is `*` for everything, else tags with
-- spaces between. `ended` is when the channel ended, NULL while it lives.
CREATE TABLE filters (
    id INTEGER PRIMARY KEY,
    token TEXT NOT NULL UNIQUE,
    occupation TEXT NOT NULL,
    roomMap TEXT NOT NULL,
    schedule TEXT NOT NULL,
    ended INTEGER
);
