-- What tiles show where a table as it stands would not do. Each query returns geom_3857, id and columns; the tile is cut around it.
-- Bound: tile and box (tile plus buffer) as EWKB, west south east north (EPSG:3857 metres), side (of the tile, metres).

-- state --
-- Versions of all tables with the moment each was raised (a rebuilt store counts from 1 again), the store's date, and the
-- tables whose rows differ by who asks: the catalogue's word, so that no list of ours can forget one.
SELECT jsonb_object_agg(table_name, version || '@' || extract(epoch FROM changed_at)), current_date::text,
       ARRAY(SELECT relname::text FROM pg_class WHERE relnamespace = 'onemap'::regnamespace AND relrowsecurity)
FROM onemap.table_version;

-- synthetic_subjects --
-- Loads that still stand, by subject: is any of them generated?
SELECT jsonb_object_agg(subject, synthetic)
FROM (SELECT subject, bool_or(synthetic) AS synthetic FROM intake.load
      WHERE finished_at IS NOT NULL AND undone_at IS NULL AND rows_loaded > 0 GROUP BY subject) s;

-- division_labels_township --
-- The seat if it is known, else a point inside; the half-open test of the tile is done around this query.
SELECT d.division_id AS id, d.code, d.level, d.name, coalesce(d.seat_3857, ST_PointOnSurface(d.geom_3857)) AS geom_3857
FROM onemap.division_now d
WHERE d.level = 2 AND (d.seat_3857 && %(box)s::geometry OR d.seat_3857 IS NULL AND d.geom_3857 && %(box)s::geometry)

-- division_labels_village --
SELECT d.division_id AS id, d.code, d.level, d.name, coalesce(d.seat_3857, ST_PointOnSurface(d.geom_3857)) AS geom_3857
FROM onemap.division_now d
WHERE d.level IN (2, 3) AND (d.seat_3857 && %(box)s::geometry OR d.seat_3857 IS NULL AND d.geom_3857 && %(box)s::geometry)

-- division_labels_grid --
SELECT d.division_id AS id, d.code, d.level, d.name, coalesce(d.seat_3857, ST_PointOnSurface(d.geom_3857)) AS geom_3857
FROM onemap.division_now d
WHERE d.level IN (3, 4) AND (d.seat_3857 && %(box)s::geometry OR d.seat_3857 IS NULL AND d.geom_3857 && %(box)s::geometry)

-- parcels_by_village --
-- Sums of the villages in sight, from the sums by grid; the lateral join reads those villages only. The farmland share is
-- of the parcels whose class is known; none known, no share.
SELECT d.division_id AS id, d.code, d.name, s.parcels, s.area_mu, s.land_class, s.farmland_share_pct, d.geom_3857,
       CASE WHEN EXISTS (SELECT FROM onemap.farmland_zone WHERE kind = 'pbf') THEN s.pbf_share_pct END AS pbf_share_pct
FROM onemap.division_now d
CROSS JOIN LATERAL (
  SELECT sum(c.parcels)::integer AS parcels,
         round((sum(c.area_m2) / 666.6667)::numeric)::integer AS area_mu,
         (array_agg(c.land_class ORDER BY c.area_m2 DESC))[1] AS land_class,
         round((100 * coalesce(sum(c.area_m2) FILTER (WHERE c.land_class LIKE '01%%'), 0)
                / nullif(sum(c.area_m2) FILTER (WHERE c.land_class IS NOT NULL), 0))::numeric)::integer AS farmland_share_pct,
         round((100 * sum(c.pbf_area_m2) / sum(c.area_m2))::numeric)::integer AS pbf_share_pct
  FROM (SELECT nullif(p.land_class, '') AS land_class, sum(p.parcels) AS parcels, sum(p.area_m2) AS area_m2,
               sum(p.pbf_area_m2) AS pbf_area_m2
        FROM onemap.division_now g JOIN onemap.parcel_summary p ON p.grid_code = g.code
        WHERE g.level = 4 AND g.parent_code = d.code
          -- a sum only where the scope covers the whole village
          AND ((SELECT cardinality(access.my_codes(6)) > 0) OR d.parent_code = ANY ((SELECT access.my_codes(9))::text[])
    OR d.code = ANY ((SELECT access.my_codes(12))::text[]))
        GROUP BY 1) c
) s
WHERE d.level = 3 AND d.geom_3857 && %(box)s::geometry

-- parcels_by_grid --
SELECT d.division_id AS id, d.code, d.name, s.parcels, s.area_mu, s.land_class, s.farmland_share_pct, d.geom_3857,
       CASE WHEN EXISTS (SELECT FROM onemap.farmland_zone WHERE kind = 'pbf') THEN s.pbf_share_pct END AS pbf_share_pct
FROM onemap.division_now d
CROSS JOIN LATERAL (
  SELECT sum(p.parcels)::integer AS parcels,
         round((sum(p.area_m2) / 666.6667)::numeric)::integer AS area_mu,
         (array_agg(nullif(p.land_class, '') ORDER BY p.area_m2 DESC))[1] AS land_class,
         round((100 * coalesce(sum(p.area_m2) FILTER (WHERE p.land_class LIKE '01%%'), 0)
                / nullif(sum(p.area_m2) FILTER (WHERE p.land_class <> ''), 0))::numeric)::integer AS farmland_share_pct,
         round((100 * sum(p.pbf_area_m2) / sum(p.area_m2))::numeric)::integer AS pbf_share_pct
  FROM onemap.parcel_summary p WHERE p.grid_code = d.code
) s
WHERE d.level = 4 AND d.geom_3857 && %(box)s::geometry

