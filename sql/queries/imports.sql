-- Imports: rows wait in a temporary table, are held against each other and the store, and go in by one statement.

-- lock --
-- One import at a time: two could bring the same code and each see none.
SELECT pg_try_advisory_xact_lock(hashtext('onemap.import'));

-- county --
SELECT c.code, c.name, c.metric_srid, ST_AsBinary(d.geom)
FROM onemap.county c
LEFT JOIN onemap.division d ON d.code = c.code AND d.level = 1 AND d.valid_to IS NULL
ORDER BY c.code LIMIT 1;

-- same_file --
SELECT load_id, started_at::date FROM intake.load
WHERE source_sha256 = %(sha256)s AND subject = %(subject)s AND finished_at IS NOT NULL AND undone_at IS NULL
ORDER BY load_id DESC LIMIT 1;

-- zones --
SELECT kind, ST_AsBinary(geom) FROM onemap.farmland_zone ORDER BY zone_id;

-- stage_parcels --
-- Column types are the table's own; nothing is logged, and a killed session leaves nothing.
CREATE TEMP TABLE staged ON COMMIT DROP AS
SELECT 0::bigint AS row_number, parcel_code AS key, 0::bigint AS geom_key, name, issuer_code, contractor_code, contractor_masked,
       contract_code, ownership, parcel_kind, land_use, land_class, planting, soil_grade, purpose, acquired_by,
       declared_pbf, in_pbf, in_high_standard, area_m2, declared_area_mu, east, south, west, north,
       grid_code, village_code, township_code, geom
FROM onemap.parcel WHERE false;

-- stage_contractors --
CREATE TEMP TABLE staged_contractor ON COMMIT DROP AS
SELECT 0::bigint AS row_number, contractor_code, name_enc, id_number_enc, phone_enc, witness_enc, name_key, id_number_key, phone_key
FROM personal.contractor WHERE false;

-- stage_facilities --
CREATE TEMP TABLE staged ON COMMIT DROP AS
SELECT 0::bigint AS row_number, facility_code AS key, 0::bigint AS geom_key, kind, name, capability, capacity, capacity_unit,
       open_hours, duty_phone, grid_code, village_code, township_code, geom
FROM onemap.facility WHERE false;

-- duplicate_keys --
SELECT row_number, key, first FROM (
  SELECT row_number, key, min(row_number) OVER (PARTITION BY key) AS first FROM staged
) s WHERE row_number <> first ORDER BY row_number;

-- duplicate_geometry --
SELECT row_number, key, first FROM (
  SELECT row_number, key, min(row_number) OVER (PARTITION BY geom_key) AS first FROM staged
) s WHERE row_number <> first ORDER BY row_number;

-- parcels_in_store --
SELECT s.row_number, s.key, p.load_id FROM staged s JOIN onemap.parcel p ON p.parcel_code = s.key ORDER BY 1;

-- facilities_in_store --
SELECT s.row_number, s.key, p.load_id FROM staged s JOIN onemap.facility p ON p.facility_code = s.key ORDER BY 1;

-- unstage --
DELETE FROM staged WHERE row_number = ANY(%(numbers)s);

-- strips --
SELECT row_number, ST_AsBinary(geom) FROM staged ORDER BY ST_XMin(geom), row_number;

-- keys --
SELECT row_number, key FROM staged WHERE row_number = ANY(%(numbers)s);

-- staged_bytes --
SELECT pg_total_relation_size('staged');

-- any_parcel --
SELECT EXISTS (SELECT FROM onemap.parcel);

-- parcels_near --
-- Numbers are negative so that they cannot be taken for rows of the file.
SELECT -parcel_id, ST_AsBinary(geom) FROM onemap.parcel
WHERE geom && ST_MakeEnvelope(%(west)s, %(south)s, %(east)s, %(north)s, 4490);

-- parcel_codes --
SELECT -parcel_id, parcel_code FROM onemap.parcel WHERE parcel_id = ANY(%(ids)s);

