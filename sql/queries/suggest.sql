-- What the item suggestion learns from. Asked by the command line and jobs, never by a page.

-- history --
-- Classified incidents, newest first; words only, no person.
SELECT c.title || coalesce(' ' || c.detail, '') AS words, c.item_code, c.reported_at, coalesce(l.synthetic, false) AS synthetic
FROM onemap.case_file c LEFT JOIN intake.load l USING (load_id)
WHERE process = 'incident' AND item_code IS NOT NULL AND state NOT IN ('reported', 'returned', 'merged')
ORDER BY c.reported_at DESC LIMIT %(most)s;

-- place_names --
SELECT DISTINCT name FROM onemap.division WHERE level IN (2, 3) UNION SELECT DISTINCT regexp_replace(name, '(村民委员会|村委会|居委会|社区|村)$', '') FROM onemap.division WHERE level = 3;
