-- How well does a layer fit what the store knows? One row a geometry, in the order given; true: agrees, false: does
-- not, NULL: the store knows nothing that bears on it. Read in 3857: that is where roads, houses and water are indexed.

-- parcels --
-- A field lies in the county, holds no road, house or water, and lies in the village its code begins with.
SELECT
  CASE WHEN EXISTS (SELECT FROM onemap.road) OR EXISTS (SELECT FROM onemap.building) THEN
    -- beyond the border nothing is known, so nothing would be in the way
    EXISTS (SELECT FROM onemap.division_now c WHERE c.level = 1 AND ST_Intersects(c.geom, ST_PointOnSurface(s.geom)))
    AND NOT EXISTS (SELECT FROM onemap.road r WHERE r.geom_3857 && s.g AND ST_Intersects(r.geom_3857, s.g))
    AND NOT EXISTS (SELECT FROM onemap.building b WHERE b.geom_3857 && s.g AND ST_Intersects(b.geom_3857, s.g))
    AND NOT EXISTS (SELECT FROM onemap.ground w WHERE w.kind <> 'woodland' AND w.geom_3857 && s.g AND ST_Intersects(w.geom_3857, s.g))
  END,
  CASE WHEN v.geom IS NOT NULL THEN ST_Intersects(v.geom, ST_PointOnSurface(s.geom)) END,
  CASE WHEN p.geom IS NOT NULL THEN ST_DWithin(p.geom::geography, s.geom::geography, %(same_key_m)s) END
FROM (SELECT number, key, ST_GeomFromWKB(body, 4490) AS geom, ST_Transform(ST_GeomFromWKB(body, 4490), 3857) AS g
      FROM unnest(%(bodies)s::bytea[], %(keys)s::text[]) WITH ORDINALITY AS u (body, key, number)) s
LEFT JOIN onemap.division_now v ON v.level = 3 AND v.code = left(s.key, 12)
LEFT JOIN onemap.parcel p ON p.parcel_code = s.key
ORDER BY s.number;

-- facilities --
-- A school, an office, a shelter stands at a building and not in the water.
SELECT
  CASE WHEN EXISTS (SELECT FROM onemap.building) THEN
    EXISTS (SELECT FROM onemap.building b WHERE ST_DWithin(b.geom_3857, s.g, %(near_building_m)s / cos(radians(ST_Y(s.geom)))))
  END,
  NULL::boolean,
  CASE WHEN f.geom IS NOT NULL THEN ST_DWithin(f.geom::geography, s.geom::geography, %(same_key_m)s) END
FROM (SELECT number, key, ST_GeomFromWKB(body, 4490) AS geom, ST_Transform(ST_GeomFromWKB(body, 4490), 3857) AS g
      FROM unnest(%(bodies)s::bytea[], %(keys)s::text[]) WITH ORDINALITY AS u (body, key, number)) s
LEFT JOIN onemap.facility f ON f.facility_code = s.key
ORDER BY s.number;
