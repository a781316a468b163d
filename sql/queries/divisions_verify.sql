-- Checks of the tree of divisions as it stands today. Each query returns the rows that do not add up.

-- county_count --
SELECT count(*) FROM onemap.division_now WHERE level = 1;

-- level_counts --
SELECT level, count(*) FROM onemap.division_now GROUP BY level ORDER BY level;

-- orphans --
-- A division whose parent does not hold today, or is not exactly one level up.
SELECT c.code, c.name, c.parent_code
FROM onemap.division_now c
LEFT JOIN onemap.division_now p ON p.code = c.parent_code AND p.level = c.level - 1
WHERE c.level > 1 AND p.code IS NULL
ORDER BY c.code;

-- childless --
SELECT p.code, p.name FROM onemap.division_now p
WHERE p.level < 4 AND NOT EXISTS (SELECT FROM onemap.division_now c WHERE c.parent_code = p.code)
ORDER BY p.code;

-- foreign_prefix --
-- A child whose code does not begin with its parent's; a recorded change (a merger keeps grid codes) explains it.
SELECT c.code, c.name, c.parent_code,
       EXISTS (SELECT FROM onemap.division_change x
               WHERE x.to_code = c.parent_code AND left(c.code, length(x.from_code)) = x.from_code) AS explained
FROM onemap.division_now c
WHERE c.level > 1 AND left(c.code, length(c.parent_code)) <> c.parent_code
ORDER BY c.code;

-- without_boundary --
SELECT code, name FROM onemap.division_now WHERE geom IS NULL ORDER BY code;

-- gaps --
-- Part of a parent that no child covers, and part of the children that lies outside it.
WITH u AS (
  SELECT c.parent_code, ST_Union(c.geom) AS geom FROM onemap.division_now c
  WHERE c.level > 1 AND c.geom IS NOT NULL GROUP BY c.parent_code
)
SELECT p.code, p.name, gap_m2, overhang_m2, ST_X(at), ST_Y(at)
FROM onemap.division_now p
JOIN u ON u.parent_code = p.code
CROSS JOIN LATERAL (SELECT ST_Difference(p.geom, u.geom) AS gap, ST_Difference(u.geom, p.geom) AS overhang) d
CROSS JOIN LATERAL (
  SELECT ST_Area(d.gap::geography) AS gap_m2, ST_Area(d.overhang::geography) AS overhang_m2,
         ST_PointOnSurface(ST_Union(d.gap, d.overhang)) AS at
) m
WHERE gap_m2 > %(tolerance)s OR overhang_m2 > %(tolerance)s
ORDER BY p.code;

-- overlaps --
SELECT a.code, a.name, b.code, b.name, overlap_m2
FROM onemap.division_now a
JOIN onemap.division_now b ON b.level = a.level AND b.code > a.code AND b.geom && a.geom
  AND ST_Relate(a.geom, b.geom, '2********')
CROSS JOIN LATERAL (SELECT ST_Area(ST_Intersection(a.geom, b.geom)::geography) AS overlap_m2) o
WHERE overlap_m2 > %(tolerance)s
ORDER BY a.code, b.code;

-- area_sums --
SELECT p.code, p.name, p.area_m2, sum(c.area_m2) AS children_m2
FROM onemap.division_now p JOIN onemap.division_now c ON c.parent_code = p.code
WHERE p.geom IS NOT NULL
GROUP BY p.code, p.name, p.area_m2
HAVING count(*) = count(c.geom) AND abs(sum(c.area_m2) - p.area_m2) > greatest(%(tolerance)s, p.area_m2 * %(share)s)
ORDER BY p.code;

-- people_sums --
-- Registered households and population: compared only where every child states its own.
SELECT p.code, p.name, p.households, sum(c.households), p.population, sum(c.population)
FROM onemap.division_now p JOIN onemap.division_now c ON c.parent_code = p.code
GROUP BY p.code, p.name, p.households, p.population
HAVING (count(*) = count(c.households) AND p.households IS NOT NULL AND sum(c.households) <> p.households)
    OR (count(*) = count(c.population) AND p.population IS NOT NULL AND sum(c.population) <> p.population)
ORDER BY p.code;

-- placed_counts --
-- Rows of one table on each level of the tree; every level plus 未落点 must give the same total.
SELECT count(*), count(*) FILTER (WHERE t.grid_code IS NULL),
       count(g.code), count(v.code), count(w.code), count(k.code)
FROM {table} t
LEFT JOIN onemap.division_now g ON g.level = 4 AND g.code = t.grid_code
LEFT JOIN onemap.division_now v ON v.level = 3 AND v.code = g.parent_code AND v.code = t.village_code
LEFT JOIN onemap.division_now w ON w.level = 2 AND w.code = v.parent_code AND w.code = t.township_code
LEFT JOIN onemap.division_now k ON k.level = 1 AND k.code = w.parent_code;

-- misplaced --
-- A random sample placed again by the database's own rule: rows whose stored grid differs.
WITH s AS (SELECT {key} AS key, grid_code, geom FROM {table} WHERE geom IS NOT NULL ORDER BY random() LIMIT %(rows)s)
SELECT count(*), count(*) FILTER (WHERE grid_code IS DISTINCT FROM placed), min(key) FILTER (WHERE grid_code IS DISTINCT FROM placed)
FROM s CROSS JOIN LATERAL (
  SELECT onemap.grid_at(CASE WHEN ST_Dimension(s.geom) = 0 THEN s.geom ELSE ST_PointOnSurface(s.geom) END) AS placed
) p;
