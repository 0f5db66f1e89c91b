// SPDX-License-Identifier: MIT
//
// ESR_EL1 in words (DDI 0487, D17.2.37).
#include "arm.h"

enum esr_class {
	CLASS_UNKNOWN = 0x00,
	CLASS_WF = 0x01,
	CLASS_FP = 0x07,
	CLASS_BTI = 0x0d,
	CLASS_STATE = 0x0e,
	CLASS_SVC = 0x15,
	CLASS_SYSREG = 0x18,
	CLASS_SVE = 0x19,
	CLASS_PAUTH = 0x1c,
	CLASS_FETCH_LOW = 0x20,
	CLASS_FETCH = 0x21,
	CLASS_PC_ALIGN = 0x22,
	CLASS_DATA_LOW = 0x24,
	CLASS_DATA = 0x25,
	CLASS_SP_ALIGN = 0x26,
	CLASS_FP_EXCEPTION = 0x2c,
	CLASS_SERROR = 0x2f,
	CLASS_BREAKPOINT = 0x31,
	CLASS_STEP = 0x33,
	CLASS_WATCHPOINT = 0x35,
	CLASS_BRK = 0x3c
};

static const struct {
	uint32_t class;
	const char *text;
} classes[] = {
	{CLASS_UNKNOWN, "undefined instruction"},
	{CLASS_WF, "trapped wait"},
	{CLASS_FP, "floating point in the kernel"},
	{CLASS_BTI, "branch to no target"},
	{CLASS_STATE, "illegal execution state"},
	{CLASS_SVC, "system call"},
	{CLASS_SYSREG, "trapped system register"},
	{CLASS_SVE, "vectors in the kernel"},
	{CLASS_PAUTH, "wrong pointer signature"},
	{CLASS_FETCH_LOW, "instruction abort below"},
	{CLASS_FETCH, "instruction abort"},
	{CLASS_PC_ALIGN, "misaligned pc"},
	{CLASS_DATA_LOW, "data abort below"},
	{CLASS_DATA, "data abort"},
	{CLASS_SP_ALIGN, "misaligned sp"},
	{CLASS_FP_EXCEPTION, "floating point"},
	{CLASS_SERROR, "system error"},
	{CLASS_BREAKPOINT, "breakpoint"},
	{CLASS_STEP, "single step"},
	{CLASS_WATCHPOINT, "watchpoint"},
	{CLASS_BRK, "breakpoint instruction"},
};

static uint32_t class_of(uint64_t esr)
{
	return (uint32_t)(esr >> 26) & 0x3f;
}

const char *esr_what(uint64_t esr)
{
	for (size_t i = 0; i < BARE_COUNT(classes); i++)
		if (classes[i].class == class_of(esr))
			return classes[i].text;
	return "unknown exception";
}

static bool is_fetch(uint32_t class)
{
	return class == CLASS_FETCH || class == CLASS_FETCH_LOW;
}

static bool is_data(uint32_t class)
{
	return class == CLASS_DATA || class == CLASS_DATA_LOW;
}

bool esr_has_address(uint64_t esr)
{
	uint32_t class = class_of(esr);
	bool not_valid = (esr >> 10 & 1) != 0;
	return ((is_fetch(class) || is_data(class)) && !not_valid) || class == CLASS_PC_ALIGN ||
	       class == CLASS_WATCHPOINT;
}

static void text_add(char *text, size_t size_bytes, const char *more)
{
	size_t at = bare_strlen(text);
	bare_strcpy(text + at, more, size_bytes - at);
}

static const char *const levels[] = {"0", "1", "2", "3"};

// The fault status of an abort; its low two bits are a level for most.
static void abort_why(uint64_t esr, char *why, size_t size_bytes)
{
	static const char *const by_level[] = {"address size", "translation", "access flag", "permission"};
	uint32_t status = esr & 0x3f;
	const char *text = "status unknown to this report";
	if (status < 16) {
		text_add(why, size_bytes, by_level[status / 4]);
		text_add(why, size_bytes, " fault at level ");
		text = levels[status % 4];
	} else if (status == 0x10) {
		text = "external abort";
	} else if (status >= 0x14 && status < 0x18) {
		text = "external abort of a table walk";
	} else if (status == 0x18 || (status >= 0x1c && status < 0x20)) {
		text = "parity or ECC error";
	} else if (status == 0x21) {
		text = "alignment fault";
	} else if (status == 0x30) {
		text = "TLB conflict";
	} else if (status == 0x35) {
		text = "exclusive access to what has none";
	}
	text_add(why, size_bytes, text);
}

static const char *access_words(uint32_t class, bool is_write, bool is_permission)
{
	if (is_fetch(class))
		return is_permission ? "execution of data" : "execution where nothing is mapped";
	if (is_write)
		return is_permission ? "write to what is read-only" : "write where nothing is mapped";
	return is_permission ? "read that is not allowed" : "read where nothing is mapped";
}

// First what a reader looks for, then what the processor said.
void esr_why(uint64_t esr, uint64_t far, char *why, size_t size_bytes)
{
	uint32_t class = class_of(esr), kind = esr >> 2 & 15;
	bool is_write = is_data(class) && (esr >> 6 & 1) != 0;
	why[0] = '\0';
	if (is_data(class) || is_fetch(class)) {
		bool is_null = kind == 1 && esr_has_address(esr) && far < BARE_PAGE_SIZE;
		if (!is_null && (kind == 1 || kind == 3))
			text_add(why, size_bytes, access_words(class, is_write, kind == 3));
		else
			text_add(why, size_bytes, is_fetch(class) ? "execution" : is_write ? "write" : "read");
		text_add(why, size_bytes, is_null ? " by a null pointer, " : ", ");
		abort_why(esr, why, size_bytes);
	} else if (class == CLASS_BRK) {
		text_add(why, size_bytes, (esr & 0xffff) == 1000 ? "the compiler's trap" : "brk");
	} else if (class == CLASS_SERROR && (esr >> 24 & 1) == 0 && (esr & 0x3f) == 0x11) {
		text_add(why, size_bytes, "asynchronous");
	}
}
