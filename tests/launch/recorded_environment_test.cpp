// Which variables are written down, which never are, and how ranks differ.
// SPDX-License-Identifier: Apache-2.0
#include "timetrial/launch/recorded_environment.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace timetrial::launch {
namespace {

TEST(RecordedVariables, AreThoseThatMatter) {
  const char* const environment[] = {"PATH=/bin",
                                     "HOME=/root",
                                     "NCCL_DEBUG=WARN",
                                     "OMPI_MCA_btl=tcp,self",
                                     "UCX_TLS=rc",
                                     "SLURM_JOB_ID=7",
                                     "OMP_NUM_THREADS=2",
                                     "CUDA_VISIBLE_DEVICES=0=1",
                                     "TIMETRIAL_RANK=3",
                                     "AWS_SESSION=x",
                                     "NCCL",
                                     "OMP_MONKEY=1",
                                     nullptr};
  const Variables expected{{"NCCL_DEBUG", "WARN"},  {"OMPI_MCA_btl", "tcp,self"}, {"UCX_TLS", "rc"},
                           {"SLURM_JOB_ID", "7"},   {"OMP_NUM_THREADS", "2"},     {"CUDA_VISIBLE_DEVICES", "0=1"},
                           {"TIMETRIAL_RANK", "3"}, {"OMP_MONKEY", "1"}};
  EXPECT_EQ(recorded_variables(environment), expected);
}

TEST(RecordedVariables, AreNoSecrets) {
  const char* const environment[] = {"SLURM_JWT=abc",
                                     "TIMETRIAL_API_KEY=abc",
                                     "NCCL_auth_x=abc",
                                     "CUDA_ACCESS_TOKENS=abc",
                                     "SLURM_DB_PASSWORD=abc",
                                     "OMPI_MCA_orte_precondition_transports=1f-2e",
                                     "OMPI_MCA_orte_hnp_uri=1;tcp://10.0.0.1:5",
                                     "TIMETRIAL_CREDENTIALS=abc",
                                     nullptr};
  EXPECT_EQ(recorded_variables(environment), Variables());
}

TEST(Differences, LeavePlacesOut) {
  const Variables first{{"NCCL_DEBUG", "WARN"}, {"OMP_NUM_THREADS", "4"}, {"SLURM_PROCID", "0"}, {"UCX_TLS", "rc"}};
  const Variables mine{{"NCCL_DEBUG", "INFO"}, {"OMP_NUM_THREADS", "4"}, {"SLURM_PROCID", "1"}, {"CUDA_CACHE", "x"}};
  EXPECT_EQ(differences(first, mine), (Json{{"NCCL_DEBUG", "INFO"}, {"CUDA_CACHE", "x"}, {"UCX_TLS", nullptr}}));
  EXPECT_TRUE(differences(first, first).empty());
  const Json record = environment_record(first, {Json::object(), Json::object(), differences(first, mine)});
  EXPECT_EQ(record["ranks"], 3);
  EXPECT_EQ(record["rank_0"]["UCX_TLS"], "rc");
  EXPECT_EQ(record["differences"].size(), 1u);
  EXPECT_EQ(record["differences"]["2"]["NCCL_DEBUG"], "INFO");
}

}  // namespace
}  // namespace timetrial::launch
