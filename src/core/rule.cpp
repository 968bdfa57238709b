#include "core/rule.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "core/distribution.h"
#include "core/event_name.h"
#include "core/rule_json.h"
#include "core/rule_window.h"
#include "core/state_bytes.h"

namespace spine {

namespace {

using Kind = FieldValue::Kind;

constexpr size_t max_nodes = 500;
constexpr size_t max_plans = 10000;
constexpr int64_t second = 1000000;
constexpr int64_t longest_timespan = int64_t{3660} * 86400 * second;  // ten years
constexpr int64_t hour = int64_t{3600} * second, day = int64_t{24} * hour;
constexpr int64_t default_learn = 14 * day;

struct NamedType {
  const char *name;
  RuleType type;
};
constexpr NamedType correlation_types[] = {
    {"event_count", RuleType::event_count}, {"value_count", RuleType::value_count},           {"value_sum", RuleType::value_sum},
    {"value_avg", RuleType::value_avg},     {"temporal", RuleType::temporal},                 {"temporal_ordered", RuleType::temporal_ordered},
    {"four_eyes", RuleType::four_eyes},     {"separation", RuleType::separation},             {"requires", RuleType::requires_before},
    {"absence", RuleType::absence},         {"first_seen", RuleType::first_seen},             {"baseline", RuleType::baseline},
    {"forecast", RuleType::forecast},       {"drift", RuleType::drift},                       {"benford", RuleType::benford},
    {"reconcile", RuleType::reconcile},     {"unverified", RuleType::unverified}};

struct NamedOperator {
  const char *name;
  RuleOperator op;
};
constexpr NamedOperator modifiers[] = {{"contains", RuleOperator::contains},       {"startswith", RuleOperator::starts_with},
                                       {"endswith", RuleOperator::ends_with},      {"gt", RuleOperator::gt},
                                       {"gte", RuleOperator::gte},                 {"lt", RuleOperator::lt},
                                       {"lte", RuleOperator::lte},                 {"exists", RuleOperator::exists},
                                       {"fieldref", RuleOperator::same_as},        {"multiple_of", RuleOperator::multiple_of}};
constexpr const char *foreign_modifiers[] = {"re",     "i",      "m",      "s",    "cidr",  "base64", "base64offset", "utf16", "utf16le", "utf16be",
                                             "wide",   "windash", "expand", "minute", "hour", "day",    "week",         "month", "year",    "neq"};

// The columns that a rule may look at: none that holds a hash, a salt or what persons are told by.
constexpr Column open_columns[] = {Column::event_type,      Column::domain,      Column::entity_type, Column::entity_id,
                                   Column::action,          Column::actor_id,    Column::actor_type,  Column::organization_id,
                                   Column::environment,     Column::severity,    Column::sequence,    Column::recorded_by,
                                   Column::correlation_id,  Column::causation_id};

struct NamedSource {
  const char *name;
  RuleField::Source source;
};
constexpr NamedSource derived_fields[] = {{"calendar.hour", RuleField::Source::calendar_hour},
                                          {"calendar.weekday", RuleField::Source::calendar_weekday},
                                          {"calendar.holiday", RuleField::Source::calendar_holiday},
                                          {"calendar.open", RuleField::Source::calendar_open},
                                          {"recorded_after", RuleField::Source::recorded_after}};

template <class List, class Text>
bool is_among(const List &list, const Text &text) {
  return std::find(std::begin(list), std::end(list), text) != std::end(list);
}

// ASCII only, so that the bytes of other letters stay.
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
std::string lower(std::string text) {
  for (char &c : text) c = lower(c);
  return text;
}

std::string escaped(std::string_view name) {
  std::string out;
  for (char c : name) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}
std::string below(const std::string &pointer, std::string_view name) { return pointer + "/" + escaped(name); }
std::string below(const std::string &pointer, size_t index) { return pointer + "/" + std::to_string(index); }

[[noreturn]] void refuse(const std::string &pointer, std::string what) { throw RuleProblem{pointer, std::move(what)}; }

// With * for any text, ? for one byte; \ takes their meaning away, and its own. pattern is lower case where the case is ignored.
bool matches_pattern(std::string_view pattern, std::string_view text, bool cased) {
  size_t p = 0, t = 0, star = std::string_view::npos, star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
      continue;
    }
    if (p < pattern.size()) {
      bool any = pattern[p] == '?';
      size_t literal = pattern[p] == '\\' && p + 1 < pattern.size() ? p + 1 : p;
      if (any || pattern[literal] == (cased ? text[t] : lower(text[t]))) {
        p = literal + 1;
        t++;
        continue;
      }
    }
    if (star == std::string_view::npos) return false;
    p = star + 1;
    t = ++star_text;
  }
  while (p < pattern.size() && pattern[p] == '*') p++;
  return p == pattern.size();
}

// The pattern without escapes; false: it holds a wildcard.
bool plain_text(const std::string &pattern, std::string *plain) {
  plain->clear();
  for (size_t i = 0; i < pattern.size(); i++) {
    if (pattern[i] == '*' || pattern[i] == '?') return false;
    bool escapes = pattern[i] == '\\' && i + 1 < pattern.size() && (pattern[i + 1] == '*' || pattern[i + 1] == '?' || pattern[i + 1] == '\\');
    *plain += pattern[escapes ? ++i : i];
  }
  return true;
}

bool equal_texts(std::string_view pattern, std::string_view text, bool cased) {
  if (pattern.size() != text.size()) return false;
  if (cased) return pattern == text;
  for (size_t i = 0; i < text.size(); i++)
    if (pattern[i] != lower(text[i])) return false;
  return true;
}

bool same_value(const FieldValue &a, const FieldValue &b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::text: return a.text == b.text;
    case Kind::number: return a.number == b.number;
    case Kind::boolean: return a.boolean == b.boolean;
    default: return false;
  }
}

