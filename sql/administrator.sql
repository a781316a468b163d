-- What only a superuser can say, in every database of ours: when it is made, after a restore, before every migration.
-- Idempotent. A dump carries none of it: gis.store.administration tells when it is missing, `./onemap doctor` says so.

-- Under row-level security an operator that might tell about rows nobody may see is not asked before the policy, so the
-- spatial index would go unused (4 ms become 82 for a z14 tile). The && of two geometries compares the float boxes in
-- their headers: it raises nothing and writes nothing that depends on a value. Distance (<->) only orders: it needs nothing.
ALTER FUNCTION public.geometry_overlaps(geometry, geometry) LEAKPROOF;

-- COPY is refused under row-level security, and the functions that decide by themselves what they hand out (SECURITY
-- DEFINER, owner) must see all rows. Neither role serves a request: the web is onemap_app, which has nothing of this.
-- Only what differs is altered: two starts at once would otherwise fail on the same catalogue row.
DO $$
DECLARE r record;
BEGIN
  FOR r IN SELECT rolname, rolname IN ('onemap_owner', 'onemap_job') AS passes FROM pg_roles
           WHERE rolname IN ('onemap_owner', 'onemap_job', 'onemap_app', 'onemap_reader')
             AND (rolbypassrls <> (rolname IN ('onemap_owner', 'onemap_job')) OR rolsuper OR rolcreaterole OR rolcreatedb) LOOP
    EXECUTE format('ALTER ROLE %I NOSUPERUSER NOCREATEROLE NOCREATEDB %s', r.rolname,
                   CASE WHEN r.passes THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END);
  END LOOP;
END
$$;
