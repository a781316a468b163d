-- Import of cases: rows wait in a temporary table a batch at a time, are numbered by their day and go in; known ones are updated last.

-- process --
-- The version cases are taken over into; none is published before the first start.
SELECT version, definition FROM onemap.process WHERE process = 'incident' ORDER BY version DESC LIMIT 1;

-- known --
-- What came before by the same channel.
SELECT external_ref, case_id FROM onemap.case_file WHERE channel = %(channel)s AND external_ref IS NOT NULL;

-- new_ids --
SELECT array_agg(nextval('onemap.case_file_case_id_seq')) FROM generate_series(1, %(n)s);

-- stage --
CREATE TEMP TABLE staged ON COMMIT DROP AS
SELECT 0::bigint AS row_number, current_date AS day, case_id, external_ref, state, item_code, title, detail, reported_at, accepted_at,
       responded_at, due_at, done_at, closed_at, ended_at, clock_state, swept, level, rating, source_crs, grid_code, village_code,
       township_code, geom
FROM onemap.case_file WHERE false;

-- stage_late --
CREATE TEMP TABLE staged_late ON COMMIT DROP AS SELECT * FROM staged;

-- stage_known --
CREATE TEMP TABLE staged_known ON COMMIT DROP AS SELECT * FROM staged;

-- stage_reporter --
CREATE TEMP TABLE staged_reporter ON COMMIT DROP AS SELECT * FROM personal.reporter WHERE false;

-- put_off --
-- Numbers of today are being given out to people at this moment: rows of these days wait for the end, so that nobody waits for us.
INSERT INTO staged_late SELECT * FROM staged WHERE day >= %(before)s;

-- take_up --
INSERT INTO staged SELECT * FROM staged_late;

-- insert --
-- In the order of time: most indexes grow at their end then (measured: a fifth less processor than by place).
WITH days AS (SELECT day, count(*)::int AS n FROM staged WHERE day < %(before)s GROUP BY day ORDER BY day),
given AS (
  INSERT INTO onemap.case_number AS c (prefix, day, last) SELECT %(prefix)s, day, n FROM days
  ON CONFLICT (prefix, day) DO UPDATE SET last = c.last + excluded.last RETURNING day, last),
numbered AS (
  SELECT s.*, (g.last - d.n + row_number() OVER (PARTITION BY s.day ORDER BY s.reported_at, s.row_number))::text AS number
  FROM staged s JOIN days d USING (day) JOIN given g USING (day))
INSERT INTO onemap.case_file (case_id, case_no, process, process_version, state, item_code, channel, title, detail, reported_at,
  accepted_at, responded_at, due_at, done_at, closed_at, ended_at, clock_state, swept, level, rating, source_crs, external_ref,
  grid_code, village_code, township_code, load_id, geom)
SELECT case_id, %(prefix)s || to_char(day, 'YYYYMMDD') || lpad(number, greatest(5, length(number)), '0'), 'incident', %(version)s, state,
  item_code, %(channel)s, title, detail, reported_at, accepted_at, responded_at, due_at, done_at, closed_at, ended_at, clock_state, swept,
  level, rating, source_crs, external_ref, grid_code, village_code, township_code, %(load_id)s, geom
FROM numbered ORDER BY reported_at, row_number;

-- insert_events --
INSERT INTO onemap.case_event (case_id, revision, transition, to_state, actor_kind, actor_name, note, due_after)
SELECT case_id, 0, 'import', state, 'import', '原系统', %(note)s, due_at FROM staged WHERE day < %(before)s ORDER BY case_id;

-- lock_known --
-- Whoever is taking a step on one of them ends first, and is seen by what follows.
SELECT count(*) FROM (
  SELECT c.case_id FROM onemap.case_file c JOIN staged_known s USING (case_id) ORDER BY c.case_id FOR UPDATE OF c) held;

-- handled_here --
SELECT s.row_number, s.external_ref, c.case_no FROM staged_known s JOIN onemap.case_file c USING (case_id)
WHERE c.load_id IS NULL OR EXISTS (SELECT FROM onemap.case_event e WHERE e.case_id = s.case_id AND e.actor_kind <> 'import')
ORDER BY s.row_number;

