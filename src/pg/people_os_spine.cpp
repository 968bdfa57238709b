// The module: magic block, start-up, and what lives as long as the backend.
#include "pg/access.h"
#include "pg/capture.h"
#include "pg/chain.h"
#include "pg/durability.h"
#include "pg/errors.h"
#include "pg/guard.h"
#include "pg/pending.h"
#include "pg/registry.h"
#include "pg/rule.h"
#include "pg/settings.h"

extern "C" {
#if PG_VERSION_NUM >= 180000
PG_MODULE_MAGIC_EXT(.name = "people_os_spine", .version = SPINE_VERSION);
#else
PG_MODULE_MAGIC;
#endif

PGDLLEXPORT void _PG_init(void);
}

namespace spine {

Hasher &hasher() {
  static Hasher *only = nullptr;
  if (only == nullptr) only = Hasher::create().release();
  if (only == nullptr) report(Status::out_of_memory, "events");
  return *only;
}

}  // namespace spine

extern "C" void _PG_init(void) {
  // Callbacks run last-registered first: what is pending is chained while the chains' own state is still there.
  spine::run_steps<spine::define_settings, spine::watch_catalog_changes, spine::watch_access, spine::watch_registry,
                   spine::watch_transactions, spine::watch_releases, spine::watch_changes, spine::watch_commits,
                   spine::watch_statements, spine::watch_merges>();
}
