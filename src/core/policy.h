// Trust policies (c2sp.org/tlog-policy): whose signatures on a checkpoint count, and how many of them it takes.
//
//   log <key> [<url>]
//   witness <name> <key> [<url>]
//   group <name> <k, any or all> <name of a witness or group> …
//   quorum <name, or none>
#pragma once

#include <vector>

#include "core/signed_note.h"

namespace spine {

class Policy {
 public:
  static constexpr size_t max_size = 1 << 20;   // bytes
  static constexpr size_t max_definitions = 1024;  // logs, and likewise witnesses and groups

  // Null, or what is wrong, and in which line (from 1; 0: in none). text must stay, for names are views into it.
  // Keys of types that are not verified here, such as ML-DSA-44, may stand in it; they never count.
  const char *parse(std::string_view text, size_t *line) noexcept;

  // The keys that count: what verify_note and open_checkpoint take.
  const VerifierKey *keys() const { return keys_.data(); }
  size_t key_count() const { return keys_.size(); }

  // Whether the witnesses that the quorum asks for are among those that signed. by: one for each key.
  bool quorum_reached(const SignedBy *by) noexcept;

 private:
  static constexpr size_t no_key = SIZE_MAX;

  // A witness, or a group of such as stand before it.
  struct Signer {
    std::string_view name;
    bool is_group;
    bool is_member;  // of some group
    bool has_signed;
    size_t key;      // of a witness; no_key: none that counts
    uint64_t threshold;
    std::vector<size_t> members;
  };

  const char *read_line(std::string_view line);
  const char *read_log(std::string_view rest);
  const char *read_witness(std::string_view rest);
  const char *read_group(std::string_view rest);
  const char *read_quorum(std::string_view rest);
  const char *read_key(std::string_view text, SignatureType type, std::vector<std::string_view> *known, size_t *key);
  const char *check_new_name(std::string_view name) const;
  Signer *find(std::string_view name);

  std::vector<VerifierKey> keys_;
  std::vector<std::string_view> log_keys_, witness_keys_;  // type and public key, base64
  std::vector<Signer> signers_;                            // witnesses and groups, as they stand
  bool has_quorum_ = false;
  Signer *quorum_ = nullptr;  // null: none is asked for
};

}  // namespace spine
