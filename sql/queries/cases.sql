-- Cases, written: a report, a step. Every statement under the writer's own rights (40_cases.sql).

-- claim --
-- One submission key at a time: the second of two equal ones waits here and then finds the first one's answer.
SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 4));

-- submission --
SELECT is_same, answer FROM onemap.submission_of(%(key)s, %(digest)s);

-- next_case --
SELECT nextval('onemap.case_file_case_id_seq') AS case_id, nextval('onemap.case_event_event_id_seq') AS event_id,
       access.my_unit() AS unit;

-- report --
-- The day's number is given out here and holds the day's row until the commit: everything before it has been thought through.
INSERT INTO onemap.case_file (
  case_id, case_no, process, process_version, state, item_code, channel, title, detail, data, deadline_class, reported_at,
  due_at, warn_at, clock, clock_state, level, unit, assignee_id, accepted_at, reporter_id, asset_kind, asset_id, source_crs, accuracy_m, external_ref, geom, extent)
VALUES (
  %(case_id)s, onemap.next_case_no(%(prefix)s, %(day)s), %(process)s, %(version)s, %(state)s, %(item_code)s, %(channel)s, %(title)s,
  %(detail)s, %(data)s, %(deadline_class)s, %(reported_at)s, %(due_at)s, %(warn_at)s, %(clock)s, %(clock_state)s, %(level)s,
  %(unit)s, %(assignee_id)s, %(accepted_at)s, %(reporter_id)s, %(asset_kind)s, %(asset_id)s, %(source_crs)s, %(accuracy_m)s, %(external_ref)s, %(geom)s, %(extent)s);

-- reporter --
SELECT onemap.reporter_keep(%(case_id)s, %(follow)s, %(name)s, %(phone)s, %(address)s, %(name_masked)s, %(phone_masked)s,
                            %(address_masked)s, %(phone_key)s);

-- event --
INSERT INTO onemap.case_event (event_id, case_id, revision, transition, from_state, to_state, actor_kind, account_id, actor_name,
                               note, data, due_before, due_after, is_public)
VALUES (%(event_id)s, %(case_id)s, %(revision)s, %(transition)s, %(from_state)s, %(to_state)s, %(actor_kind)s, %(account_id)s,
        %(actor_name)s, %(note)s, %(data)s, %(due_before)s, %(due_after)s, %(is_public)s);

-- secret --
SELECT onemap.secret_keep(%(case_id)s, %(revision)s, %(field)s, %(value)s, %(masked)s);

-- photo --
INSERT INTO onemap.case_photo (case_id, event_id, stage, upload_sha256, taken_at, azimuth_deg, accuracy_m, is_public, geom)
VALUES (%(case_id)s, %(event_id)s, %(stage)s, %(sha256)s, %(taken_at)s, %(azimuth_deg)s, %(accuracy_m)s, %(is_public)s, %(geom)s);

-- defer --
SELECT onemap.job_defer(%(task)s, %(args)s);

-- notice --
INSERT INTO onemap.case_notice (case_id, to_account, kind, words) VALUES (%(case_id)s, %(to_account)s, %(kind)s, %(words)s);

-- submission_keep --
-- The answer names the case by its number, which only the store knows yet.
SELECT onemap.submission_keep(%(key)s, %(digest)s, %(case_id)s,
  %(answer)s::jsonb || jsonb_build_object('case_no', (SELECT c.case_no FROM onemap.case_file c WHERE c.case_id = %(case_id)s)));

-- submission_keep_step --
SELECT onemap.submission_keep(%(key)s, %(digest)s, %(case_id)s, %(answer)s);

-- number_of --
SELECT case_no FROM onemap.case_file WHERE case_id = %(case_id)s;

-- load --
-- One case as a step needs it: the row, who asks, and what relates them.
SELECT c.case_id, c.case_no, c.process, c.process_version, c.state, c.revision, c.item_code, c.channel, c.title, c.detail, c.data,
       c.deadline_class, c.reported_at, c.accepted_at, c.responded_at, c.due_at, c.warn_at, c.clock, c.clock_state, c.done_at,
       c.closed_at, c.ended_at, c.swept, c.level, c.handled_level, c.unit, c.assignee_id, c.reporter_id, c.supervised_at, c.reopened,
       c.rating, c.merged_into, c.grid_code, c.village_code, c.township_code, ST_X(c.geom) AS lon, ST_Y(c.geom) AS lat,
       c.extent IS NOT NULL AS has_extent, access.my_unit() AS my_unit, u.name AS unit_name, u.office_hours, u.head_id,
       EXISTS (SELECT FROM onemap.case_callback b WHERE b.case_id = c.case_id AND b.asked_id = access.asker() AND b.answered_at IS NULL)
         AS asks_me,
       (SELECT count(*) FROM onemap.case_part p WHERE p.case_id = c.case_id) AS parts,
       (SELECT count(*) FROM onemap.case_part p WHERE p.case_id = c.case_id AND p.done_at IS NULL AND NOT p.is_lead) AS parts_open,
       ARRAY(SELECT p.village_code FROM onemap.case_part p WHERE p.case_id = c.case_id) AS part_villages