bool holds(RuleOperator op, double value, double limit) {
  switch (op) {
    case RuleOperator::gt: return value > limit;
    case RuleOperator::gte: return value >= limit;
    case RuleOperator::lt: return value < limit;
    case RuleOperator::lte: return value <= limit;
    case RuleOperator::multiple_of: return std::fmod(value, limit) == 0 && value != 0;
    default: return value == limit;
  }
}

bool holds(const RuleTest &test, const RuleTest::Value &wanted, const FieldValue &value, const FieldValue *fields) {
  switch (test.op) {
    case RuleOperator::exists: return (value.kind != Kind::absent) == wanted.boolean;
    case RuleOperator::same_as: return same_value(value, fields[wanted.field]);
    case RuleOperator::gt:
    case RuleOperator::gte:
    case RuleOperator::lt:
    case RuleOperator::lte:
    case RuleOperator::multiple_of: return value.kind == Kind::number && holds(test.op, value.number, wanted.number);
    default: break;
  }
  if (wanted.kind == Kind::null) return value.kind == Kind::null || value.kind == Kind::absent;
  if (wanted.kind != value.kind) return false;
  if (wanted.kind == Kind::number) return value.number == wanted.number;
  if (wanted.kind == Kind::boolean) return value.boolean == wanted.boolean;
  return wanted.has_wildcard ? matches_pattern(wanted.text, value.text, test.cased) : equal_texts(wanted.text, value.text, test.cased);
}

bool holds(const RuleTest &test, const FieldValue *fields) {
  auto one = [&](const RuleTest::Value &wanted) { return holds(test, wanted, fields[test.field], fields); };
  return test.needs_all ? std::all_of(test.values.begin(), test.values.end(), one) : std::any_of(test.values.begin(), test.values.end(), one);
}

bool holds(const Selection &selection, size_t node, const FieldValue *fields) {
  const RuleNode &here = selection.nodes[node];
  auto child = [&](size_t c) { return holds(selection, c, fields); };
  switch (here.kind) {
    case RuleNode::Kind::test: return holds(selection.tests[here.test], fields);
    case RuleNode::Kind::all: return std::all_of(here.children.begin(), here.children.end(), child);
    case RuleNode::Kind::any: return std::any_of(here.children.begin(), here.children.end(), child);
    default: return !child(here.children[0]);
  }
}

}  // namespace

namespace {

// What an event adds to a series. False: nothing.
bool read_step_value(const Rule &rule, const FieldValue &value, RuleHit *hit) {
  bool is_number = value.kind == Kind::number && is_usable(value.number);
  switch (rule.type) {
    case RuleType::drift:
      if (value.kind == Kind::text) hit->bin = value.text;
      if (is_number) hit->bin = number_text(value.number);
      if (value.kind == Kind::boolean) hit->bin = value.boolean ? "true" : "false";
      return !hit->bin.empty();
    case RuleType::benford: {
      unsigned digit = is_number ? first_digit(number_text(value.number)) : 0;
      hit->bin = std::to_string(digit);
      return digit != 0;
    }
    default:
      hit->number = value.number;
      return is_number;
  }
}

}  // namespace

// Reads one definition. Throws RuleProblem, std::bad_alloc.
class RuleReader {
 public:
  RuleReader(RuleSet *set, size_t event_type_field) : set_(set), event_type_(event_type_field) {}

  Rule read(const JsonTree &definition) {
    std::vector<Document> documents;
    if (definition.kind == JsonTree::Kind::array) {
      for (size_t i = 0; i < definition.elements.size(); i++) documents.push_back({&definition.elements[i], below("", i)});
    } else {
      documents.push_back({&definition, ""});
    }
    if (documents.empty()) refuse("", "it holds no rule");
    const Document *decides = nullptr;
    for (Document &document : documents) {
      check_members(document);
      if (document.tree->find("correlation") == nullptr) continue;
      if (decides != nullptr) refuse(below(document.pointer, "correlation"), "a definition holds one correlation, and this is its second");
      decides = &document;
    }
    if (decides == nullptr) {
      for (const Document &document : documents) {
        if (document.tree->find("filter") != nullptr) continue;
        if (decides != nullptr) refuse(document.pointer, "several rules need a correlation that says how they belong together");
        decides = &document;
      }
      if (decides == nullptr) decides = &documents[0];
    }
    rule_.title = text_member(*decides->tree, decides->pointer, "title", true);
    if (const JsonTree *suppress = decides->tree->find("suppress")) rule_.suppress = timespan(*suppress, below(decides->pointer, "suppress"));
    if (const JsonTree *correlation = decides->tree->find("correlation"))
      read_correlation(*correlation, below(decides->pointer, "correlation"), documents, *decides);
    else
      read_detection_rule(*decides);
    return std::move(rule_);
  }

 private:
  struct Document {
    const JsonTree *tree;
    std::string pointer;
  };

  void check_members(const Document &document) {
    static constexpr const char *known[] = {"title",  "id",     "related",    "name",     "taxonomy",  "status",    "description", "license",  "author",
                                            "references", "date", "modified", "logsource", "detection", "fields",    "falsepositives", "level", "tags",
                                            "scope",  "correlation", "generate", "filter", "group-by", "suppress"};
    if (document.tree->kind != JsonTree::Kind::object) refuse(document.pointer, "a rule is an object");
    for (const auto &member : document.tree->members)
      if (!is_among(known, member.first)) refuse(below(document.pointer, member.first), "a rule has no such member");
    int parts = 0;
    for (const char *part : {"detection", "correlation", "filter"}) parts += document.tree->find(part) != nullptr;
    if (parts != 1) refuse(document.pointer, "a rule has either a detection, a correlation or a filter");
    (void)text_member(*document.tree, document.pointer, "title", true);
    for (const char *text : {"id", "name", "description", "status", "author", "level", "taxonomy"}) (void)text_member(*document.tree, document.pointer, text, false);
    if (const JsonTree *filter = document.tree->find("filter")) {
      (void)array_member(*filter, below(document.pointer, "filter"), "rules");
      rule_.not_evaluated = "filters: write what they keep out into the rule's condition";
    }
    if (const JsonTree *generate = document.tree->find("generate"))
      if (generate->kind != JsonTree::Kind::boolean || generate->boolean) refuse(below(document.pointer, "generate"), "only false is known: each rule that is to raise findings is set by itself");
  }

