-- What the administration pages ask beside gis/access: names of divisions, which are public.

-- divisions_to_grant --
-- The county, its townships and its villages; a grid is granted by typing its code.
SELECT d.code, d.level, d.name, p.name AS within
FROM onemap.division_now d LEFT JOIN onemap.division_now p ON p.code = d.parent_code
WHERE d.level <= 3
ORDER BY d.code;

-- division_names --
SELECT d.code, d.name FROM onemap.division_now d WHERE d.code = ANY (%(codes)s);

-- county_name --
SELECT c.name FROM onemap.county c ORDER BY c.code LIMIT 1;
