#include "notary/witness_client.h"

#include <curl/curl.h>

#include "core/sha256.h"
#include "core/text_lines.h"
#include "notary/encoding.h"
#include "notary/failure.h"

namespace spine {

namespace {

constexpr long patience_milliseconds = 5000;
constexpr size_t max_reply = Note::max_size;

size_t take_body(char *data, size_t, size_t size, void *body) noexcept {
  std::string &out = *static_cast<std::string *>(body);
  if (out.size() + size > max_reply) return 0;  // curl gives the transfer up
  try {
    out.append(data, size);
  } catch (const std::bad_alloc &) {
    return 0;
  }
  return size;
}

}  // namespace

// One for all, so that connections are kept open.
class Witnesses::Connection {
 public:
  Connection() : easy_(curl_easy_init()) {
    if (easy_ == nullptr) throw Failure(Exit::unavailable, "no memory for an HTTP client");
  }
  Connection(const Connection &) = delete;
  Connection &operator=(const Connection &) = delete;
  ~Connection() { curl_easy_cleanup(easy_); }
  CURL *get() const { return easy_; }

 private:
  CURL *easy_;
};

Witnesses::Witnesses(std::vector<std::string> urls, std::string policy, const Messages &messages)
    : urls_(std::move(urls)), policy_text_(std::move(policy)), messages_(messages) {
  if (policy_text_.empty() && !urls_.empty())
    throw Failure(Exit::usage, "--witness needs --policy", "the policy has the keys of the witnesses, and the quorum");
  size_t line;
  const char *why = policy_text_.empty() ? nullptr : policy_.parse(policy_text_, &line);
  if (why != nullptr) throw Failure(Exit::usage, "the policy, line " + std::to_string(line) + ": " + why);
  for (std::string &url : urls_)
    while (!url.empty() && url.back() == '/') url.pop_back();
}

Witnesses::~Witnesses() = default;

Witnesses::Reply Witnesses::ask(const std::string &url, const std::string *body) {
  if (connection_ == nullptr) connection_ = std::make_unique<Connection>();
  CURL *easy = connection_->get();
  Reply reply;
  curl_easy_reset(easy);
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, patience_milliseconds);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &reply.body);
  if (body != nullptr) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body->data());
  }
  std::unique_ptr<curl_slist, void (*)(curl_slist *)> headers(
      body == nullptr ? nullptr : curl_slist_append(nullptr, "Content-Type: text/plain; charset=utf-8"),
      curl_slist_free_all);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
  CURLcode code = curl_easy_perform(easy);
  if (code != CURLE_OK) {
    reply.error = curl_easy_strerror(code);
    return reply;
  }
  const char *type = nullptr;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &reply.status);
  curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type);
  if (type != nullptr) reply.content_type = type;
  return reply;
}

Witnesses::Reply Witnesses::submit(const std::string &url, uint64_t old_size, const State &state,
                                   const std::string &note, const ProveLog &prove) {
  std::string body = "old " + std::to_string(old_size) + '\n';
  if (old_size > 0 && old_size < state.number) {
    Proof proof = prove(old_size, state.number);
    for (size_t i = 0; i < proof.count; i++) body += base64_of(proof.hashes[i]) + '\n';
  }
  body += '\n' + note;
  return ask(url + "/add-checkpoint", &body);
}

// Adds the lines of known witnesses that have no line in the note yet. added: how many.
std::string Witnesses::with_valid_lines(const std::string &note, const std::string &lines, size_t *added) {
  *added = 0;
  std::string out = note;
  std::string_view rest = lines, line;
  while (take_line(&rest, &line)) {
    std::string longer = out + std::string(line) + '\n';
    std::vector<SignedBy> before(policy_.key_count()), after(policy_.key_count());
    Note read, read_longer;
    if (parse_note(out, &read) != nullptr || parse_note(longer, &read_longer) != nullptr) continue;
    (void)verify_note(read, policy_.keys(), policy_.key_count(), before.data());
    if (verify_note(read_longer, policy_.keys(), policy_.key_count(), after.data()) != NoteVerdict::verified) continue;
    for (size_t k = 0; k < before.size(); k++)
      if (after[k].verified && !before[k].verified) {
        out = longer;
        ++*added;
        break;
      }
  }
  return out;
}

std::string Witnesses::cosign(std::string note, const State &state, const ProveLog &prove) {
  for (const std::string &url : urls_) {
    auto say = [&](const char *name, const std::string &text) {
      messages_.say(Message(name, url + ": " + text).add("witness", url).add("number", state.number));
    };
    uint64_t size = sizes_.count(url) > 0 ? sizes_[url] : state.number - 1;
    Reply reply = submit(url, size, state, note, prove);
    // 409 tells what the witness has; so the second attempt is right, unless it has more than there is.
    std::string_view text = reply.body, line;
    if (reply.status == 409 && take_line(&text, &line) && parse_decimal(line, &size)) {
      if (size > state.number) {
        say("witness_ahead", "it has cosigned a checkpoint of the size " + std::to_string(size) + ", larger than " +
                                 std::to_string(state.number) + ": this state is old, or the key signs elsewhere");
        continue;
      }
      reply = submit(url, size, state, note, prove);
    }
    if (reply.status != 200) {
      bool fork = reply.status == 409 || reply.status == 422;
      say(fork ? "witness_refused" : "witness_failed",
          fork ? "it knows another line of checkpoints of this origin"
               : reply.status == 0 ? reply.error : "it answers " + std::to_string(reply.status) + " " + reply.body);
      continue;
    }
    sizes_[url] = state.number;
    size_t added;
    note = with_valid_lines(note, reply.body, &added);
    if (added > 0)
      say("cosigned", "it cosigned checkpoint " + std::to_string(state.number));
    else
      say("witness_unknown", "it gave no cosignature of a key that the policy has and the note lacks");
  }
  return note;
}

bool Witnesses::quorum_reached(const std::string &note) {
  if (policy_text_.empty()) return true;
  Note read;
  std::vector<SignedBy> by(policy_.key_count());
  if (parse_note(note, &read) != nullptr) return false;
  (void)verify_note(read, policy_.keys(), policy_.key_count(), by.data());
  return policy_.quorum_reached(by.data());
}

std::vector<std::string> Witnesses::newest_notes(const std::string &origin) {
  Sha256 sha256;
  Hash hash;
  if (sha256.digest(origin, &hash) != Status::ok) throw Failure(Exit::unavailable, "hashing failed");
  std::vector<std::string> notes;
  for (const std::string &url : urls_) {
    Reply reply = ask(url + "/" + hex_of(Bytes{hash.data(), hash.size()}) + "/checkpoint", nullptr);
    if (reply.status == 200) notes.push_back(std::move(reply.body));
  }
  return notes;
}

}  // namespace spine
