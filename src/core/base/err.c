// SPDX-License-Identifier: MIT
//
// Names and texts of errors, and where an error was born.
#include "kern/err.h"

#include "kern/trace.h"

struct err_row {
	const char *name;
	const char *text;
};

static const struct err_row rows[] = {[0] = {"OK", "success"},
#define X(name, number, text) [number] = {#name, text},
				      ERR_TABLE(X)
#undef X
};

// Both signs are taken, and the table has holes.
static const struct err_row *row_of(err_t err)
{
	static const struct err_row unknown = {"E?", "unknown error"};
	uint32_t number = err < 0 ? 0 - (uint32_t)err : (uint32_t)err;
	return number < array_count(rows) && rows[number].name != NULL ? &rows[number] : &unknown;
}

const char *err_name(err_t err)
{
	return row_of(err)->name;
}

const char *err_text(err_t err)
{
	return row_of(err)->text;
}

void err_origin(enum err_number number, const char *file, uint32_t line)
{
	trace_emit(TRACE_ERR_ORIGIN, number, trace_site(file, line));
}
