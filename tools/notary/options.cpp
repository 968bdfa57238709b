#include "notary/options.h"

#include <getopt.h>

#include <functional>
#include <map>

#include "core/text_lines.h"
#include "notary/failure.h"

namespace spine {

const char usage_text[] =
    "spine-notary: signs checkpoints of a people_os_spine database, from outside of it\n"
    "\n"
    "  keygen  --name NAME --key FILE [--witness-key]   makes a key; prints its public part\n"
    "  vkey    --name NAME --ssh FILE [--witness-key]   prints the public part of an ssh key\n"
    "  init    NOTARY [--adopt NOTE]                    makes the state and signs the first checkpoint\n"
    "  once    NOTARY [--thorough]                      takes one checkpoint and signs it\n"
    "  run     NOTARY [--thorough] [--every SECONDS]    does so again and again\n"
    "  witness --listen HOST:PORT|PATH --state DIR KEY --log VKEY … | --policy FILE [--begin]\n"
    "  export  --database URL --organization UUID --reason TEXT --output FILE [--ids UUID,…] [--domain NAME]\n"
    "          [--entity-type NAME] [--entity-id UUID] [--from N] [--to N] [--without-payload] [--personal]\n"
    "          [--origin NAME]\n"
    "\n"
    "NOTARY: --database URL --origin NAME --state DIR KEY [--witness URL … --policy FILE]\n"
    "KEY:    --key FILE, or --agent SOCKET --public-key VKEY\n"
    "All take --json. docs/notary.md tells more; docs/reference.md has the exit codes.\n";

namespace {

uint64_t number_of(const std::string &option, const std::string &text, uint64_t most) {
  uint64_t number;
  if (!parse_decimal(text, &number) || number < 1 || number > most)
    throw Failure(Exit::usage, option + " takes a number from 1 to " + std::to_string(most) + ", not " + text);
  return number;
}

void require(const Options &options, const std::vector<std::pair<const char *, const std::string *>> &needed) {
  for (const auto &[name, value] : needed)
    if (value->empty()) throw Failure(Exit::usage, options.command + " needs " + name);
}

void require_key(const Options &options) {
  bool agent = !options.agent.empty();
  if (agent == !options.key.empty() || agent == options.public_key.empty())
    throw Failure(Exit::usage, options.command + " needs either --key, or --agent and --public-key");
}

void check(const Options &options) {
  const std::string &command = options.command;
  if (command == "keygen") return require(options, {{"--name", &options.name}, {"--key", &options.key}});
  if (command == "vkey") return require(options, {{"--name", &options.name}, {"--ssh", &options.ssh}});
  if (command == "export")
    return require(options, {{"--database", &options.database},
                             {"--organization", &options.selection.organization},
                             {"--reason", &options.selection.reason},
                             {"--output", &options.output}});
  if (command == "witness") {
    require(options, {{"--listen", &options.listen}, {"--state", &options.state}});
    if (options.logs.empty() == options.policy.empty())
      throw Failure(Exit::usage, "witness needs either --log or --policy");
    return require_key(options);
  }
  if (command != "init" && command != "once" && command != "run")
    throw Failure(Exit::usage, "there is no command " + command, "spine-notary --help lists them");
  require(options,
          {{"--database", &options.database}, {"--origin", &options.origin}, {"--state", &options.state}});
  require_key(options);
}

}  // namespace

Options parse_options(int argc, char **argv) {
  Options options;
  Selection &selection = options.selection;
  auto set = [](std::string &to) { return [&to](const std::string &value) { to = value; }; };
  auto turn = [](bool &to, bool value) { return [&to, value](const std::string &) { to = value; }; };
  const std::map<std::string, std::pair<bool, std::function<void(const std::string &)>>> known = {
      {"database", {true, set(options.database)}},
      {"origin", {true, [&](const std::string &value) { options.origin = selection.origin = value; }}},
      {"state", {true, set(options.state)}},
      {"key", {true, set(options.key)}},
      {"agent", {true, set(options.agent)}},
      {"public-key", {true, set(options.public_key)}},
      {"policy", {true, set(options.policy)}},
      {"adopt", {true, set(options.adopt)}},
      {"listen", {true, set(options.listen)}},
      {"name", {true, set(options.name)}},
      {"ssh", {true, set(options.ssh)}},
      {"output", {true, set(options.output)}},
      {"witness", {true, [&](const std::string &value) { options.witnesses.push_back(value); }}},
      {"log", {true, [&](const std::string &value) { options.logs.push_back(value); }}},
      {"every", {true, [&](const std::string &value) {
                   options.every = static_cast<unsigned>(number_of("--every", value, 86400));
                 }}},
      {"organization", {true, set(selection.organization)}},
      {"reason", {true, set(selection.reason)}},
      {"ids", {true, [&](const std::string &value) { selection.ids = "{" + value + "}"; }}},
      {"domain", {true, set(selection.domain)}},
      {"entity-type", {true, set(selection.entity_type)}},
      {"entity-id", {true, set(selection.entity_id)}},
      {"from", {true, set(selection.from_sequence)}},
      {"to", {true, set(selection.to_sequence)}},
      {"without-payload", {false, turn(selection.payload, false)}},
      {"personal", {false, turn(selection.personal, true)}},
      {"json", {false, [](const std::string &) {}}},  // main looks for it
      {"thorough", {false, turn(options.thorough, true)}},
      {"begin", {false, turn(options.begin, true)}},
      {"witness-key", {false, turn(options.witness, true)}},
      {"help", {false, turn(options.help, true)}},
  };
  std::vector<option> table;
  for (const auto &[name, how] : known)
    table.push_back({name.c_str(), how.first ? required_argument : no_argument, nullptr, 0});
  table.push_back({nullptr, 0, nullptr, 0});
  opterr = 0;
  int index = 0, found;
  while ((found = getopt_long(argc, argv, ":", table.data(), &index)) != -1) {
    if (found == '?') throw Failure(Exit::usage, std::string("there is no option ") + argv[optind - 1]);
    if (found == ':') throw Failure(Exit::usage, std::string(argv[optind - 1]) + " needs a value");
    known.at(table[static_cast<size_t>(index)].name).second(optarg == nullptr ? "" : optarg);
  }
  if (options.help) return options;
  if (optind + 1 != argc)
    throw Failure(Exit::usage, "spine-notary takes one command", "spine-notary --help lists them");
  options.command = argv[optind];
  check(options);
  return options;
}

}  // namespace spine
