// What was said to be captured or held to the rule, in spine.watches: so that spine.verify_guards can tell where it ended.
#pragma once

#include "server/pg.h"

extern "C" {
#include <nodes/pg_list.h>
}

namespace spine {

// Connected to SPI; with the rights of the owner of spine.events, for who captures a table need have none on the spine's.
// kind: capture or rule. arguments: of the triggers, C strings.
void remember_watch(const char *kind, Oid relid, const List *arguments);

// By the name that the table has, or had. Whether it was remembered.
bool forget_watch(const char *kind, const char *table);

}  // namespace spine
