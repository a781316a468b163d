-- Divisions from a file: the tree that stands, the versions that end, the features that are placed again.

-- current --
SELECT code, level, name, parent_code, valid_from, ST_AsBinary(geom) FROM onemap.division
WHERE valid_to IS NULL ORDER BY code;

-- close --
UPDATE onemap.division SET valid_to = %(on)s WHERE code = ANY(%(codes)s) AND valid_to IS NULL;

-- place_again --
-- Border points go to the smallest code, as in onemap.grid_at(); only rows whose codes change are written.
WITH owner AS (
  SELECT f.{key} AS id, min(g.code) AS grid_code
  FROM onemap.{table} f
  LEFT JOIN onemap.division g ON g.level = 4 AND g.valid_to IS NULL
    AND ST_Covers(g.geom, CASE WHEN ST_Dimension(f.geom) = 0 THEN f.geom ELSE ST_PointOnSurface(f.geom) END)
  WHERE f.geom IS NOT NULL GROUP BY 1
), placed AS (
  SELECT o.id, o.grid_code, v.code AS village_code, v.parent_code AS township_code
  FROM owner o
  LEFT JOIN onemap.division g ON g.code = o.grid_code AND g.level = 4 AND g.valid_to IS NULL
  LEFT JOIN onemap.division v ON v.code = g.parent_code AND v.valid_to IS NULL
)
UPDATE onemap.{table} f SET grid_code = p.grid_code, village_code = p.village_code, township_code = p.township_code
FROM placed p
WHERE f.{key} = p.id
AND (f.grid_code, f.village_code, f.township_code) IS DISTINCT FROM (p.grid_code, p.village_code, p.township_code);
