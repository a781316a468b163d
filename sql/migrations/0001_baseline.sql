-- The first state of the store: sql/schema, functions and policies as of this migration. Frozen once released.

-- from sql/schema/10_base.sql
-- What every other table stands on: the schemas, the soundness rule for geometry, the record of every load.

CREATE SCHEMA onemap;
COMMENT ON SCHEMA onemap IS '一张图: divisions, features, signals, cases. Everything the map shows.';

CREATE SCHEMA personal;
COMMENT ON SCHEMA personal IS '个人信息: names, numbers, phones. Only owner and job may look; the app asks through audited functions.';

CREATE SCHEMA intake;
COMMENT ON SCHEMA intake IS '入库: what was loaded, by whom, from which file, and what was turned away.';

-- A geometry we are willing to store: valid, not empty, and every coordinate finite and inside China's
-- bounds in longitude/latitude order. Swapped axes put a latitude (18-54) where a longitude (73-136) belongs,
-- and NaN sorts above every number in PostgreSQL, so both fail the same comparison.
CREATE FUNCTION onemap.is_sound(g public.geometry) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  -- Schema written out: a restore has no search path. (SET search_path would keep the function from being inlined.)
  SELECT g IS NULL OR (
    NOT public.ST_IsEmpty(g)
    AND public.ST_XMin(g) >= 73.0 AND public.ST_XMax(g) <= 136.0
    AND public.ST_YMin(g) >= 3.0 AND public.ST_YMax(g) <= 54.0
    AND public.ST_IsValid(g))
$$;
COMMENT ON FUNCTION onemap.is_sound(geometry) IS
  'True for NULL, or a valid, non-empty EPSG:4490 geometry with finite lon/lat coordinates inside China (73-136E, 3-54N).';

CREATE TABLE intake.load (
  load_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  subject       text NOT NULL,
  source_name   text NOT NULL,
  source_sha256 text,
  source_crs    text,
  mapping       text,
  synthetic     boolean NOT NULL DEFAULT false,
  loaded_by     text NOT NULL DEFAULT session_user,
  started_at    timestamptz NOT NULL DEFAULT now(),
  finished_at   timestamptz,
  rows_in       bigint NOT NULL DEFAULT 0 CHECK (rows_in >= 0),
  rows_loaded   bigint NOT NULL DEFAULT 0 CHECK (rows_loaded >= 0),
  rows_quarantined bigint NOT NULL DEFAULT 0 CHECK (rows_quarantined >= 0),
  undone_at     timestamptz,
  note          text,
  CHECK (rows_in = rows_loaded + rows_quarantined OR finished_at IS NULL)
);
COMMENT ON TABLE intake.load IS '入库批次: lineage of every load: which file, its hash, who, when, how many rows came in, stayed out.';
COMMENT ON COLUMN intake.load.subject IS 'What was loaded: divisions, parcels, facilities, households, incidents, ...';
COMMENT ON COLUMN intake.load.source_name IS 'File name without folders; 合成 for generated data.';
COMMENT ON COLUMN intake.load.synthetic IS '合成: true for generated data; shown on screen and in every export.';
COMMENT ON COLUMN intake.load.mapping IS 'Name of the file in data/imports/ that mapped the fields.';
COMMENT ON COLUMN intake.load.undone_at IS 'When the load was taken back; its rows are gone, this record stays.';

CREATE TABLE intake.quarantine (
  quarantine_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  load_id       bigint NOT NULL REFERENCES intake.load ON DELETE CASCADE,
  row_number    bigint NOT NULL,
  row_key       text,
  reason_code   text NOT NULL,
  reason        text NOT NULL,
  properties    jsonb NOT NULL,
  geom_wkb      bytea
);
COMMENT ON TABLE intake.quarantine IS '隔离区: rows that were not loaded, whole, each with the reason a person understands.';
COMMENT ON COLUMN intake.quarantine.row_number IS '1-based position in the source file.';
COMMENT ON COLUMN intake.quarantine.geom_wkb IS 'The geometry as it came, in the CRS of the load, possibly invalid: never a geometry column.';
CREATE INDEX quarantine_load ON intake.quarantine (load_id, reason_code);

