-- Cases, read: queue, board, card. Filters are put into words by the store itself (47_case_queue.sql); values are bound.

-- page --
SELECT ids, total FROM onemap.case_page(%(asked)s, %(sort)s, %(down)s, %(size)s, %(skip)s);

-- rows --
-- By number, in the order given; the policies decide once more.
SELECT c.case_id, c.case_no, c.process, c.process_version, c.state, c.revision, c.title, c.item_code, c.channel, c.reported_at,
       c.due_at, c.warn_at, c.clock_state, c.ended_at, c.unit, u.name AS unit_name, c.assignee_id, c.township_code, c.village_code,
       t.name AS township_name, v.name AS village_name, ST_X(c.geom) AS lon, ST_Y(c.geom) AS lat, c.rating, c.reopened
FROM unnest(%(ids)s::bigint[]) WITH ORDINALITY AS o(case_id, at) JOIN onemap.case_file c USING (case_id)
LEFT JOIN onemap.unit u ON u.unit = c.unit
LEFT JOIN onemap.division t ON t.level = 2 AND t.code = c.township_code AND t.valid_to IS NULL
LEFT JOIN onemap.division v ON v.level = 3 AND v.code = c.village_code AND v.valid_to IS NULL
ORDER BY o.at;

-- counts --
-- The saved views, each counted over what the asker may see; the open cases are few and have an index of their own.
SELECT (SELECT count(*) FROM onemap.my_tasks() m JOIN onemap.case_file t USING (case_id) WHERE t.process = %(process)s) AS mine,
       count(*) FILTER (WHERE c.clock_state = 'runs' AND c.due_at < %(_now)s) AS breached,
       count(*) FILTER (WHERE c.clock_state = 'runs' AND c.warn_at <= %(_now)s AND c.due_at >= %(_now)s) AS at_risk,
       count(*) FILTER (WHERE c.accepted_at IS NULL) AS waiting,
       count(*) FILTER (WHERE c.clock_state = 'stopped') AS confirm,
       count(*) FILTER (WHERE c.supervised_at IS NOT NULL) AS supervised,
       count(*) AS open,
       (SELECT count(*) FROM onemap.case_file w WHERE w.process = %(process)s AND w.closed_at >= %(_week)s) AS week
FROM onemap.case_file c WHERE c.process = %(process)s AND c.ended_at IS NULL;

-- board --
SELECT state, n, ids FROM onemap.case_board(%(asked)s, %(states)s, %(size)s);

-- card --
SELECT c.case_id, c.case_no, c.process, c.process_version, c.state, c.revision, c.title, c.item_code, c.channel, c.reported_at,
       c.due_at, c.warn_at, c.clock_state, c.ended_at, c.unit, u.name AS unit_name, c.assignee_id, c.township_code, c.village_code,
       t.name AS township_name, v.name AS village_name, ST_X(c.geom) AS lon, ST_Y(c.geom) AS lat, c.rating, c.reopened,
       c.detail, c.data, c.clock, c.deadline_class, c.accepted_at, c.responded_at, c.done_at, c.closed_at, c.supervised_at, c.level,
       c.grid_code, c.reporter_id, c.accuracy_m, c.source_crs, ST_AsGeoJSON(c.extent)::jsonb AS extent, c.merged_into, c.asset_kind,
       c.asset_id, c.external_ref, access.my_unit() AS my_unit, u.head_id, c.handled_level,
       EXISTS (SELECT FROM onemap.case_callback b WHERE b.case_id = c.case_id AND b.asked_id = access.asker() AND b.answered_at IS NULL)
         AS asks_me,
       ARRAY(SELECT p.village_code FROM onemap.case_part p WHERE p.case_id = c.case_id) AS part_villages,
       ARRAY(SELECT p.village_code FROM onemap.case_part p WHERE p.case_id = c.case_id AND p.done_at IS NULL AND NOT p.is_lead) AS villages_open
FROM onemap.case_file c LEFT JOIN onemap.unit u ON u.unit = c.unit
LEFT JOIN onemap.division t ON t.level = 2 AND t.code = c.township_code AND t.valid_to IS NULL
LEFT JOIN onemap.division v ON v.level = 3 AND v.code = c.village_code AND v.valid_to IS NULL
WHERE c.case_no = %(case_no)s;

-- events --
SELECT event_id, revision, at, transition, from_state, to_state, actor_kind, account_id, actor_name, note, data, due_before, due_after,
       is_public
FROM onemap.case_event WHERE case_id = (SELECT c.case_id FROM onemap.case_file c WHERE c.case_no = %(case_no)s) ORDER BY revision;

