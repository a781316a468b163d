-- What only a superuser can say, in every database of ours: when it is made, after a restore, before every migration.
-- Idempotent. A dump carries none of it: gis.store.administration tells when it is missing, `./onemap doctor` says so.

-- Under row-level security an operator that might tell about rows nobody may see is not asked before the policy, so the
-- spatial index would go unused (4 ms become 82 for a z14 tile). The && of two geometries compares the float boxes in
-- their headers: it raises nothing and writes nothing that depends on a value. Distance (<->) only orders: it needs nothing.
ALTER FUNCTION public.geometry_overlaps(geometry, geometry) LEAKPROOF;

-- COPY is refused under row-level security, and the functions that decide by themselves what they hand out (SECURITY
-- DEFINER, owner) must see all rows. Neither role serves a request: the web is onemap_app, which has nothing of this.
ALTER ROLE onemap_owner BYPASSRLS;
ALTER ROLE onemap_job BYPASSRLS;
ALTER ROLE onemap_app NOBYPASSRLS NOSUPERUSER NOCREATEROLE NOCREATEDB;
ALTER ROLE onemap_reader NOBYPASSRLS NOSUPERUSER NOCREATEROLE NOCREATEDB;
