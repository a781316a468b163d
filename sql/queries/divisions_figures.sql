-- Figures of the children of a division on the tree of a day, with 未落点; the way an old month stays as it was.

-- children_on --
-- Features are counted as they are today, incidents those reported before the day's end; the tree is that day's.
WITH path AS (SELECT * FROM onemap.grid_path(%(on)s)),
counted AS (
  SELECT grid_code, count(*) AS parcels, sum(area_m2) AS area_m2, 0 AS facilities, 0 AS households, 0 AS incidents FROM onemap.parcel GROUP BY 1
  UNION ALL SELECT grid_code, 0, 0, count(*), 0, 0 FROM onemap.facility GROUP BY 1
  UNION ALL SELECT grid_code, 0, 0, 0, count(*), 0 FROM onemap.household GROUP BY 1
  UNION ALL SELECT grid_code, 0, 0, 0, 0, count(*) FROM onemap.incident WHERE reported_at < (%(on)s::date + 1) GROUP BY 1
),
-- Which child of the division each grid belongs to: a township under a county, a village under a township, ...
keyed AS (
  SELECT CASE WHEN p.grid_code IS NULL THEN NULL WHEN length(%(code)s) = 6 THEN p.township_code
              WHEN length(%(code)s) = 9 THEN p.village_code ELSE p.grid_code END AS code,
         c.*
  FROM counted c LEFT JOIN path p ON p.grid_code = c.grid_code
  WHERE length(%(code)s) = 6 OR p.township_code = %(code)s OR p.village_code = %(code)s
)
SELECT d.code, d.name, coalesce(sum(parcels), 0)::bigint, coalesce(sum(k.area_m2), 0), coalesce(sum(facilities), 0)::bigint,
       coalesce(sum(k.households), 0)::bigint, coalesce(sum(incidents), 0)::bigint
FROM onemap.division_on(%(on)s) d LEFT JOIN keyed k ON k.code = d.code
WHERE d.parent_code = %(code)s
GROUP BY d.code, d.name
UNION ALL
SELECT NULL, '未落点', coalesce(sum(parcels), 0)::bigint, coalesce(sum(area_m2), 0), coalesce(sum(facilities), 0)::bigint,
       coalesce(sum(households), 0)::bigint, coalesce(sum(incidents), 0)::bigint
FROM keyed WHERE code IS NULL AND length(%(code)s) = 6
HAVING length(%(code)s) = 6
ORDER BY 1 NULLS LAST;