  std::string text_member(const JsonTree &object, const std::string &pointer, const char *name, bool required) {
    const JsonTree *found = object.find(name);
    if (found == nullptr) {
      if (required) refuse(pointer, std::string("it has no ") + name);
      return {};
    }
    if (found->kind != JsonTree::Kind::text || found->text.empty()) refuse(below(pointer, name), "it is no text");
    return found->text;
  }

  const JsonTree &array_member(const JsonTree &object, const std::string &pointer, const char *name) {
    if (object.kind != JsonTree::Kind::object) refuse(pointer, "it is no object");
    const JsonTree *found = object.find(name);
    if (found == nullptr) refuse(pointer, std::string("it has no ") + name);
    if (found->kind != JsonTree::Kind::array || found->elements.empty()) refuse(below(pointer, name), "it is no array with an element");
    return *found;
  }

  static int64_t timespan(const JsonTree &tree, const std::string &pointer) {
    constexpr const char *form = "a timespan is a number and one of s, m, h, d and w, such as 15m, and at most ten years";
    const std::string &text = tree.text;
    if (tree.kind != JsonTree::Kind::text || text.size() < 2 || text.size() > 10) refuse(pointer, form);
    int64_t number = 0;
    for (size_t i = 0; i + 1 < text.size(); i++) {
      if (text[i] < '0' || text[i] > '9') refuse(pointer, form);
      number = 10 * number + (text[i] - '0');
    }
    int64_t unit = 0;
    switch (text.back()) {
      case 's': unit = second; break;
      case 'm': unit = 60 * second; break;
      case 'h': unit = 3600 * second; break;
      case 'd': unit = 86400 * second; break;
      case 'w': unit = 7 * 86400 * second; break;
      default: refuse(pointer, form);
    }
    if (number == 0 || number > longest_timespan / unit) refuse(pointer, form);
    return number * unit;
  }

  size_t field(const std::string &name, const std::string &pointer) {
    RuleField found{name, RuleField::Source::payload, Column::payload, {}};
    for (Column column : open_columns)
      if (name == column_names[static_cast<int>(column)]) found = {name, RuleField::Source::column, column, {}};
    for (const NamedSource &derived : derived_fields)
      if (name == derived.name) found.source = derived.source;
    if (found.source == RuleField::Source::payload) {
      for (const char *column : column_names)
        if (name == column) refuse(pointer, "rules do not look at " + name);
      if (name == "personal" || name.compare(0, 9, "personal.") == 0)
        refuse(pointer, "rules do not look at the personal part: have the emitter put a keyed digest of the value into the payload");
      std::string path = name.compare(0, 8, "payload.") == 0 ? name.substr(8) : name;
      for (size_t begin = 0; begin <= path.size();) {
        size_t end = std::min(path.find('.', begin), path.size());
        if (end == begin) refuse(pointer, "a field is a column or the path of a payload's member, with dots");
        found.path.push_back(path.substr(begin, end - begin));
        begin = end + 1;
      }
    }
    std::vector<RuleField> &fields = set_->fields_;
    for (size_t i = 0; i < fields.size(); i++)
      if (fields[i].source == found.source && fields[i].column == found.column && fields[i].path == found.path) return i;
    fields.push_back(std::move(found));
    return fields.size() - 1;
  }

  // Detections ---------------------------------------------------------------------------------------------------------

  size_t add_node(Selection *selection, RuleNode node, const std::string &pointer) {
    if (selection->nodes.size() >= max_nodes) refuse(pointer, "it is too long");
    selection->nodes.push_back(std::move(node));
    return selection->nodes.size() - 1;
  }

  RuleTest::Value value_of(const JsonTree &tree, RuleTest *test, const std::string &pointer) {
    RuleTest::Value value{Kind::null, false, 0, {}, false, 0};
    switch (test->op) {
      case RuleOperator::exists:
        if (tree.kind != JsonTree::Kind::boolean) refuse(pointer, "exists takes true or false");
        value.boolean = tree.boolean;
        return value;
      case RuleOperator::same_as:
        if (tree.kind != JsonTree::Kind::text) refuse(pointer, "fieldref takes the name of a field");
        value.field = field(tree.text, pointer);
        return value;
      case RuleOperator::gt:
      case RuleOperator::gte:
      case RuleOperator::lt:
      case RuleOperator::lte:
      case RuleOperator::multiple_of:
        if (tree.kind != JsonTree::Kind::number || (test->op == RuleOperator::multiple_of && tree.number <= 0))
          refuse(pointer, test->op == RuleOperator::multiple_of ? "multiple_of takes a number above 0" : "it is no number, which this modifier takes");
        value.number = tree.number;
        return value;
      default: break;
    }
    switch (tree.kind) {
      case JsonTree::Kind::null: break;
      case JsonTree::Kind::boolean:
        value.kind = Kind::boolean;
        value.boolean = tree.boolean;
        break;
      case JsonTree::Kind::number:
        value.kind = Kind::number;
        value.number = tree.number;
        break;
      case JsonTree::Kind::text: {
        value.kind = Kind::text;
        std::string pattern = test->cased ? tree.text : lower(tree.text);
        if (test->op == RuleOperator::contains) pattern = "*" + pattern + "*";
        if (test->op == RuleOperator::starts_with) pattern += "*";
        if (test->op == RuleOperator::ends_with) pattern = "*" + pattern;
        value.has_wildcard = !plain_text(pattern, &value.text);
        if (value.has_wildcard) value.text = pattern;
        return value;
      }
      default: refuse(pointer, "a value is a text, a number, true, false or null");
    }
    if (test->op != RuleOperator::equals) refuse(pointer, "it is no text, which this modifier takes");
    return value;
  }

