// Config files: duplicates, syntax, what is no object, and bytes that no one meant to send.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/config/config_file.h"

#include <random>

#include "config/config_fixture.h"

namespace timetrial {
namespace {

std::string error_of(const std::string& text) {
  try {
    parse_config_text(text, "x.json");
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

TEST(ConfigFile, IsJson) {
  EXPECT_EQ(parse_config_text(R"({"a": [1, {"b": 2}], "c": {"b": 3}})", "x"),
            Json({{"a", {1, {{"b", 2}}}}, {"c", {{"b", 3}}}}));
}

TEST(ConfigFile, RefusesAKeyGivenTwice) {
  EXPECT_EQ(error_of(R"({"a": 1, "b": 2, "a": 1})"), "/a: this key is given twice; keep one");
  EXPECT_EQ(error_of(R"({"train": {"seed": 1, "seed": 2}})"), "/train/seed: this key is given twice; keep one");
  EXPECT_EQ(error_of(R"({"train": {"seed": 1}, "data": {}, "train": {}})"),
            "/train: this key is given twice; keep one");
  EXPECT_EQ(error_of(R"({"a": {"k": 1}, "b": {"k": 1}, "k": {"a": 1}})"), "no error");
  EXPECT_EQ(error_of("{\"a\": 1, \"\\u0061\": 1}"), "/a: this key is given twice; keep one");
  EXPECT_EQ(error_of("{\"a\\n\": 1, \"a\\n\": 1}"), "/a\\n: this key is given twice; keep one");
}

TEST(ConfigFile, RefusesWhatIsNoObject) {
  EXPECT_EQ(error_of("[1]"), "x.json: a config file must hold one JSON object, {...}");
  EXPECT_EQ(error_of(""), "x.json: not valid JSON at line 1, column 1");
  EXPECT_EQ(error_of("{\n  \"a\": tru }"), "x.json: not valid JSON at line 2, column 11");
  EXPECT_EQ(error_of("{\"a\": 1e999}"), "x.json: 1e999 is too large for a number of 64 bits; write a smaller one");
}

TEST(ConfigFile, ThatIsNotThereIsNamed) {
  EXPECT_THROW(read_config_file("/nonexistent/x.json"), UserError);
  EXPECT_THROW(read_config_file(TIMETRIAL_SOURCE_DIR), UserError);
}

TEST(ConfigName, IsTheStem) {
  EXPECT_EQ(config_name("configs/small/gpt_oss_20b.json"), "gpt_oss_20b");
  EXPECT_EQ(config_name("a.b.json"), "a.b");
}

// Bytes changed, dropped and doubled: an answer or a UserError, nothing else.
TEST(ConfigFile, SurvivesDamage) {
  std::mt19937 random(1);
  const std::string whole = user_config().dump(2);
  int accepted = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string text = whole;
    const size_t at = random() % text.size();
    switch (random() % 3) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text.erase(at, 1 + random() % 8);
        break;
      case 2:
        text.insert(at, text.substr(at, 1 + random() % 40));
        break;
    }
    try {
      parse(parse_config_text(text, "x.json"));
      ++accepted;
    } catch (const UserError& error) {
      const std::string message = error.what();
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    }
  }
  EXPECT_GT(accepted, 50);
  EXPECT_LT(accepted, 1500);
}

}  // namespace
}  // namespace timetrial
