-- The divisions as the map shows them: path, children, figures. All by the tree that holds today.

-- scope_names --
-- Each code's own name after those above it, the county's only for the county itself.
SELECT d.code, array_agg(u.name ORDER BY u.level) AS names, array_agg(u.level ORDER BY u.level) AS levels
FROM onemap.division_now d
JOIN onemap.division_now u ON u.code IN (d.code, left(d.code, 12), left(d.code, 9)) AND (u.level > 1 OR d.level = 1)
WHERE d.code = ANY(%(codes)s) AND u.level <= d.level
GROUP BY d.code ORDER BY d.code;

-- path --
-- From the division up to the county, top first. Bounds in degrees (EPSG:4490).
WITH RECURSIVE up AS (
  SELECT d.* FROM onemap.division_now d WHERE d.code = %(code)s
  UNION ALL
  SELECT p.* FROM onemap.division_now p JOIN up ON p.code = up.parent_code
)
SELECT u.code, u.level, u.name, u.parent_code, u.urban_rural, u.households, u.population, u.area_m2,
       u.boundary_status, coalesce(l.synthetic, false) AS synthetic, l.source_name,
       ST_XMin(u.geom) AS west, ST_YMin(u.geom) AS south, ST_XMax(u.geom) AS east, ST_YMax(u.geom) AS north
FROM up u LEFT JOIN intake.load l USING (load_id)
ORDER BY u.level;

-- county_code --
SELECT code FROM onemap.division_now WHERE level = 1 ORDER BY code LIMIT 1;

-- county_built --
SELECT built_at, scale FROM onemap.county ORDER BY code LIMIT 1;

-- siblings --
SELECT code, name, parent_code FROM onemap.division_now
WHERE parent_code = ANY(%(parents)s) ORDER BY code;

-- children --
-- The label point is the settlement's centre; of a grid, or where no centre is known, a point inside. (Grids of one
-- village share its settlement: their names would lie on one another.)
SELECT code, level, name, households, population, area_m2,
       ST_XMin(geom) AS west, ST_YMin(geom) AS south, ST_XMax(geom) AS east, ST_YMax(geom) AS north,
       ST_X(p.at) AS seat_lon, ST_Y(p.at) AS seat_lat
FROM onemap.division_now
CROSS JOIN LATERAL (SELECT CASE WHEN level = 4 THEN ST_PointOnSurface(geom) ELSE coalesce(seat, ST_PointOnSurface(geom)) END AS at) p
 WHERE parent_code = %(code)s ORDER BY code;

-- census --
-- How many divisions of each level lie under this one.
WITH RECURSIVE down AS (
  SELECT code, level FROM onemap.division_now WHERE code = %(code)s
  UNION ALL
  SELECT c.code, c.level FROM onemap.division_now c JOIN down ON c.parent_code = down.code
)
SELECT level, count(*)::int AS n FROM down GROUP BY level;

-- figures --
-- Every figure of every child (or of the grid itself), summed from the grids, so that they add up at each level.
-- pbf and high_standard stay NULL while no zone layer is loaded: unknown is not zero.
WITH tree AS MATERIALIZED (
  SELECT g.code AS grid_code,
         CASE %(key_level)s::int WHEN 2 THEN v.parent_code WHEN 3 THEN v.code ELSE g.code END AS key
  FROM onemap.division_now g
  JOIN onemap.division_now v ON v.level = 3 AND v.code = g.parent_code
  WHERE g.level = 4
    AND CASE %(level)s::int WHEN 1 THEN true WHEN 2 THEN v.parent_code = %(code)s
        WHEN 3 THEN v.code = %(code)s ELSE g.code = %(code)s END
), zones AS MATERIALIZED (
  SELECT EXISTS (SELECT FROM onemap.farmland_zone WHERE kind = 'pbf') AS pbf,
         EXISTS (SELECT FROM onemap.farmland_zone WHERE kind = 'high_standard') AS high_standard
), land AS (
  SELECT t.key, sum(s.parcels)::int AS parcels, sum(s.area_m2) AS parcel_m2,
         coalesce(sum(s.area_m2) FILTER (WHERE s.land_class LIKE '01%%'), 0) AS farmland_m2,
         sum(s.pbf_area_m2) AS pbf_m2, sum(s.high_standard_area_m2) AS high_standard_m2
  FROM tree t JOIN onemap.parcel_summary s USING (grid_code) GROUP BY t.key
), reported AS (
  SELECT t.key, count(*)::int AS incidents
  FROM onemap.incident i JOIN tree t USING (grid_code)
  WHERE i.reported_at >= now() - interval '30 days' AND i.reported_at < now() GROUP BY t.key
), pending AS (
  -- the partial index case_file_open
  SELECT t.key, count(*)::int AS open, count(*) FILTER (WHERE i.clock_state = 'runs' AND i.due_at < now())::int AS overdue
  FROM onemap.incident i JOIN tree t USING (grid_code)
  WHERE i.ended_at IS NULL GROUP BY t.key
), places AS (
  SELECT t.key, count(*)::int AS facilities FROM onemap.facility f JOIN tree t USING (grid_code) GROUP BY t.key
), forces AS (
  SELECT t.key, count(*)::int AS resources FROM onemap.resource r JOIN tree t USING (grid_code) GROUP BY t.key
), keys AS (
  SELECT key, count(*)::int AS grids FROM tree GROUP BY key
)
SELECT k.key AS code, k.grids,
       coalesce(l.parcels, 0) AS parcels, coalesce(l.parcel_m2, 0) AS parcel_m2, coalesce(l.farmland_m2, 0) AS farmland_m2,
       CASE WHEN z.pbf THEN coalesce(l.pbf_m2, 0) END AS pbf_m2,
       CASE WHEN z.high_standard THEN coalesce(l.high_standard_m2, 0) END AS high_standard_m2,
       coalesce(r.incidents, 0) AS incidents, coalesce(p.open, 0) AS open, coalesce(p.overdue, 0) AS overdue,
       coalesce(f.facilities, 0) AS facilities, coalesce(s.resources, 0) AS resources