  size_t read_test(Selection *selection, const std::string &key, const JsonTree &tree, const std::string &pointer) {
    RuleTest test{0, RuleOperator::equals, false, false, {}};
    size_t bar = key.find('|');
    test.field = field(key.substr(0, bar), pointer);
    while (bar != std::string::npos) {
      size_t next = key.find('|', bar + 1);
      std::string modifier = key.substr(bar + 1, next == std::string::npos ? next : next - bar - 1);
      bar = next;
      if (modifier == "all") {
        test.needs_all = true;
      } else if (modifier == "cased") {
        test.cased = true;
      } else {
        const NamedOperator *known = std::find_if(std::begin(modifiers), std::end(modifiers), [&](const NamedOperator &m) { return modifier == m.name; });
        if (known == std::end(modifiers))
          refuse(pointer, "modifier " + modifier + (is_among(foreign_modifiers, modifier) ? " is Sigma's, and is not evaluated here" : " is none"));
        if (test.op != RuleOperator::equals) refuse(pointer, "its modifiers do not go together");
        test.op = known->op;
      }
    }
    if (tree.kind == JsonTree::Kind::array) {
      if (tree.elements.empty()) refuse(pointer, "it has no value");
      for (size_t i = 0; i < tree.elements.size(); i++) test.values.push_back(value_of(tree.elements[i], &test, below(pointer, i)));
    } else {
      test.values.push_back(value_of(tree, &test, pointer));
    }
    selection->tests.push_back(std::move(test));
    return add_node(selection, {RuleNode::Kind::test, {}, selection->tests.size() - 1}, pointer);
  }

  size_t read_identifier(Selection *selection, const JsonTree &tree, const std::string &pointer) {
    RuleNode node{RuleNode::Kind::all, {}, 0};
    if (tree.kind == JsonTree::Kind::array) {
      node.kind = RuleNode::Kind::any;
      for (size_t i = 0; i < tree.elements.size(); i++) {
        if (tree.elements[i].kind != JsonTree::Kind::object)
          refuse(below(pointer, i), "it is a keyword, and an event has no text to look for it: name a field");
        node.children.push_back(read_identifier(selection, tree.elements[i], below(pointer, i)));
      }
    } else if (tree.kind == JsonTree::Kind::object) {
      for (const auto &member : tree.members)
        node.children.push_back(read_test(selection, member.first, member.second, below(pointer, member.first)));
    } else {
      refuse(pointer, "a search identifier is an object of fields, or an array of such");
    }
    if (node.children.empty()) refuse(pointer, "it is empty, so it would match everything");
    return add_node(selection, std::move(node), pointer);
  }

  // The condition's words, and a place among them.
  struct Words {
    std::vector<std::string> words;
    size_t at = 0;
    bool take(const char *word) {
      if (at == words.size() || lower(words[at]) != word) return false;
      at++;
      return true;
    }
  };

  size_t read_condition(Selection *selection, const JsonTree &detection, const std::string &pointer) {
    std::string text = text_member(detection, pointer, "condition", true);
    condition_pointer_ = below(pointer, "condition");
    Words words;
    for (size_t i = 0; i < text.size();) {
      if (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r') {
        i++;
      } else if (text[i] == '(' || text[i] == ')') {
        words.words.push_back(text.substr(i++, 1));
      } else {
        size_t end = std::min(text.find_first_of(" \t\n\r()", i), text.size());
        words.words.push_back(text.substr(i, end - i));
        i = end;
      }
    }
    detection_ = &detection;
    detection_pointer_ = pointer;
    size_t root = read_or(selection, &words, 0);
    if (words.at != words.words.size()) refuse(condition_pointer_, "nothing is expected where it says " + words.words[words.at]);
    return root;
  }

  size_t read_or(Selection *selection, Words *words, int depth) { return read_joined(selection, words, depth, true); }

  size_t read_joined(Selection *selection, Words *words, int depth, bool is_or) {
    RuleNode node{is_or ? RuleNode::Kind::any : RuleNode::Kind::all, {}, 0};
    do {
      node.children.push_back(is_or ? read_joined(selection, words, depth, false) : read_not(selection, words, depth));
    } while (words->take(is_or ? "or" : "and"));
    return node.children.size() == 1 ? node.children[0] : add_node(selection, std::move(node), condition_pointer_);
  }

  size_t read_not(Selection *selection, Words *words, int depth) {
    if (depth > 30) refuse(condition_pointer_, "it is nested more than 30 levels deep");
    if (words->take("not")) {
      size_t child = read_not(selection, words, depth + 1);
      return add_node(selection, {RuleNode::Kind::none, {child}, 0}, condition_pointer_);
    }
    if (words->take("(")) {
      size_t child = read_or(selection, words, depth + 1);
      if (!words->take(")")) refuse(condition_pointer_, "a ( has no )");
      return child;
    }
    if (words->at == words->words.size()) refuse(condition_pointer_, "it ends where a search identifier is expected");
    const std::string word = words->words[words->at++];
    bool is_all = lower(word) == "all", is_any = word == "1" || lower(word) == "any";
    if ((is_all || is_any) && words->take("of")) {
      if (words->at == words->words.size()) refuse(condition_pointer_, "it ends behind of");
      std::string pattern = words->words[words->at++];
      RuleNode node{is_all ? RuleNode::Kind::all : RuleNode::Kind::any, {}, 0};
      for (const auto &member : detection_->members)
        if (member.first != "condition" && (pattern == "them" ? member.first[0] != '_' : matches_pattern(pattern, member.first, true)))
          node.children.push_back(read_identifier(selection, member.second, below(detection_pointer_, member.first)));
      if (node.children.empty()) refuse(condition_pointer_, "no search identifier is like " + pattern);
      return add_node(selection, std::move(node), condition_pointer_);
    }
    const JsonTree *identifier = word == "condition" ? nullptr : detection_->find(word);
    if (identifier == nullptr) refuse(condition_pointer_, "there is no search identifier " + word);
    return read_identifier(selection, *identifier, below(detection_pointer_, word));
  }