FROM onemap.case_file c LEFT JOIN onemap.unit u ON u.unit = c.unit
WHERE c.case_no = %(case_no)s;

-- followed --
SELECT c.case_no FROM onemap.case_file c WHERE c.case_id = access.followed_case();

-- next_event --
SELECT nextval('onemap.case_event_event_id_seq') AS event_id;

-- last_event --
SELECT e.at, e.actor_name, e.transition, e.revision, e.from_state, e.account_id, e.data FROM onemap.case_event e
WHERE e.case_id = %(case_id)s ORDER BY e.revision DESC LIMIT 1;

-- candidates --
SELECT account_id, display_name, role, unit, open_cases, digits
FROM access.case_candidates(%(units)s, %(roles)s, %(grid)s, %(village)s, %(township)s, %(without)s, %(limit)s);

-- names --
SELECT account_id, display_name, role, unit FROM access.names_of(%(ids)s);

-- unit --
SELECT unit, name, level, division_code, office_hours, head_id FROM onemap.unit WHERE unit = %(unit)s;

-- units --
SELECT unit, name, level, division_code, office_hours, head_id FROM onemap.unit ORDER BY level, unit;

-- unit_of_place --
-- The office of a place at a level: the unit published for that division.
SELECT unit, name, office_hours FROM onemap.unit WHERE division_code = %(code)s AND level = %(level)s ORDER BY unit LIMIT 1;

-- split_case --
-- Villages a case's extent touches, with the share of its length or area in each, and who would take that part.
WITH e AS (SELECT extent AS g FROM onemap.case_file WHERE case_id = %(case_id)s),
piece AS (
  SELECT v.code AS village_code, v.parent_code AS township_code, v.name, ST_Intersection(v.geom, e.g) AS g, ST_Dimension(e.g) AS dim
  FROM e JOIN onemap.division v ON v.level = 3 AND v.valid_to IS NULL AND v.geom && e.g AND ST_Intersects(v.geom, e.g)),
sized AS (
  SELECT village_code, township_code, name,
         CASE dim WHEN 2 THEN ST_Area(g::geography) WHEN 1 THEN ST_Length(g::geography) ELSE 1 END AS size
  FROM piece)
SELECT s.village_code, s.township_code, s.name, (100 * s.size / sum(s.size) OVER ())::real AS share_pct, a.account_id
FROM sized s LEFT JOIN LATERAL access.case_candidates(NULL, '{village_cadre,grid_member}', NULL, s.village_code, NULL, '{}', 1) a ON true
WHERE s.size > 0 ORDER BY s.size DESC, s.village_code;

-- part --
INSERT INTO onemap.case_part (case_id, is_lead, share_pct, assignee_id, village_code, township_code)
VALUES (%(case_id)s, %(is_lead)s, %(share_pct)s, %(assignee_id)s, %(village_code)s, %(township_code)s)
ON CONFLICT (case_id, village_code) DO NOTHING;

-- part_done --
UPDATE onemap.case_part SET done_at = coalesce(done_at, %(now)s), note = coalesce(%(note)s, note)
WHERE case_id = %(case_id)s AND village_code = ANY (%(villages)s);

-- callback_candidate --
SELECT access.callback_candidate(%(grid)s, %(village)s, %(township)s, %(without)s) AS account_id;

-- callback --
INSERT INTO onemap.case_callback (case_id, handler_id, asked_id) VALUES (%(case_id)s, %(handler_id)s, %(asked_id)s);

-- callback_answer --
UPDATE onemap.case_callback SET answered_at = %(now)s, agrees = %(agrees)s, note = %(note)s
WHERE case_id = %(case_id)s AND asked_id = access.asker() AND answered_at IS NULL;

-- lock_two --
SELECT case_id, case_no, state, revision, process, process_version, title, ended_at, assignee_id, due_at FROM onemap.case_file
WHERE case_no = ANY (%(numbers)s) ORDER BY case_id FOR UPDATE;

-- people_of_place --
-- Who is told when a relation names a place: handlers whose scope is the grid, else the village, else the township.
SELECT account_id FROM access.case_candidates(NULL, NULL, %(grid)s, %(village)s, %(township)s, '{}', 3);
