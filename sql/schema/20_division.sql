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
