// The triggers by which a table is captured, made and dropped by SQL, so that event triggers see it.
#pragma once

#include "capture/definition.h"

namespace spine {

// Lists of a definition's arguments as C strings, without inherited_mark.
List *arguments_of(const Trigger &trigger);

// The same as those of what inherits from the table.
List *as_inherited(const List *arguments);

// Makes the triggers of one table, connected to SPI.
void create_triggers(Oid relid, const List *arguments);

// Whether there may be a row in a table that is locked: it has a block.
bool may_have_rows(Oid relid);

// Makes those of a table and of all that inherits from it, and remembers that it is captured.
void capture_tree(Oid root, const List *arguments);

// Raises SP026 where a table below a captured one cannot be captured with it.
void require_one_root(Oid relid, char kind, List *roots);

// Raises SP026 where the definition hides the entity's id, or what that is made from.
void require_shown_entity(Relation relation, const List *arguments);

}  // namespace spine
