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
CREATE FUNCTION onemap.is_sound(g geometry) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT g IS NULL OR (
    NOT ST_IsEmpty(g)
    AND ST_XMin(g) >= 73.0 AND ST_XMax(g) <= 136.0
    AND ST_YMin(g) >= 3.0 AND ST_YMax(g) <= 54.0
    AND ST_IsValid(g))
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
  name      text NOT NULL,
  id_number text,
  phone     text,
  witness   text,
  load_id   bigint
);
COMMENT ON TABLE personal.contractor IS '承包方个人信息 (CBFMC, CBFZJHM, LXDH, ZJRXM): apart from the parcels, never in a tile or export.';

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
  SELECT coalesce(grid_code, ''), coalesce(land_class, ''), count(*), sum(area_m2),
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
CREATE INDEX household_grid ON onemap.household (grid_code);
CREATE INDEX household_monitored ON onemap.household (grid_code, category) WHERE category IS NOT NULL;
CREATE TRIGGER household_place BEFORE INSERT OR UPDATE OF geom, grid_code, village_code, township_code ON onemap.household
  FOR EACH ROW EXECUTE FUNCTION onemap.place_row();
CREATE TRIGGER household_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON onemap.household
  FOR EACH STATEMENT EXECUTE FUNCTION onemap.bump_version();

CREATE TABLE personal.person (
  person_id    bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  household_id bigint NOT NULL,
  is_head      boolean NOT NULL DEFAULT false,
  name         text NOT NULL,
  id_number    text,
  phone        text,
  born_on      date,
  load_id      bigint
);
COMMENT ON TABLE personal.person IS '家庭成员个人信息. No table that the app may read joins here.';
CREATE INDEX person_household ON personal.person (household_id);

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
CREATE INDEX incident_open_geom_3857 ON onemap.incident USING gist (geom_3857) WHERE status <> 'closed';
CREATE INDEX incident_grid ON onemap.incident (grid_code);
CREATE INDEX incident_reported ON onemap.incident (reported_at);
CREATE INDEX incident_open ON onemap.incident (grid_code, due_at) WHERE status <> 'closed';
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
