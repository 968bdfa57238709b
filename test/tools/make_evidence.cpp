// Makes evidence for tests and measurements; everything follows from its arguments.
//
//   spine_make_evidence [--events N] [--chains N] [--bundled N] [--stretch A-B] [--single N]... [--payload BYTES]
//                       [--erase N]... [--withhold] [--hide-payload] [--entries N] [--entry N] [--witnesses N]
//                       [--origin NAME] [--seed N] [--plain] [--growth N] [--policy FILE] [--checkpoints FOLDER]
//
// --growth prints notes of the log at size N and now, and the proof that the one grew to the other.
#include <getopt.h>

#include <cstdlib>
#include <fstream>
#include <iostream>

#include "evidence_maker.h"

namespace {

struct Arguments {
  evidence::Options options;
  bool plain = false;
  uint64_t growth = 0;
  std::string policy, checkpoints;  // where they go
};

[[noreturn]] void give_up(const std::string &why) {
  std::cerr << "spine_make_evidence: " << why << "\n";
  std::exit(2);
}

void write_file(const std::string &path, const std::string &text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  if (!out.flush()) give_up("cannot write " + path);
}

uint64_t number(const char *text) {
  char *end;
  uint64_t value = std::strtoull(text, &end, 10);
  if (*text == '\0' || *end != '\0') give_up(std::string("no number: ") + text);
  return value;
}

Arguments read_arguments(int argc, char **argv) {
  static const option known[] = {{"events", 1, nullptr, 'n'}, {"chains", 1, nullptr, 'c'}, {"bundled", 1, nullptr, 'b'}, {"stretch", 1, nullptr, 's'},
                                 {"single", 1, nullptr, 'i'}, {"payload", 1, nullptr, 'p'}, {"erase", 1, nullptr, 'e'}, {"withhold", 0, nullptr, 'w'},
                                 {"hide-payload", 0, nullptr, 'h'}, {"entries", 1, nullptr, 'E'}, {"entry", 1, nullptr, 'N'}, {"witnesses", 1, nullptr, 'W'},
                                 {"origin", 1, nullptr, 'o'}, {"seed", 1, nullptr, 'S'}, {"plain", 0, nullptr, 'P'}, {"growth", 1, nullptr, 'g'}, {"policy", 1, nullptr, 'f'},
                                 {"checkpoints", 1, nullptr, 'd'}, {nullptr, 0, nullptr, 0}};
  Arguments arguments;
  evidence::Options &o = arguments.options;
  for (int c; (c = getopt_long(argc, argv, "", known, nullptr)) != -1;) {
    switch (c) {
      case 'n': o.events = number(optarg); break;
      case 'c': o.chains = number(optarg); break;
      case 'b': o.bundled = number(optarg); break;
      case 's': {
        std::string text = optarg;
        size_t dash = text.find('-');
        if (dash == std::string::npos) give_up("a stretch is A-B");
        o.first = number(text.substr(0, dash).c_str());
        o.last = number(text.substr(dash + 1).c_str());
        break;
      }
      case 'i': o.singles.push_back(number(optarg)); break;
      case 'p': o.payload = number(optarg); break;
      case 'e': o.erased.insert(number(optarg)); break;
      case 'w': o.withhold = true; break;
      case 'h': o.hide_payload = true; break;
      case 'E': o.entries = number(optarg); break;
      case 'N': o.entry = number(optarg); break;
      case 'W': o.witnesses = number(optarg); break;
      case 'o': o.origin = optarg; break;
      case 'S': o.seed = static_cast<unsigned>(number(optarg)); break;
      case 'P': arguments.plain = true; break;
      case 'g': arguments.growth = number(optarg); break;
      case 'f': arguments.policy = optarg; break;
      case 'd': arguments.checkpoints = optarg; break;
      default: std::exit(2);
    }
  }
  if (o.events < 1 || o.bundled > o.chains || o.last > o.events || (o.last > 0 && (o.first < 1 || o.first > o.last)) || o.entry > o.entries)
    give_up("the numbers do not fit together");
  return arguments;
}

}  // namespace

int main(int argc, char **argv) {
  const Arguments arguments = read_arguments(argc, argv);
  std::ios::sync_with_stdio(false);
  evidence::Evidence evidence(arguments.options);
  if (!arguments.policy.empty()) write_file(arguments.policy, evidence.policy());
  if (!arguments.checkpoints.empty())
    for (uint64_t size = 1; size <= arguments.options.entries; size++)
      write_file(arguments.checkpoints + "/" + std::to_string(size) + ".checkpoint", evidence.note(size));
  if (arguments.plain)
    evidence.print_export(std::cout);
  else if (arguments.growth > 0)
    evidence.print_growth(std::cout, arguments.growth);
  else
    evidence.print_bundle(std::cout);
  return std::cout.flush() ? 0 : 1;
}
