"""The statements of a journal in PostgreSQL. Times are the database's own; ``at`` is given in Unix seconds.

An upload is *claimed* by its ``owner``, a process whose row in ``runs`` says until when it is taken to live.
One that is ``unknown`` has a ``look_at`` once its voice is to be looked up: the time from which a listing
must have begun to show it.
"""

from __future__ import annotations

_COLUMNS = (
    "u.key, u.state, u.audio, u.sha256, u.model, u.custom_name, u.text, u.uri, u.error, u.trace_id,"
    " u.attempts, extract(epoch FROM u.at)::float8"
)
_ALIVE = (
    "EXISTS (SELECT FROM siliconflow_voice.runs r WHERE r.owner = u.owner AND r.until > clock_timestamp())"
)

MIGRATIONS = [
    """
CREATE TABLE siliconflow_voice.account (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    address text NOT NULL,
    salt bytea NOT NULL,
    before bytea NOT NULL
);
CREATE TABLE siliconflow_voice.lookups (owner uuid);
INSERT INTO siliconflow_voice.lookups VALUES (NULL);
CREATE TABLE siliconflow_voice.keys (fingerprint bytea PRIMARY KEY);
CREATE TABLE siliconflow_voice.runs (
    owner uuid PRIMARY KEY,
    name text NOT NULL,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    alive_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    until timestamptz NOT NULL
);
CREATE TABLE siliconflow_voice.uploads (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key bytea NOT NULL UNIQUE,
    state text NOT NULL CHECK (state IN ('pending', 'unknown', 'uploaded', 'recovered', 'failed')),
    owner uuid,
    look_at timestamptz,
    candidates text[],
    audio text NOT NULL,
    sha256 text NOT NULL,
    model text NOT NULL,
    custom_name text NOT NULL,
    text text NOT NULL,
    uri text,
    error text,
    trace_id text,
    attempts integer NOT NULL DEFAULT 0,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX unknown ON siliconflow_voice.uploads (custom_name) WHERE state = 'unknown';
CREATE INDEX named ON siliconflow_voice.uploads (custom_name) WHERE uri IS NOT NULL;
CREATE INDEX uris ON siliconflow_voice.uploads (uri) WHERE uri IS NOT NULL;
""",
]

# --- processes

TIDY = """
DELETE FROM siliconflow_voice.runs r WHERE r.until < clock_timestamp() - interval '1 day'
    AND NOT EXISTS (SELECT FROM siliconflow_voice.uploads u WHERE u.state = 'unknown' AND u.owner = r.owner)
"""
REGISTER = """
INSERT INTO siliconflow_voice.runs (owner, name, until)
VALUES (%(me)s, %(name)s, clock_timestamp() + make_interval(secs => %(lease)s)) ON CONFLICT DO NOTHING
"""
BEAT = """
UPDATE siliconflow_voice.runs
SET alive_at = clock_timestamp(), until = clock_timestamp() + make_interval(secs => %(lease)s)
WHERE owner = %(me)s
"""
DEREGISTER = """
UPDATE siliconflow_voice.runs SET alive_at = clock_timestamp(), until = clock_timestamp() WHERE owner = %(me)s
"""

# --- the account

ACCOUNT = "SELECT address, salt, before FROM siliconflow_voice.account"
KNOWS = "SELECT true FROM siliconflow_voice.keys WHERE fingerprint = %(fingerprint)s"
BEGIN_ACCOUNT = """
WITH begun AS (
    INSERT INTO siliconflow_voice.account (address, salt, before)
    VALUES (%(address)s, %(salt)s, %(before)s) ON CONFLICT DO NOTHING RETURNING true
)
INSERT INTO siliconflow_voice.keys SELECT %(fingerprint)s FROM begun ON CONFLICT DO NOTHING
"""
TRUST = "INSERT INTO siliconflow_voice.keys VALUES (%(fingerprint)s) ON CONFLICT DO NOTHING"
URIS_OF = """
SELECT uri FROM siliconflow_voice.uploads WHERE uri IS NOT NULL AND custom_name = ANY (%(names)s)
"""
ANY_URI = "SELECT uri FROM siliconflow_voice.uploads WHERE uri IS NOT NULL LIMIT 1"

# --- an upload

