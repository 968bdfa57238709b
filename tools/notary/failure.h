// How a command of spine-notary ends. docs/reference.md lists the exit codes for its users.
#pragma once

#include <stdexcept>
#include <string>

namespace spine {

enum class Exit : int {
  done = 0,
  chain_fault = 1,      // signed; but new events of a chain are at fault, and so are not part of what was signed
  usage = 2,            // options, key or state directory
  unavailable = 3,      // the database, the agent or the network: later it may work
  rewritten = 4,        // chains or the log are not what was signed, and no restore explains it
  restored = 5,         // the database is an older copy of itself
  cloned = 6,           // the database went on beside the one whose checkpoints were signed
  failover_lost = 7,    // a promoted standby lacks what was signed of its primary
  other_database = 8,   // its extension was created apart from the one whose checkpoints were signed
  notary_lost = 9,      // this state is older than what the key has signed
  no_quorum = 10,       // signed, but not cosigned as the policy asks
};

// What a command gives up with.
class Failure : public std::runtime_error {
 public:
  Failure(Exit code, const std::string &what, std::string hint = {})
      : std::runtime_error(what), code_(code), hint_(std::move(hint)) {}
  Exit code() const { return code_; }
  const std::string &hint() const { return hint_; }

 private:
  Exit code_;
  std::string hint_;
};

}  // namespace spine
