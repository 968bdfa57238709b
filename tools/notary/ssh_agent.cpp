#include "notary/ssh_agent.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "core/base64.h"
#include "notary/encoding.h"
#include "notary/failure.h"
#include "notary/files.h"

namespace spine {

namespace {

constexpr uint8_t request_identities = 11, identities_answer = 12, sign_request = 13, sign_response = 14;
constexpr size_t max_answer = 256 * 1024;  // OpenSSH's own limit
constexpr long patience_seconds = 60;      // somebody may have to touch the hardware
constexpr std::string_view key_type = "ssh-ed25519";

// The wire format of SSH: numbers of 4 bytes, the highest first; strings behind their length (RFC 4251 section 5).
void put_number(std::string &out, size_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(number >> shift);
}

void put_string(std::string &out, std::string_view text) {
  put_number(out, text.size());
  out += text;
}

bool take_number(std::string_view *in, uint32_t *number) {
  if (in->size() < 4) return false;
  *number = 0;
  for (size_t i = 0; i < 4; i++) *number = *number << 8 | static_cast<uint8_t>((*in)[i]);
  in->remove_prefix(4);
  return true;
}

bool take_string(std::string_view *in, std::string_view *text) {
  uint32_t size;
  if (!take_number(in, &size) || in->size() < size) return false;
  *text = in->substr(0, size);
  in->remove_prefix(size);
  return true;
}

std::string blob_of(const Ed25519PublicKey &key) {
  std::string blob;
  put_string(blob, key_type);
  put_string(blob, view_of(key.data(), key.size()));
  return blob;
}

[[noreturn]] void give_up(const std::string &path, const std::string &why) {
  throw Failure(Exit::unavailable, "the ssh-agent at " + path + " " + why,
                "see that the agent runs and ssh-add -L lists the key");
}

Descriptor connect_to(const std::string &path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) give_up(path, "has too long a path");
  std::memcpy(address.sun_path, path.data(), path.size());
  Descriptor agent(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  timeval patience{patience_seconds, 0};
  if (agent.get() < 0 || connect(agent.get(), reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 ||
      setsockopt(agent.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0)
    give_up(path, std::string("cannot be reached: ") + std::strerror(errno));
  return agent;
}

void receive(int agent, const std::string &path, char *out, size_t size) {
  while (size > 0) {
    ssize_t got = recv(agent, out, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) give_up(path, got == 0 ? "hung up" : "does not answer");
    out += got;
    size -= static_cast<size_t>(got);
  }
}

// Asks one question. Gives the answer behind its type, which must be the expected one.
std::string ask(const std::string &path, const std::string &question, uint8_t expected, const char *refusal) {
  Descriptor agent = connect_to(path);
  std::string framed;
  put_string(framed, question);
  for (std::string_view rest = framed; !rest.empty();) {
    ssize_t sent = send(agent.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) give_up(path, "hung up");
    rest.remove_prefix(static_cast<size_t>(sent));
  }
  char header[4];
  receive(agent.get(), path, header, sizeof header);
  std::string_view in(header, sizeof header);
  uint32_t size;
  (void)take_number(&in, &size);
  if (size == 0 || size > max_answer) give_up(path, "gave an answer of an impossible length");
  std::string answer(size, '\0');
  receive(agent.get(), path, answer.data(), size);
  if (static_cast<uint8_t>(answer[0]) != expected) give_up(path, refusal);
  return answer.substr(1);
}

}  // namespace

bool SshAgent::has(const Ed25519PublicKey &key) const {
  std::string answer = ask(path_, std::string(1, static_cast<char>(request_identities)), identities_answer,
                           "does not list its keys");
  std::string_view in = answer, blob, comment;
  std::string wanted = blob_of(key);
  uint32_t count;
  if (!take_number(&in, &count)) give_up(path_, "gave a malformed list of keys");
  for (; count > 0; count--) {
    if (!take_string(&in, &blob) || !take_string(&in, &comment)) give_up(path_, "gave a malformed list of keys");
    if (blob == wanted) return true;
  }
  return false;
}

Ed25519Signature SshAgent::sign(const Ed25519PublicKey &key, std::string_view message) const {
  if (!has(key)) give_up(path_, "does not hold the key");
  std::string question(1, static_cast<char>(sign_request));
  put_string(question, blob_of(key));
  put_string(question, message);
  put_number(question, 0);  // no flags
  std::string answer = ask(path_, question, sign_response, "refused to sign");
  std::string_view in = answer, blob, type, bytes;
  Ed25519Signature signature;
  if (!take_string(&in, &blob) || !take_string(&blob, &type) || type != key_type || !take_string(&blob, &bytes) ||
      bytes.size() != signature.size())
    give_up(path_, "gave no Ed25519 signature");
  std::memcpy(signature.data(), bytes.data(), signature.size());
  bool valid;
  if (verify_ed25519(key, message, signature, &valid) != Status::ok || !valid)
    give_up(path_, "gave a signature that is not the key's");
  return signature;
}

bool read_ssh_public_key(std::string_view line, Ed25519PublicKey *key) {
  size_t begin = line.find(' ');
  if (line.substr(0, begin) != key_type || begin == std::string_view::npos) return false;
  std::string_view base64 = line.substr(begin + 1);
  base64 = base64.substr(0, base64.find_first_of(" \r\n"));
  if (!is_base64(base64)) return false;
  std::vector<uint8_t> bytes(base64_bytes(base64));
  if (!read_base64(base64, bytes.data())) return false;
  std::string_view blob = view_of(bytes.data(), bytes.size()), type, public_key;
  if (!take_string(&blob, &type) || type != key_type || !take_string(&blob, &public_key) ||
      public_key.size() != key->size())
    return false;
  std::memcpy(key->data(), public_key.data(), key->size());
  return true;
}

}  // namespace spine