-- insert_parcels --
-- Sorted along PostGIS's space-filling curve: neighbours share pages, tiles read fewer of them.
INSERT INTO onemap.parcel (parcel_code, name, issuer_code, contractor_code, contractor_masked, contract_code, ownership,
  parcel_kind, land_use, land_class, planting, soil_grade, purpose, acquired_by, declared_pbf, in_pbf, in_high_standard,
  area_m2, declared_area_mu, east, south, west, north, grid_code, village_code, township_code, load_id, geom)
SELECT key, name, issuer_code, contractor_code, contractor_masked, contract_code, ownership,
  parcel_kind, land_use, land_class, planting, soil_grade, purpose, acquired_by, declared_pbf, in_pbf, in_high_standard,
  area_m2, declared_area_mu, east, south, west, north, grid_code, village_code, township_code, %(load_id)s, geom
FROM staged ORDER BY geom;

-- insert_contractors --
-- A contractor the store knows stays as it is: an import adds, it does not rewrite people.
INSERT INTO personal.contractor (contractor_code, name_enc, id_number_enc, phone_enc, witness_enc, name_key, id_number_key, phone_key, load_id)
SELECT DISTINCT ON (c.contractor_code) c.contractor_code, c.name_enc, c.id_number_enc, c.phone_enc, c.witness_enc, c.name_key, c.id_number_key, c.phone_key, %(load_id)s
FROM staged_contractor c JOIN staged s USING (row_number)
ORDER BY c.contractor_code, c.row_number
ON CONFLICT (contractor_code) DO NOTHING;

-- contractors_differ --
-- Names that differ from what is stored under the same code, by their keyed hash: no name is read.
SELECT c.row_number, s.key, c.contractor_code
FROM staged_contractor c JOIN staged s USING (row_number)
JOIN personal.contractor p ON p.contractor_code = c.contractor_code
WHERE p.name_key IS DISTINCT FROM c.name_key ORDER BY c.row_number;

-- insert_facilities --
INSERT INTO onemap.facility (facility_code, kind, name, capability, capacity, capacity_unit, open_hours, duty_phone,
  grid_code, village_code, township_code, load_id, geom)
SELECT key, kind, name, capability, capacity, capacity_unit, open_hours, duty_phone,
  grid_code, village_code, township_code, %(load_id)s, geom
FROM staged ORDER BY row_number;

-- unplaced --
SELECT count(*) FROM staged WHERE grid_code IS NULL;

-- refresh --
SELECT onemap.refresh_parcel_summary();

-- annotate --
UPDATE intake.load SET note = %(note)s WHERE load_id = %(load_id)s;

-- log --
SELECT load_id, subject, source_name, mapping, source_crs, synthetic, loaded_by, started_at, finished_at,
       rows_in, rows_loaded, rows_quarantined, undone_at, note, source_sha256
FROM intake.load ORDER BY load_id DESC LIMIT %(limit)s;

-- load --
SELECT load_id, subject, source_name, mapping, source_crs, synthetic, loaded_by, started_at, finished_at,
       rows_in, rows_loaded, rows_quarantined, undone_at, note, source_sha256
FROM intake.load WHERE load_id = %(load_id)s;

-- quarantined --
SELECT row_number, row_key, reason_code, reason FROM intake.quarantine
WHERE load_id = %(load_id)s ORDER BY row_number;

-- rejects --
SELECT row_number, row_key, reason_code, reason, properties, geom_wkb, sealed FROM intake.quarantine
WHERE load_id = %(load_id)s ORDER BY row_number;

-- quarantine_clear --
SELECT row_number, properties FROM intake.quarantine WHERE load_id = %(load_id)s AND sealed IS NULL;

-- quarantine_seal --
UPDATE intake.quarantine SET properties = %(properties)s, sealed = %(sealed)s
WHERE load_id = %(load_id)s AND row_number = %(row_number)s AND sealed IS NULL;
