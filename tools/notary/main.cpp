#include <curl/curl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>

#include "notary/export.h"
#include "notary/failure.h"
#include "notary/files.h"
#include "notary/notary.h"
#include "notary/options.h"
#include "notary/witness.h"

namespace spine {

namespace {

volatile sig_atomic_t stopped = 0;

void stop(int) { stopped = 1; }

std::unique_ptr<Signer> signer_of(const Options &options) {
  return options.agent.empty() ? Signer::from_file(options.key)
                               : Signer::from_agent(options.agent, options.public_key);
}

std::string required_file(const std::string &path) {
  std::optional<std::string> text = read_file(path, Policy::max_size);
  if (!text) throw Failure(Exit::usage, "there is no file " + path);
  return *text;
}

// The keys of the logs that a policy knows.
std::vector<std::string> logs_of(const std::string &text) {
  Policy policy;
  size_t line;
  const char *why = policy.parse(text, &line);
  if (why != nullptr) throw Failure(Exit::usage, "the policy, line " + std::to_string(line) + ": " + why);
  std::vector<std::string> logs;
  for (size_t k = 0; k < policy.key_count(); k++) {
    const VerifierKey &key = policy.keys()[k];
    if (key.type != SignatureType::ed25519) continue;
    std::string &log = logs.emplace_back(verifier_key_size(key.name), '\0');
    write_verifier_key(log.data(), key);
  }
  return logs;
}

int report(const Messages &messages, const Failure &failure) {
  Message message(failure.code() == Exit::unavailable ? "unavailable" : "failed",
                  failure.hint().empty() ? std::string(failure.what())
                                         : std::string(failure.what()) + " (" + failure.hint() + ")");
  message.add("exit_code", static_cast<uint64_t>(failure.code()));
  if (!failure.hint().empty()) message.add("hint", failure.hint());
  messages.say(message);
  return static_cast<int>(failure.code());
}

// Round after round, until it is told to stop or something is found that a person must see. What later may work is
// tried again.
int run(Notary &notary, Database &database, const Messages &messages, unsigned every) {
  struct sigaction action {};
  action.sa_handler = stop;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  while (!stopped) {
    try {
      notary.round();
    } catch (const Failure &failure) {
      if (failure.code() != Exit::unavailable) throw;
      report(messages, failure);
      database.disconnect();
    }
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    // Rounds that took too long are left out, not made up for.
    do next.tv_sec += every;
    while (next.tv_sec <= now.tv_sec);
    while (!stopped && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, nullptr) == EINTR) continue;
  }
  return static_cast<int>(Exit::done);
}

int once(Notary &notary, const Messages &messages) {
  uint64_t before = notary.number();
  Exit result = notary.round();
  if (notary.number() == before)
    messages.say(Message("unchanged", "no chain changed since checkpoint " + std::to_string(before))
                     .add("number", before));
  return static_cast<int>(result);
}

int notarize(const Options &options, const Messages &messages) {
  std::unique_ptr<Signer> signer = signer_of(options);
  Database database(options.database);
  Witnesses witnesses(options.witnesses, options.policy.empty() ? std::string() : required_file(options.policy),
                      messages);
  Notary notary(options.state, options.origin, *signer, database, witnesses, messages, options.thorough);
  if (options.command == "init")
    return static_cast<int>(options.adopt.empty() ? notary.begin() : notary.adopt(required_file(options.adopt)));
  notary.load();
  return options.command == "run" ? run(notary, database, messages, options.every) : once(notary, messages);
}

int witness(const Options &options, const Messages &messages) {
  std::unique_ptr<Signer> signer = signer_of(options);
  std::vector<std::string> logs = options.policy.empty() ? options.logs : logs_of(required_file(options.policy));
  Witness served(options.state, *signer, logs, options.begin);
  serve_witness(served, options.listen, [&messages](const std::string &address) {
    messages.say(Message("listening", "listening at " + address).add("address", address));
  });
  return static_cast<int>(Exit::done);
}

int perform(const Options &options, const Messages &messages) {
  SignatureType type = options.witness ? SignatureType::cosignature : SignatureType::ed25519;
  if (options.command == "keygen") {
    std::string key = make_key_file(options.key, options.name, type);
    messages.say(Message("key", key).add("public_key", key));
  } else if (options.command == "vkey") {
    std::string key = public_key_of_ssh(options.ssh, options.name, type);
    messages.say(Message("key", key).add("public_key", key));
  } else if (options.command == "export") {
    Database database(options.database);
    uint64_t lines = export_to_file(database, options.selection, options.output);
    messages.say(Message("exported", std::to_string(lines) + " lines to " + options.output)
                     .add("lines", lines)
                     .add("file", options.output));
  } else if (options.command == "witness") {
    return witness(options, messages);
  } else {
    return notarize(options, messages);
  }
  return static_cast<int>(Exit::done);
}

}  // namespace

}  // namespace spine

int main(int argc, char **argv) {
  using namespace spine;
  signal(SIGPIPE, SIG_IGN);
  curl_global_init(CURL_GLOBAL_DEFAULT);
  // What is wrong with the options is said as they ask for, too.
  Messages messages(std::find(argv, argv + argc, std::string_view("--json")) != argv + argc);
  try {
    Options options = parse_options(argc, argv);
    if (options.help) {
      std::fputs(usage_text, stdout);
      return static_cast<int>(Exit::done);
    }
    return perform(options, messages);
  } catch (const Failure &failure) {
    return report(messages, failure);
  } catch (const std::exception &error) {
    return report(messages, Failure(Exit::unavailable, error.what()));
  }
}
