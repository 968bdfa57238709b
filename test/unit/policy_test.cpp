#include "core/policy.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/base64.h"
#include "core/checkpoint.h"
#include "note_examples.h"
#include "support.h"

using spine::Policy;
using spine::SignedBy;
using namespace std::string_literals;

namespace {

// Keys of witnesses, which differ by a number.
std::string key_text(const std::string &name, unsigned number, spine::SignatureType type) {
  spine::SignerKey key;
  key.private_key.seed.fill(static_cast<uint8_t>(number));
  key.private_key.seed[0] = static_cast<uint8_t>(number >> 8);
  EXPECT_EQ(spine::make_signer_key(name, type, &key), spine::Status::ok);
  std::string text(spine::verifier_key_size(name), '\0');
  spine::write_verifier_key(text.data(), key.verifier);
  return text;
}
std::string log_key(unsigned number) { return key_text("log" + std::to_string(number), number, spine::SignatureType::ed25519); }
std::string witness_key(unsigned number) { return key_text("wk" + std::to_string(number), number, spine::SignatureType::cosignature); }

// As ML-DSA-44 has them: type 6, and 1,312 bytes.
std::string foreign_key(const std::string &name, char fill) {
  std::string bytes = "\x06" + std::string(1312, fill), base64(spine::base64_size(bytes.size()), '\0');
  spine::write_base64(base64.data(), {reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()});
  return name + "+0badcafe+" + base64;
}

// The policy's names are views into the text.
struct Parsed {
  std::string text;
  Policy policy;
  size_t line = 99;
  const char *why;
  explicit Parsed(std::string of) : text(std::move(of)), why(policy.parse(text, &line)) {}

  // Whether the quorum is reached where the keys of these names signed.
  bool reached_by(const std::vector<std::string> &names) {
    std::vector<SignedBy> by(policy.key_count());
    for (size_t i = 0; i < by.size(); i++) by[i].verified = std::count(names.begin(), names.end(), policy.keys()[i].name) > 0;
    return policy.quorum_reached(by.data());
  }
};

std::string lines_of(unsigned witnesses) {
  std::string text = "log " + log_key(1) + "\n";
  for (unsigned i = 1; i <= witnesses; i++) text += "witness w" + std::to_string(i) + " " + witness_key(i) + "\n";
  return text;
}

// SIZE_MAX where it can be read, else which line is wrong.
size_t wrong_line(const std::string &text) {
  Parsed parsed(text);
  return parsed.why == nullptr ? SIZE_MAX : parsed.line;
}

}  // namespace

TEST(Policy, ReadsTheExampleOfTheSpecification) {
  Parsed parsed(
      "log " + log_key(1) + "\n\nwitness X1 " + witness_key(1) + "\nwitness X2 " + witness_key(2) + "\nwitness X3 " + witness_key(3) +
      "\ngroup X-witnesses 2 X1 X2 X3\n\nwitness Y1 " + witness_key(4) + "\nwitness Y2 " + witness_key(5) + "\nwitness Y3 " + witness_key(6) +
      "\ngroup Y-witnesses any Y1 Y2 Y3\n\ngroup X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n");
  ASSERT_EQ(parsed.why, nullptr) << parsed.why;
  EXPECT_EQ(parsed.policy.key_count(), 7u);
  EXPECT_FALSE(parsed.reached_by({}));
  EXPECT_FALSE(parsed.reached_by({"wk1", "wk2"}));
  EXPECT_FALSE(parsed.reached_by({"wk1", "wk4", "wk5", "wk6"}));
  EXPECT_FALSE(parsed.reached_by({"log1"}));
  EXPECT_TRUE(parsed.reached_by({"wk1", "wk3", "wk6"}));
  EXPECT_TRUE(parsed.reached_by({"wk1", "wk2", "wk3", "wk4", "wk5", "wk6"}));
  EXPECT_FALSE(parsed.reached_by({"wk1", "wk4"}));  // nothing is left of the call before
}

TEST(Policy, AQuorumIsAWitnessAGroupOrNone) {
  EXPECT_TRUE(Parsed(lines_of(0) + "quorum none\n").reached_by({}));
  EXPECT_TRUE(Parsed(lines_of(2) + "quorum none\n").reached_by({}));
  Parsed one(lines_of(2) + "quorum w2\n");
  ASSERT_EQ(one.why, nullptr);
  EXPECT_TRUE(one.reached_by({"wk2"}));
  EXPECT_FALSE(one.reached_by({"wk1"}));
  for (const char *threshold : {"2", "all"}) {
    Parsed group(lines_of(2) + "group g " + threshold + " w1 w2\nquorum g\n");
    ASSERT_EQ(group.why, nullptr);
    EXPECT_TRUE(group.reached_by({"wk1", "wk2"}));
    EXPECT_FALSE(group.reached_by({"wk1"}));
  }
  for (const char *threshold : {"1", "any"}) {
    Parsed group(lines_of(2) + "group g " + threshold + " w1 w2\nquorum g\n");
    ASSERT_EQ(group.why, nullptr);
    EXPECT_TRUE(group.reached_by({"wk2"}));
    EXPECT_FALSE(group.reached_by({}));
  }
}

