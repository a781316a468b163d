-- Training left to a job.

-- defer --
-- Once: not while one waits or runs, and not before there is enough to learn from.
SELECT onemap.job_defer(%(task)s, '{}'::jsonb)
WHERE NOT EXISTS (SELECT FROM jobs.procrastinate_jobs WHERE task_name = %(task)s AND status IN ('todo', 'doing'))
  AND (SELECT count(*) FROM (
    SELECT FROM onemap.case_file WHERE process = 'incident' AND item_code IS NOT NULL AND state NOT IN ('reported', 'returned', 'merged')
    LIMIT %(least)s) n) >= %(least)s;
