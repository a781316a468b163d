-- Process definitions: what was published, and what may be published.

-- published --
SELECT process, version, digest FROM onemap.process ORDER BY process, version;

-- definition --
SELECT definition FROM onemap.process WHERE process = %s AND version = %s;

-- publish_new --
INSERT INTO onemap.process (process, version, name, definition, digest) VALUES (%s, %s, %s, %s, %s);

-- publish_again --
UPDATE onemap.process SET name = %(name)s, definition = %(definition)s, digest = %(digest)s, published_at = now()
WHERE process = %(process)s AND version = %(version)s;

-- in_use --
SELECT EXISTS (SELECT FROM onemap.case_file c WHERE c.process = %s AND c.process_version = %s);

-- publish_lock --
-- Two starts at once publish one after the other.
SELECT pg_advisory_xact_lock(hashtext('onemap.process'));

-- versions --
SELECT process, version, name, published_at, cases, open FROM onemap.process_standing();

-- is_there --
SELECT to_regprocedure('onemap.process_standing()') IS NOT NULL;
