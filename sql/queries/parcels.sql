-- One thing on the ground, whole, for its card. Nothing here is personal: contractors are masked in the table.

-- parcel --
SELECT p.parcel_id, p.parcel_code, p.name, p.contractor_masked, p.contract_code, p.ownership, p.parcel_kind, p.land_class,
       p.planting, p.soil_grade, p.declared_pbf, p.in_pbf, p.in_high_standard, p.area_m2, p.declared_area_mu,
       p.east, p.south, p.west, p.north, p.grid_code, p.village_code, p.township_code, p.load_id,
       l.source_name, l.synthetic, l.started_at AS loaded_at, l.source_crs,
       ST_X(ST_PointOnSurface(p.geom)) AS lon, ST_Y(ST_PointOnSurface(p.geom)) AS lat,
       ST_XMin(p.geom) AS bw, ST_YMin(p.geom) AS bs, ST_XMax(p.geom) AS be, ST_YMax(p.geom) AS bn,
       ST_AsGeoJSON(p.geom, 7, 0) AS geometry
FROM onemap.parcel p LEFT JOIN intake.load l USING (load_id)
WHERE p.parcel_code = %(code)s;

-- parcel_by_id --
SELECT p.parcel_id, p.parcel_code, p.name, p.contractor_masked, p.contract_code, p.ownership, p.parcel_kind, p.land_class,
       p.planting, p.soil_grade, p.declared_pbf, p.in_pbf, p.in_high_standard, p.area_m2, p.declared_area_mu,
       p.east, p.south, p.west, p.north, p.grid_code, p.village_code, p.township_code, p.load_id,
       l.source_name, l.synthetic, l.started_at AS loaded_at, l.source_crs,
       ST_X(ST_PointOnSurface(p.geom)) AS lon, ST_Y(ST_PointOnSurface(p.geom)) AS lat,
       ST_XMin(p.geom) AS bw, ST_YMin(p.geom) AS bs, ST_XMax(p.geom) AS be, ST_YMax(p.geom) AS bn,
       ST_AsGeoJSON(p.geom, 7, 0) AS geometry
FROM onemap.parcel p LEFT JOIN intake.load l USING (load_id)
WHERE p.parcel_id = %(id)s;

-- parcels_like --
-- Codes are digits, so the range is the prefix; the unique index answers it.
SELECT parcel_code, name, village_code FROM onemap.parcel
WHERE parcel_code >= %(first)s AND parcel_code < %(last)s ORDER BY parcel_code LIMIT %(limit)s;

-- facility --
SELECT f.facility_id, f.facility_code, f.kind, f.name, f.capability, f.capacity, f.capacity_unit, f.open_hours, f.duty_phone,
       f.grid_code, f.load_id, l.source_name, l.synthetic, l.started_at AS loaded_at,
       ST_X(f.geom) AS lon, ST_Y(f.geom) AS lat
FROM onemap.facility f LEFT JOIN intake.load l USING (load_id)
WHERE f.facility_id = %(id)s;

-- facilities_like --
SELECT facility_id, name, kind, village_code FROM onemap.facility
WHERE strpos(name, %(text)s) > 0 ORDER BY length(name), name LIMIT %(limit)s;

-- resource --
SELECT r.resource_id, r.resource_code, r.kind, r.name, r.capability, r.quantity, r.unit, r.state, r.position_at,
       r.grid_code, r.load_id, l.source_name, l.synthetic, l.started_at AS loaded_at,
       ST_X(r.geom) AS lon, ST_Y(r.geom) AS lat
FROM onemap.resource r LEFT JOIN intake.load l USING (load_id)
WHERE r.resource_id = %(id)s;

-- incident --
SELECT i.incident_id, i.case_no, i.item_code, i.channel, i.title, i.reported_at, i.accepted_at, i.responded_at, i.due_at,
       i.closed_at, i.status, i.handled_level, i.rating, i.grid_code, i.load_id,
       i.clock_state = 'runs' AND i.due_at < now() AS overdue,
       l.source_name, l.synthetic, l.started_at AS loaded_at,
       ST_X(i.geom) AS lon, ST_Y(i.geom) AS lat
FROM onemap.incident i LEFT JOIN intake.load l USING (load_id)
WHERE i.incident_id = %(id)s;