  // The types that a node lets through; false: any.
  bool types_of(const Selection &selection, size_t node, std::vector<std::string> *types) {
    const RuleNode &here = selection.nodes[node];
    if (here.kind == RuleNode::Kind::test) {
      const RuleTest &test = selection.tests[here.test];
      bool says = test.field == event_type_ && test.op == RuleOperator::equals && !test.needs_all &&
                  std::all_of(test.values.begin(), test.values.end(), [](const RuleTest::Value &v) { return v.kind == Kind::text && !v.has_wildcard; });
      if (says)
        for (const RuleTest::Value &value : test.values) types->push_back(lower(value.text));
      return says;
    }
    if (here.kind == RuleNode::Kind::none) return false;
    bool is_all = here.kind == RuleNode::Kind::all;
    for (size_t child : here.children) {
      bool says = types_of(selection, child, types);
      if (says && is_all) return true;
      if (!says && !is_all) return false;
    }
    return !is_all;
  }

  Selection read_selection(const Document &document) {
    Selection selection{text_member(*document.tree, document.pointer, "name", false), {}, {}, {}, {}, false, {}};
    const JsonTree *detection = document.tree->find("detection");
    std::string pointer = below(document.pointer, "detection");
    if (detection->kind != JsonTree::Kind::object) refuse(pointer, "it is no object");
    RuleNode root{RuleNode::Kind::all, {read_condition(&selection, *detection, pointer)}, 0};
    if (const JsonTree *source = document.tree->find("logsource")) {
      std::string at = below(document.pointer, "logsource");
      if (source->kind != JsonTree::Kind::object) refuse(at, "it is no object");
      for (const auto &member : source->members) {
        std::string here = below(at, member.first);
        if (member.second.kind != JsonTree::Kind::text) refuse(here, "it is no text");
        if (member.first == "product") {
          if (member.second.text != "people_os_spine") rule_.product = member.second.text;
        } else if (member.first == "service" || member.first == "category") {
          RuleTest test{field(member.first == "service" ? "domain" : "entity_type", here), RuleOperator::equals, false, false, {}};
          test.values.push_back(value_of(member.second, &test, here));
          selection.tests.push_back(std::move(test));
          root.children.push_back(add_node(&selection, {RuleNode::Kind::test, {}, selection.tests.size() - 1}, here));
        } else if (member.first != "definition") {
          refuse(here, "a log source has no such member");
        }
      }
    }
    (void)add_node(&selection, std::move(root), pointer);
    selection.has_types = types_of(selection, selection.nodes.size() - 1, &selection.event_types);
    if (!selection.has_types) selection.event_types.clear();
    return selection;
  }

  void read_detection_rule(const Document &document) {
    rule_.type = RuleType::detection;
    if (document.tree->find("detection") == nullptr) return;  // a filter
    rule_.selections.push_back(read_selection(document));
    if (const JsonTree *groups = document.tree->find("group-by")) read_groups(*groups, below(document.pointer, "group-by"), nullptr);
  }

  // Correlations -------------------------------------------------------------------------------------------------------

  // The field of that name in a selection, which an alias may give another name.
  size_t field_in(const Selection &selection, const std::string &name, const JsonTree *aliases, const std::string &pointer) {
    const JsonTree *alias = aliases == nullptr ? nullptr : aliases->find(name);
    if (alias == nullptr) return field(name, pointer);
    const JsonTree *there = alias->kind == JsonTree::Kind::object ? alias->find(selection.name) : nullptr;
    if (there == nullptr || there->kind != JsonTree::Kind::text) refuse(pointer, "alias " + name + " has no field for rule " + selection.name);
    return field(there->text, pointer);
  }

  void group_by(const std::string &name, const JsonTree *aliases, const std::string &pointer) {
    bool is_column = true;
    for (Selection &selection : rule_.selections) {
      selection.group_by.push_back(field_in(selection, name, aliases, pointer));
      is_column = is_column && set_->fields_[selection.group_by.back()].source == RuleField::Source::column;
    }
    rule_.group_names.push_back(name);
    rule_.group_is_column.push_back(is_column);
  }

  void read_groups(const JsonTree &groups, const std::string &pointer, const JsonTree *aliases) {
    if (groups.kind != JsonTree::Kind::array) refuse(pointer, "it is no array of fields");
    for (size_t i = 0; i < groups.elements.size(); i++) {
      if (groups.elements[i].kind != JsonTree::Kind::text) refuse(below(pointer, i), "it is no field");
      group_by(groups.elements[i].text, aliases, below(pointer, i));
    }
  }

  void read_referenced(const JsonTree &correlation, const std::string &pointer, const std::vector<Document> &documents, const Document &decides) {
    const JsonTree &names = array_member(correlation, pointer, "rules");
    std::string at = below(pointer, "rules");
    if (names.elements.size() > max_selections) refuse(at, "it names more than 8 rules");
    for (size_t i = 0; i < names.elements.size(); i++) {
      const std::string &name = names.elements[i].text;
      if (names.elements[i].kind != JsonTree::Kind::text) refuse(below(at, i), "it is no name of a rule");
      const Document *found = nullptr;
      for (const Document &document : documents) {
        if (&document == &decides) continue;
        for (const char *by : {"name", "id"})
          if (text_member(*document.tree, document.pointer, by, false) == name) found = &document;
      }
      if (found == nullptr) refuse(below(at, i), "the definition has no rule with the name or id " + name);
      if (found->tree->find("detection") == nullptr) refuse(below(at, i), "rule " + name + " has no detection");
      rule_.selections.push_back(read_selection(*found));
      rule_.selections.back().name = name;
    }
    for (const Document &document : documents) {
      std::string name = text_member(*document.tree, document.pointer, "name", false), id = text_member(*document.tree, document.pointer, "id", false);
      if (&document == &decides || document.tree->find("filter") != nullptr) continue;
      if (!std::any_of(names.elements.begin(), names.elements.end(), [&](const JsonTree &n) { return n.text == name || n.text == id; }))
        refuse(document.pointer, "no correlation asks for this rule");
    }
  }

