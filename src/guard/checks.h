// What spine.verify_guards checks, by what a check is about. Each is one short query over the catalogs with the columns
// guard, expected, found, ok and remedy, one row a guard. ok is false where a guard is broken, and NULL where one is not
// in force that a server can do without. Names are qualified by the function's search_path.
//
//   $1 the schema spine, $2 the extension, $3 spine.events: oid, 0 where it is missing
//   $4 how the library is preloaded: text
//   $5 the indexes that the spine makes and that are not unique: text[]
//   $6 relations that may be granted, $7 what may be granted on each: text[]
//   $8 0, for partitions.h
#pragma once

namespace spine {

struct Checks {
  const char *const *queries;
  int count;
};

extern const Checks table_checks;   // spine.events, and what hangs on it
extern const Checks code_checks;    // functions, views, event triggers, owners
extern const Checks rights_checks;  // who may do what
extern const Checks server_checks;  // settings

// The chains that were verified (spine.record_verification) still reach as far as they did then. It reads tables, so it
// runs for whoever may see all of them.
extern const char *const heads_check;

}  // namespace spine
