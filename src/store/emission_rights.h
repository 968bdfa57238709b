// What emitting asks of src/access, which defines it: the store stands below the capabilities and includes none of them.
#pragma once

#include "server/pg.h"

namespace spine {

// Raises 42501 where the current role was not given the organization to emit for. table: where the event is to be
// stored, whose owner needs no binding.
void require_emitting(Oid table, const Uuid &organization);

}  // namespace spine
