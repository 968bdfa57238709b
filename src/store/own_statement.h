// Statements of the spine's own that alter its tables: the functions that run them have judged that they may, so the guard
// lets each of them through, and nothing else by it.
#pragma once

#include "server/pg.h"

namespace spine {

// Runs one utility statement, connected to SPI. What others run inside of it, such as the functions of their event triggers, is
// theirs.
void run_own_statement(const char *text);

// For the guard, as a statement begins: whether it is the one that is to run. It is none of the later ones.
bool take_own_statement(const char *text);

}  // namespace spine
