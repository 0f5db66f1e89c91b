// SPDX-License-Identifier: MIT
//
// Test bodies: freestanding functions that run in a kernel thread of a booted instance, on every HAL and engine. A body
// registers itself in the section "tbos_tests"; runners (hosted: tests/support; bare: TAP over the serial line) walk it.
#ifndef KERN_TEST_H
#define KERN_TEST_H

#include "kern/kernel.h"

struct test_run {
	const struct test_case *test;
	uint32_t checks;   // atomic: evaluated
	uint32_t failures; // atomic
	char message[256]; // first failure
};

enum test_flags {
	TEST_SLOW = 1u << 0,         // not in quick runs
	TEST_THREADS_ONLY = 1u << 1, // needs real parallel time
	TEST_SIM_ONLY = 1u << 2,
	TEST_PANICS = 1u << 3 // passes when it panics with a message containing `expect`
};

struct test_case {
	const char *suite;
	const char *name;
	void (*body)(struct test_run *run);
	uint32_t cpus;  // CPUs wanted at least; 0: any
	uint32_t flags; // enum test_flags
	const char *expect;
};

#define TEST_WITH(suite_, name_, cpus_, flags_, expect_)                                                               \
	static void test_body_##suite_##_##name_(struct test_run *test_run_);                                          \
	static const struct test_case test_case_##suite_##_##name_ = {#suite_, #name_,   test_body_##suite_##_##name_, \
								      (cpus_), (flags_), (expect_)};                   \
	__attribute__((section("tbos_tests"),                                                                          \
		       used)) static const struct test_case *const test_ref_##suite_##_##name_ =                       \
		&test_case_##suite_##_##name_;                                                                         \
	static void test_body_##suite_##_##name_(__attribute__((__unused__)) struct test_run *test_run_)

// TEST(list, push_keeps_order) { CHECK(…); }
#define TEST(suite_, name_) TEST_WITH(suite_, name_, 0, 0, NULL)
#define TEST_CPUS(suite_, name_, cpus_) TEST_WITH(suite_, name_, (cpus_), 0, NULL)

void test_check(struct test_run *run, bool ok, const char *what, const char *file, int line);
void test_check_eq(struct test_run *run, int64_t a, int64_t b, const char *what, const char *file, int line);

// A failed check is noted and the body goes on; REQUIRE ends the body.
#define CHECK(expr) test_check(test_run_, (expr), #expr, __FILE__, __LINE__)
#define CHECK_EQ(a, b) test_check_eq(test_run_, (int64_t)(a), (int64_t)(b), #a " == " #b, __FILE__, __LINE__)
#define REQUIRE(expr)                                                                                                  \
	do {                                                                                                           \
		bool require_ok_ = (expr);                                                                             \
		test_check(test_run_, require_ok_, #expr, __FILE__, __LINE__);                                         \
		if (!require_ok_)                                                                                      \
			return;                                                                                        \
	} while (0)
// For helper functions called from a body: pass `test_run_` on as this parameter.
#define TEST_RUN struct test_run *test_run_

// Runs one body in the current thread; test_find/test_count walk the registry. Implemented in tests/support/test_kernel.c.
uint32_t test_count(void);
const struct test_case *test_at(uint32_t index);
void test_execute(const struct test_case *test, struct test_run *run);

#endif
