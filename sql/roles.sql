-- The four roles of the store. Idempotent: run by the administrator before every migration.
DO $$
DECLARE r text;
BEGIN
  FOREACH r IN ARRAY ARRAY['onemap_owner', 'onemap_app', 'onemap_reader', 'onemap_job'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
      EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS', r);
    END IF;
  END LOOP;
END
$$;
COMMENT ON ROLE onemap_owner IS 'Owns every object; runs migrations; never serves requests.';
COMMENT ON ROLE onemap_app IS 'The web: reads what the map shows, writes cases; owns nothing, cannot change history.';
COMMENT ON ROLE onemap_reader IS 'QGIS, reports: reads what is common knowledge of the onemap schema; under row-level security it sees no row of a division.';
COMMENT ON ROLE onemap_job IS 'Imports and scheduled jobs.';
