// A witness of transparency logs (c2sp.org/tlog-witness): what it answers, without the HTTP around it. It cosigns a
// checkpoint that extends the one that it cosigned last, and no other.
//
// Its state directory holds for each log <SHA-256 of the origin, hex>.checkpoint, the note that it cosigned last, and
// a file `witness` that says whose state this is.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/merkle.h"
#include "notary/files.h"
#include "notary/signer.h"

namespace spine {

struct Answer {
  int status;  // of HTTP
  std::string content_type, body;
};

class Witness {
 public:
  // logs: the public keys, as text, whose origins it witnesses. Failure: a key is none, the signer's key is not of
  // the cosignature's type, or the state is missing (begin makes it), damaged or another witness's.
  Witness(std::string directory, const Signer &signer, const std::vector<std::string> &logs, bool begin);

  // now: seconds since 1970. The checkpoint is on disk before the answer says that it is cosigned.
  Answer add_checkpoint(std::string_view body, uint64_t now);

  // The checkpoint that it cosigned last; name: hex SHA-256 of the origin.
  Answer checkpoint(std::string_view name) const;

 private:
  struct Log {
    std::string origin;
    std::vector<std::string> key_texts;
    uint64_t size = 0;
    Hash root = empty_tree_root;
    std::string note;  // empty: none yet
  };

  Log *find(std::string_view origin);
  void load(const std::string &name, Log &log);

  std::string directory_;
  const Signer &signer_;
  Descriptor lock_;
  std::map<std::string, Log> logs_;  // by the name of the file
};

// Serves a witness at HOST:PORT or, where it begins with a slash, at a unix socket, until SIGTERM or SIGINT. Calls
// started with the address that it listens at.
void serve_witness(Witness &witness, const std::string &listen,
                   const std::function<void(const std::string &address)> &started);

}  // namespace spine
