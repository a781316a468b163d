-- Taking a load back: its rows go, its record stays. Each check returns what stands in the way.

-- lock_load --
SELECT subject, finished_at, undone_at, source_name, synthetic FROM intake.load WHERE load_id = %(load_id)s FOR UPDATE;

-- alerts_on_parcels --
SELECT count(*) FROM onemap.alert a JOIN onemap.parcel p USING (parcel_id) WHERE p.load_id = %(load_id)s;

-- delete_parcels --
DELETE FROM onemap.parcel WHERE load_id = %(load_id)s;

-- delete_contractors --
-- A contractor whom another load's parcel names stays.
DELETE FROM personal.contractor c WHERE c.load_id = %(load_id)s
AND NOT EXISTS (SELECT FROM onemap.parcel p WHERE p.contractor_code = c.contractor_code);

-- resources_at_facilities --
SELECT count(*) FROM onemap.resource r JOIN onemap.facility f ON f.facility_id = r.home_facility_id
WHERE f.load_id = %(load_id)s;

-- delete_facilities --
DELETE FROM onemap.facility WHERE load_id = %(load_id)s;

-- later_divisions --
-- Versions of this load that something later (an import, a merger) has ended or copied.
SELECT DISTINCT d.code FROM onemap.division d WHERE d.load_id = %(load_id)s AND d.valid_to IS NOT NULL
UNION
SELECT DISTINCT d.code FROM onemap.division d
WHERE d.load_id = %(load_id)s AND d.valid_from > (SELECT min(valid_from) FROM onemap.division WHERE load_id = %(load_id)s)
ORDER BY 1;

-- orphaned_children --
-- Divisions of other loads that would lose the parent they stand under.
SELECT c.code FROM onemap.division c
WHERE c.valid_to IS NULL AND c.load_id IS DISTINCT FROM %(load_id)s
AND EXISTS (SELECT FROM onemap.division p WHERE p.load_id = %(load_id)s AND p.code = c.parent_code)
AND NOT EXISTS (SELECT FROM onemap.division p JOIN onemap.division mine ON mine.code = p.code AND mine.load_id = %(load_id)s
                WHERE p.code = c.parent_code AND p.valid_to = mine.valid_from)
AND NOT EXISTS (SELECT FROM onemap.division own WHERE own.load_id = %(load_id)s AND own.code = c.code)
ORDER BY 1;

-- delete_divisions --
DELETE FROM onemap.division WHERE load_id = %(load_id)s RETURNING code, valid_from;

-- reopen_divisions --
UPDATE onemap.division d SET valid_to = NULL
FROM unnest(%(codes)s::text[], %(dates)s::date[]) AS gone (code, on_date)
WHERE d.code = gone.code AND d.valid_to = gone.on_date;

-- mark_undone --
UPDATE intake.load SET undone_at = clock_timestamp() WHERE load_id = %(load_id)s;