  void read_bounds(const JsonTree &condition, const std::string &pointer, const JsonTree *aliases) {
    static constexpr struct {
      const char *name;
      RuleOperator op;
    } bounds[] = {{"gt", RuleOperator::gt}, {"gte", RuleOperator::gte}, {"lt", RuleOperator::lt},
                  {"lte", RuleOperator::lte}, {"eq", RuleOperator::equals}, {"neq", RuleOperator::equals}};
    if (condition.kind != JsonTree::Kind::object) refuse(pointer, "it is no object");
    bool counts = rule_.type == RuleType::event_count || rule_.type == RuleType::value_count;
    for (const auto &member : condition.members) {
      std::string at = below(pointer, member.first);
      if (member.first == "field") {
        if (rule_.type == RuleType::event_count) refuse(at, "event_count counts events, of no field");
        std::vector<std::string> names;
        if (member.second.kind == JsonTree::Kind::text) names.push_back(member.second.text);
        for (const JsonTree &element : member.second.elements) names.push_back(element.text);
        if (names.empty() || is_among(names, std::string())) refuse(at, "it is no field");
        if (names.size() > 1 && rule_.type != RuleType::value_count) refuse(at, "it names more than one field");
        for (const std::string &name : names) {
          for (Selection &selection : rule_.selections) selection.counted.push_back(field_in(selection, name, aliases, at));
          rule_.field_name += (rule_.field_name.empty() ? "" : ", ") + name;
        }
        continue;
      }
      auto known = std::find_if(std::begin(bounds), std::end(bounds), [&](const auto &b) { return member.first == b.name; });
      if (known == std::end(bounds)) refuse(at, "a condition has no such member");
      if (member.second.kind != JsonTree::Kind::number) refuse(at, "it is no number");
      RuleBound bound{known->op, member.second.number, member.first == "neq"};
      if (counts) {
        if (bound.op == RuleOperator::lt || bound.op == RuleOperator::lte || bound.is_not)
          refuse(at, "the first event of a window would decide it; for what does not come there is the type absence");
        if (bound.value < 1 || bound.value > max_counted || bound.value != std::floor(bound.value)) refuse(at, "it is no whole number from 1 to 1000");
      }
      rule_.bounds.push_back(bound);
    }
    if (rule_.bounds.empty()) refuse(pointer, "it has no gt, gte, lt, lte, eq or neq");
    if (counts && rule_.bounds.size() > 1) refuse(pointer, "a count has one bound");
    if (rule_.type != RuleType::event_count && rule_.field_name.empty()) refuse(pointer, "it has no field");
  }

  static constexpr const char *step_members[] = {"deviations", "side", "limit", "falling", "horizon", "divergence", "table"};

  double number_member(const JsonTree &object, const std::string &pointer, const char *name, double otherwise, double least) {
    const JsonTree *found = object.find(name);
    if (found == nullptr) return otherwise;
    if (found->kind != JsonTree::Kind::number || !(found->number >= least) || !is_usable(found->number)) refuse(below(pointer, name), "it is no number, or too small or large a one");
    return found->number;
  }

  // A rule on a series, or one that is looked at now and then.
  void read_step_rule(const JsonTree &correlation, const std::string &pointer) {
    auto only = [&](std::initializer_list<const char *> mine) {
      for (const auto &member : correlation.members)
        if (!is_among(mine, member.first) && member.first != "type" && member.first != "timespan" &&
            (rule_.is_periodic() || (member.first != "rules" && member.first != "group-by" && member.first != "aliases")))
          refuse(below(pointer, member.first), "this type has none");
    };
    std::string span = below(pointer, "timespan");
    bool by_step = rule_.type == RuleType::baseline || rule_.type == RuleType::forecast;
    if (by_step && rule_.timespan != hour && rule_.timespan != day) refuse(span, "the steps of a series are 1h or 1d");
    if (!by_step && (rule_.timespan % day != 0 || rule_.timespan > 366 * day)) refuse(span, "it is no number of days up to 366");
    if (rule_.is_series() && rule_.selections.size() != 1) refuse(below(pointer, "rules"), "it takes one rule");
    if (const JsonTree *field = correlation.find("field")) {
      rule_.field_name = text_member(correlation, pointer, "field", true);
      for (Selection &selection : rule_.selections) selection.counted.push_back(field_in(selection, field->text, correlation.find("aliases"), below(pointer, "field")));
    }
    switch (rule_.type) {
      case RuleType::baseline: {
        only({"field", "deviations", "side"});
        rule_.threshold = number_member(correlation, pointer, "deviations", 4, 1);
        std::string side = correlation.find("side") == nullptr ? "above" : text_member(correlation, pointer, "side", true);
        rule_.above = side == "above" || side == "both";
        rule_.below = side == "below" || side == "both";
        if (!rule_.above && !rule_.below) refuse(below(pointer, "side"), "a side is above, below or both");
        return;
      }
      case RuleType::forecast: {
        only({"field", "limit", "falling", "horizon"});
        if (correlation.find("limit") == nullptr) refuse(pointer, "it has no limit");
        rule_.threshold = number_member(correlation, pointer, "limit", 0, -largest_value);
        if (const JsonTree *falling = correlation.find("falling")) {
          if (falling->kind != JsonTree::Kind::boolean) refuse(below(pointer, "falling"), "it is neither true nor false");
          rule_.below = falling->boolean;
        }
        const JsonTree *ahead = correlation.find("horizon");
        int64_t horizon = ahead == nullptr ? 7 * day : timespan(*ahead, below(pointer, "horizon"));
        if (horizon < rule_.timespan || horizon > 1000 * rule_.timespan) refuse(below(pointer, "horizon"), "it is no time of 1 to 1000 steps");
        rule_.horizon = static_cast<uint32_t>(horizon / rule_.timespan);
        return;
      }
      case RuleType::drift: {
        only({"field", "divergence"});
        // Nothing of a payload comes into a finding.
        static constexpr const char *dimensions[] = {"event_type", "domain", "entity_type", "action", "actor_type", "environment", "severity", "calendar.hour", "calendar.weekday", "calendar.open"};
        if (!is_among(dimensions, rule_.field_name))
          refuse(below(pointer, "field"), "a drift is one of event_type, domain, entity_type, action, actor_type, environment, severity, calendar.hour, calendar.weekday or calendar.open");
        rule_.threshold = number_member(correlation, pointer, "divergence", 0.1, 0.001);
        return;
      }
      case RuleType::benford:
        only({"field"});
        if (rule_.field_name.empty()) refuse(pointer, "it has no field, whose first digits are looked at");
        return;
      case RuleType::reconcile:
        only({"table"});
        rule_.table = text_member(correlation, pointer, "table", true);
        return;
      default:
        only({});
        return;
    }
  }

