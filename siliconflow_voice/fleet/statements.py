"""The fleet's tables in PostgreSQL, submissions, their chunks of rows, and workers; and their statements.

A chunk that is ``waiting`` or ``running`` has a job in procrastinate's table, whose arguments are its key.
Its ``worker`` is the only process that writes its results. Rows and results are ``json``, which unlike
``jsonb`` keeps a NUL. All times are the database's own.
"""

from __future__ import annotations

__all__: list[str] = []

MIGRATIONS = (
    """
CREATE TABLE siliconflow_voice.fleet_submissions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    manifest text NOT NULL,
    columns json NOT NULL,
    root bytea NOT NULL,
    allow_outside boolean NOT NULL,
    rows integer NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE siliconflow_voice.fleet_chunks (
    submission bigint NOT NULL REFERENCES siliconflow_voice.fleet_submissions (id),
    number integer NOT NULL,
    size integer NOT NULL,
    rows json NOT NULL,
    results json NOT NULL,
    done integer NOT NULL,
    failed integer NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'cancelled')),
    job bigint,
    worker uuid,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (submission, number)
);
CREATE INDEX fleet_unfinished ON siliconflow_voice.fleet_chunks (submission, number)
    WHERE state IN ('waiting', 'running');
CREATE TABLE siliconflow_voice.fleet_workers (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    done bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    per_second float8 NOT NULL DEFAULT 0,
    requests_per_minute float8,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    until timestamptz NOT NULL
);
""",
)

# --- submissions

SUBMIT = """
INSERT INTO siliconflow_voice.fleet_submissions (digest, manifest, columns, root, allow_outside, rows)
VALUES (%(digest)s, %(manifest)s, %(columns)s, %(root)s, %(allow_outside)s, %(rows)s)
ON CONFLICT (digest) DO UPDATE SET manifest = excluded.manifest RETURNING id
"""
# Two who submit the same at once do so one after the other, chunk by chunk.
LOCK = "SELECT FROM siliconflow_voice.fleet_submissions WHERE id = %(submission)s FOR UPDATE"
PRESENT = """
SELECT number, state, failed, results FROM siliconflow_voice.fleet_chunks
WHERE submission = %(submission)s AND number = ANY (%(numbers)s) FOR UPDATE
"""
PUT = """
INSERT INTO siliconflow_voice.fleet_chunks
    (submission, number, size, rows, results, done, failed, state, job)
VALUES (%(submission)s, %(number)s, %(size)s, %(rows)s, %(results)s, %(done)s, %(failed)s, %(state)s, %(job)s)
ON CONFLICT (submission, number) DO UPDATE
SET results = excluded.results, done = excluded.done, failed = excluded.failed, state = excluded.state,
    job = excluded.job, worker = NULL, at = clock_timestamp()
"""
CANCEL = """
WITH cancelled AS (
    UPDATE siliconflow_voice.fleet_chunks SET state = 'cancelled', at = clock_timestamp()
    WHERE state IN ('waiting', 'running') AND (%(submission)s::bigint IS NULL OR submission = %(submission)s)
    RETURNING job, size - done - failed AS rows
), unqueued AS (
    DELETE FROM procrastinate_jobs USING cancelled
    WHERE procrastinate_jobs.id = cancelled.job AND procrastinate_jobs.status = 'todo'
)
SELECT coalesce(sum(rows), 0)::bigint FROM cancelled
"""
SUBMISSION = """
SELECT root, columns FROM siliconflow_voice.fleet_submissions
WHERE %(submission)s::bigint IS NULL OR id = %(submission)s ORDER BY id
"""
PAGE = """
SELECT submission, number, rows, results FROM siliconflow_voice.fleet_chunks
WHERE (submission, number) > (%(submission)s, %(number)s) AND failed >= %(failed)s
    AND (%(only)s::bigint IS NULL OR submission = %(only)s) ORDER BY submission, number LIMIT %(chunks)s
"""

# --- chunks, as a worker has them

TAKE = """
UPDATE siliconflow_voice.fleet_chunks c SET state = 'running', worker = %(worker)s, at = clock_timestamp()
FROM siliconflow_voice.fleet_submissions s
WHERE s.id = c.submission AND c.submission = %(submission)s AND c.number = %(number)s
    AND c.state IN ('waiting', 'running')
RETURNING c.rows, c.results, s.root, s.allow_outside
"""
RECORD = """
UPDATE siliconflow_voice.fleet_chunks
SET results = %(results)s, done = %(done)s, failed = %(failed)s, at = clock_timestamp(),
    state = CASE WHEN state = 'running' THEN %(state)s ELSE state END
WHERE submission = %(submission)s AND number = %(number)s AND worker = %(worker)s RETURNING state
"""
UNFINISHED = """
SELECT count(*) FROM siliconflow_voice.fleet_chunks WHERE state IN ('waiting', 'running')
"""
# Such as one whose job another procrastinate worker, or an administrator, has ended.
WITHOUT_JOB = """
SELECT submission, number FROM siliconflow_voice.fleet_chunks c
WHERE state IN ('waiting', 'running') AND NOT EXISTS (
    SELECT FROM procrastinate_jobs j WHERE j.id = c.job AND j.status IN ('todo', 'doing')
) ORDER BY submission, number LIMIT 1000 FOR UPDATE SKIP LOCKED
"""
HAS_JOB = """
UPDATE siliconflow_voice.fleet_chunks SET job = %(job)s
WHERE submission = %(submission)s AND number = %(number)s
"""

# --- workers

BEAT = """
INSERT INTO siliconflow_voice.fleet_workers AS w (id, name, until)
VALUES (%(worker)s, %(name)s, clock_timestamp() + make_interval(secs => %(lease)s))
ON CONFLICT (id) DO UPDATE SET done = %(done)s, failed = %(failed)s, per_second = %(per_second)s,
    requests_per_minute = %(requests_per_minute)s, until = excluded.until
"""
LEAVE = """
DELETE FROM siliconflow_voice.fleet_workers
WHERE id = %(worker)s OR until < clock_timestamp() - interval '1 day'
"""

# --- status

SUBMISSIONS = """
SELECT s.id, s.manifest, s.rows, extract(epoch FROM s.at)::float8,
    coalesce(sum(c.done), 0)::bigint, coalesce(sum(c.failed), 0)::bigint,
    coalesce(sum(c.size - c.done - c.failed) FILTER (WHERE c.state = 'cancelled'), 0)::bigint
FROM siliconflow_voice.fleet_submissions s LEFT JOIN siliconflow_voice.fleet_chunks c ON c.submission = s.id
GROUP BY s.id ORDER BY s.id
"""
WORKERS = """
SELECT w.name, w.done, w.failed, w.per_second, w.requests_per_minute,
    extract(epoch FROM clock_timestamp() - w.began_at)::float8,
    (SELECT count(*) FROM siliconflow_voice.fleet_chunks c WHERE c.worker = w.id AND c.state = 'running')
FROM siliconflow_voice.fleet_workers w WHERE w.until > clock_timestamp() ORDER BY w.name
"""
