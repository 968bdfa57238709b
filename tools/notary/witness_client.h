// The witnesses that a notary asks for cosignatures (c2sp.org/tlog-witness).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/policy.h"
#include "notary/message.h"
#include "notary/state.h"

namespace spine {

// A consistency proof of the directory log, from an old size to a new one.
using ProveLog = std::function<Proof(uint64_t old_size, uint64_t new_size)>;

class Witnesses {
 public:
  // urls: submission prefixes. policy: the text of a tlog-policy, which has the witnesses' keys; empty: none, and then
  // there may be no url. Failure: the policy is malformed.
  Witnesses(std::vector<std::string> urls, std::string policy, const Messages &messages);
  ~Witnesses();

  // The note with the cosignatures that it lacked. Says what each witness did.
  std::string cosign(std::string note, const State &state, const ProveLog &prove);

  // Whether the policy's quorum cosigned the note.
  bool quorum_reached(const std::string &note);

  // The checkpoints of an origin that the witnesses cosigned last, of those that show them.
  std::vector<std::string> newest_notes(const std::string &origin);

 private:
  struct Reply {
    long status = 0;  // of HTTP; 0: none came
    std::string content_type, body, error;
  };
  class Connection;

  Reply ask(const std::string &url, const std::string *body);
  Reply submit(const std::string &url, uint64_t old_size, const State &state, const std::string &note,
               const ProveLog &prove);
  std::string with_valid_lines(const std::string &note, const std::string &lines, size_t *added);

  std::vector<std::string> urls_;
  std::string policy_text_;
  Policy policy_;
  const Messages &messages_;
  std::unique_ptr<Connection> connection_;
  std::map<std::string, uint64_t> sizes_;  // what each witness cosigned last, as far as is known
};

}  // namespace spine