TEST(Policy, TakesSpaceCommentsUrlsAndAnyBytes) {
  Parsed parsed("# a policy\n\n \t \n\t# another \xff comment\n  log\t" + log_key(1) + "  https://log.example/ \t\nwitness \xe2\x84\xaa\xff " + witness_key(1) +
                " https://w.example\n#quorum none\n\tquorum \xe2\x84\xaa\xff\n");
  ASSERT_EQ(parsed.why, nullptr) << parsed.why << parsed.line;
  EXPECT_TRUE(parsed.reached_by({"wk1"}));
  EXPECT_EQ(wrong_line(lines_of(1) + "quorum \xe2\x84\xaa\n"), 3u);
  // A comment begins a line.
  EXPECT_EQ(wrong_line(lines_of(1) + "quorum w1 # w1\n"), 3u);
}

TEST(Policy, KeysOfOtherTypesMayStandThereAndNeverCount) {
  Parsed parsed(lines_of(1) + "log " + foreign_key("post.quantum", 'l') + "\nwitness p " + foreign_key("w.post.quantum", 'w') + "\nwitness q " +
                foreign_key("wk1", 'v') + "\ngroup g 1 w1 p q\nquorum g\n");
  ASSERT_EQ(parsed.why, nullptr) << parsed.why;
  EXPECT_EQ(parsed.policy.key_count(), 2u);
  EXPECT_FALSE(parsed.reached_by({"w.post.quantum", "post.quantum"}));
  EXPECT_TRUE(parsed.reached_by({"wk1"}));
  EXPECT_FALSE(Parsed(lines_of(0) + "witness p " + foreign_key("w", 'w') + "\nquorum p\n").reached_by({"w", "log1"}));
  Parsed all(lines_of(1) + "witness p " + foreign_key("w", 'w') + "\ngroup g all w1 p\nquorum g\n");
  ASSERT_EQ(all.why, nullptr);
  EXPECT_FALSE(all.reached_by({"wk1"}));
  // Yet they are keys, and none twice.
  EXPECT_EQ(wrong_line(lines_of(0) + "witness p " + foreign_key("w", 'w') + "\nwitness q " + foreign_key("other", 'w') + "\nquorum none\n"), 3u);
  EXPECT_EQ(wrong_line("log " + foreign_key("a b", 'w') + "\n"), 1u);
  EXPECT_EQ(wrong_line("log a+0BADCAFE+Bg==\n"), 1u);
  EXPECT_EQ(wrong_line("log a+0badcafe+\n"), 1u);
  EXPECT_EQ(wrong_line("log +0badcafe+Bg==\n"), 1u);
}

TEST(Policy, ALogHasALogsKeyAndAWitnessAWitnesss) {
  EXPECT_EQ(wrong_line("log " + witness_key(1) + "\nquorum none\n"), 1u);
  EXPECT_EQ(wrong_line(lines_of(0) + "witness w " + log_key(2) + "\nquorum none\n"), 2u);
}

TEST(Policy, RefusesOneKeyTwice) {
  EXPECT_EQ(wrong_line(lines_of(0) + "log " + log_key(1) + "\nquorum none\n"), 2u);
  EXPECT_EQ(wrong_line(lines_of(0) + "log " + key_text("other", 1, spine::SignatureType::ed25519) + "\nquorum none\n"), 2u);
  EXPECT_EQ(wrong_line(lines_of(1) + "witness w " + key_text("other", 1, spine::SignatureType::cosignature) + "\nquorum none\n"), 3u);
  EXPECT_EQ(wrong_line(lines_of(1) + "log " + log_key(2) + "\nquorum none\n"), SIZE_MAX);
}

