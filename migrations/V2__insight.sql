-- What the rows of the history come to, counted once (src/history/rollup.rs), so that nobody has to read them all.
--
-- The ids are those of a room or PC times 2^32, plus when: seconds since 1970 of the beginning of a half hour, or the
-- number of a day since then, in the zone of the setup. So what belongs together lies together.
CREATE TABLE rooms (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);

-- Seconds: those in which there was a PC in the room, and those that all its PCs were in each state, added up.
CREATE TABLE roomHalfHours (id INTEGER PRIMARY KEY, covered INTEGER, pcs INTEGER, peak INTEGER, o INTEGER, x INTEGER,
    wf INTEGER, lf INTEGER, wu INTEGER, lu INTEGER, wx INTEGER, lx INTEGER);
CREATE TABLE roomDays (id INTEGER PRIMARY KEY, covered INTEGER, pcs INTEGER, peak INTEGER, o INTEGER, x INTEGER,
    wf INTEGER, lf INTEGER, wu INTEGER, lu INTEGER, wx INTEGER, lx INTEGER);

-- How many rows a PC had, how many of them said that it is used, how many there were in its worst hour, and which that was.
CREATE TABLE pcDays (id INTEGER PRIMARY KEY, changes INTEGER, used INTEGER, worst INTEGER, hour INTEGER);

-- The state of each PC after the last row that is counted, for which room its time counts, in which hour its last rows
-- were, and how many these are.
CREATE TABLE countedPcs (id INTEGER PRIMARY KEY, room INTEGER, occupation TEXT, hour INTEGER, changes INTEGER);

-- How far is counted: up to which row, to when, and when the last row was. Half hours begin at `phase` past 0 or 30.
CREATE TABLE counted (one INTEGER PRIMARY KEY CHECK (one = 1), row INTEGER, at INTEGER, last INTEGER, phase INTEGER);
INSERT INTO counted VALUES (1, 0, NULL, 0, NULL);
