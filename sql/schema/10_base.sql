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
  geom_wkb      bytea,
  sealed        bytea
);
COMMENT ON TABLE intake.quarantine IS '隔离区: rows that were not loaded, whole, each with the reason a person understands.';
COMMENT ON COLUMN intake.quarantine.properties IS 'What is readable: columns the mapping knows to hold nothing personal as they came, personal ones masked.';
COMMENT ON COLUMN intake.quarantine.sealed IS 'Everything else of the row, encrypted (JSON by column name): personal fields, and columns nobody knows. NULL: nothing else.';
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
