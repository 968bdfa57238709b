// The module: magic block, start-up, and what lives as long as the backend.
#include "access/access.h"
#include "capture/capture.h"
#include "store/chain.h"
#include "store/durability.h"
#include "server/errors.h"
#include "guard/guard.h"
#include "store/pending.h"
#include "store/event_types.h"
#include "capture/required_events.h"
#include "server/settings.h"

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