  void read_correlation(const JsonTree &correlation, const std::string &pointer, const std::vector<Document> &documents, const Document &decides) {
    static constexpr const char *known[] = {"type", "rules", "aliases", "group-by", "timespan", "condition", "field", "when", "learn",
                                            "deviations", "side", "limit", "falling", "horizon", "divergence", "table"};
    if (correlation.kind != JsonTree::Kind::object) refuse(pointer, "it is no object");
    for (const auto &member : correlation.members)
      if (!is_among(known, member.first)) refuse(below(pointer, member.first), "a correlation has no such member");
    std::string type = text_member(correlation, pointer, "type", true), type_at = below(pointer, "type");
    auto found = std::find_if(std::begin(correlation_types), std::end(correlation_types), [&](const NamedType &t) { return type == t.name; });
    if (found != std::end(correlation_types)) {
      rule_.type = found->type;
    } else if (type == "value_percentile") {
      rule_.type = RuleType::value_sum;
      rule_.not_evaluated = "value_percentile";
    } else {
      refuse(type_at, "there is no type " + type);
    }
    if (!rule_.is_periodic()) read_referenced(correlation, pointer, documents, decides);
    const JsonTree *aliases = correlation.find("aliases");
    if (aliases != nullptr && aliases->kind != JsonTree::Kind::object) refuse(below(pointer, "aliases"), "it is no object");
    if (const JsonTree *groups = correlation.find("group-by")) read_groups(*groups, below(pointer, "group-by"), aliases);
    const JsonTree *span = correlation.find("timespan");
    if (span == nullptr) refuse(pointer, "it has no timespan");
    rule_.timespan = timespan(*span, below(pointer, "timespan"));
    rule_.timespan_text = span->text;
    bool is_suppressed = decides.tree->find("suppress") != nullptr;
    if (rule_.is_series() || rule_.is_periodic()) {
      read_step_rule(correlation, pointer);
      // The steps of a bad day, or of the days after a bad one, have one cause.
      if (!is_suppressed && rule_.is_series()) rule_.suppress = std::max(rule_.timespan, rule_.timespan < day ? day : 7 * day);
      return;
    }
    for (const char *name : step_members)
      if (correlation.find(name) != nullptr) refuse(below(pointer, name), "this type has none");

    const JsonTree *condition = correlation.find("condition");
    bool counts = rule_.type >= RuleType::event_count && rule_.type <= RuleType::value_avg;
    if (counts && condition == nullptr) refuse(pointer, "it has no condition");
    if (!counts && condition != nullptr) refuse(below(pointer, "condition"), "this type has none");
    if (counts) read_bounds(*condition, below(pointer, "condition"), aliases);
    size_t rules = rule_.selections.size();
    auto need = [&](bool right, const char *what) {
      if (!right) refuse(below(pointer, "rules"), what);
    };
    bool differs = rule_.type == RuleType::four_eyes || rule_.type == RuleType::separation;
    if (correlation.find("field") != nullptr && !differs) refuse(below(pointer, "field"), "only four_eyes and separation have it here");
    if (correlation.find("when") != nullptr && rule_.type != RuleType::requires_before) refuse(below(pointer, "when"), "only requires has it");
    const JsonTree *learn = correlation.find("learn");
    if (learn != nullptr && rule_.type != RuleType::first_seen) refuse(below(pointer, "learn"), "only first_seen has it");
    switch (rule_.type) {
      case RuleType::event_count:
      case RuleType::value_count:
        rule_.most_entries = static_cast<size_t>(rule_.bounds[0].value) + (rule_.bounds[0].op != RuleOperator::gte);
        break;
      case RuleType::value_sum:
      case RuleType::value_avg: rule_.most_entries = max_counted; break;
      case RuleType::temporal:
      case RuleType::temporal_ordered: need(rules >= 2, "it takes two rules or more"); break;
      case RuleType::four_eyes:
      case RuleType::separation: {
        need(rule_.type == RuleType::separation ? rules >= 2 : rules == 2, rule_.type == RuleType::separation ? "it takes two rules or more" : "it takes two rules: who makes, and who approves");
        if (rule_.type == RuleType::four_eyes && correlation.find("group-by") == nullptr) group_by("entity_id", nullptr, pointer);
        rule_.field_name = correlation.find("field") == nullptr ? "actor_id" : text_member(correlation, pointer, "field", true);
        group_by(rule_.field_name, aliases, below(pointer, "field"));
        break;
      }
      case RuleType::requires_before: {
        need(rules == 2, "it takes two rules: what happens, and what it requires");
        std::string when = text_member(correlation, pointer, "when", true);
        if (when == "after") rule_.type = RuleType::requires_after;
        else if (when != "before") refuse(below(pointer, "when"), "what is required comes before or after");
        if (correlation.find("group-by") == nullptr) group_by("entity_id", nullptr, pointer);
        break;
      }
      case RuleType::absence: need(rules == 1, "it takes one rule: what is expected again"); break;
      case RuleType::first_seen:
        need(rules == 1, "it takes one rule");
        if (!rule_.is_grouped()) refuse(pointer, "it has no group-by, which says what is seen for the first time");
        rule_.learn = learn != nullptr ? timespan(*learn, below(pointer, "learn")) : std::min(rule_.timespan, default_learn);
        break;
      default: break;
    }
    bool once = rule_.type == RuleType::first_seen || rule_.type == RuleType::requires_after || rule_.type == RuleType::absence;
    if (!is_suppressed && !once) rule_.suppress = rule_.timespan;
  }

