// Judge: applies the rule files to records as they come, the way the official checker does (rules digest 2.1).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mllog/check_record.h"
#include "mllog/rule.h"
#include "timetrial/mllog/check.h"
#include "timetrial/mllog/reader.h"

namespace timetrial::mllog {

struct Judgement {
  // At most one finding per key, the last; a rule file that redefines a key drops the earlier ones.
  std::map<std::string, Finding> errors, warnings;
  // Findings that no later file drops.
  std::vector<Finding> lasting;
  std::vector<Finding> remarks;          // from the rule files' own remarks
  std::vector<const RuleFile*> applied;  // in order; into the ruleset
  std::map<std::string, int64_t> seen;   // every ruled key: how many records
  // Why the official checker ends in an exception, or does not end, instead of a verdict; empty: it does not.
  std::string official_dies;
};

// Which rules look at which key, over all files of a ruleset: made once, used by many judges. Points into `ruleset`,
// which must outlive it.
class RuleIndex {
 public:
  struct Entry {
    size_t file;  // into files()
    size_t slot;  // counts the rules of all files
    const KeyRule* rule;
  };

  explicit RuleIndex(const Ruleset& ruleset);

  const std::string& version() const { return version_; }
  const std::vector<const RuleFile*>& files() const { return files_; }
  // The entries of one file, in its order.
  const std::vector<Entry>& entries_of(size_t file) const { return entries_[file]; }
  // nullptr for a key without any rule.
  const std::vector<Entry>* find(std::string_view key) const;
  // files().size() when there is none of that name.
  size_t file_named(const std::string& name) const;
  size_t slots() const { return slots_; }

 private:
  std::string version_;
  std::vector<const RuleFile*> files_;
  std::vector<std::vector<Entry>> entries_;
  std::unordered_map<std::string_view, std::vector<Entry>> by_key_;
  size_t slots_ = 0;
};

// One log. The official checker walks the log once per rule file and learns on the way which file is next; here all
// files that may still be asked for look at each record, so that records need not be kept. Memory depends on the rules
// alone. Not thread-safe; judges may share an index, which must outlive them and their judgements.
class Judge {
 public:
  explicit Judge(const RuleIndex& index);

  // Whether add() would look at records of this key.
  bool wants(std::string_view key) const { return index_->find(key) != nullptr; }
  void add(const Record& record);
  Judgement finish() const;

 private:
  // What the records of a key have been, for one file's rule.
  struct KeyState {
    int64_t count = 0, first_line = 0, last_line = 0, failing = 0;
    Json first_value;             // exactly_one
    int64_t different_line = 0;   // of the first record with another value than the first; 0: none
    std::string different, last;  // excerpts: that value; the last value of a key with some_record
    bool satisfied = false;       // some_record
  };
  // One rule file's walk.
  struct Walk {
    bool active = true;
    WalkState state;
    std::map<std::string, Finding> errors, remarks;
    std::vector<std::string> next;  // names of rule files asked for, in order
    std::vector<size_t> fired;      // slots of then_rules that cannot ask again
    std::string official_dies;
  };

  void visit(const RuleIndex::Entry& entry, const Record& record);
  void remember(const RuleIndex::Entry& entry, const Memory& memory, const Record& record);
  void ask(const RuleIndex::Entry& entry, const Record& record);
  void try_some_record(const RuleIndex::Entry& entry, const Record& record);
  void close_walks_out_of_reach();
  void put_error(const RuleIndex::Entry& entry, int64_t line, const std::string& rule, Failure failure);
  std::string sourced(const RuleIndex::Entry& entry, const std::string& words) const;
  void combine(size_t file, Judgement& out) const;
  void demand_some_record(const RuleIndex::Entry& entry, Judgement& out) const;
  void demand_occurrence(const RuleIndex::Entry& entry, Judgement& out) const;
  void demand_exactly_one(const RuleIndex::Entry& entry, Judgement& out) const;
  void demand_either(const RuleIndex::Entry& entry, Judgement& out) const;
  Finding finding(const RuleIndex::Entry& entry, Severity severity, int64_t line, const std::string& rule,
                  Failure failure) const;
  int64_t count_of(size_t file, const std::string& key) const;

  const RuleIndex* index_;
  std::vector<Walk> walks_;     // by file
  std::vector<KeyState> keys_;  // by slot
};

// A judge fed with all of `records`. The judgement points into `ruleset`.
Judgement apply_rules(const std::vector<Record>& records, const Ruleset& ruleset);

}  // namespace timetrial::mllog
