// Writes evidence to a file.
#pragma once

#include <string>

#include "notary/database.h"

namespace spine {

// Makes a new file that its owner alone may read, for it may hold what few may see; gives its number of lines. Where
// it fails there is no file of that name.
uint64_t export_to_file(Database &database, const Selection &selection, const std::string &path);

}  // namespace spine