FROM keys k CROSS JOIN zones z
LEFT JOIN land l USING (key) LEFT JOIN reported r USING (key) LEFT JOIN pending p USING (key)
LEFT JOIN places f USING (key) LEFT JOIN forces s USING (key)
ORDER BY k.key;

-- unplaced --
-- 未落点: what the county has and no grid covers. Part of the county's figures, of no township's.
SELECT (SELECT coalesce(sum(parcels), 0)::int FROM onemap.parcel_summary WHERE grid_code = '') AS parcels,
       (SELECT coalesce(sum(area_m2), 0) FROM onemap.parcel_summary WHERE grid_code = '') AS parcel_m2,
       (SELECT coalesce(sum(area_m2), 0) FROM onemap.parcel_summary WHERE grid_code = '' AND land_class LIKE '01%%') AS farmland_m2,
       (SELECT coalesce(sum(pbf_area_m2), 0) FROM onemap.parcel_summary WHERE grid_code = '') AS pbf_m2,
       (SELECT coalesce(sum(high_standard_area_m2), 0) FROM onemap.parcel_summary WHERE grid_code = '') AS high_standard_m2,
       (SELECT count(*)::int FROM onemap.incident WHERE grid_code IS NULL
         AND reported_at >= now() - interval '30 days' AND reported_at < now()) AS incidents,
       (SELECT count(*)::int FROM onemap.incident WHERE grid_code IS NULL
         AND ended_at IS NULL) AS open,
       (SELECT count(*)::int FROM onemap.incident WHERE grid_code IS NULL
         AND ended_at IS NULL AND clock_state = 'runs' AND due_at < now()) AS overdue,
       (SELECT count(*)::int FROM onemap.facility WHERE grid_code IS NULL) AS facilities,
       (SELECT count(*)::int FROM onemap.resource WHERE grid_code IS NULL) AS resources;

-- monitored_version --
-- current_date: a division's version may begin or end with a day.
SELECT current_date AS day, max(version) FILTER (WHERE table_name = 'household') AS households,
       max(version) FILTER (WHERE table_name = 'division') AS divisions
FROM onemap.table_version;

-- monitored --
-- Monitored households of the whole county by grid: what may be published of it is decided over the whole tree.
SELECT v.parent_code AS township_code, v.code AS village_code, g.code AS grid_code, coalesce(m.n, 0)::int AS n
FROM onemap.division_now g
JOIN onemap.division_now v ON v.level = 3 AND v.code = g.parent_code
LEFT JOIN (SELECT grid_code, count(*) AS n FROM onemap.household WHERE category IS NOT NULL GROUP BY grid_code) m
  ON m.grid_code = g.code
WHERE g.level = 4;

-- monthly --
-- Incidents reported in each of the last 13 calendar months (the running one last), by today's tree.
WITH tree AS MATERIALIZED (
  SELECT g.code AS grid_code
  FROM onemap.division_now g
  JOIN onemap.division_now v ON v.level = 3 AND v.code = g.parent_code
  WHERE g.level = 4
    AND CASE %(level)s::int WHEN 2 THEN v.parent_code = %(code)s
        WHEN 3 THEN v.code = %(code)s ELSE g.code = %(code)s END
), months AS (
  SELECT generate_series(date_trunc('month', now()) - interval '12 months', date_trunc('month', now()), interval '1 month') AS month
), counted AS (
  -- the county counts everything, 未落点 too, straight through; below it the grids lead to their own incidents by index
  SELECT date_trunc('month', i.reported_at) AS month, count(*)::int AS n
  FROM onemap.incident i
  WHERE %(level)s::int = 1
    AND i.reported_at >= date_trunc('month', now()) - interval '12 months' AND i.reported_at < now()
  GROUP BY 1
  UNION ALL
  SELECT date_trunc('month', i.reported_at), count(*)::int
  FROM tree JOIN onemap.incident i USING (grid_code)
  WHERE i.reported_at >= date_trunc('month', now()) - interval '12 months' AND i.reported_at < now()
  GROUP BY 1
)
SELECT m.month, coalesce(c.n, 0) AS n FROM months m LEFT JOIN counted c USING (month) ORDER BY m.month;

-- names --
-- Every division above the grids, for the search box.
SELECT d.code, d.level, d.name, p.name AS parent_name
FROM onemap.division_now d LEFT JOIN onemap.division_now p ON p.code = d.parent_code
WHERE d.level <= 3 ORDER BY d.level, d.code;

-- grids_like --
SELECT d.code, d.level, d.name, p.name AS parent_name
FROM onemap.division_now d JOIN onemap.division_now p ON p.code = d.parent_code
WHERE d.level = 4 AND d.code >= %(first)s AND d.code < %(last)s ORDER BY d.code LIMIT %(limit)s;

-- version --
SELECT coalesce((SELECT version FROM onemap.table_version WHERE table_name = 'division'), 0) AS version;

-- below --
-- Divisions of a scope and all below them, down to the villages.
WITH RECURSIVE mine AS (
  SELECT code, level FROM onemap.division_now WHERE code = ANY(%(codes)s)
  UNION
  SELECT d.code, d.level FROM onemap.division_now d JOIN mine ON d.parent_code = mine.code WHERE d.level < 4
)
SELECT code FROM mine;
