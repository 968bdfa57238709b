// What the guard does once it has judged: it refuses, or lets through and records.
#pragma once

#include "guard/guard.h"

namespace spine {

// The utility statement that runs.
extern GuardedStatement current_statement;

// Refuses what the current statement would do to an object of the spine, or records that it is let through: once a
// statement, before the work where its names tell. Raises SP024.
void refuse(const char *object);
void refuse_object(Oid classid, Oid object);

// The same for a query, whose command and text are its own.
void refuse_query(const char *command, const char *object, const char *text);

}  // namespace spine