TEST(Policy, RefusesLinesThatAreWrong) {
  for (const char *line :
       {"nothing", "Log x", "log", "log x", "log a+b", "witness", "witness w9", "group", "group g", "group g any", "group g any w9", "group g 0 w1", "group g 3 w1 w2",
        "group g 01 w1", "group g +1 w1", "group g 1.0 w1", "group g some w1", "group g 18446744073709551617 w1", "group g any none", "group g any g", "group w1 any w2",
        "group none any w1", "group g any w1 w1", "quorum", "quorum w9", "quorum w1 w2", "quorum None", "\x01", "quorum w1\r", "quorum w1\x7f"})
    EXPECT_NE(wrong_line(lines_of(2) + line + "\nquorum none\n"), SIZE_MAX) << line;
  EXPECT_EQ(wrong_line(lines_of(2) + "witness w1 " + witness_key(3) + "\nquorum none\n"), 4u);
  EXPECT_EQ(wrong_line(lines_of(2) + "witness none " + witness_key(3) + "\nquorum none\n"), 4u);
  EXPECT_EQ(wrong_line(lines_of(2) + "witness w3 " + witness_key(3) + " url more\nquorum none\n"), 4u);
  EXPECT_EQ(wrong_line(lines_of(2) + "log " + log_key(3) + " url more\nquorum none\n"), 4u);
  EXPECT_EQ(wrong_line(lines_of(2) + "witness w3 " + witness_key(3).replace(4, 8, "01234567") + "\nquorum none\n"), 4u);  // another id
  EXPECT_EQ(wrong_line(lines_of(2) + "group g any w1\ngroup h any w1\nquorum none\n"), 5u);  // of two groups
  EXPECT_EQ(wrong_line(lines_of(2) + "group g any h\ngroup h any w1\nquorum none\n"), 4u);   // defined later
  EXPECT_EQ(wrong_line(lines_of(2) + "quorum g\ngroup g any w1\n"), 4u);
  EXPECT_EQ(wrong_line(lines_of(2) + "quorum none\nquorum none\n"), 5u);
  EXPECT_EQ(wrong_line(lines_of(2) + "quorum none\nquorum w1\n"), 5u);
}

TEST(Policy, HasALogAndAQuorumAndEndsWithALineFeed) {
  EXPECT_EQ(wrong_line(""), 0u);
  EXPECT_EQ(wrong_line("quorum none\n"), 0u);
  EXPECT_EQ(wrong_line(lines_of(2)), 0u);
  EXPECT_EQ(wrong_line(lines_of(2) + "quorum none"), 4u);
  EXPECT_EQ(wrong_line(lines_of(2) + "group g all w1 w2\nquorum g"), 5u);
  // After a policy that is wrong no quorum is reached.
  Parsed parsed(lines_of(1));
  EXPECT_FALSE(parsed.reached_by({"wk1", "log1"}));
}

TEST(Policy, HasLimits) {
  std::string text = "log " + log_key(1) + "\n", groups;
  for (unsigned i = 0; i < Policy::max_definitions; i++) text += "witness w" + std::to_string(i) + " " + witness_key(i) + "\n";
  for (unsigned i = 0; i < Policy::max_definitions; i++)
    groups += "group g" + std::to_string(i) + " any " + (i == 0 ? "w0" : "g" + std::to_string(i - 1) + " w" + std::to_string(i)) + "\n";
  Parsed chain(text + groups + "quorum g1023\n");
  ASSERT_EQ(chain.why, nullptr) << chain.why << chain.line;
  EXPECT_TRUE(chain.reached_by({"wk0"}));
  EXPECT_FALSE(chain.reached_by({"log1"}));
  EXPECT_EQ(wrong_line(text + "witness more " + witness_key(2000) + "\nquorum none\n"), 1026u);
  EXPECT_EQ(wrong_line(text + groups + "group more any g1023\nquorum none\n"), 2050u);
  std::string filled = lines_of(1) + "quorum none\n";
  filled.insert(0, std::string(Policy::max_size - filled.size() - 1, '#') + "\n");
  EXPECT_EQ(wrong_line(filled), SIZE_MAX);
  EXPECT_EQ(wrong_line("#" + filled), 0u);
}

// From a checkpoint on: the keys are those that it is opened with.
TEST(Policy, JudgesACheckpoint) {
  Parsed parsed("log " + example::log_key + "\nwitness a " + example::witness_key + "\nwitness b " + example::other_witness_key + "\ngroup both all a b\nquorum both\n");
  ASSERT_EQ(parsed.why, nullptr);
  std::vector<SignedBy> by(parsed.policy.key_count());
  spine::Checkpoint checkpoint;
  auto open = [&](const std::string &note) {
    return spine::open_checkpoint(note, parsed.policy.keys(), parsed.policy.key_count(), by.data(), &checkpoint);
  };
  ASSERT_EQ(open(example::note), nullptr);
  EXPECT_TRUE(parsed.policy.quorum_reached(by.data()));
  ASSERT_EQ(open(example::text + "\n" + example::log_line + example::witness_line), nullptr);
  EXPECT_FALSE(parsed.policy.quorum_reached(by.data()));
  ASSERT_NE(open(example::text + "\n" + example::witness_line + example::other_witness_line), nullptr);
}
