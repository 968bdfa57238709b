#include "guard/checks.h"

#include <iterator>

namespace spine {

namespace {

const char *const queries[] = {
    R"sql(
SELECT 'setting ' || w.name, w.value, s.setting, s.setting = w.value, w.remedy
  FROM (VALUES
    ('allow_system_table_mods', 'off', 'With it on, catalogs can be altered by which all of this holds.'),
    ('event_triggers', 'on', 'Without event triggers DDL is not guarded where the library is not preloaded.'),
    ('fsync', 'on', 'Without it a crash loses acknowledged events.'),
    ('full_page_writes', 'on', 'Without it a crash damages pages.'),
    ('ignore_checksum_failure', 'off', 'Damaged pages would be read as if they were not.'),
    ('ignore_system_indexes', 'off', 'Leave it off.'),
    ('session_replication_role', 'origin', 'Other triggers than the spine''s do not fire.'),
    ('zero_damaged_pages', 'off', 'Events on damaged pages would be thrown away.')) w (name, value, remedy)
  JOIN pg_settings s ON s.name = w.name
)sql",

    R"sql(
SELECT 'settings of databases and roles', 'none that weaken the guards', coalesce(string_agg(DISTINCT c, ', '), 'none that weaken the guards'),
       count(*) = 0, 'ALTER DATABASE … RESET, ALTER ROLE … RESET.'
  FROM pg_db_role_setting d CROSS JOIN LATERAL unnest(d.setconfig) c
 WHERE (d.setdatabase = 0 OR d.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
   AND c ~ '^(allow_system_table_mods=on|event_triggers=off|ignore_checksum_failure=on|zero_damaged_pages=on|session_replication_role=(replica|local))'
)sql",

    R"sql(
SELECT 'environment', 'set for this database', coalesce(nullif(s.setting, ''), 'not set'), CASE WHEN s.setting <> '' THEN true END,
       'ALTER DATABASE ' || quote_ident(current_database()) || ' SET people_os_spine.environment = …: nobody can emit without it.'
  FROM pg_settings s WHERE s.name = 'people_os_spine.environment'
)sql",

    R"sql(
SELECT 'library preloaded', 'shared_preload_libraries', $4, CASE WHEN $4 <> 'no' THEN true END,
       'Add people_os_spine to shared_preload_libraries and restart: then the guard holds in every session from its start.'
)sql",

    R"sql(
SELECT 'data checksums', 'on', s.setting, CASE WHEN s.setting = 'on' THEN true END,
       'pg_checksums --enable, with the server stopped: damage by disks is then told from tampering.'
  FROM pg_settings s WHERE s.name = 'data_checksums'
)sql"};

}  // namespace

const Checks server_checks = {queries, static_cast<int>(std::size(queries))};

}  // namespace spine
