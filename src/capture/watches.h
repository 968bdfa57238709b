// What was said to be captured or held to the rule, in spine.watches: so that spine.verify_guards can tell where it ended.
#pragma once

#include "server/pg.h"

extern "C" {
#include <nodes/pg_list.h>
}

namespace spine {

// Connected to SPI; with the rights of the owner of spine.events, for who captures a table need have none on the spine's.
// kind: capture or rule. arguments: of the triggers, C strings.
// from_empty: there is no row that was there before. was_there: it was captured already, so that what was known of that holds.
void remember_watch(const char *kind, Oid relid, const List *arguments, bool from_empty = false, bool was_there = false);

// Whether the table had no row when its capture began, nor what came to inherit from it since: each of its rows has an event.
bool was_captured_from_empty(const char *table);

// A table with rows that have no event came to inherit from it.
void note_uncaptured_rows(const char *table);

// By the name that the table has, or had. Whether it was remembered.
bool forget_watch(const char *kind, const char *table);

}  // namespace spine
