-- What jobs ask of cases. Role job: all rows.

-- waiting_photos --
SELECT photo_id, upload_sha256 FROM onemap.case_photo WHERE case_id = %(case_id)s AND state = 'received' ORDER BY photo_id;

-- forgotten_photos --
-- Acknowledged and still not re-encoded: whatever became of their job.
SELECT DISTINCT p.case_id FROM onemap.case_photo p WHERE p.state = 'received' AND p.received_at < now() - interval '2 minutes'
AND NOT EXISTS (SELECT FROM jobs.procrastinate_jobs j WHERE j.task_name = 'photo.encode' AND j.status IN ('todo', 'doing')
                AND j.args->>'case_id' = p.case_id::text) LIMIT 200;

-- photo_ready --
-- Once: a second worker that did the same finds it done.
UPDATE onemap.case_photo SET state = 'ready', sha256 = %(sha256)s, bytes = %(bytes)s, width = %(width)s, height = %(height)s
WHERE photo_id = %(photo_id)s AND state = 'received';

-- photo_same --
SELECT sha256, bytes, width, height FROM onemap.case_photo WHERE upload_sha256 = %(upload)s AND state = 'ready' LIMIT 1;

-- photo_unreadable --
UPDATE onemap.case_photo SET state = 'unreadable' WHERE photo_id = %(photo_id)s AND state = 'received';

-- waiting_files --
SELECT DISTINCT upload_sha256 FROM onemap.case_photo WHERE upload_sha256 = ANY (%(hashes)s) AND state = 'received';

-- ready_files --
SELECT DISTINCT sha256 FROM onemap.case_photo WHERE sha256 = ANY (%(hashes)s);

-- sweep_lock --
SELECT pg_try_advisory_xact_lock(7421054) AS mine;

-- sweep_mark --
-- Those whose standing changed since people were last told; the partial index on due_at finds the late ones, the rest is few.
UPDATE onemap.case_file c SET swept = CASE WHEN c.due_at <= %(now)s THEN 'breached' ELSE 'at_risk' END
WHERE c.ended_at IS NULL AND c.clock_state = 'runs'
  AND (c.due_at <= %(now)s AND c.swept <> 'breached' OR c.warn_at <= %(now)s AND c.due_at > %(now)s AND c.swept = 'on_track')
RETURNING c.case_id, c.case_no, c.process, c.process_version, c.title, c.state, c.swept, c.due_at, c.warn_at, c.clock IS NOT NULL AS ours,
          c.unit, c.assignee_id, c.reporter_id, c.level, c.grid_code, c.village_code, c.township_code;

-- sweep_live --
-- One word to whoever listens, not one a case.
WITH one AS (INSERT INTO onemap.live (subject, id, kind) VALUES ('sweep', %(n)s, 'standing') RETURNING seq)
SELECT pg_notify('onemap_live', seq || ' sweep ' || %(n)s || ' standing') FROM one;

-- late --
-- Ours, breached for so long, and the system has not yet done this about it since then.
SELECT c.case_no, c.case_id, c.process, c.process_version, c.revision, c.title, c.state, c.due_at, c.unit, c.assignee_id, c.reporter_id,
       c.level, c.grid_code, c.village_code, c.township_code
FROM onemap.case_file c
WHERE c.ended_at IS NULL AND c.clock_state = 'runs' AND c.clock IS NOT NULL AND c.process = %(process)s AND c.process_version = %(version)s
  AND c.due_at <= %(now)s - make_interval(secs => %(after_s)s)
  AND NOT EXISTS (SELECT FROM onemap.case_event e WHERE e.case_id = c.case_id AND e.transition = %(transition)s AND e.actor_kind = 'system'
                  AND e.at >= c.due_at)
  AND NOT EXISTS (SELECT FROM onemap.case_notice n WHERE n.case_id = c.case_id AND n.kind = %(kind)s AND n.made_at >= c.due_at)
ORDER BY c.due_at LIMIT 500;

-- soon --
-- Due within so many hours and not yet told of it.
SELECT c.case_no, c.case_id, c.process, c.process_version, c.revision, c.title, c.state, c.due_at, c.unit, c.assignee_id, c.reporter_id,
       c.level, c.grid_code, c.village_code, c.township_code
FROM onemap.case_file c
WHERE c.ended_at IS NULL AND c.clock_state = 'runs' AND c.clock IS NOT NULL AND c.process = %(process)s AND c.process_version = %(version)s
  AND c.due_at > %(now)s AND c.due_at <= %(now)s + make_interval(secs => %(before_s)s)
  -- a reminder longer than the whole time allowed would come with the case itself
  AND c.due_at - make_interval(secs => %(before_s)s) > coalesce((c.clock->>'start')::timestamptz, c.reported_at)
  AND NOT EXISTS (SELECT FROM onemap.case_notice n WHERE n.case_id = c.case_id AND n.kind = %(kind)s
                  AND n.made_at >= c.due_at - make_interval(secs => %(before_s)s))
ORDER BY c.due_at LIMIT 500;

-- stayed --
-- In a state since; only cases that have events: what was taken over moves by people alone.
SELECT c.case_no, c.case_id, c.process, c.process_version, c.revision, c.title, c.state, c.due_at, c.unit, c.assignee_id, c.reporter_id,
       c.level, c.grid_code, c.village_code, c.township_code, s.since
FROM onemap.case_file c
JOIN LATERAL (SELECT max(e.at) AS since FROM onemap.case_event e WHERE e.case_id = c.case_id AND e.to_state = c.state
              AND e.from_state IS DISTINCT FROM e.to_state) s ON s.since <= %(now)s - make_interval(secs => %(after_s)s)
WHERE c.process = %(process)s AND c.process_version = %(version)s AND c.state = ANY (%(states)s) AND c.revision >= %(least)s
  AND (%(kind)s::text IS NULL OR NOT EXISTS (
        SELECT FROM onemap.case_notice n WHERE n.case_id = c.case_id AND n.kind = %(kind)s AND n.made_at >= s.since))
ORDER BY c.case_id LIMIT 500;

-- versions --
SELECT process, version FROM onemap.process ORDER BY process, version;

-- clean --
WITH a AS (DELETE FROM onemap.live WHERE at < now() - interval '1 day'),
     b AS (DELETE FROM onemap.submission WHERE made_at < now() - interval '30 days')
DELETE FROM onemap.case_number WHERE day < current_date - 400;