CREATE TABLE intake.dropped_index (
  index_name text PRIMARY KEY,
  table_name text NOT NULL,
  ddl        text NOT NULL,
  dropped_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE intake.dropped_index IS 'Indexes dropped for a bulk load that has not finished; empty otherwise. A killed load is mended from it.';

CREATE TABLE onemap.table_version (
  table_name text PRIMARY KEY,
  version    bigint NOT NULL DEFAULT 1,
  changed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE onemap.table_version IS 'One number per mapped table, raised by each statement that changes it: the tile cache and ETags hang on it.';

CREATE TABLE onemap.county (
  code         text PRIMARY KEY CHECK (code ~ '^[0-9]{6}$'),
  name         text NOT NULL,
  profile      text NOT NULL,
  metric_srid  integer NOT NULL,
  scale        text NOT NULL,
  seed         bigint,
  built_at     timestamptz,
  outline_source text
);
COMMENT ON TABLE onemap.county IS '本县: the one county this store holds, which profile and scale built it. built_at is NULL while a build is unfinished.';

-- from sql/schema/20_division.sql
-- 区划: county, township, village, grid in one dated tree. A row is one version of one code.

CREATE TABLE onemap.division (
  division_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code        text NOT NULL,
  level       smallint NOT NULL CHECK (level BETWEEN 1 AND 4),
  name        text NOT NULL CHECK (name <> ''),
  parent_code text,
  urban_rural text,
  households  integer CHECK (households >= 0),
  population  integer CHECK (population >= 0),
  valid_from  date NOT NULL,
  valid_to    date,
  boundary_status text NOT NULL DEFAULT 'official' CHECK (boundary_status IN ('official', 'schematic')),
  load_id     bigint REFERENCES intake.load,
  geom        geometry(MultiPolygon, 4490),
  geom_3857   geometry(MultiPolygon, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED,
  seat        geometry(Point, 4490),
  seat_3857   geometry(Point, 3857) GENERATED ALWAYS AS (ST_Transform(seat, 3857)) STORED,
  area_m2     double precision GENERATED ALWAYS AS (ST_Area(geom::geography)) STORED,
  CONSTRAINT division_code_form CHECK (
    code ~ CASE level WHEN 1 THEN '^[0-9]{6}$' WHEN 2 THEN '^[0-9]{9}$'
                      WHEN 3 THEN '^[0-9]{12}$' ELSE '^[0-9]{15}$' END),
  CONSTRAINT division_parent_form CHECK ((level = 1) = (parent_code IS NULL)),
  CONSTRAINT division_dates CHECK (valid_to IS NULL OR valid_to > valid_from),
  CONSTRAINT division_geom_sound CHECK (onemap.is_sound(geom)),
  CONSTRAINT division_seat_sound CHECK (onemap.is_sound(seat)),
  CONSTRAINT division_one_version EXCLUDE USING gist (code WITH =, daterange(valid_from, valid_to, '[)') WITH &&)
);
COMMENT ON TABLE onemap.division IS '区划: one row per version of a code and its boundary. A grid keeps its code through a village merger; only its parent changes, dated.';
COMMENT ON COLUMN onemap.division.code IS 'GB/T 2260 6 digits; township +3; village +3; grid +3 (15 digits).';
COMMENT ON COLUMN onemap.division.level IS '1 县 2 乡镇 3 村 4 网格';
COMMENT ON COLUMN onemap.division.urban_rural IS '城乡分类代码 111..220 (国家统计局)';
COMMENT ON COLUMN onemap.division.households IS '登记户数; NULL = 无数据';
COMMENT ON COLUMN onemap.division.population IS '登记人口; NULL = 无数据';
COMMENT ON COLUMN onemap.division.valid_from IS 'First day this version holds.';
COMMENT ON COLUMN onemap.division.valid_to IS 'First day it no longer holds; NULL = still holds.';
COMMENT ON COLUMN onemap.division.boundary_status IS 'official, or schematic (示意) where the boundary was generated.';
COMMENT ON COLUMN onemap.division.seat IS 'Where its name is written: the settlement''s centre. NULL: the label goes to a point inside the boundary.';
COMMENT ON COLUMN onemap.division.area_m2 IS 'Ellipsoidal area (as 三调 measures), square metres.';
CREATE INDEX division_geom ON onemap.division USING gist (geom);
CREATE INDEX division_geom_3857 ON onemap.division USING gist (geom_3857);
CREATE INDEX division_parent ON onemap.division (parent_code, code);
CREATE INDEX division_level ON onemap.division (level, code);

CREATE TABLE onemap.division_change (
  change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind      text NOT NULL CHECK (kind IN ('merge', 'rename', 'split', 'transfer')),
  on_date   date NOT NULL,
  from_code text NOT NULL,
  to_code   text NOT NULL,
  document  text,
  made_by   text NOT NULL DEFAULT session_user,
  made_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE onemap.division_change IS '区划调整: which code went into which, on which day, by which document. Append-only.';

-- The tree as it stood on a day. Figures of an old month join features to the tree of that month by grid.
CREATE FUNCTION onemap.division_on(on_date date) RETURNS SETOF onemap.division
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT * FROM onemap.division d
  WHERE d.valid_from <= on_date AND (d.valid_to IS NULL OR d.valid_to > on_date)
$$;
COMMENT ON FUNCTION onemap.division_on(date) IS 'Versions of all divisions that held on that day.';

CREATE VIEW onemap.division_now AS
  SELECT * FROM onemap.division d
  WHERE d.valid_from <= current_date AND (d.valid_to IS NULL OR d.valid_to > current_date);
COMMENT ON VIEW onemap.division_now IS '现行区划: the versions that hold today.';

-- Which grid, village and township a grid code belonged to on a day.
CREATE FUNCTION onemap.grid_path(on_date date)
RETURNS TABLE (grid_code text, village_code text, township_code text)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT g.code, v.code, v.parent_code
  FROM onemap.division_on(on_date) g
  JOIN onemap.division_on(on_date) v ON v.level = 3 AND v.code = g.parent_code
  WHERE g.level = 4
$$;
COMMENT ON FUNCTION onemap.grid_path(date) IS 'Grid → village → township on that day; the way old figures stay right after a merger.';

-- Who owns a point: the grid that covers it; on a shared border the smallest code (decided once, here).
CREATE FUNCTION onemap.grid_at(p geometry) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT min(g.code) FROM onemap.division g
  WHERE g.level = 4 AND g.valid_to IS NULL AND g.geom && p AND ST_Covers(g.geom, p)
$$;
COMMENT ON FUNCTION onemap.grid_at(geometry) IS 'Code of the current grid that covers an EPSG:4490 point; border points go to the smallest code; NULL = 未落点.';

-- BEFORE ROW trigger of every table that lies on the ground. Loaders (owner, job) place in bulk by the same
-- rule and hand the codes in; anybody else's codes are overwritten by what the ground says.
CREATE FUNCTION onemap.place_row() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.grid_code IS NOT NULL AND current_user IN ('onemap_owner', 'onemap_job') THEN
    RETURN NEW;
  END IF;
  NEW.grid_code := NULL; NEW.village_code := NULL; NEW.township_code := NULL;
  IF NEW.geom IS NOT NULL AND NOT ST_IsEmpty(NEW.geom) THEN
    NEW.grid_code := onemap.grid_at(
      CASE WHEN ST_Dimension(NEW.geom) = 0 THEN NEW.geom ELSE ST_PointOnSurface(NEW.geom) END);
  END IF;
  IF NEW.grid_code IS NOT NULL THEN
    SELECT v.code, v.parent_code INTO NEW.village_code, NEW.township_code
    FROM onemap.division g JOIN onemap.division v ON v.code = g.parent_code AND v.valid_to IS NULL
    WHERE g.code = NEW.grid_code AND g.valid_to IS NULL;
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION onemap.place_row() IS 'Trigger: grid, village and township by space when a row is written; NULL codes mean 未落点.';

-- AFTER STATEMENT trigger: raises the number that tile caches and ETags hang on.
CREATE FUNCTION onemap.bump_version() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = onemap, pg_temp AS $$
BEGIN
  INSERT INTO onemap.table_version AS t (table_name) VALUES (TG_TABLE_NAME)
  ON CONFLICT (table_name) DO UPDATE SET version = t.version + 1, changed_at = now();
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION onemap.bump_version() IS 'Trigger: one more version of this table for tile caches.';

CREATE TRIGGER division_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON onemap.division
  FOR EACH STATEMENT EXECUTE FUNCTION onemap.bump_version();

-- from sql/schema/30_parcel.sql
-- 地块: contracted parcels (NY/T 2539-2016 / GB/T 35958-2018), protected zones, and the sums shown where parcels are too small to see.

CREATE TABLE onemap.parcel (
  parcel_id       bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  parcel_code     text NOT NULL CHECK (parcel_code ~ '^[0-9]{19}$'),
  name            text,
  issuer_code     text,
  contractor_code text,
  contractor_masked text,
  contract_code   text,
  ownership       text,
  parcel_kind     text,
  land_use        text,
  land_class      text,
  planting        text,
  soil_grade      text,
  purpose         text,
  acquired_by     text,
  declared_pbf    boolean,
  in_pbf          boolean,
  in_high_standard boolean,
  area_m2         double precision NOT NULL CHECK (area_m2 > 0 AND area_m2 < 1e9),
  declared_area_mu double precision CHECK (declared_area_mu > 0 AND declared_area_mu < 1e6),
  east text, south text, west text, north text,
  grid_code       text,
  village_code    text,
  township_code   text,
  load_id         bigint,
  geom            geometry(Polygon, 4490) NOT NULL CONSTRAINT parcel_geom_sound CHECK (onemap.is_sound(geom)),
  geom_3857       geometry(Polygon, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED
);
COMMENT ON TABLE onemap.parcel IS '承包地块. Fields of NY/T 2539-2016 that matter; official code in each comment. load_id says where a row came from.';
COMMENT ON COLUMN onemap.parcel.parcel_code IS 'DKBM 地块编码, 19 digits = FBFBM 14 + 5. Its prefix was frozen at survey time: join by space, never by prefix.';
COMMENT ON COLUMN onemap.parcel.name IS 'DKMC 地块名称';
COMMENT ON COLUMN onemap.parcel.issuer_code IS 'FBFBM 发包方编码, 14 digits';
COMMENT ON COLUMN onemap.parcel.contractor_code IS 'CBFBM 承包方编码, 18 digits; a key, not a name. The name lives in personal.contractor.';
COMMENT ON COLUMN onemap.parcel.contractor_masked IS 'CBFMC 承包方名称, masked (张*明)';
COMMENT ON COLUMN onemap.parcel.contract_code IS 'CBHTBM 承包合同编码, 18 or 19 digits';
COMMENT ON COLUMN onemap.parcel.ownership IS 'SYQXZ 所有权性质 10 30 31 32 33 34';
COMMENT ON COLUMN onemap.parcel.parcel_kind IS 'DKLB 地块类别 10 承包地块 21 自留地 22 机动地 23 开荒地 24/99 其他';
COMMENT ON COLUMN onemap.parcel.land_use IS 'TDLYLX 土地利用类型 011 水田 012 水浇地 013 旱地';
COMMENT ON COLUMN onemap.parcel.land_class IS 'DLBM 三调地类 0101 0102 0103 0201 ... (data/codelists/land_class.csv)';
COMMENT ON COLUMN onemap.parcel.planting IS 'ZZSXDM 种植属性 LS FLS LYFL LLJZ WG XG as registered; NULL = 无数据';
COMMENT ON COLUMN onemap.parcel.soil_grade IS 'DLDJ 地力等级 01-10';
COMMENT ON COLUMN onemap.parcel.purpose IS 'TDYT 土地用途 1 种植 2 林 3 牧 4 渔 5 其他';
COMMENT ON COLUMN onemap.parcel.acquired_by IS 'CBJYQQDFS 承包经营权取得方式 110 家庭承包 ...';
COMMENT ON COLUMN onemap.parcel.declared_pbf IS 'SFJBNT 是否基本农田 (1 是, 2 否) as declared in the parcel''s own file; in_pbf decides.';
COMMENT ON COLUMN onemap.parcel.in_pbf IS '永久基本农田 by the zone layer (point on surface inside a zone); NULL when no zone layer is loaded.';
COMMENT ON COLUMN onemap.parcel.in_high_standard IS '高标准农田 by the zone layer; NULL when none is loaded.';
COMMENT ON COLUMN onemap.parcel.area_m2 IS 'Measured in the county''s metric CRS (SCMJ), square metres.';
COMMENT ON COLUMN onemap.parcel.declared_area_mu IS 'SCMJM / HTMJM as declared in the file, 亩';
COMMENT ON COLUMN onemap.parcel.east IS 'DKDZ 地块东至'; COMMENT ON COLUMN onemap.parcel.south IS 'DKNZ 地块南至';
COMMENT ON COLUMN onemap.parcel.west IS 'DKXZ 地块西至'; COMMENT ON COLUMN onemap.parcel.north IS 'DKBZ 地块北至';
CREATE UNIQUE INDEX parcel_parcel_code ON onemap.parcel (parcel_code);
CREATE INDEX parcel_geom ON onemap.parcel USING gist (geom);
CREATE INDEX parcel_geom_3857 ON onemap.parcel USING gist (geom_3857);
CREATE INDEX parcel_grid ON onemap.parcel (grid_code);
CREATE INDEX parcel_load ON onemap.parcel (load_id);
CREATE TRIGGER parcel_place BEFORE INSERT OR UPDATE OF geom, grid_code, village_code, township_code ON onemap.parcel
  FOR EACH ROW EXECUTE FUNCTION onemap.place_row();
CREATE TRIGGER parcel_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON onemap.parcel
  FOR EACH STATEMENT EXECUTE FUNCTION onemap.bump_version();

CREATE TABLE personal.contractor (
  contractor_code text PRIMARY KEY,
  name_enc      bytea NOT NULL,
  id_number_enc bytea,
  phone_enc     bytea,
  witness_enc   bytea,
  name_key      bytea CHECK (length(name_key) = 16),
  id_number_key bytea CHECK (length(id_number_key) = 16),
  phone_key     bytea CHECK (length(phone_key) = 16),
  load_id       bigint
);
COMMENT ON TABLE personal.contractor IS '承包方个人信息 (CBFMC, CBFZJHM, LXDH, ZJRXM), encrypted: apart from the parcels, never in a tile or export.';
COMMENT ON COLUMN personal.contractor.name_key IS 'Keyed hash of the name: tells whether another file means the same person.';
COMMENT ON COLUMN personal.contractor.id_number_key IS 'Keyed hash of the identity number: finds an exact match without being readable.';
COMMENT ON COLUMN personal.contractor.phone_key IS 'Keyed hash of the phone number.';
CREATE INDEX contractor_id_number ON personal.contractor (id_number_key);
-- A reveal asks whether any parcel of a contractor lies in scope.
CREATE INDEX parcel_contractor ON onemap.parcel (contractor_code);

CREATE TABLE onemap.farmland_zone (
  zone_id    bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  zone_code  text NOT NULL UNIQUE,
  kind       text NOT NULL CHECK (kind IN ('pbf', 'high_standard')),
  name       text,
  approved_on date,
  area_m2    double precision NOT NULL CHECK (area_m2 > 0),
  load_id    bigint,
  geom       geometry(MultiPolygon, 4490) NOT NULL CONSTRAINT farmland_zone_geom_sound CHECK (onemap.is_sound(geom)),
  geom_3857  geometry(MultiPolygon, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED
);
COMMENT ON TABLE onemap.farmland_zone IS '永久基本农田 (pbf) and 高标准农田 (high_standard) zones. Zones cross villages, so they carry no grid.';
COMMENT ON COLUMN onemap.farmland_zone.kind IS 'pbf 永久基本农田, high_standard 高标准农田';
CREATE INDEX farmland_zone_geom ON onemap.farmland_zone USING gist (geom);
CREATE INDEX farmland_zone_geom_3857 ON onemap.farmland_zone USING gist (geom_3857);
CREATE TRIGGER farmland_zone_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON onemap.farmland_zone
  FOR EACH STATEMENT EXECUTE FUNCTION onemap.bump_version();

CREATE TABLE onemap.parcel_summary (
  grid_code  text NOT NULL,
  land_class text NOT NULL,
  village_code  text,
  township_code text,
  parcels    integer NOT NULL,
  area_m2    double precision NOT NULL,
  pbf_parcels integer NOT NULL,
  pbf_area_m2 double precision NOT NULL,
  high_standard_area_m2 double precision NOT NULL,
  PRIMARY KEY (grid_code, land_class)
);
COMMENT ON TABLE onemap.parcel_summary IS 'Parcels summed by grid and land class; what the map shows below the zoom where parcels can be told apart. '''' = 未落点 / 无地类.';

-- Summed from the parcels, whole: 1M rows take about a second, and a sum that cannot drift is worth that.
CREATE FUNCTION onemap.refresh_parcel_summary() RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
  DELETE FROM onemap.parcel_summary;
  INSERT INTO onemap.parcel_summary
    (grid_code, land_class, village_code, township_code, parcels, area_m2, pbf_parcels, pbf_area_m2, high_standard_area_m2)
  -- All parcels of a grid carry the same village and township: the placing trigger, the loaders and a merger see to it.
  SELECT coalesce(grid_code, ''), coalesce(land_class, ''), min(village_code), min(township_code), count(*), sum(area_m2),
         count(*) FILTER (WHERE in_pbf), coalesce(sum(area_m2) FILTER (WHERE in_pbf), 0),
         coalesce(sum(area_m2) FILTER (WHERE in_high_standard), 0)
  FROM onemap.parcel GROUP BY 1, 2;
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN n;
END
$$;
COMMENT ON FUNCTION onemap.refresh_parcel_summary() IS 'Recomputes parcel_summary after a load; returns its rows.';
CREATE TRIGGER parcel_summary_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON onemap.parcel_summary
  FOR EACH STATEMENT EXECUTE FUNCTION onemap.bump_version();

-- from sql/schema/40_facility.sql
-- 设施与资源: what stands in the county, and what can be sent.

CREATE TABLE onemap.facility (
  facility_id   bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  facility_code text NOT NULL UNIQUE,
  kind          text NOT NULL,
  name          text NOT NULL,
  capability    text[] NOT NULL DEFAULT '{}',
  capacity      integer CHECK (capacity >= 0),
  capacity_unit text,
  open_hours    text,
  duty_phone    text,
  grid_code     text,
  village_code  text,
  township_code text,
  load_id       bigint,
  geom          geometry(Point, 4490) CONSTRAINT facility_geom_sound CHECK (onemap.is_sound(geom)),
  geom_3857     geometry(Point, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED
);
COMMENT ON TABLE onemap.facility IS '设施: clinics, schools, shelters, stores, stations ... kinds in data/codelists/facility_kind.csv.';
COMMENT ON COLUMN onemap.facility.capability IS 'Capability tags (data/codelists/capability.csv), e.g. FIRE MED FLOOD_PUMP.';
COMMENT ON COLUMN onemap.facility.duty_phone IS '值班电话: the office''s, public; never a person''s.';
CREATE INDEX facility_geom ON onemap.facility USING gist (geom);
CREATE INDEX facility_geom_3857 ON onemap.facility USING gist (geom_3857);
CREATE INDEX facility_grid ON onemap.facility (grid_code);
CREATE TRIGGER facility_place BEFORE INSERT OR UPDATE OF geom, grid_code, village_code, township_code ON onemap.facility
  FOR EACH ROW EXECUTE FUNCTION onemap.place_row();
CREATE TRIGGER facility_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON onemap.facility
  FOR EACH STATEMENT EXECUTE FUNCTION onemap.bump_version();

CREATE TABLE onemap.resource (
  resource_id   bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  resource_code text NOT NULL UNIQUE,
  kind          text NOT NULL,
  name          text NOT NULL,
  capability    text[] NOT NULL DEFAULT '{}',
  quantity      integer NOT NULL DEFAULT 1 CHECK (quantity >= 0),
  unit          text,
  supply_class  text,
  state         text NOT NULL DEFAULT 'available' CHECK (state IN ('available', 'assigned', 'resting', 'off')),
  home_facility_id bigint REFERENCES onemap.facility,
  owner_code    text,
  speed_profile text,
  position_at   timestamptz,
  grid_code     text,
  village_code  text,
  township_code text,
  load_id       bigint,
  geom          geometry(Point, 4490) CONSTRAINT resource_geom_sound CHECK (onemap.is_sound(geom)),
  geom_3857     geometry(Point, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED
);
COMMENT ON TABLE onemap.resource IS '资源: people, teams, vehicles, drones, supplies that can be sent; geom is where it is now, position_at how old that is.';
COMMENT ON COLUMN onemap.resource.supply_class IS 'GB/T 38565-2020 应急物资分类 7 digits';
COMMENT ON COLUMN onemap.resource.owner_code IS 'Division that owns it.';
COMMENT ON COLUMN onemap.resource.speed_profile IS 'Road speed profile: car, truck, motorcycle, foot.';
CREATE INDEX resource_geom ON onemap.resource USING gist (geom);
CREATE INDEX resource_geom_3857 ON onemap.resource USING gist (geom_3857);
CREATE INDEX resource_grid ON onemap.resource (grid_code);
CREATE TRIGGER resource_place BEFORE INSERT OR UPDATE OF geom, grid_code, village_code, township_code ON onemap.resource
  FOR EACH ROW EXECUTE FUNCTION onemap.place_row();
CREATE TRIGGER resource_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON onemap.resource
  FOR EACH STATEMENT EXECUTE FUNCTION onemap.bump_version();

-- from sql/schema/50_household.sql
-- 农户: what may be seen lives in onemap.household, who they are in personal.person.

CREATE TABLE onemap.household (
  household_id  bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  household_no  text NOT NULL UNIQUE,
  members       smallint CHECK (members > 0),
  category      text,
  category_version text,
  category_since date,
  grid_code     text,
  village_code  text,
  township_code text,
  load_id       bigint,
  geom          geometry(Point, 4490) CONSTRAINT household_geom_sound CHECK (onemap.is_sound(geom)),
  geom_3857     geometry(Point, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED,
  CHECK ((category IS NULL) = (category_version IS NULL))
);
COMMENT ON TABLE onemap.household IS '农户, without names. Shown as counts per grid or village, never as a point on a map others see.';
COMMENT ON COLUMN onemap.household.category IS '防返贫监测对象类别; NULL = not monitored (data/codelists/household_category.csv)';
COMMENT ON COLUMN onemap.household.category_version IS 'Version of the category list: 2021 三类户, 2026 防止返贫致贫对象.';
CREATE INDEX household_geom ON onemap.household USING gist (geom);
CREATE INDEX household_grid ON onemap.household (grid_code) INCLUDE (village_code, township_code);
CREATE INDEX household_monitored ON onemap.household (grid_code, category) INCLUDE (village_code, township_code) WHERE category IS NOT NULL;
CREATE TRIGGER household_place BEFORE INSERT OR UPDATE OF geom, grid_code, village_code, township_code ON onemap.household
  FOR EACH ROW EXECUTE FUNCTION onemap.place_row();
CREATE TRIGGER household_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON onemap.household
  FOR EACH STATEMENT EXECUTE FUNCTION onemap.bump_version();

CREATE TABLE personal.person (
  person_id     bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  household_id  bigint NOT NULL,
  is_head       boolean NOT NULL DEFAULT false,
  name_enc      bytea NOT NULL,
  id_number_enc bytea,
  phone_enc     bytea,
  name_masked   text NOT NULL,
  id_number_masked text,
  phone_masked  text,
  id_number_key bytea CHECK (length(id_number_key) = 16),
  phone_key     bytea CHECK (length(phone_key) = 16),
  born_year     smallint CHECK (born_year BETWEEN 1880 AND 2200),
  load_id       bigint
);
COMMENT ON TABLE personal.person IS '家庭成员个人信息, encrypted; the masked forms are what lists show. No table that the app may read joins here.';
COMMENT ON COLUMN personal.person.name_masked IS '张*明, made by gis/access/masking.py when the row was written.';
COMMENT ON COLUMN personal.person.id_number_masked IS '130529********1234';
COMMENT ON COLUMN personal.person.phone_masked IS '138****5678';
COMMENT ON COLUMN personal.person.id_number_key IS 'Keyed hash of the identity number: finds an exact match without being readable.';
COMMENT ON COLUMN personal.person.phone_key IS 'Keyed hash of the phone number.';
COMMENT ON COLUMN personal.person.born_year IS 'Year only: the day is in the identity number, which is encrypted.';
CREATE INDEX person_household ON personal.person (household_id);
CREATE INDEX person_id_number ON personal.person (id_number_key);
CREATE INDEX person_phone ON personal.person (phone_key);

-- from sql/schema/60_ground.sql
-- 底图与道路: roads (a connected graph), settlements, water, houses: the basemap that needs no network.

CREATE TABLE onemap.road_node (
  node_id bigint PRIMARY KEY,
  geom    geometry(Point, 4490) NOT NULL CONSTRAINT road_node_geom_sound CHECK (onemap.is_sound(geom))
);
COMMENT ON TABLE onemap.road_node IS '路网节点';

CREATE TABLE onemap.road (
  road_id   bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  ref       text,
  name      text,
  class     text NOT NULL,
  from_node bigint NOT NULL,
  to_node   bigint NOT NULL,
  oneway    boolean NOT NULL DEFAULT false,
  surface   text,
  width_m   real,
  length_m  double precision NOT NULL CHECK (length_m > 0),
  load_id   bigint,
  geom      geometry(LineString, 4490) NOT NULL CONSTRAINT road_geom_sound CHECK (onemap.is_sound(geom)),
  geom_3857 geometry(LineString, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED
);
COMMENT ON TABLE onemap.road IS '道路: one row an edge between two nodes; classes in data/codelists/road_class.csv.';
CREATE INDEX road_geom ON onemap.road USING gist (geom);
CREATE INDEX road_geom_3857 ON onemap.road USING gist (geom_3857);
CREATE INDEX road_from ON onemap.road (from_node);
CREATE INDEX road_to ON onemap.road (to_node);
CREATE TRIGGER road_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON onemap.road
  FOR EACH STATEMENT EXECUTE FUNCTION onemap.bump_version();

CREATE TABLE onemap.ground (
  ground_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  kind      text NOT NULL CHECK (kind IN ('settlement', 'town', 'river', 'canal', 'pond', 'woodland')),
  name      text,
  division_code text,
  load_id   bigint,
  geom      geometry(MultiPolygon, 4490) NOT NULL CONSTRAINT ground_geom_sound CHECK (onemap.is_sound(geom)),
  geom_3857 geometry(MultiPolygon, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED
);
COMMENT ON TABLE onemap.ground IS '地物面: built-up land of settlements, rivers, canals, ponds, woodland; the basemap''s fills.';
CREATE INDEX ground_geom_3857 ON onemap.ground USING gist (geom_3857);
CREATE TRIGGER ground_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON onemap.ground
  FOR EACH STATEMENT EXECUTE FUNCTION onemap.bump_version();

CREATE TABLE onemap.building (
  building_id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  kind      text NOT NULL DEFAULT 'house',
  load_id   bigint,
  geom      geometry(Polygon, 4490) NOT NULL CONSTRAINT building_geom_sound CHECK (onemap.is_sound(geom)),
  geom_3857 geometry(Polygon, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED
);
COMMENT ON TABLE onemap.building IS '房屋轮廓, for the basemap from zoom 15 on.';
CREATE INDEX building_geom_3857 ON onemap.building USING gist (geom_3857);
CREATE TRIGGER building_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON onemap.building
  FOR EACH STATEMENT EXECUTE FUNCTION onemap.bump_version();

-- from sql/schema/70_incident.sql
-- 事件与预警.

CREATE TABLE onemap.incident (
  incident_id   bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  case_no       text NOT NULL UNIQUE,
  item_code     text NOT NULL,
  channel       text NOT NULL,
  title         text NOT NULL,
  reported_at   timestamptz NOT NULL,
  accepted_at   timestamptz,
  responded_at  timestamptz,
  due_at        timestamptz,
  closed_at     timestamptz,
  status        text NOT NULL CHECK (status IN ('reported', 'accepted', 'assigned', 'handling', 'feedback', 'closed', 'returned')),
  handled_level smallint CHECK (handled_level BETWEEN 1 AND 4),
  rating        smallint CHECK (rating BETWEEN 1 AND 5),
  source_crs    text,
  grid_code     text,
  village_code  text,
  township_code text,
  load_id       bigint,
  geom          geometry(Point, 4490) CONSTRAINT incident_geom_sound CHECK (onemap.is_sound(geom)),
  geom_3857     geometry(Point, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED,
  CONSTRAINT incident_times CHECK (closed_at IS NULL OR closed_at >= reported_at)
);
COMMENT ON TABLE onemap.incident IS '事件: what was reported, where and when, and how far it is. item_code: data/codelists/incident_item.csv.';
COMMENT ON COLUMN onemap.incident.handled_level IS '1 县 2 乡镇 3 村 4 网格: who closed it.';
COMMENT ON COLUMN onemap.incident.rating IS '群众评价 1-5; NULL = not rated.';
COMMENT ON COLUMN onemap.incident.source_crs IS 'CRS the position came in (EPSG:4326, GCJ-02 ...), before conversion.';
CREATE INDEX incident_geom ON onemap.incident USING gist (geom);
CREATE INDEX incident_geom_3857 ON onemap.incident USING gist (geom_3857);
CREATE INDEX incident_open_geom_3857 ON onemap.incident USING gist (geom_3857) WHERE status <> 'closed' AND status <> 'returned';
-- The policy reads village and township too: with them in the index a count by grid needs no table.
CREATE INDEX incident_grid ON onemap.incident (grid_code) INCLUDE (village_code, township_code);
CREATE INDEX incident_reported ON onemap.incident (reported_at);
CREATE INDEX incident_open ON onemap.incident (grid_code, due_at) WHERE status <> 'closed' AND status <> 'returned';
CREATE TRIGGER incident_place BEFORE INSERT OR UPDATE OF geom, grid_code, village_code, township_code ON onemap.incident
  FOR EACH ROW EXECUTE FUNCTION onemap.place_row();

CREATE TABLE onemap.alert (
  alert_id      bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  kind          text NOT NULL CHECK (kind IN ('farmland', 'poverty')),
  rule          text NOT NULL,
  rule_version  text NOT NULL,
  level         text NOT NULL CHECK (level IN ('red', 'orange', 'yellow', 'blue')),
  parcel_id     bigint,
  household_id  bigint,
  state         text NOT NULL DEFAULT 'suspected',
  evidence      jsonb NOT NULL DEFAULT '{}',
  raised_at     timestamptz NOT NULL DEFAULT now(),
  grid_code     text,
  village_code  text,
  township_code text,
  geom          geometry(Point, 4490) CONSTRAINT alert_geom_sound CHECK (onemap.is_sound(geom)),
  geom_3857     geometry(Point, 3857) GENERATED ALWAYS AS (ST_Transform(geom, 3857)) STORED,
  CHECK (num_nonnulls(parcel_id, household_id) = 1)
);
COMMENT ON TABLE onemap.alert IS '预警: what a rule found, with its version and the evidence it saw. suspected (疑似) until verified on the ground.';
CREATE INDEX alert_grid ON onemap.alert (grid_code, state);
CREATE INDEX alert_geom_3857 ON onemap.alert USING gist (geom_3857);
CREATE TRIGGER alert_place BEFORE INSERT OR UPDATE OF geom, grid_code, village_code, township_code ON onemap.alert
  FOR EACH ROW EXECUTE FUNCTION onemap.place_row();

-- from sql/schema/80_access.sql
-- 账号、会话、权限范围、审计: who may come in, what they may see, and what they did.

CREATE SCHEMA access;
COMMENT ON SCHEMA access IS '谁能进来、能看到哪里、做过什么. The web reaches these tables through functions only.';

-- Roles and permissions, published from data/roles.toml so that the database can refuse what a page forgot to ask.
CREATE TABLE access.role (
  role        text PRIMARY KEY,
  name        text NOT NULL,
  is_administrator boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE access.role IS '角色: a copy of data/roles.toml, renewed at every start.';
COMMENT ON COLUMN access.role.is_administrator IS '三员: one of the three administrators, who see no business data.';

CREATE TABLE access.role_permission (
  role       text NOT NULL REFERENCES access.role ON DELETE CASCADE,
  permission text NOT NULL,
  PRIMARY KEY (role, permission)
);
COMMENT ON TABLE access.role_permission IS '角色权限: a copy of data/roles.toml. A role that is not here may do nothing.';

CREATE TABLE access.account (
  account_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  login         text NOT NULL UNIQUE CHECK (login ~ '^[a-z0-9][a-z0-9._-]{1,31}$'),
  display_name  text NOT NULL CHECK (display_name <> ''),
  unit          text,
  role          text NOT NULL,
  password_hash text,
  previous_password_hash text,
  password_set_at timestamptz,
  password_temporary boolean NOT NULL DEFAULT false,
  totp_secret   bytea,
  totp_confirmed_at timestamptz,
  totp_last_step bigint,
  oidc_subject  text UNIQUE,
  is_demo       boolean NOT NULL DEFAULT false,
  state         text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
  created_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE access.account IS '账号: one a person. Roles and what they may do: data/roles.toml.';
COMMENT ON COLUMN access.account.password_hash IS 'argon2id; NULL: signs in through the county''s identity provider only.';
COMMENT ON COLUMN access.account.password_temporary IS 'Set by somebody else: the next sign-in must choose a new one.';
COMMENT ON COLUMN access.account.totp_secret IS 'Second factor, encrypted with the key outside the database.';
COMMENT ON COLUMN access.account.totp_last_step IS 'Last 30-second step used: a code works once.';
COMMENT ON COLUMN access.account.is_demo IS '演示账号: a production start with one present is refused.';

CREATE TABLE access.scope (
  scope_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account_id    bigint NOT NULL REFERENCES access.account,
  division_code text NOT NULL CHECK (division_code ~ '^[0-9]{6}([0-9]{3}){0,3}$'),
  valid_from    date NOT NULL DEFAULT current_date,
  valid_to      date,
  granted_by    bigint REFERENCES access.account,
  CHECK (valid_to IS NULL OR valid_to >= valid_from)
);
COMMENT ON TABLE access.scope IS '权限范围: the divisions an account may see, each with an end date or none.';
COMMENT ON COLUMN access.scope.valid_to IS 'First day it no longer holds; equal to valid_from when it was ended on its first day.';
CREATE INDEX scope_account ON access.scope (account_id);

CREATE TABLE access.session (
  token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
  account_id bigint NOT NULL REFERENCES access.account,
  created_at timestamptz NOT NULL DEFAULT now(),
  seen_at    timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  ended_at   timestamptz,
  end_reason text,
  address    inet,
  agent      text,
  second_factor_at timestamptz,
  idle       interval NOT NULL DEFAULT '30 minutes',
  awaiting   text CHECK (awaiting IN ('second_factor', 'enrolment', 'new_password')),
  new_totp_secret bytea
);
COMMENT ON TABLE access.session IS '会话: SHA-256 of an opaque token; ended at once on logout, password or role change.';
COMMENT ON COLUMN access.session.idle IS 'Ends by itself after this long without a request.';
COMMENT ON COLUMN access.session.awaiting IS 'What is still to be done before it opens anything; NULL: signed in.';
COMMENT ON COLUMN access.session.new_totp_secret IS 'Second factor being set up in this very session; moves to the account when a code confirms it.';
CREATE INDEX session_account ON access.session (account_id) WHERE ended_at IS NULL;

CREATE TABLE access.login_failure (
  failure_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  login      text NOT NULL,
  address    inet,
  at         timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE access.login_failure IS 'Tries to sign in that did not succeed; the wait before the next grows with them. A success clears those of its own address.';
CREATE INDEX login_failure_login ON access.login_failure (login, at);
CREATE INDEX login_failure_address ON access.login_failure (address, at);

CREATE TABLE access.device (
  device_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name       text NOT NULL,
  token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
  account_id bigint NOT NULL REFERENCES access.account,
  expires_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE access.device IS '设备令牌: a wall display that signs in by a token instead of a person; read-only.';

-- 审计 ------------------------------------------------------------------------------------------------------------

CREATE TABLE access.audit (
  seq        bigint PRIMARY KEY,
  at         timestamptz NOT NULL,
  account_id bigint,
  login      text,
  role       text,
  action     text NOT NULL CHECK (action <> ''),
  object_kind text,
  object_id  text,
  address    inet,
  before_digest text,
  after_digest  text,
  reason     text,
  detail     jsonb NOT NULL DEFAULT '{}',
  previous   bytea NOT NULL CHECK (length(previous) = 32),
  hash       bytea NOT NULL CHECK (length(hash) = 32)
);
COMMENT ON TABLE access.audit IS '审计: append-only, each row holds the hash of the one before. Reads and exports of personal data are rows too.';
COMMENT ON COLUMN access.audit.seq IS 'Without gaps, from 1: the order of what happened whatever the clock did.';
COMMENT ON COLUMN access.audit.hash IS 'sha256(previous || canonical text of the row), see access.audit_text().';
CREATE INDEX audit_at ON access.audit (at);
CREATE INDEX audit_account ON access.audit (account_id, at);
CREATE INDEX audit_object ON access.audit (object_kind, object_id);

CREATE TABLE access.audit_head (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  seq      bigint NOT NULL,
  hash     bytea NOT NULL
);
COMMENT ON TABLE access.audit_head IS 'The last audit row''s number and hash: a cut tail shows here.';
INSERT INTO access.audit_head (seq, hash) VALUES (0, sha256('onemap audit'::bytea));

-- The text of a row that its hash covers: every field, length-prefixed, so that no two rows read alike.
CREATE FUNCTION access.audit_text(r access.audit) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT string_agg(CASE WHEN f IS NULL THEN '-' ELSE length(f) || ':' || f END, '|' ORDER BY n)
  FROM unnest(ARRAY[
    r.seq::text,
    CASE WHEN isfinite(r.at) THEN (extract(epoch FROM r.at) * 1000000)::bigint::text ELSE 'infinite' END,
    r.account_id::text, r.login, r.role, r.action, r.object_kind, r.object_id, text(r.address),
    r.before_digest, r.after_digest, r.reason, r.detail::text
  ]) WITH ORDINALITY AS u(f, n)
$$;
COMMENT ON FUNCTION access.audit_text(access.audit) IS 'Canonical text of an audit row; gis/access/audit.py computes the same.';

CREATE FUNCTION access.address() RETURNS inet
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN nullif(current_setting('onemap.address', true), '')::inet;
EXCEPTION WHEN invalid_text_representation THEN
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION access.address() IS 'Where this transaction''s request came from; NULL when the web did not say.';

CREATE FUNCTION access.audit_chain() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, public, pg_temp AS $$
DECLARE head access.audit_head;
BEGIN
  -- Who did it is the transaction's principal, not what the writer claims. Without one it is the store's own
  -- role (command line, jobs), or, for the web, a stranger: then login is only what was typed.
  NEW.account_id := access.principal();
  NEW.role := NULL;
  IF NEW.account_id IS NOT NULL THEN
    NEW.login := NULL;
    SELECT a.login, a.role INTO NEW.login, NEW.role FROM access.account a WHERE a.account_id = NEW.account_id;
  ELSIF session_user <> 'onemap_app' THEN
    NEW.login := session_user;
  END IF;
  -- The head row is the lock: one writer at a time, so numbers have no gaps and the chain no forks.
  SELECT * INTO head FROM access.audit_head FOR UPDATE;
  NEW.address := coalesce(NEW.address, access.address());
  NEW.seq := head.seq + 1;
  NEW.at := clock_timestamp();
  NEW.previous := head.hash;
  NEW.hash := sha256(NEW.previous || convert_to(access.audit_text(NEW), 'UTF8'));
  UPDATE access.audit_head SET seq = NEW.seq, hash = NEW.hash;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION access.audit_chain() IS 'Trigger: who, number, time, previous hash and hash are the database''s, whatever the writer says.';
CREATE TRIGGER audit_chain BEFORE INSERT ON access.audit FOR EACH ROW EXECUTE FUNCTION access.audit_chain();

CREATE FUNCTION access.audit_is_append_only() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '审计记录不能修改或删除' USING ERRCODE = 'insufficient_privilege';
END
$$;
COMMENT ON FUNCTION access.audit_is_append_only() IS 'Trigger: refuses UPDATE, DELETE and TRUNCATE, the owner''s too.';
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON access.audit
  FOR EACH STATEMENT EXECUTE FUNCTION access.audit_is_append_only();

-- The principal of a transaction -----------------------------------------------------------------------------------
-- The web sets onemap.principal to an account's number, local to one transaction. Everything below fails closed:
-- no principal, an unknown or disabled one, or one without a scope sees nothing.

CREATE FUNCTION access.principal() RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT nullif(current_setting('onemap.principal', true), '')::bigint
$$;
COMMENT ON FUNCTION access.principal() IS 'Account of this transaction; NULL when none is set (current_setting is '''' after SET LOCAL ends).';

CREATE FUNCTION access.today() RETURNS date
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT (now() AT TIME ZONE 'Asia/Shanghai')::date $$;
COMMENT ON FUNCTION access.today() IS 'The county''s calendar day, whatever the connection''s time zone.';

-- For functions that hand out more than a policy can; the policies ask access.my_codes() (sql/policies/20_rows.sql).
CREATE FUNCTION access.covers(grid text, village text, township text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
  SELECT EXISTS (
    SELECT FROM access.scope s JOIN access.account a USING (account_id)
    WHERE s.account_id = access.principal() AND a.state = 'active'
      AND s.valid_from <= access.today() AND (s.valid_to IS NULL OR s.valid_to > access.today())
      AND (length(s.division_code) = 6 OR s.division_code IN (township, village, grid)))
$$;
COMMENT ON FUNCTION access.covers(text, text, text) IS 'True when the principal''s scope covers the place; 未落点 (all NULL) is the county''s.';

-- What a role may do. The owner at the command line may everything; whoever acts as a principal may what that one may.
CREATE FUNCTION access.may(wanted text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
  SELECT CASE WHEN access.principal() IS NULL THEN session_user = 'onemap_owner' ELSE EXISTS (
    SELECT FROM access.account a JOIN access.role_permission p ON p.role = a.role
    WHERE a.account_id = access.principal() AND a.state = 'active' AND p.permission = wanted) END
$$;
COMMENT ON FUNCTION access.may(text) IS 'Whether this transaction''s principal has the permission.';

CREATE FUNCTION access.must(wanted text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  IF NOT access.may(wanted) THEN
    RAISE EXCEPTION '没有权限：%', wanted USING ERRCODE = 'insufficient_privilege';
  END IF;
END
$$;
COMMENT ON FUNCTION access.must(text) IS 'Refuses a transaction whose principal lacks the permission.';

-- from sql/schema/85_access_sign_in.sql
-- 登录: the steps of signing in and the one query of the gate. Called by the web, which reads none of these tables.

-- One row of the audit trail, written by a function of the store in the caller's own transaction.
CREATE FUNCTION access.note(
  action text, object_kind text DEFAULT NULL, object_id text DEFAULT NULL, address inet DEFAULT NULL,
  reason text DEFAULT NULL, detail jsonb DEFAULT '{}', login text DEFAULT NULL,
  before_digest text DEFAULT NULL, after_digest text DEFAULT NULL) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = access, pg_temp AS $$
  INSERT INTO access.audit (action, object_kind, object_id, address, reason, detail, login, before_digest, after_digest)
  VALUES ($1, $2, $3, $4, $5, coalesce($6, '{}'), $7, $8, $9)
$$;
COMMENT ON FUNCTION access.note IS 'Writes one audit row; who, when and the chain are the trigger''s.';

-- Makes an account the principal for the rest of this transaction.
CREATE FUNCTION access.act_as(account bigint) RETURNS void
LANGUAGE sql AS $$ SELECT set_config('onemap.principal', account::text, true) $$;
COMMENT ON FUNCTION access.act_as(bigint) IS 'Sets the principal, local to the transaction.';

-- Seconds to wait after n failures: the n-th entry of steps, the last one for more.
CREATE FUNCTION access.wait_s(failures bigint, steps int[]) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN failures = 0 THEN 0 ELSE steps[least(failures, array_length(steps, 1))] END
$$;
COMMENT ON FUNCTION access.wait_s(bigint, int[]) IS 'Seconds between the n-th failure and the next try.';

-- Begins a try. It is counted as a failure at once and forgiven by a success, so that a hundred tries at the same
-- moment count as a hundred. A try that has to wait is not counted: nobody can be kept out by hammering on.
CREATE FUNCTION access.try_begin(
  p_login text, p_address inet, pair_steps int[], login_steps int[], address_steps int[], memory interval,
  OUT wait_s int, OUT account_id bigint, OUT password_hash text, OUT role text, OUT has_totp boolean,
  OUT password_temporary boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE
  moment timestamptz;
  known boolean;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('try login ' || p_login, 0));
  PERFORM pg_advisory_xact_lock(hashtextextended('try address ' || coalesce(text(p_address), ''), 1));
  moment := clock_timestamp();
  -- An address this account has signed in from lately waits only for its own failures. A stranger elsewhere who
  -- guesses at the account makes other strangers wait, not its owner.
  known := EXISTS (
    SELECT FROM access.session s JOIN access.account a USING (account_id)
    WHERE a.login = p_login AND s.address = p_address AND s.awaiting IS NULL AND s.created_at > moment - interval '90 days');
  SELECT ceil(greatest(0, max(extract(epoch FROM w.last - moment) + access.wait_s(w.n, w.steps))))::int INTO wait_s
  FROM (
    SELECT count(*) AS n, max(f.at) AS last, pair_steps AS steps FROM access.login_failure f
    WHERE f.login = p_login AND f.address IS NOT DISTINCT FROM p_address AND f.at > moment - memory
    UNION ALL
    SELECT count(*), max(f.at), login_steps FROM access.login_failure f
    WHERE NOT known AND f.login = p_login AND f.at > moment - memory
    UNION ALL
    SELECT count(*), max(f.at), address_steps FROM access.login_failure f
    WHERE NOT known AND f.address = p_address AND f.at > moment - memory
  ) w;
  wait_s := coalesce(wait_s, 0);
  IF wait_s > 0 THEN
    RETURN;
  END IF;
  DELETE FROM access.login_failure f WHERE f.login = p_login AND f.at <= moment - memory;
  INSERT INTO access.login_failure (login, address, at) VALUES (p_login, p_address, moment);
  SELECT a.account_id, a.password_hash, a.role, a.totp_confirmed_at IS NOT NULL, a.password_temporary
    INTO account_id, password_hash, role, has_totp, password_temporary
  FROM access.account a WHERE a.login = p_login AND a.state = 'active';
END
$$;
COMMENT ON FUNCTION access.try_begin IS 'Counts a try; wait_s > 0: refused unheard. Unknown and disabled accounts come back as NULLs.';

CREATE FUNCTION access.try_failed(p_login text, p_address inet, p_why text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = access, pg_temp AS $$
  SELECT access.note('sign_in.failed', 'login', p_login, p_address, NULL, jsonb_build_object('why', p_why), p_login)
$$;
COMMENT ON FUNCTION access.try_failed(text, inet, text) IS 'Audit row of a try that failed; the try itself is counted already.';

-- Opens a session after a step that succeeded, ends the one before it (no fixation), forgives this address's tries.
CREATE FUNCTION access.session_open(
  p_account bigint, p_token bytea, p_old bytea, p_address inet, p_agent text, p_awaiting text, p_how text,
  p_idle interval, p_life interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE who access.account;
BEGIN
  SELECT * INTO who FROM access.account a WHERE a.account_id = p_account AND a.state = 'active' FOR SHARE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM access.act_as(p_account);
  IF p_old IS NOT NULL THEN
    UPDATE access.session SET ended_at = clock_timestamp(), end_reason = 'replaced'
    WHERE token_hash = p_old AND ended_at IS NULL;
  END IF;
  -- All of this address's tries when nothing is left to prove; only this one while a second factor is: or whoever has the
  -- password could wash away his wrong codes with it.
  DELETE FROM access.login_failure f
  WHERE f.login = who.login AND f.address IS NOT DISTINCT FROM p_address
    AND (coalesce(p_awaiting, '') NOT IN ('second_factor', 'enrolment') OR f.failure_id = (
      SELECT max(n.failure_id) FROM access.login_failure n
      WHERE n.login = who.login AND n.address IS NOT DISTINCT FROM p_address));
  INSERT INTO access.session (token_hash, account_id, expires_at, address, agent, second_factor_at, idle, awaiting)
  VALUES (p_token, p_account, clock_timestamp() + p_life, p_address, left(p_agent, 200),
          CASE WHEN p_how = 'second_factor' THEN clock_timestamp() END, p_idle, p_awaiting);
  PERFORM access.note(CASE WHEN p_awaiting IS NULL THEN 'sign_in' ELSE 'sign_in.step' END, 'account', p_account::text,
                      p_address, NULL, jsonb_strip_nulls(jsonb_build_object('how', p_how, 'awaiting', p_awaiting)));
  RETURN true;
END
$$;
COMMENT ON FUNCTION access.session_open IS 'New session; false when the account is gone or disabled meanwhile.';

-- The gate's one query: session or device, account, scope. No row: not signed in.
CREATE FUNCTION access.session_of(p_token bytea)
RETURNS TABLE (account_id bigint, login text, display_name text, role text, is_device boolean, scope text[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE seen timestamptz;
BEGIN
  SELECT s.account_id, s.seen_at, false INTO account_id, seen, is_device
  FROM access.session s
  WHERE s.token_hash = p_token AND s.ended_at IS NULL AND s.awaiting IS NULL
    AND s.expires_at > clock_timestamp() AND s.seen_at + s.idle > clock_timestamp();
  IF NOT FOUND THEN
    SELECT d.account_id, NULL, true INTO account_id, seen, is_device
    FROM access.device d
    WHERE d.token_hash = p_token AND d.revoked_at IS NULL AND (d.expires_at IS NULL OR d.expires_at > clock_timestamp());
    IF NOT FOUND THEN
      RETURN;
    END IF;
  END IF;
  SELECT a.login, a.display_name, a.role,
         ARRAY(SELECT s.division_code FROM access.scope s
               WHERE s.account_id = a.account_id AND s.valid_from <= access.today()
                 AND (s.valid_to IS NULL OR s.valid_to > access.today()) ORDER BY 1)
    INTO login, display_name, role, scope
  FROM access.account a WHERE a.account_id = session_of.account_id AND a.state = 'active';
  IF NOT FOUND THEN
    RETURN;
  END IF;
  -- Once a minute at most: a page is a hundred requests, and each would be a write.
  IF seen < clock_timestamp() - interval '1 minute' THEN
    UPDATE access.session s SET seen_at = clock_timestamp() WHERE s.token_hash IN (
      SELECT t.token_hash FROM access.session t WHERE t.token_hash = p_token FOR NO KEY UPDATE SKIP LOCKED);
  END IF;
  RETURN NEXT;
END
$$;
COMMENT ON FUNCTION access.session_of(bytea) IS 'Who a token belongs to, now; ended, idle, expired, half-open and revoked ones give no row.';

-- A half-open session: password accepted, something still to do.
CREATE FUNCTION access.session_awaiting(p_token bytea)
RETURNS TABLE (account_id bigint, login text, role text, awaiting text, totp_secret bytea, new_totp_secret bytea,
               password_hash text, previous_password_hash text, password_temporary boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
  SELECT a.account_id, a.login, a.role, s.awaiting, CASE WHEN a.totp_confirmed_at IS NOT NULL THEN a.totp_secret END,
         s.new_totp_secret, a.password_hash, a.previous_password_hash, a.password_temporary
  FROM access.session s JOIN access.account a USING (account_id)
  WHERE s.token_hash = p_token AND s.ended_at IS NULL AND s.awaiting IS NOT NULL
    AND s.expires_at > clock_timestamp() AND a.state = 'active'
$$;
COMMENT ON FUNCTION access.session_awaiting(bytea) IS 'What a half-open session waits for; no row when the token is not one.';

CREATE FUNCTION access.totp_offer(p_token bytea, p_secret bytea) RETURNS bytea
LANGUAGE sql SECURITY DEFINER SET search_path = access, pg_temp AS $$
  UPDATE access.session SET new_totp_secret = coalesce(new_totp_secret, p_secret)
  WHERE token_hash = p_token AND ended_at IS NULL AND awaiting = 'enrolment' AND expires_at > clock_timestamp()
  RETURNING new_totp_secret
$$;
COMMENT ON FUNCTION access.totp_offer(bytea, bytea) IS 'Keeps the secret offered in this session; a reload of the page shows the same one.';

-- A code works once: the step must be later than the last one used, decided by the row, not by the reader.
CREATE FUNCTION access.totp_use(p_token bytea, p_step bigint, p_secret bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE who bigint; step_of text;
BEGIN
  SELECT s.account_id, s.awaiting INTO who, step_of FROM access.session s
  WHERE s.token_hash = p_token AND s.ended_at IS NULL AND s.expires_at > clock_timestamp();
  IF step_of = 'enrolment' AND p_secret IS NOT NULL THEN
    UPDATE access.account SET totp_secret = p_secret, totp_confirmed_at = clock_timestamp(), totp_last_step = p_step
    WHERE account_id = who AND totp_confirmed_at IS NULL;
    IF FOUND THEN
      PERFORM access.act_as(who);
      PERFORM access.note('second_factor.set', 'account', who::text);
      RETURN true;
    END IF;
  ELSIF step_of = 'second_factor' THEN
    UPDATE access.account SET totp_last_step = p_step
    WHERE account_id = who AND totp_confirmed_at IS NOT NULL AND (totp_last_step IS NULL OR totp_last_step < p_step);
    RETURN FOUND;
  END IF;
  RETURN false;
END
$$;
COMMENT ON FUNCTION access.totp_use(bytea, bigint, bytea) IS 'Uses up a step of the second factor; with a secret: confirms the enrolment.';

-- A password chosen by its owner. Every session of the account ends; the caller opens a new one.
CREATE FUNCTION access.password_chosen(p_account bigint, p_hash text, p_address inet) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  UPDATE access.account SET previous_password_hash = password_hash, password_hash = p_hash, password_set_at = clock_timestamp(),
         password_temporary = false
  WHERE account_id = p_account;
  PERFORM access.act_as(p_account);
  PERFORM access.sessions_end(p_account, 'password');
  PERFORM access.note('password.changed', 'account', p_account::text, p_address);
END
$$;
COMMENT ON FUNCTION access.password_chosen(bigint, text, inet) IS 'New password by the account''s own hand; ends all its sessions.';

-- The same password under new parameters: nothing changes for its owner.
CREATE FUNCTION access.password_rehashed(p_account bigint, p_old text, p_new text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = access, pg_temp AS $$
  UPDATE access.account SET password_hash = p_new WHERE account_id = p_account AND password_hash = p_old
$$;
COMMENT ON FUNCTION access.password_rehashed(bigint, text, text) IS 'Stores the hash under today''s parameters, unless the password changed meanwhile.';

CREATE FUNCTION access.passwords_of(p_account bigint) RETURNS TABLE (login text, password_hash text, previous_password_hash text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
  SELECT a.login, a.password_hash, a.previous_password_hash FROM access.account a
  WHERE a.account_id = p_account AND a.account_id = access.principal()
$$;
COMMENT ON FUNCTION access.passwords_of(bigint) IS 'One''s own hashes, to change one''s own password.';

CREATE FUNCTION access.session_end(p_token bytea, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE who bigint; was text; came_from inet;
BEGIN
  UPDATE access.session SET ended_at = clock_timestamp(), end_reason = p_reason
  WHERE token_hash = p_token AND ended_at IS NULL RETURNING account_id, awaiting, address INTO who, was, came_from;
  IF FOUND AND was IS NULL THEN
    PERFORM access.act_as(who);
    PERFORM access.note('sign_out', 'account', who::text, came_from, p_reason);
  END IF;
  RETURN who IS NOT NULL;
END
$$;
COMMENT ON FUNCTION access.session_end(bytea, text) IS 'Ends one session by its own token.';

CREATE FUNCTION access.sessions_end(p_account bigint, p_reason text) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = access, pg_temp AS $$
  WITH ended AS (
    UPDATE access.session SET ended_at = clock_timestamp(), end_reason = p_reason
    WHERE account_id = p_account AND ended_at IS NULL RETURNING 1)
  SELECT count(*) FROM ended
$$;
COMMENT ON FUNCTION access.sessions_end(bigint, text) IS 'Ends every session of an account; for the functions here, not for callers.';

-- An identity vouched for by the county''s provider: by its subject, else once by login, which then is tied to the subject.
CREATE FUNCTION access.account_of_identity(p_subject text, p_login text)
RETURNS TABLE (account_id bigint, role text, has_totp boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  IF p_login IS NOT NULL AND NOT EXISTS (SELECT FROM access.account a WHERE a.oidc_subject = p_subject) THEN
    UPDATE access.account a SET oidc_subject = p_subject
    WHERE a.login = p_login AND a.oidc_subject IS NULL AND a.state = 'active' RETURNING a.account_id INTO account_id;
    IF FOUND THEN
      PERFORM access.act_as(account_id);
      PERFORM access.note('identity.tied', 'account', account_id::text);
    END IF;
  END IF;
  RETURN QUERY SELECT a.account_id, a.role, a.totp_confirmed_at IS NOT NULL FROM access.account a
               WHERE a.oidc_subject = p_subject AND a.state = 'active';
END
$$;
COMMENT ON FUNCTION access.account_of_identity(text, text) IS 'Account of an outside identity; no row: not known here, and none is made.';

-- from sql/schema/86_access_administration.sql
-- 管理: accounts, scopes, sessions, devices, audit, for the three administrators. Each function asks access.must() first.
-- System administrator: accounts. Security administrator: roles, scopes, sessions, second factors. Audit administrator: the
-- audit trail. To make an account that can do harm takes two of them.

CREATE FUNCTION access.not_myself(p_account bigint) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF p_account = access.principal() THEN
    RAISE EXCEPTION '不能改自己的账号、角色或范围' USING ERRCODE = 'insufficient_privilege';
  END IF;
END
$$;
COMMENT ON FUNCTION access.not_myself(bigint) IS 'Refuses changes to one''s own account.';

CREATE FUNCTION access.account_list()
RETURNS TABLE (account_id bigint, login text, display_name text, unit text, role text, state text, is_demo boolean,
               second_factor boolean, scope text[], created_at timestamptz, seen_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  IF NOT access.may('scope.manage') AND NOT access.may('session.manage') THEN
    PERFORM access.must('account.manage');
  END IF;
  RETURN QUERY
    SELECT a.account_id, a.login, a.display_name, a.unit, a.role, a.state, a.is_demo, a.totp_confirmed_at IS NOT NULL,
           ARRAY(SELECT s.division_code FROM access.scope s WHERE s.account_id = a.account_id
                 AND s.valid_from <= access.today() AND (s.valid_to IS NULL OR s.valid_to > access.today()) ORDER BY 1),
           a.created_at, (SELECT max(e.seen_at) FROM access.session e WHERE e.account_id = a.account_id AND e.awaiting IS NULL)
    FROM access.account a ORDER BY a.login;
END
$$;
COMMENT ON FUNCTION access.account_list() IS 'All accounts, without hashes and secrets.';

CREATE FUNCTION access.account_add(
  p_login text, p_display_name text, p_role text, p_unit text, p_hash text, p_is_demo boolean, p_temporary boolean,
  p_reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE made bigint;
BEGIN
  PERFORM access.must('account.manage');
  IF NOT EXISTS (SELECT FROM access.role r WHERE r.role = p_role) THEN
    RAISE EXCEPTION '没有角色 %', p_role USING ERRCODE = 'foreign_key_violation';
  END IF;
  IF access.principal() IS NOT NULL AND (SELECT r.is_administrator FROM access.role r WHERE r.role = p_role) THEN
    RAISE EXCEPTION '管理员角色只能由安全管理员授予' USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF p_is_demo AND access.principal() IS NOT NULL THEN
    RAISE EXCEPTION '演示账号只能在命令行建立' USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO access.account (login, display_name, role, unit, password_hash, is_demo, password_temporary, password_set_at)
  VALUES (p_login, p_display_name, p_role, nullif(p_unit, ''), p_hash, p_is_demo, p_temporary AND p_hash IS NOT NULL,
          CASE WHEN p_hash IS NOT NULL THEN clock_timestamp() END)
  RETURNING account_id INTO made;
  PERFORM access.note('account.added', 'account', made::text, NULL, p_reason,
                      jsonb_build_object('login', p_login, 'role', p_role));
  RETURN made;
END
$$;
COMMENT ON FUNCTION access.account_add IS 'New account, without a scope: it sees nothing until the security administrator gives one.';

CREATE FUNCTION access.account_set_state(p_account bigint, p_state text, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE was text;
BEGIN
  PERFORM access.must('account.manage');
  PERFORM access.not_myself(p_account);
  SELECT a.state INTO was FROM access.account a WHERE a.account_id = p_account FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  UPDATE access.account SET state = p_state WHERE account_id = p_account;
  IF p_state <> 'active' THEN
    PERFORM access.sessions_end(p_account, 'disabled');
    UPDATE access.device SET revoked_at = clock_timestamp() WHERE account_id = p_account AND revoked_at IS NULL;
  END IF;
  PERFORM access.note('account.' || p_state, 'account', p_account::text, NULL, p_reason, jsonb_build_object('was', was));
  RETURN true;
END
$$;
COMMENT ON FUNCTION access.account_set_state(bigint, text, text) IS 'Disables or enables an account; disabling ends its sessions and devices at once.';

CREATE FUNCTION access.account_set_role(p_account bigint, p_role text, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE was text;
BEGIN
  PERFORM access.must('scope.manage');
  PERFORM access.not_myself(p_account);
  IF NOT EXISTS (SELECT FROM access.role r WHERE r.role = p_role) THEN
    RAISE EXCEPTION '没有角色 %', p_role USING ERRCODE = 'foreign_key_violation';
  END IF;
  SELECT a.role INTO was FROM access.account a WHERE a.account_id = p_account FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  UPDATE access.account SET role = p_role WHERE account_id = p_account;
  PERFORM access.sessions_end(p_account, 'role');
  PERFORM access.note('account.role', 'account', p_account::text, NULL, p_reason, jsonb_build_object('was', was, 'is', p_role));
  RETURN true;
END
$$;
COMMENT ON FUNCTION access.account_set_role(bigint, text, text) IS 'Gives another role; all sessions end at once.';

CREATE FUNCTION access.password_given(p_account bigint, p_hash text, p_temporary boolean, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  PERFORM access.must('account.manage');
  PERFORM access.not_myself(p_account);
  UPDATE access.account SET previous_password_hash = password_hash, password_hash = p_hash,
         password_set_at = clock_timestamp(), password_temporary = p_temporary
  WHERE account_id = p_account;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM access.sessions_end(p_account, 'password');
  PERFORM access.note('password.reset', 'account', p_account::text, NULL, p_reason);
  RETURN true;
END
$$;
COMMENT ON FUNCTION access.password_given(bigint, text, boolean, text) IS 'Password set by somebody else; its owner must choose a new one.';

CREATE FUNCTION access.second_factor_forget(p_account bigint, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  PERFORM access.must('session.manage');
  PERFORM access.not_myself(p_account);
  UPDATE access.account SET totp_secret = NULL, totp_confirmed_at = NULL, totp_last_step = NULL WHERE account_id = p_account;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM access.sessions_end(p_account, 'second_factor');
  PERFORM access.note('second_factor.forgotten', 'account', p_account::text, NULL, p_reason);
  RETURN true;
END
$$;
COMMENT ON FUNCTION access.second_factor_forget(bigint, text) IS 'A lost phone: the second factor is set up anew at the next sign-in.';

-- 权限范围 ----------------------------------------------------------------------------------------------------------

CREATE FUNCTION access.scope_list(p_account bigint)
RETURNS TABLE (scope_id bigint, account_id bigint, login text, division_code text, division_name text, valid_from date,
               valid_to date, granted_by text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = access, onemap, public, pg_temp AS $$
BEGIN
  IF NOT access.may('account.manage') THEN
    PERFORM access.must('scope.manage');
  END IF;
  RETURN QUERY
    SELECT s.scope_id, s.account_id, a.login, s.division_code, d.name, s.valid_from, s.valid_to, g.login
    FROM access.scope s JOIN access.account a ON a.account_id = s.account_id
    LEFT JOIN onemap.division_now d ON d.code = s.division_code
    LEFT JOIN access.account g ON g.account_id = s.granted_by
    WHERE p_account IS NULL OR s.account_id = p_account
    ORDER BY a.login, s.valid_from, s.division_code;
END
$$;
COMMENT ON FUNCTION access.scope_list(bigint) IS 'Scopes of one account, or of all; past ones too.';

CREATE FUNCTION access.scope_add(p_account bigint, p_code text, p_from date, p_to date, p_reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, onemap, public, pg_temp AS $$
DECLARE made bigint;
BEGIN
  PERFORM access.must('scope.manage');
  PERFORM access.not_myself(p_account);
  IF NOT EXISTS (SELECT FROM onemap.division_now d WHERE d.code = p_code) THEN
    RAISE EXCEPTION '现行区划里没有 %', p_code USING ERRCODE = 'foreign_key_violation';
  END IF;
  IF (SELECT r.is_administrator FROM access.account a JOIN access.role r USING (role) WHERE a.account_id = p_account) THEN
    RAISE EXCEPTION '三员账号不看业务数据，不设范围' USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO access.scope (account_id, division_code, valid_from, valid_to, granted_by)
  VALUES (p_account, p_code, coalesce(p_from, access.today()), p_to, access.principal()) RETURNING scope_id INTO made;
  PERFORM access.sessions_end(p_account, 'scope');
  PERFORM access.note('scope.added', 'account', p_account::text, NULL, p_reason,
                      jsonb_build_object('scope', made, 'division', p_code, 'from', coalesce(p_from, access.today()), 'to', p_to));
  RETURN made;
END
$$;
COMMENT ON FUNCTION access.scope_add IS 'Gives an account one more division, with an end date or none; its sessions end.';

CREATE FUNCTION access.scope_end(p_scope bigint, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE s access.scope;
BEGIN
  PERFORM access.must('scope.manage');
  SELECT * INTO s FROM access.scope WHERE scope_id = p_scope FOR UPDATE;
  IF NOT FOUND OR s.valid_to <= access.today() THEN
    RETURN false;
  END IF;
  PERFORM access.not_myself(s.account_id);
  UPDATE access.scope SET valid_to = greatest(access.today(), valid_from) WHERE scope_id = p_scope;
  PERFORM access.sessions_end(s.account_id, 'scope');
  PERFORM access.note('scope.ended', 'account', s.account_id::text, NULL, p_reason,
                      jsonb_build_object('scope', p_scope, 'division', s.division_code));
  RETURN true;
END
$$;
COMMENT ON FUNCTION access.scope_end(bigint, text) IS 'Ends a scope today; its account''s sessions end at once.';

-- 会话与设备 --------------------------------------------------------------------------------------------------------

CREATE FUNCTION access.session_list()
RETURNS TABLE (session_key text, account_id bigint, login text, display_name text, role text, created_at timestamptz,
               seen_at timestamptz, expires_at timestamptz, address inet, agent text, second_factor boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  PERFORM access.must('session.manage');
  RETURN QUERY
    -- A name for the session, not the hash: what ends a session must not be what opens one.
    SELECT encode(sha256('list ' || s.token_hash), 'hex'), a.account_id, a.login, a.display_name, a.role, s.created_at,
           s.seen_at, s.expires_at, s.address, s.agent, s.second_factor_at IS NOT NULL
    FROM access.session s JOIN access.account a USING (account_id)
    WHERE s.ended_at IS NULL AND s.awaiting IS NULL AND s.expires_at > clock_timestamp()
      AND s.seen_at + s.idle > clock_timestamp()
    ORDER BY s.seen_at DESC;
END
$$;
COMMENT ON FUNCTION access.session_list() IS 'Sessions that are open now.';

CREATE FUNCTION access.session_revoke(p_key text, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE who bigint;
BEGIN
  PERFORM access.must('session.manage');
  UPDATE access.session s SET ended_at = clock_timestamp(), end_reason = 'revoked'
  WHERE s.ended_at IS NULL AND encode(sha256('list ' || s.token_hash), 'hex') = p_key RETURNING s.account_id INTO who;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM access.note('session.revoked', 'account', who::text, NULL, p_reason);
  RETURN true;
END
$$;
COMMENT ON FUNCTION access.session_revoke(text, text) IS 'Ends somebody''s session at once.';

CREATE FUNCTION access.device_list()
RETURNS TABLE (device_id bigint, name text, login text, expires_at timestamptz, revoked_at timestamptz, created_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  PERFORM access.must('session.manage');
  RETURN QUERY SELECT d.device_id, d.name, a.login, d.expires_at, d.revoked_at, d.created_at
               FROM access.device d JOIN access.account a USING (account_id) ORDER BY d.device_id;
END
$$;
COMMENT ON FUNCTION access.device_list() IS 'Devices that sign in by token.';

CREATE FUNCTION access.device_add(p_name text, p_token bytea, p_account bigint, p_expires timestamptz, p_reason text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE made bigint;
BEGIN
  PERFORM access.must('session.manage');
  -- A token on a wall is not a person: it may only carry the role made for it.
  IF NOT EXISTS (SELECT FROM access.account a WHERE a.account_id = p_account AND a.role = 'wall' AND a.state = 'active') THEN
    RAISE EXCEPTION '设备令牌只能用于大屏角色的账号' USING ERRCODE = 'insufficient_privilege';
  END IF;
  INSERT INTO access.device (name, token_hash, account_id, expires_at) VALUES (p_name, p_token, p_account, p_expires)
  RETURNING device_id INTO made;
  PERFORM access.note('device.added', 'device', made::text, NULL, p_reason, jsonb_build_object('name', p_name, 'account', p_account));
  RETURN made;
END
$$;
COMMENT ON FUNCTION access.device_add IS 'Registers a wall display by the hash of its token.';

CREATE FUNCTION access.device_revoke(p_device bigint, p_reason text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  PERFORM access.must('session.manage');
  UPDATE access.device SET revoked_at = clock_timestamp() WHERE device_id = p_device AND revoked_at IS NULL;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM access.note('device.revoked', 'device', p_device::text, NULL, p_reason);
  RETURN true;
END
$$;
COMMENT ON FUNCTION access.device_revoke(bigint, text) IS 'A lost wall display: its token opens nothing any more.';

-- 审计的阅读 --------------------------------------------------------------------------------------------------------

CREATE FUNCTION access.audit_search(
  p_from timestamptz, p_to timestamptz, p_login text, p_action text, p_kind text, p_id text, p_before bigint, p_limit int)
RETURNS TABLE (seq bigint, at timestamptz, account_id bigint, login text, role text, action text, object_kind text,
               object_id text, address inet, before_digest text, after_digest text, reason text, detail jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  PERFORM access.must('audit.read');
  RETURN QUERY
    SELECT a.seq, a.at, a.account_id, a.login, a.role, a.action, a.object_kind, a.object_id, a.address, a.before_digest,
           a.after_digest, a.reason, a.detail
    FROM access.audit a
    WHERE (p_from IS NULL OR a.at >= p_from) AND (p_to IS NULL OR a.at < p_to)
      AND (p_login IS NULL OR a.login = p_login)
      AND (p_action IS NULL OR a.action = p_action OR starts_with(a.action, p_action || '.'))
      AND (p_kind IS NULL OR a.object_kind = p_kind) AND (p_id IS NULL OR a.object_id = p_id)
      AND (p_before IS NULL OR a.seq < p_before)
    ORDER BY a.seq DESC LIMIT least(greatest(p_limit, 1), 1000);
  PERFORM access.note('audit.read', 'audit', NULL, NULL, NULL, jsonb_strip_nulls(jsonb_build_object(
    'from', p_from, 'to', p_to, 'login', p_login, 'action', p_action, 'kind', p_kind, 'id', p_id, 'before', p_before)));
END
$$;
COMMENT ON FUNCTION access.audit_search IS 'Audit rows, newest first; reading them is a row too.';

-- Everything the hash covers, as text, for the recomputation outside the database.
CREATE FUNCTION access.audit_texts(p_after bigint, p_limit int)
RETURNS TABLE (seq bigint, previous bytea, hash bytea, fields text[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  PERFORM access.must('audit.read');
  RETURN QUERY
    SELECT r.seq, r.previous, r.hash, ARRAY[
      r.seq::text,
      CASE WHEN isfinite(r.at) THEN (extract(epoch FROM r.at) * 1000000)::bigint::text ELSE 'infinite' END,
      r.account_id::text, r.login, r.role, r.action, r.object_kind, r.object_id, text(r.address),
      r.before_digest, r.after_digest, r.reason, r.detail::text]
    FROM access.audit r WHERE r.seq > p_after ORDER BY r.seq LIMIT p_limit;
END
$$;
COMMENT ON FUNCTION access.audit_texts(bigint, int) IS 'Rows in order with the texts their hashes cover; gis/access/audit.py recomputes them.';

CREATE FUNCTION access.audit_month(p_from timestamptz, p_to timestamptz, p_after bigint, p_limit int)
RETURNS TABLE (seq bigint, hash bytea, public text[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
BEGIN
  PERFORM access.must('audit.read');
  RETURN QUERY
    SELECT r.seq, r.hash, ARRAY[r.seq::text, to_char(r.at AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD HH24:MI:SS'),
                                r.action, r.object_kind, r.object_id]
    FROM access.audit r WHERE r.at >= p_from AND r.at < p_to AND r.seq > p_after ORDER BY r.seq LIMIT p_limit;
END
$$;
COMMENT ON FUNCTION access.audit_month IS 'A month''s rows for its receipt: number, hash, and what a villager may see of each.';

CREATE FUNCTION access.audit_last(OUT seq bigint, OUT hash bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = access, pg_temp AS $$
  SELECT h.seq, h.hash FROM access.audit_head h
$$;
COMMENT ON FUNCTION access.audit_last() IS 'Number and hash of the last row, to be remembered outside the database. Tells nothing of what happened.';

-- from sql/schema/87_access_reveal.sql
-- 揭示: one personal field of one person, for a reason, on record. The database decides and hands out ciphertext only.

-- verdict: 'given', 'reason' (too short), 'forbidden' (role), 'enough' (daily limit), 'absent' (foreign and unknown look alike).
-- Nothing is raised: the audit row of a refusal must stay.
CREATE FUNCTION access.reveal(
  p_kind text, p_id text, p_field text, p_reason text, p_address inet, p_shortest int, p_per_day int,
  OUT verdict text, OUT ciphertext bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, onemap, personal, public, pg_temp AS $$
BEGIN
  IF length(btrim(coalesce(p_reason, ''))) < p_shortest THEN
    verdict := 'reason';
  ELSIF access.principal() IS NULL OR NOT access.may('person.reveal') THEN
    verdict := 'forbidden';
  ELSIF (SELECT count(*) FROM access.audit a WHERE a.account_id = access.principal() AND a.action = 'reveal'
         AND a.at >= access.today()::timestamp AT TIME ZONE 'Asia/Shanghai') >= p_per_day THEN
    verdict := 'enough';
  ELSE
    IF p_kind = 'person' AND p_id ~ '^[0-9]{1,18}$' AND p_field IN ('name', 'id_number', 'phone') THEN
      SELECT CASE p_field WHEN 'name' THEN p.name_enc WHEN 'id_number' THEN p.id_number_enc ELSE p.phone_enc END
        INTO ciphertext
      FROM personal.person p JOIN onemap.household h ON h.household_id = p.household_id
      WHERE p.person_id = p_id::bigint AND access.covers(h.grid_code, h.village_code, h.township_code);
    ELSIF p_kind = 'contractor' AND p_field IN ('name', 'id_number', 'phone', 'witness') THEN
      SELECT CASE p_field WHEN 'name' THEN c.name_enc WHEN 'id_number' THEN c.id_number_enc
                          WHEN 'phone' THEN c.phone_enc ELSE c.witness_enc END
        INTO ciphertext
      FROM personal.contractor c
      WHERE c.contractor_code = p_id AND EXISTS (
        SELECT FROM onemap.parcel l WHERE l.contractor_code = c.contractor_code
          AND access.covers(l.grid_code, l.village_code, l.township_code));
    END IF;
    verdict := CASE WHEN ciphertext IS NULL THEN 'absent' ELSE 'given' END;
  END IF;
  PERFORM access.note(CASE verdict WHEN 'given' THEN 'reveal' ELSE 'reveal.refused' END, p_kind, left(p_id, 40), p_address,
                      left(p_reason, 200), jsonb_build_object('field', left(p_field, 40), 'verdict', verdict));
END
$$;
COMMENT ON FUNCTION access.reveal IS 'Ciphertext of one field of one person in the principal''s scope, and the audit row in the same transaction.';

-- 查重: whose number is this? Only within scope, by keyed hash; the number itself never reaches the database.
CREATE FUNCTION access.person_by_key(p_field text, p_key bytea) RETURNS TABLE (person_id bigint, household_id bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = access, onemap, personal, public, pg_temp AS $$
BEGIN
  PERFORM access.must('household.view');
  RETURN QUERY
    SELECT p.person_id, p.household_id FROM personal.person p JOIN onemap.household h ON h.household_id = p.household_id
    WHERE CASE p_field WHEN 'id_number' THEN p.id_number_key = p_key WHEN 'phone' THEN p.phone_key = p_key END
      AND access.covers(h.grid_code, h.village_code, h.township_code)
    ORDER BY p.person_id;
  PERFORM access.note('person.searched', 'person', NULL, NULL, NULL, jsonb_build_object('field', p_field));
END
$$;
COMMENT ON FUNCTION access.person_by_key(text, bytea) IS 'People of the principal''s scope with exactly this number.';

CREATE FUNCTION access.people_of(p_household bigint)
RETURNS TABLE (person_id bigint, is_head boolean, name_masked text, id_number_masked text, phone_masked text, born_year smallint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = access, onemap, personal, public, pg_temp AS $$
BEGIN
  PERFORM access.must('household.view');
  RETURN QUERY
    SELECT p.person_id, p.is_head, p.name_masked, p.id_number_masked, p.phone_masked, p.born_year
    FROM personal.person p JOIN onemap.household h ON h.household_id = p.household_id
    WHERE p.household_id = p_household AND access.covers(h.grid_code, h.village_code, h.township_code)
    ORDER BY NOT p.is_head, p.person_id;
END
$$;
COMMENT ON FUNCTION access.people_of(bigint) IS 'A household''s people, masked; no row for a household outside the scope.';

-- from sql/policies/10_grants.sql
-- Who may do what. The app's role owns nothing, sees no personal data, and cannot change history.

REVOKE ALL ON SCHEMA onemap, personal, intake FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA onemap FROM PUBLIC;

GRANT USAGE ON SCHEMA onemap TO onemap_app, onemap_reader, onemap_job;
GRANT SELECT ON ALL TABLES IN SCHEMA onemap TO onemap_app, onemap_reader, onemap_job;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA onemap TO onemap_app, onemap_reader, onemap_job;
REVOKE EXECUTE ON FUNCTION onemap.refresh_parcel_summary() FROM onemap_app, onemap_reader;

-- The web writes what people do; it never deletes, and never rewrites the past.
GRANT INSERT, UPDATE ON onemap.incident, onemap.alert TO onemap_app;
GRANT UPDATE (state, position_at, geom) ON onemap.resource TO onemap_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA onemap TO onemap_app;
GRANT USAGE ON SCHEMA intake TO onemap_app;
GRANT SELECT ON intake.load TO onemap_app;

-- Imports: may add and take back loaded rows, and write lineage; division history is append-only for it too.
GRANT USAGE ON SCHEMA personal, intake TO onemap_job;
GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA onemap TO onemap_job;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA personal TO onemap_job;
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA intake TO onemap_job;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA onemap, personal, intake TO onemap_job;
REVOKE UPDATE, DELETE ON onemap.division_change FROM onemap_job;
REVOKE INSERT, UPDATE, DELETE ON onemap.table_version, onemap.county FROM onemap_job;

-- from sql/policies/20_rows.sql
-- Row-level security: a principal sees and writes only rows of its own divisions. Fails closed: no principal, no rows.

-- Divisions of this transaction's principal that hold today: of one code length (6 9 12 15), of every other length (-9), or,
-- for NULL, all.
-- Every policy asks it, so every microsecond counts: plpgsql keeps its plan (5 us a call, an SQL function 300), and
-- sorting would add 25; a code may come twice, in no order. Only the web's word for who is asking is
-- believed: another role that sets onemap.principal sees nothing by it.
CREATE FUNCTION access.my_codes(digits integer DEFAULT NULL) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = access, pg_temp AS $$
DECLARE who text := current_setting('onemap.principal', true);
BEGIN
  -- NULL before it was ever set on this connection, '' after a transaction that set it ended.
  IF session_user <> 'onemap_app' OR who IS NULL OR who !~ '^[0-9]{1,18}$' THEN
    RETURN '{}';
  END IF;
  RETURN ARRAY(
    SELECT s.division_code
    FROM access.scope s JOIN access.account a ON a.account_id = s.account_id
    -- 三员 see no business data, scope or not. By name: asking access.role too would double the time.
    WHERE s.account_id = who::bigint AND a.state = 'active' AND a.role NOT IN ('system_admin', 'security_admin', 'audit_admin')
      AND (digits IS NULL OR length(s.division_code) = digits OR digits < 0 AND length(s.division_code) <> -digits)
      AND s.valid_from <= access.today() AND (s.valid_to IS NULL OR s.valid_to > access.today()));
END
$$;
COMMENT ON FUNCTION access.my_codes(integer) IS
  '权限范围: division codes of the principal that hold today, of one length, of the others (negative) or all; empty for nobody, unknown, disabled, administrators.';
REVOKE ALL ON FUNCTION access.my_codes(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION access.my_codes(integer) TO onemap_app, onemap_reader, onemap_job;

-- Rows lie where their three codes say, and the placing trigger, which runs before any WITH CHECK, has written those from
-- the ground. Unplaced rows (未落点, all three NULL) are the county's. (SELECT f()) runs f once a statement, not once a row.
DO $$
DECLARE
  t text;
  -- A township's scope, the commonest, is decided by one call, and a row outside it by a second.
  mine constant text := $m$township_code = ANY ((SELECT access.my_codes(9))::text[])
    OR (SELECT cardinality(access.my_codes(-9)) > 0) AND (
      (SELECT cardinality(access.my_codes(6)) > 0)
      OR village_code = ANY ((SELECT access.my_codes(12))::text[])
      OR grid_code = ANY ((SELECT access.my_codes(15))::text[]))$m$;
BEGIN
  FOREACH t IN ARRAY ARRAY['parcel', 'parcel_summary', 'facility', 'resource', 'household', 'incident', 'alert'] LOOP
    EXECUTE format('ALTER TABLE onemap.%I ENABLE ROW LEVEL SECURITY', t);
    -- The owner too: it passes by BYPASSRLS alone (sql/administrator.sql), which a restored copy does not have by itself.
    EXECUTE format('ALTER TABLE onemap.%I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY in_scope ON onemap.%I USING (%s) WITH CHECK (%s)', t, mine, mine);
    EXECUTE format($c$COMMENT ON POLICY in_scope ON onemap.%I IS 'Rows of the principal''s divisions; all rows for the county''s scope.'$c$, t);
  END LOOP;
END
$$;

-- A report without a position must find a home at once: whoever has a scope may hand it in, the county alone reads it and
-- gives it a place. (So INSERT ... RETURNING fails below the county: keep the case_no instead.)
CREATE POLICY unplaced_report ON onemap.incident FOR INSERT
  WITH CHECK (grid_code IS NULL AND village_code IS NULL AND township_code IS NULL AND (SELECT cardinality(access.my_codes()) > 0));
COMMENT ON POLICY unplaced_report ON onemap.incident IS '未落点: anyone with a scope may report without a position; only the county reads it.';

-- Where is the scope's question, what is the role's: these stand beside in_scope, and both must agree.
CREATE POLICY may_report ON onemap.incident AS RESTRICTIVE FOR INSERT WITH CHECK ((SELECT access.may('incident.report')));
CREATE POLICY may_handle ON onemap.incident AS RESTRICTIVE FOR UPDATE USING (true)
  WITH CHECK ((SELECT access.may('incident.handle') OR access.may('incident.dispatch')));
CREATE POLICY may_raise ON onemap.alert AS RESTRICTIVE FOR INSERT WITH CHECK ((SELECT access.may('alert.verify')));
CREATE POLICY may_verify ON onemap.alert AS RESTRICTIVE FOR UPDATE USING (true) WITH CHECK ((SELECT access.may('alert.verify')));
CREATE POLICY may_dispatch ON onemap.resource AS RESTRICTIVE FOR UPDATE USING (true) WITH CHECK ((SELECT access.may('incident.dispatch')));
COMMENT ON POLICY may_report ON onemap.incident IS 'Only a role that may report (data/roles.toml); a wall display may not.';
COMMENT ON POLICY may_handle ON onemap.incident IS 'Only a role that may handle or dispatch.';
COMMENT ON POLICY may_raise ON onemap.alert IS 'Only a role that verifies alerts raises one by hand; the rules run as job.';
COMMENT ON POLICY may_verify ON onemap.alert IS 'Only a role that verifies alerts.';
COMMENT ON POLICY may_dispatch ON onemap.resource IS 'Only a role that dispatches.';

-- What everybody signed in may know of the whole county; no row of these is about a township's people.
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['division', 'division_change', 'farmland_zone', 'road', 'road_node', 'ground', 'building', 'county', 'table_version'] LOOP
    EXECUTE format('COMMENT ON TABLE onemap.%I IS %L', t,
      obj_description(format('onemap.%I', t)::regclass, 'pg_class') || ' No row-level security: common knowledge of everybody signed in.');
  END LOOP;
END
$$;

-- from sql/policies/30_access_grants.sql
-- Access: the web reaches it through functions only; of the audit trail it can do nothing but add.

REVOKE ALL ON SCHEMA access FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA access FROM PUBLIC, onemap_app, onemap_reader, onemap_job;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA access FROM PUBLIC;
GRANT USAGE ON SCHEMA access TO onemap_app, onemap_reader, onemap_job;

-- What policies and views ask; the answer depends on the principal alone.
GRANT EXECUTE ON FUNCTION access.principal(), access.address(), access.today(), access.may(text), access.must(text)
  TO onemap_app, onemap_reader, onemap_job;

-- No seq, time, hash or account: those are the trigger's.
GRANT INSERT (login, action, object_kind, object_id, address, before_digest, after_digest, reason, detail)
  ON access.audit TO onemap_app, onemap_job;
GRANT EXECUTE ON FUNCTION access.audit_last() TO onemap_app, onemap_job;

-- Signing in, and the three administrators' pages. access.note, act_as, sessions_end are for the functions themselves.
GRANT EXECUTE ON FUNCTION access.try_begin, access.try_failed, access.session_open, access.session_of, access.session_awaiting,
  access.totp_offer, access.totp_use, access.password_chosen, access.password_rehashed, access.passwords_of,
  access.session_end, access.account_of_identity
  TO onemap_app;
GRANT EXECUTE ON FUNCTION access.account_list, access.account_add, access.account_set_state, access.account_set_role,
  access.password_given, access.second_factor_forget, access.scope_list, access.scope_add, access.scope_end,
  access.session_list, access.session_revoke, access.device_list, access.device_add, access.device_revoke,
  access.audit_search, access.audit_texts, access.audit_month
  TO onemap_app;
GRANT EXECUTE ON FUNCTION access.reveal, access.person_by_key, access.people_of TO onemap_app;