-- leave --
DELETE FROM staged_known WHERE row_number = ANY (%(numbers)s);

-- leave_reporters --
DELETE FROM staged_reporter r WHERE NOT EXISTS (SELECT FROM staged_known s WHERE s.case_id = r.case_id);

-- update --
-- Only what changed; a case nobody here touched keeps its number, its place in the lineage and its first line of history.
WITH changed AS (
  UPDATE onemap.case_file c SET state = s.state, item_code = s.item_code, title = s.title, detail = s.detail, reported_at = s.reported_at,
    accepted_at = s.accepted_at, responded_at = s.responded_at, due_at = s.due_at, done_at = s.done_at, closed_at = s.closed_at,
    ended_at = s.ended_at, clock_state = s.clock_state, swept = s.swept, rating = s.rating, source_crs = s.source_crs,
    grid_code = s.grid_code, village_code = s.village_code, township_code = s.township_code, geom = s.geom, revision = c.revision + 1
  FROM staged_known s
  WHERE c.case_id = s.case_id AND (c.state, c.item_code, c.title, c.detail, c.reported_at, c.accepted_at, c.responded_at, c.due_at,
    c.done_at, c.closed_at, c.ended_at, c.rating, c.geom)
    IS DISTINCT FROM (s.state, s.item_code, s.title, s.detail, s.reported_at, s.accepted_at, s.responded_at, s.due_at,
    s.done_at, s.closed_at, s.ended_at, s.rating, s.geom)
  RETURNING c.case_id, c.revision, c.state, c.due_at)
INSERT INTO onemap.case_event (case_id, revision, transition, to_state, actor_kind, actor_name, note, due_after)
SELECT case_id, revision, 'import_update', state, 'import', '原系统', %(note)s, due_at FROM changed ORDER BY case_id;

-- update_reporters --
INSERT INTO personal.reporter AS r SELECT * FROM staged_reporter
ON CONFLICT (case_id) DO UPDATE SET name_enc = excluded.name_enc, phone_enc = excluded.phone_enc, address_enc = excluded.address_enc,
  name_masked = excluded.name_masked, phone_masked = excluded.phone_masked, address_masked = excluded.address_masked,
  phone_key = excluded.phone_key
WHERE (r.name_masked, r.phone_masked, r.address_masked, r.phone_key)
  IS DISTINCT FROM (excluded.name_masked, excluded.phone_masked, excluded.address_masked, excluded.phone_key);

-- tell --
-- One piece of news for the whole load.
WITH told AS (INSERT INTO onemap.live (subject, id, kind) VALUES ('load', %(load_id)s, 'import') RETURNING seq)
SELECT pg_notify('onemap_live', seq || ' load ' || %(load_id)s || ' import') FROM told;

-- later --
-- What stands on a load's cases since: steps taken here, photos, call-backs, cases merged into them.
SELECT
  (SELECT count(DISTINCT e.case_id) FROM onemap.case_event e JOIN onemap.case_file c USING (case_id) WHERE c.load_id = %(load_id)s AND e.actor_kind <> 'import'),
  (SELECT count(*) FROM onemap.case_photo p JOIN onemap.case_file c USING (case_id) WHERE c.load_id = %(load_id)s)
  + (SELECT count(*) FROM onemap.case_callback b JOIN onemap.case_file c USING (case_id) WHERE c.load_id = %(load_id)s)
  + (SELECT count(*) FROM onemap.case_part b JOIN onemap.case_file c USING (case_id) WHERE c.load_id = %(load_id)s),
  (SELECT count(*) FROM onemap.case_file o JOIN onemap.case_file c ON c.case_id IN (o.merged_into, o.parent_id)
   WHERE c.load_id = %(load_id)s AND o.load_id IS DISTINCT FROM %(load_id)s);

-- updated_by --
-- Cases of earlier loads that this load changed: they stay as it left them.
SELECT count(DISTINCT e.case_id) FROM onemap.case_event e JOIN onemap.case_file c USING (case_id)
WHERE e.transition = 'import_update' AND e.actor_kind = 'import' AND e.note LIKE %(note)s AND c.load_id <> %(load_id)s;

-- undo --
SELECT cases, events, reporters FROM onemap.undo_case_load(%(load_id)s);