-- incidents_open_clusters --
-- Open incidents by a net of 16 x 16 cells a tile: how many in which state, how many overdue. The point is their middle.
-- The partial index of open incidents is read whole: a few per cent of all.
SELECT row_number() OVER () AS id, count(*)::integer AS incidents,
       count(*) FILTER (WHERE i.status = 'reported')::integer AS reported,
       count(*) FILTER (WHERE i.status IN ('accepted', 'assigned'))::integer AS accepted,
       count(*) FILTER (WHERE i.status IN ('handling', 'feedback', 'suspended'))::integer AS handling,
       count(*) FILTER (WHERE i.clock_state = 'runs' AND i.due_at < now())::integer AS overdue,
       ST_SetSRID(ST_MakePoint(avg(ST_X(i.geom_3857)), avg(ST_Y(i.geom_3857))), 3857) AS geom_3857
FROM onemap.incident i
WHERE i.ended_at IS NULL AND i.geom_3857 && %(tile)s::geometry
  AND ST_X(i.geom_3857) < %(east)s::float8 AND ST_Y(i.geom_3857) < %(north)s::float8
GROUP BY floor((ST_X(i.geom_3857) - %(west)s::float8) * 16 / %(side)s::float8),
         floor((ST_Y(i.geom_3857) - %(south)s::float8) * 16 / %(side)s::float8)

-- incidents_open --
SELECT i.incident_id AS id, i.item_code, i.status, i.clock_state = 'runs' AND i.due_at < now() AS is_overdue, i.geom_3857
FROM onemap.incident i
WHERE i.ended_at IS NULL AND i.geom_3857 && %(tile)s::geometry

-- incident_history_by_village --
-- All incidents ever, by village: 250,000 points are a smear, a number per village is not. The index on grid_code
-- answers the count without the table.
SELECT d.division_id AS id, d.code, d.name, s.incidents, d.geom_3857
FROM onemap.division_now d
LEFT JOIN (
  SELECT g.parent_code, sum(c.incidents)::integer AS incidents
  FROM (SELECT grid_code, count(*) AS incidents FROM onemap.incident GROUP BY grid_code) c
  JOIN onemap.division_now g ON g.level = 4 AND g.code = c.grid_code
  GROUP BY 1
) s ON s.parent_code = d.code
  -- a sum only where the scope covers the whole village
  AND ((SELECT cardinality(access.my_codes(6)) > 0) OR d.parent_code = ANY ((SELECT access.my_codes(9))::text[])
    OR d.code = ANY ((SELECT access.my_codes(12))::text[]))
WHERE d.level = 3 AND d.geom_3857 && %(box)s::geometry

-- households_by_village --
-- Counts of fewer than 3 are NULL: in a small place a number of one is a name. Each count is answered by its index
-- alone (household_grid, household_monitored), without the table.
SELECT d.division_id AS id, d.code, d.name,
       CASE WHEN s.households >= 3 THEN s.households END AS households,
       CASE WHEN s.monitored >= 3 THEN s.monitored END AS monitored,
       d.geom_3857
FROM onemap.division_now d
LEFT JOIN (
  SELECT g.parent_code, sum(c.households)::integer AS households, sum(m.monitored)::integer AS monitored
  FROM (SELECT grid_code, count(*) AS households FROM onemap.household GROUP BY 1) c
  LEFT JOIN (SELECT grid_code, count(*) AS monitored FROM onemap.household WHERE category IS NOT NULL GROUP BY 1) m USING (grid_code)
  JOIN onemap.division_now g ON g.level = 4 AND g.code = c.grid_code
  GROUP BY 1
) s ON s.parent_code = d.code
  -- a sum only where the scope covers the whole village
  AND ((SELECT cardinality(access.my_codes(6)) > 0) OR d.parent_code = ANY ((SELECT access.my_codes(9))::text[])
    OR d.code = ANY ((SELECT access.my_codes(12))::text[]))
WHERE d.level = 3 AND d.geom_3857 && %(box)s::geometry

-- households_by_grid --
-- As above; and where a village has exactly one hidden grid, its next smallest is hidden too, or the village's sum
-- minus the grids in sight would tell the hidden number.
WITH counted AS (
  SELECT g.division_id, g.code, g.name, g.parent_code, g.geom_3857,
         (SELECT count(*) FROM onemap.household h WHERE h.grid_code = g.code)::integer AS households,
         (SELECT count(*) FROM onemap.household h WHERE h.grid_code = g.code AND h.category IS NOT NULL)::integer AS monitored
  FROM onemap.division_now g
  WHERE g.level = 4 AND g.parent_code IN (
    SELECT d.parent_code FROM onemap.division_now d WHERE d.level = 4 AND d.geom_3857 && %(box)s::geometry)
), ranked AS (
  SELECT *,
         count(*) FILTER (WHERE households < 3) OVER village AS few_households,
         row_number() OVER (PARTITION BY parent_code ORDER BY households, code) AS households_rank,
         count(*) FILTER (WHERE monitored < 3) OVER village AS few_monitored,
         row_number() OVER (PARTITION BY parent_code ORDER BY monitored, code) AS monitored_rank
  FROM counted WINDOW village AS (PARTITION BY parent_code)
)
SELECT division_id AS id, code, name,
       CASE WHEN households >= 3 AND NOT (few_households = 1 AND households_rank = 2) THEN households END AS households,
       CASE WHEN monitored >= 3 AND NOT (few_monitored = 1 AND monitored_rank = 2) THEN monitored END AS monitored,
       geom_3857
FROM ranked WHERE geom_3857 && %(box)s::geometry
