-- Units in charge (责任单位): departments by the code list, offices by the division tree.

-- departments_publish --
INSERT INTO onemap.unit (unit, name, level, division_code, office_hours, source)
SELECT %(code)s, %(name)s, %(level)s,
       CASE WHEN %(general)s THEN (SELECT d.code FROM onemap.division d WHERE d.level = 1 AND d.valid_to IS NULL ORDER BY d.code LIMIT 1) END,
       %(hours)s, %(source)s
ON CONFLICT (unit) DO UPDATE SET name = excluded.name, level = excluded.level, division_code = excluded.division_code,
  office_hours = excluded.office_hours, source = excluded.source
WHERE (unit.name, unit.level, unit.division_code, unit.office_hours, unit.source)
  IS DISTINCT FROM (excluded.name, excluded.level, excluded.division_code, excluded.office_hours, excluded.source);

-- offices_publish --
-- Every township and village that stands today answers for its place. Heads are people's business and stay as they are.
INSERT INTO onemap.unit (unit, name, level, division_code, source)
SELECT d.code, d.name || CASE WHEN d.level = 2 THEN CASE WHEN d.name ~ '街道$' THEN '办事处' ELSE '人民政府' END
                              WHEN d.name ~ '委会$' THEN '' WHEN d.name ~ '村$' THEN '委会'
                              WHEN d.name ~ '社区$' THEN '居委会' ELSE '村委会' END,
       d.level, d.code, '按区划生成'
FROM onemap.division d WHERE d.level IN (2, 3) AND d.valid_to IS NULL
ON CONFLICT (unit) DO UPDATE SET name = excluded.name WHERE unit.name IS DISTINCT FROM excluded.name;
