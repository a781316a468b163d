-- A merger: versions end, one new version begins, children change their parent, the change is on record.

-- standing --
SELECT code, name, parent_code, valid_from FROM onemap.division
WHERE code = ANY(%(codes)s) AND valid_to IS NULL FOR UPDATE;

-- new_version --
-- Ends all versions, and begins one with the union of boundaries. A sum with an unknown part is unknown.
WITH ended AS (
  UPDATE onemap.division SET valid_to = %(on)s WHERE code = ANY(%(codes)s) AND valid_to IS NULL RETURNING *
)
INSERT INTO onemap.division (code, level, name, parent_code, urban_rural, households, population, valid_from, boundary_status, load_id, geom, seat)
SELECT k.code, k.level, coalesce(%(name)s, k.name), k.parent_code, k.urban_rural, s.households, s.population, %(on)s,
       s.boundary_status, k.load_id, s.geom, k.seat
FROM ended k
CROSS JOIN (
  SELECT CASE WHEN count(*) = count(households) THEN sum(households) END AS households,
         CASE WHEN count(*) = count(population) THEN sum(population) END AS population,
         max(boundary_status) AS boundary_status,
         CASE WHEN count(*) = count(geom) THEN ST_Multi(ST_Union(geom)) END AS geom
  FROM ended
) s
WHERE k.code = %(into)s;

-- move_children --
WITH ended AS (
  UPDATE onemap.division SET valid_to = %(on)s WHERE parent_code = ANY(%(from)s) AND valid_to IS NULL RETURNING *
)
INSERT INTO onemap.division (code, level, name, parent_code, urban_rural, households, population, valid_from, boundary_status, load_id, geom, seat)
SELECT code, level, name, %(into)s, urban_rural, households, population, %(on)s, boundary_status, load_id, geom, seat FROM ended;

-- record --
INSERT INTO onemap.division_change (kind, on_date, from_code, to_code, document)
SELECT 'merge', %(on)s, code, %(into)s, %(document)s FROM unnest(%(from)s::text[]) AS code;
