-- Which divisions of today a point lies in: what a phone shows beside its position.

-- at --
-- One row a level; a point on a border is in the lower code's division, as everywhere (onemap.place_row).
SELECT DISTINCT ON (level) code, level, name
FROM onemap.division_now
WHERE geom && ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4490)
  AND ST_Covers(geom, ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4490))
ORDER BY level, code;

-- county --
SELECT d.code, d.name, ST_XMin(d.geom) AS west, ST_YMin(d.geom) AS south, ST_XMax(d.geom) AS east, ST_YMax(d.geom) AS north
FROM onemap.division_now d WHERE d.level = 1 ORDER BY d.code LIMIT 1;

-- named --
-- A division's name and that of what it lies in.
SELECT d.code, d.level, d.name, p.name AS parent_name, p.level AS parent_level,
       ST_XMin(d.geom) AS west, ST_YMin(d.geom) AS south, ST_XMax(d.geom) AS east, ST_YMax(d.geom) AS north
FROM onemap.division_now d LEFT JOIN onemap.division_now p ON p.code = d.parent_code
WHERE d.code = %(code)s;