-- photos --
SELECT photo_id, event_id, stage, state, taken_at, azimuth_deg, accuracy_m, width, height, is_public, received_at,
       ST_X(geom) AS lon, ST_Y(geom) AS lat
FROM onemap.case_photo WHERE case_id = (SELECT c.case_id FROM onemap.case_file c WHERE c.case_no = %(case_no)s) ORDER BY photo_id;

-- parts --
SELECT p.village_code, v.name AS village_name, p.is_lead, p.share_pct, p.assignee_id, p.done_at, p.note
FROM onemap.case_part p LEFT JOIN onemap.division v ON v.level = 3 AND v.code = p.village_code AND v.valid_to IS NULL
WHERE p.case_id = (SELECT c.case_id FROM onemap.case_file c WHERE c.case_no = %(case_no)s) ORDER BY p.is_lead DESC, p.share_pct DESC;

-- reporter --
SELECT name_masked, phone_masked, address_masked FROM access.reporter_of(%(case_id)s);

-- related --
-- The same asset, merged ones, the one it went into; and open cases of the neighbourhood.
WITH me AS (SELECT c.case_id, c.merged_into, c.parent_id, c.asset_kind, c.asset_id, c.geom, c.item_code FROM onemap.case_file c
            WHERE c.case_no = %(case_no)s)
(SELECT c.case_no, c.title, c.process, c.process_version, c.state, c.item_code, c.due_at, c.warn_at, c.clock_state, c.ended_at,
        c.reported_at, 'into' AS why, NULL::float8 AS dist_m
 FROM me JOIN onemap.case_file c ON c.case_id = me.merged_into)
UNION ALL
(SELECT c.case_no, c.title, c.process, c.process_version, c.state, c.item_code, c.due_at, c.warn_at, c.clock_state, c.ended_at,
        c.reported_at, 'merged', NULL FROM me JOIN onemap.case_file c ON c.merged_into = me.case_id ORDER BY c.case_id LIMIT 20)
UNION ALL
(SELECT c.case_no, c.title, c.process, c.process_version, c.state, c.item_code, c.due_at, c.warn_at, c.clock_state, c.ended_at,
        c.reported_at, 'parent', NULL FROM me JOIN onemap.case_file c ON c.case_id = me.parent_id OR c.parent_id = me.case_id
 ORDER BY c.case_id LIMIT 20)
UNION ALL
(SELECT c.case_no, c.title, c.process, c.process_version, c.state, c.item_code, c.due_at, c.warn_at, c.clock_state, c.ended_at,
        c.reported_at, 'asset', NULL FROM me JOIN onemap.case_file c ON c.asset_kind = me.asset_kind AND c.asset_id = me.asset_id
 WHERE c.case_id <> me.case_id ORDER BY c.reported_at DESC LIMIT 10)
UNION ALL
(SELECT c.case_no, c.title, c.process, c.process_version, c.state, c.item_code, c.due_at, c.warn_at, c.clock_state, c.ended_at,
        c.reported_at, 'near', ST_Distance(c.geom::geography, me.geom::geography)
 FROM me JOIN onemap.case_file c ON c.ended_at IS NULL AND c.geom && ST_Expand(me.geom, 0.006) AND c.case_id <> me.case_id
 WHERE ST_DWithin(c.geom::geography, me.geom::geography, 500) ORDER BY 13 LIMIT 10);

-- callbacks --
SELECT b.callback_id, b.asked_id, b.asked_at, b.answered_at, b.agrees, b.note FROM onemap.case_callback b
WHERE b.case_id = %(case_id)s ORDER BY b.callback_id;

-- tasks --
-- What waits for one person (onemap.my_tasks, the same as view `mine`), next due first.
SELECT c.case_id, c.case_no, c.process, c.process_version, c.state, c.revision, c.title, c.item_code, c.channel, c.reported_at,
       c.due_at, c.warn_at, c.clock_state, c.ended_at, c.unit, u.name AS unit_name, c.assignee_id, c.township_code, c.village_code,
       t.name AS township_name, v.name AS village_name, ST_X(c.geom) AS lon, ST_Y(c.geom) AS lat, c.rating, c.reopened,
       b.callback_id, b.asked_at, m.kind
