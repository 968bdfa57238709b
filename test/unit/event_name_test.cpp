#include "core/event_name.h"

#include <gtest/gtest.h>

#include <string>

using spine::EventName;
using spine::is_name_part;
using spine::parse_event_name;
using spine::parts_join_to;

TEST(EventName, SplitsAtTheDots) {
  EventName parts;
  ASSERT_TRUE(parse_event_name("hcm.employee.created", &parts));
  EXPECT_EQ(parts.domain, "hcm");
  EXPECT_EQ(parts.entity_type, "employee");
  EXPECT_EQ(parts.action, "created");
}

TEST(EventName, TakesDigitsAndUnderscoresAfterTheFirstLetter) {
  EventName parts;
  ASSERT_TRUE(parse_event_name("a.b_1_.c9", &parts));
  EXPECT_EQ(parts.entity_type, "b_1_");
}

TEST(EventName, RefusesWhatTheContractNames) {
  EventName parts;
  for (const char *name : {"Employee created", "hcm.employee", "hcm.employee.created.v2", "HCM.employee.created"})
    EXPECT_FALSE(parse_event_name(name, &parts)) << name;
}

TEST(EventName, RefusesEmptyPartsAndStrayCharacters) {
  EventName parts;
  for (const char *name : {"", ".", "..", "...", "a..c", ".b.c", "a.b.", "a.b.c.", ".a.b.c", " a.b.c", "a.b.c ", "a.b.c\n",
                           "a.b-c.d", "1a.b.c", "_a.b.c", "a.1b.c", "a.b._c", "a.b.C", "a.b.\xc3\xa4", "a,b,c"})
    EXPECT_FALSE(parse_event_name(name, &parts)) << name;
  using namespace std::string_view_literals;
  EXPECT_FALSE(parse_event_name("a.b.c\0"sv, &parts));
  EXPECT_FALSE(parse_event_name("a\0.b.c"sv, &parts));
}

TEST(EventName, EveryByteAtEveryPlace) {
  for (int c = 0; c < 256; c++) {
    bool letter = c >= 'a' && c <= 'z';
    bool later = letter || (c >= '0' && c <= '9') || c == '_';
    EXPECT_EQ(is_name_part(std::string(1, static_cast<char>(c))), letter) << c;
    EXPECT_EQ(is_name_part(std::string("a") + static_cast<char>(c)), later) << c;
  }
}

TEST(EventName, PartsHold63Characters) {
  std::string most(63, 'x'), over(64, 'x');
  EventName parts;
  EXPECT_TRUE(is_name_part(most));
  EXPECT_FALSE(is_name_part(over));
  EXPECT_TRUE(parse_event_name(most + "." + most + "." + most, &parts));
  EXPECT_FALSE(parse_event_name(over + ".b.c", &parts));
  EXPECT_FALSE(parse_event_name("a." + over + ".c", &parts));
  EXPECT_FALSE(parse_event_name("a.b." + over, &parts));
}

TEST(EventName, JoinsExactly) {
  EXPECT_TRUE(parts_join_to({"a", "b", "c"}, "a.b.c"));
  EXPECT_TRUE(parts_join_to({"", "", ""}, ".."));
  EXPECT_TRUE(parts_join_to({"a.b", "c", "d"}, "a.b.c.d"));  // says nothing of the parts themselves
  EXPECT_FALSE(parts_join_to({"a", "b", "c"}, "a.b.d"));
  EXPECT_FALSE(parts_join_to({"a", "b", "c"}, "a.x.c"));
  EXPECT_FALSE(parts_join_to({"a", "b", "c"}, "x.b.c"));
  EXPECT_FALSE(parts_join_to({"a", "b", "c"}, "a.b.c."));
  EXPECT_FALSE(parts_join_to({"a", "b", "c"}, "a.b."));
  EXPECT_FALSE(parts_join_to({"a", "b", "c"}, "a-b.c"));
  EXPECT_FALSE(parts_join_to({"a", "b", "c"}, "a.b-c"));
  EXPECT_FALSE(parts_join_to({"a", "b", "c"}, ""));
}
