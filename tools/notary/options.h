// The command line of spine-notary.
#pragma once

#include <string>
#include <vector>

#include "notary/database.h"

namespace spine {

struct Options {
  std::string command;
  std::string database, origin, state, key, agent, public_key, policy, adopt, listen, name, ssh, output;
  std::vector<std::string> witnesses, logs;
  Selection selection;
  unsigned every = 60;
  bool thorough = false, begin = false, witness = false, help = false;
};

// Failure (usage): there is no such command or option, or one that the command needs is missing.
Options parse_options(int argc, char **argv);

extern const char usage_text[];

}  // namespace spine