FROM onemap.my_tasks() m JOIN onemap.case_file c USING (case_id) LEFT JOIN onemap.unit u ON u.unit = c.unit
LEFT JOIN onemap.division t ON t.level = 2 AND t.code = c.township_code AND t.valid_to IS NULL
LEFT JOIN onemap.division v ON v.level = 3 AND v.code = c.village_code AND v.valid_to IS NULL
LEFT JOIN onemap.case_callback b ON b.case_id = c.case_id AND b.asked_id = access.asker() AND b.answered_at IS NULL
ORDER BY c.due_at NULLS LAST, c.case_id LIMIT 200;

-- steps_of --
-- What decides who may take which step, for many cases at once, with the last event for taking it back.
SELECT c.case_no, c.process, c.process_version, c.state, c.deadline_class, c.unit, u.name AS unit_name, u.head_id, c.assignee_id, c.reporter_id,
       c.grid_code, c.village_code, c.township_code, (SELECT access.my_unit()) AS my_unit,
       EXISTS (SELECT FROM onemap.case_callback b WHERE b.case_id = c.case_id AND b.asked_id = (SELECT access.asker()) AND b.answered_at IS NULL)
         AS asks_me,
       ARRAY(SELECT p.village_code FROM onemap.case_part p WHERE p.case_id = c.case_id) AS part_villages,
       ARRAY(SELECT p.village_code FROM onemap.case_part p WHERE p.case_id = c.case_id AND p.done_at IS NULL AND NOT p.is_lead) AS villages_open,
       e.at, e.transition, e.account_id, e.data
FROM onemap.case_file c LEFT JOIN onemap.unit u ON u.unit = c.unit
LEFT JOIN LATERAL (SELECT e.at, e.transition, e.account_id, e.data FROM onemap.case_event e WHERE e.case_id = c.case_id
                   ORDER BY e.revision DESC LIMIT 1) e ON true
WHERE c.case_no = ANY (%(numbers)s);

-- unit_names --
SELECT unit, name FROM onemap.unit WHERE unit = ANY (%(units)s);

-- mine_open --
SELECT c.case_no FROM onemap.case_file c WHERE c.assignee_id = %(account_id)s AND c.ended_at IS NULL ORDER BY c.due_at NULLS LAST, c.case_id;

-- notices --
SELECT n.notice_id, c.case_no, c.title, n.kind, n.words, n.made_at, n.seen_at
FROM onemap.case_notice n JOIN onemap.case_file c USING (case_id)
WHERE n.to_account = access.asker() AND (n.seen_at IS NULL OR n.made_at > now() - interval '7 days')
ORDER BY n.seen_at IS NOT NULL, n.notice_id DESC LIMIT 100;

-- notices_to_reporter --
SELECT n.kind, n.words, n.made_at FROM onemap.case_notice n WHERE n.to_account IS NULL AND n.case_id = access.followed_case()
ORDER BY n.notice_id DESC LIMIT 20;

-- seen --
UPDATE onemap.case_notice SET seen_at = now() WHERE notice_id = ANY (%(ids)s) AND to_account = access.asker() AND seen_at IS NULL;

-- near --
SELECT case_no, item_code, state, reported_at, dist_m, likeness
FROM onemap.cases_near(%(lon)s, %(lat)s, %(dist_m)s, %(items)s, %(since)s, %(text)s);

-- same_asset --
SELECT c.case_no, c.item_code, c.state, c.reported_at, onemap.likeness(c.title, %(text)s) AS likeness FROM onemap.case_file c
WHERE c.asset_kind = %(kind)s AND c.asset_id = %(id)s AND c.ended_at IS NULL ORDER BY c.reported_at DESC LIMIT 5;

-- photo --
SELECT p.photo_id, p.state, p.sha256, p.is_public, p.case_id,
       (SELECT e.transition FROM onemap.case_event e WHERE e.event_id = p.event_id) AS transition
FROM onemap.case_photo p WHERE p.photo_id = %(photo_id)s;

-- people --
SELECT account_id, display_name, role, unit_name, division_code, state, open_cases
FROM access.people_found(%(text)s, %(roles)s, %(unit)s, %(limit)s);

-- division_names --
SELECT code, name FROM onemap.division WHERE code = ANY (%(codes)s) AND valid_to IS NULL;

-- unit_figures --
SELECT * FROM onemap.case_unit_figures(%(asked)s);

-- disagreement --
SELECT b.handler_id, count(*) AS asked, count(b.answered_at) AS answered, count(*) FILTER (WHERE b.agrees IS FALSE) AS disagreed
FROM onemap.case_callback b WHERE b.handler_id IS NOT NULL AND b.asked_at >= %(since)s
GROUP BY 1 ORDER BY 4 DESC, 3 DESC, 1 LIMIT 200;