  RuleSet *set_;
  size_t event_type_;
  Rule rule_{};
  const JsonTree *detection_ = nullptr;
  std::string detection_pointer_, condition_pointer_;
};

Status RuleSet::add(std::string_view name, int64_t definition_number, std::string_view definition, RuleProblem *problem) noexcept {
  size_t fields_before = fields_.size();
  try {
    // The first field of every set.
    if (fields_.empty()) fields_.push_back({"event_type", RuleField::Source::column, Column::event_type, {}});
    JsonTree tree;
    if (const char *why = read_json_tree(definition, &tree)) refuse("", why);
    Rule rule = RuleReader(this, 0).read(tree);
    rule.name = name;
    rule.definition = definition_number;
    plans_.clear();
    rules_.push_back(std::move(rule));
    return Status::ok;
  } catch (RuleProblem &found) {
    *problem = std::move(found);
    fields_.resize(fields_before);
    return Status::malformed;
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
}

const RuleSet::Plan *RuleSet::plan(std::string_view event_type) noexcept {
  try {
    scratch_ = event_type;
    if (auto known = plans_.find(scratch_); known != plans_.end()) return &known->second;
    Plan plan;
    std::string folded = lower(scratch_);
    std::vector<bool> used(fields_.size());
    for (size_t r = 0; r < rules_.size(); r++) {
      for (size_t s = rules_[r].selections.size(); s-- > 0;) {
        const Selection &selection = rules_[r].selections[s];
        if (selection.has_types && !is_among(selection.event_types, folded)) continue;
        plan.selections.emplace_back(static_cast<uint32_t>(r), static_cast<uint32_t>(s));
        for (size_t field : selection.group_by) used[field] = true;
        for (size_t field : selection.counted) used[field] = true;
        for (const RuleTest &test : selection.tests) {
          used[test.field] = true;
          if (test.op == RuleOperator::same_as)
            for (const RuleTest::Value &value : test.values) used[value.field] = true;
        }
      }
    }
    for (size_t i = 0; i < used.size(); i++)
      if (used[i]) plan.fields.push_back(i);
    if (plans_.size() >= max_plans) plans_.clear();
    return &plans_.emplace(event_type, std::move(plan)).first->second;
  } catch (const std::bad_alloc &) {
    return nullptr;
  }
}

Status RuleSet::digest(size_t rule, char kind, const std::vector<size_t> &of, const FieldValue *fields, RuleDigest *out, bool *complete) {
  *complete = true;
  scratch_ = rules_[rule].name;
  scratch_ += '\0';
  scratch_ += std::to_string(rules_[rule].definition);
  scratch_ += kind;
  for (size_t field : of) {
    const FieldValue &value = fields[field];
    std::string_view bytes;
    char number[sizeof(double)];
    switch (value.kind) {
      case Kind::text: bytes = value.text; break;
      case Kind::number: {
        double plain = value.number == 0 ? 0 : value.number;  // no negative zero
        std::memcpy(number, &plain, sizeof number);
        bytes = {number, sizeof number};
        break;
      }
      case Kind::boolean: bytes = value.boolean ? "t" : "f"; break;
      default: *complete = false; return Status::ok;
    }
    scratch_ += static_cast<char>(value.kind);
    uint32_t size = static_cast<uint32_t>(bytes.size());
    scratch_.append(reinterpret_cast<const char *>(&size), sizeof size);
    scratch_.append(bytes);
  }
  Hash hash;
  Status status = sha256_.digest(scratch_, &hash);
  if (status == Status::ok) std::memcpy(out->data(), hash.data(), out->size());
  return status;
}

Status RuleSet::rule_digest(size_t rule, RuleDigest *digest_) noexcept {
  try {
    bool complete;
    return digest(rule, 'r', {}, nullptr, digest_, &complete);
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
}

Status RuleSet::match(const Plan &plan, const FieldValue *fields, std::vector<RuleHit> *hits) noexcept {
  try {
    for (const auto &one : plan.selections) {
      const Rule &rule = rules_[one.first];
      const Selection &selection = rule.selections[one.second];
      if (!holds(selection, selection.nodes.size() - 1, fields)) continue;
      RuleHit hit{one.first, one.second, {}, {}, 0, {}};
      bool complete = true;
      if (rule.has_state()) {
        if (Status status = digest(one.first, 'g', selection.group_by, fields, &hit.group, &complete); status != Status::ok) return status;
        // An event that does not say whose it is, belongs to no group.
        if (!complete) continue;
      }
      if (rule.type == RuleType::value_count) {
        if (Status status = digest(one.first, 'v', selection.counted, fields, &hit.value, &complete); status != Status::ok) return status;
      } else if (rule.type == RuleType::value_sum || rule.type == RuleType::value_avg) {
        const FieldValue &value = fields[selection.counted[0]];
        complete = value.kind == Kind::number;
        hit.number = value.number;
      } else if (rule.is_series() && !selection.counted.empty()) {
        complete = read_step_value(rule, fields[selection.counted[0]], &hit);
      }
      if (complete) hits->push_back(std::move(hit));
    }
    return Status::ok;
  } catch (const std::bad_alloc &) {
    return Status::out_of_memory;
  }
}

}  // namespace spine