CLAIM = f"""
WITH uploaded AS (
    SELECT FROM siliconflow_voice.uploads WHERE key = %(key)s AND uri IS NOT NULL
), claimed AS (
    INSERT INTO siliconflow_voice.uploads AS u (key, state, owner, audio, sha256, model, custom_name, text)
    SELECT %(key)s, 'pending', %(me)s, %(audio)s, %(sha256)s, %(model)s, %(custom_name)s, %(text)s
    WHERE NOT EXISTS (SELECT FROM uploaded)
    ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, audio = excluded.audio, candidates = NULL,
        look_at = CASE WHEN u.state = 'unknown' THEN make_interval(secs => %(settle)s) + greatest(
            u.at, (SELECT r.alive_at FROM siliconflow_voice.runs r WHERE r.owner = u.owner)
        ) END
    WHERE u.uri IS NULL AND (u.owner IS NULL OR u.owner = excluded.owner OR NOT {_ALIVE})
    RETURNING {_COLUMNS}
)
SELECT true, * FROM claimed
UNION ALL
SELECT false, {_COLUMNS} FROM siliconflow_voice.uploads u
WHERE u.key = %(key)s AND NOT EXISTS (SELECT FROM claimed)
"""
INTEND = """
UPDATE siliconflow_voice.uploads
SET state = 'unknown', look_at = NULL, error = NULL, at = clock_timestamp()
WHERE key = %(key)s AND owner = %(me)s AND uri IS NULL RETURNING true
"""
DONE = """
UPDATE siliconflow_voice.uploads
SET state = %(state)s, uri = %(uri)s, error = NULL, trace_id = %(trace_id)s, attempts = %(attempts)s,
    owner = NULL, look_at = NULL, candidates = NULL, at = clock_timestamp()
WHERE key = %(key)s AND (uri IS NULL OR uri = %(uri)s) RETURNING true
"""
FAILED = """
UPDATE siliconflow_voice.uploads
SET state = %(state)s, error = %(error)s, trace_id = %(trace_id)s, attempts = %(attempts)s,
    owner = NULL, look_at = NULL, at = clock_timestamp()
WHERE key = %(key)s AND owner = %(me)s AND uri IS NULL
"""
RELEASE = """
UPDATE siliconflow_voice.uploads SET owner = NULL, at = clock_timestamp()
WHERE key = %(key)s AND owner = %(me)s
"""

# --- lookups

LOOK_FOR = """
UPDATE siliconflow_voice.uploads
SET look_at = clock_timestamp() + make_interval(secs => %(after)s), candidates = NULL
WHERE key = %(key)s AND state = 'unknown' AND owner = %(me)s
"""
FIND = f"""
SELECT {_COLUMNS}, extract(epoch FROM u.look_at - clock_timestamp())::float8, u.candidates
FROM siliconflow_voice.uploads u WHERE u.key = %(key)s
"""
BEGIN_LOOKUP = f"""
UPDATE siliconflow_voice.lookups u SET owner = %(me)s
WHERE u.owner IS NULL OR u.owner = %(me)s OR NOT {_ALIVE} RETURNING true
"""
END_LOOKUP = "UPDATE siliconflow_voice.lookups SET owner = NULL WHERE owner = %(me)s"
TO_LOOK_UP = f"""
SELECT {_COLUMNS} FROM siliconflow_voice.uploads u
WHERE u.state = 'unknown' AND u.look_at <= clock_timestamp() ORDER BY u.id
"""
RIVALS = f"""
SELECT {_COLUMNS} FROM siliconflow_voice.uploads u
WHERE u.state = 'unknown' AND u.custom_name = ANY (%(names)s) AND u.key <> ALL (%(but)s)
"""
RESOLVE = """
UPDATE siliconflow_voice.uploads
SET state = %(state)s, uri = %(uri)s, candidates = %(candidates)s, look_at = NULL, at = clock_timestamp()
WHERE key = %(key)s AND state = 'unknown' AND uri IS NULL
"""

# --- by hand

COUNTS = "SELECT state, count(*) FROM siliconflow_voice.uploads GROUP BY state"
PAGE = f"""
SELECT u.id, {_COLUMNS} FROM siliconflow_voice.uploads u WHERE u.id > %(after)s ORDER BY u.id LIMIT %(size)s
"""
DECIDE = """
UPDATE siliconflow_voice.uploads
SET state = %(state)s, uri = %(uri)s, error = NULL, look_at = NULL, candidates = NULL, at = clock_timestamp()
WHERE sha256 = %(sha256)s AND custom_name = %(custom_name)s AND state = 'unknown' RETURNING true
"""
FORGET = """
UPDATE siliconflow_voice.uploads SET state = 'pending', uri = NULL, at = clock_timestamp()
WHERE uri = %(uri)s RETURNING true
"""
SUPERSEDED = f"""
WITH names AS (
    SELECT model, custom_name FROM siliconflow_voice.uploads WHERE uri IS NOT NULL
    GROUP BY 1, 2 HAVING count(*) > 1
), recordings AS (
    SELECT model, audio, sha256 FROM siliconflow_voice.uploads WHERE uri IS NOT NULL
    GROUP BY 1, 2, 3 HAVING min(text) <> max(text)
), voices AS (
    SELECT * FROM siliconflow_voice.uploads u WHERE uri IS NOT NULL AND (
        EXISTS (SELECT FROM names n WHERE (n.model, n.custom_name) = (u.model, u.custom_name))
        OR EXISTS (SELECT FROM recordings r WHERE (r.model, r.audio, r.sha256) = (u.model, u.audio, u.sha256))
    )
), u AS (
    SELECT *, first_value(uri) OVER by_name AS newest, first_value(uri) OVER by_audio AS corrected,
        first_value(text) OVER by_audio AS corrected_text
    FROM voices
    WINDOW by_name AS (PARTITION BY model, custom_name ORDER BY at DESC, id DESC),
        by_audio AS (PARTITION BY model, audio, sha256 ORDER BY at DESC, id DESC)
)
SELECT u.id, {_COLUMNS}, CASE WHEN newest <> uri THEN newest ELSE corrected END FROM u
WHERE u.id > %(after)s AND (newest <> uri OR corrected_text <> text) ORDER BY u.id LIMIT %(size)s
"""
