-- Who may do what. The app's role owns nothing, sees no personal data, and cannot change history.

REVOKE ALL ON SCHEMA onemap, personal, intake FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA onemap FROM PUBLIC;

GRANT USAGE ON SCHEMA onemap TO onemap_app, onemap_reader, onemap_job;
GRANT SELECT ON ALL TABLES IN SCHEMA onemap TO onemap_app, onemap_reader, onemap_job;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA onemap TO onemap_app, onemap_reader, onemap_job;
REVOKE EXECUTE ON FUNCTION onemap.refresh_parcel_summary() FROM onemap_app, onemap_reader;

-- The web writes what people do; it never deletes, and never rewrites the past.
GRANT INSERT, UPDATE ON onemap.alert TO onemap_app;
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
