-- Handing over: everything open of one person to another, as far as the asker's divisions reach.

-- counts --
SELECT c.state, count(*) AS n FROM onemap.case_file c WHERE c.assignee_id = %(from_id)s AND c.ended_at IS NULL GROUP BY 1 ORDER BY 1;

-- first --
SELECT c.case_id, c.case_no, c.process, c.process_version, c.state, c.revision, c.title, c.item_code, c.channel, c.reported_at,
       c.due_at, c.warn_at, c.clock_state, c.ended_at, c.unit, u.name AS unit_name, c.assignee_id, c.township_code, c.village_code,
       t.name AS township_name, v.name AS village_name, ST_X(c.geom) AS lon, ST_Y(c.geom) AS lat, c.rating, c.reopened
FROM onemap.case_file c LEFT JOIN onemap.unit u ON u.unit = c.unit
LEFT JOIN onemap.division t ON t.level = 2 AND t.code = c.township_code AND t.valid_to IS NULL
LEFT JOIN onemap.division v ON v.level = 3 AND v.code = c.village_code AND v.valid_to IS NULL
WHERE c.assignee_id = %(from_id)s AND c.ended_at IS NULL ORDER BY c.due_at NULLS LAST, c.case_id LIMIT %(limit)s;

-- takers --
SELECT n.account_id, n.display_name FROM access.names_of(%(ids)s) n
WHERE n.account_id <> %(to_id)s OR EXISTS (SELECT FROM access.people_found('', NULL, NULL, 100) p WHERE p.account_id = n.account_id AND p.state = 'active')
   OR EXISTS (SELECT FROM access.people_found(n.display_name, NULL, NULL, 100) p WHERE p.account_id = n.account_id AND p.state = 'active');

-- take --
UPDATE onemap.case_file SET assignee_id = %(to_id)s, revision = revision + 1
WHERE assignee_id = %(from_id)s AND ended_at IS NULL RETURNING case_id, revision, state, due_at;

-- event --
INSERT INTO onemap.case_event (case_id, revision, transition, from_state, to_state, actor_kind, account_id, actor_name, note, data,
                               due_before, due_after)
VALUES (%(case_id)s, %(revision)s, 'handover', %(state)s, %(state)s, 'account', %(account_id)s, %(actor_name)s, %(note)s, %(data)s,
        %(due_at)s, %(due_at)s);

-- parts --
UPDATE onemap.case_part SET assignee_id = %(to_id)s WHERE assignee_id = %(from_id)s AND done_at IS NULL;
