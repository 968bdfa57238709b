// What emitting asks of src/access, which defines it: the store stands below the capabilities and includes none of them.
#pragma once

#include "server/pg.h"

namespace spine {

// Whose wish an event is.
enum class OnBehalf {
  emitter,        // the current role's, which needs a binding
  captured_table  // its owner's, who has it captured: whoever writes there may, but a role with bindings for those alone
};

// Raises 42501 where the current role was not given the organization to emit for. table: where the event is to be
// stored, whose owner needs no binding.
void require_emitting(Oid table, const Uuid &organization, OnBehalf of);

}  // namespace spine
