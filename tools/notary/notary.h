// A notary: takes directory checkpoints of a database and signs those that extend what it signed before.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "notary/database.h"
#include "notary/files.h"
#include "notary/message.h"
#include "notary/signer.h"
#include "notary/state.h"
#include "notary/witness_client.h"

namespace spine {

class Notary {
 public:
  // thorough: each round also asks for the root of every chain, not of those alone that changed.
  Notary(std::string directory, std::string origin, const Signer &signer, Database &database, Witnesses &witnesses,
         const Messages &messages, bool thorough);

  // Makes the state, and signs the first checkpoint.
  Exit begin();

  // Makes the state of a checkpoint whose note this key signed, from what the database still has of it.
  Exit adopt(const std::string &message);

  // Reads the state, which must be there, before the first round.
  void load();

  // Takes a checkpoint and signs it, if anything changed. Failure: it was not signed.
  Exit round();

  // The newest checkpoint that was signed.
  uint64_t number() const { return state_.number; }

 private:
  bool is_own(std::string_view message, uint64_t *number, Hash *root) const;
  void refuse_a_second_begin();
  void refuse_an_old_state();
  void compare_log();
  Judged take(std::vector<ChainFault> *faults);
  void require_sound(const Judged &judged, const std::vector<ChainFault> &faults);
  bool has_chain(const Uuid &organization, const Chain &chain);
  void keep(Judged judged);
  Exit deliver();
  std::string note_of_state() const;

  std::string directory_, origin_;
  const Signer &signer_;
  Database &database_;
  Witnesses &witnesses_;
  const Messages &messages_;
  bool thorough_;
  Descriptor lock_;
  TreeHasher hasher_;
  State state_;
  Identity identity_;             // of this round
  bool asked_witnesses_ = false;  // what they have of this origin
  uint64_t delivered_ = 0;        // the newest checkpoint whose note the database has
};

}  // namespace spine
