// Values that lie out of line or compressed, read without trusting what is stored.
#pragma once

#include "server/pg.h"

extern "C" {
#include <utils/rel.h>
}

namespace spine {

// The plain form of a value of the relation, its header included, in the current memory context where it is a new one.
// Null: it is damaged, and *why says how. Or an error of the server's says so, of a page or of what cannot be decompressed.
const char *read_value(Relation relation, const varlena *stored, const char **why);

}  // namespace spine
