// Immutability's one error, and what is told of restored rows.
#pragma once

#include "server/pg.h"

namespace spine {

// Raises SP013. change: UPDATE, DELETE or TRUNCATE.
[[noreturn]] void refuse_change(const char *change, const char *table);

// Just before the commit: warns, once, of the restored rows that do not reproduce their hashes.
void warn_of_altered_rows();

// The transaction ended.
void forget_altered_rows();

// The subtransaction was rolled back, and its rows with it.
void roll_back_altered_rows(SubTransactionId mine);

// The subtransaction became part of its parent.
void keep_altered_rows(SubTransactionId mine, SubTransactionId parent);

}  // namespace spine
