// SPDX-License-Identifier: MIT
//
// One line of the monitor into pipelines: words, quotes ('…' and "…"), backslash, ';' between pipelines, '|' between the commands of
// one, '<', '>' and '>>' before a file's name, '#' to the end of the line. Works in place: a word is never longer than its text.
#include "monitor_impl.h"

#include "kern/string.h"

#define OPERATOR_WORD 'w' // not one of them: a word begins
#define OPERATOR_APPEND 'a'

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_operator(char c)
{
	return c == ';' || c == '|' || c == '<' || c == '>';
}

// What comes next: an operator, which is stepped over, a word, or NUL.
static char operator_next(struct monitor_parse *parse)
{
	char c = parse->pending;

	parse->pending = '\0';
	if (c == '\0') {
		while (is_space(*parse->at))
			parse->at++;
		c = *parse->at;
		if (c == '\0' || c == '#') {
			parse->at += strlen(parse->at);
			return '\0';
		}
		if (!is_operator(c))
			return OPERATOR_WORD;
		parse->at++;
	}
	if (c == '>' && *parse->at == '>') {
		parse->at++;
		return OPERATOR_APPEND;
	}
	return c;
}

static char *word_read(struct monitor_parse *parse)
{
	char *word = parse->at;
	char *to = word;
	char *from = word;
	char quote = '\0';

	for (; *from != '\0'; from++) {
		if (quote == '\0' && (is_space(*from) || is_operator(*from)))
			break;
		if (*from == quote) {
			quote = '\0';
		} else if (quote == '\0' && (*from == '\'' || *from == '"')) {
			quote = *from;
		} else {
			if (*from == '\\' && quote != '\'' && from[1] != '\0')
				from++;
			*to++ = *from;
		}
	}
	if (quote != '\0')
		parse->error = "a quote is not closed";
	parse->pending = is_operator(*from) ? *from : '\0';
	parse->at = from + (*from != '\0' ? 1 : 0);
	*to = '\0';
	return word;
}

static void stage_begin(struct monitor_parse *parse)
{
	parse->stages[parse->stage_count++] = (struct monitor_stage){.argv = parse->words + parse->word_count};
}

static void stage_end(struct monitor_parse *parse)
{
	struct monitor_stage *stage = &parse->stages[parse->stage_count - 1];

	parse->words[parse->word_count++] = NULL;
	if (stage->argc == 0)
		parse->error = stage->input != NULL || stage->output != NULL ? "a file's name without a command"
									     : "a '|' without a command beside it";
}

static void pipe_take(struct monitor_parse *parse)
{
	struct monitor_stage *stage = &parse->stages[parse->stage_count - 1];

	stage_end(parse);
	if (stage->output != NULL)
		parse->error = "output that goes two ways, to a file and a '|'";
	if (parse->stage_count == PIPELINE_MAX)
		parse->error = "too many commands in a pipe";
	else
		stage_begin(parse);
}

static void word_take(struct monitor_parse *parse)
{
	struct monitor_stage *stage = &parse->stages[parse->stage_count - 1];

	if (parse->word_count - (parse->stage_count - 1) == MONITOR_ARGS_MAX) {
		parse->error = "too many words";
		return;
	}
	parse->words[parse->word_count++] = word_read(parse);
	stage->argc++;
}

static void file_take(struct monitor_parse *parse, char operator)
{
	struct monitor_stage *stage = &parse->stages[parse->stage_count - 1];

	if (operator_next(parse) != OPERATOR_WORD) {
		parse->error = operator== '<' ? "no file's name behind '<'" : "no file's name behind '>'";
		return;
	}
	const char *name = word_read(parse);
	if (operator== '<' &&(stage->input != NULL || parse->stage_count > 1))
		parse->error = "input that comes from two places";
	else if (operator== '<')
		stage->input = name;
	else if (stage->output != NULL)
		parse->error = "output that goes two ways";
	else
		stage->output = name;
	stage->append = stage->append || operator== OPERATOR_APPEND;
}

static bool pipeline_is_empty(const struct monitor_parse *parse)
{
	const struct monitor_stage *stage = &parse->stages[0];
	return parse->stage_count == 1 && stage->argc == 0 && stage->input == NULL && stage->output == NULL;
}

bool monitor_parse(struct monitor_parse *parse)
{
	parse->stage_count = parse->word_count = 0;
	stage_begin(parse);
	while (parse->error == NULL) {
		char operator= operator_next(parse);
		if (operator== OPERATOR_WORD)
			word_take(parse);
		else if (operator== '|')
			pipe_take(parse);
		else if (operator!= ';' && operator!= '\0')
			file_take(parse, operator);
		else if (!pipeline_is_empty(parse))
			break;
		else if (operator== '\0')
			return false;
	}
	if (parse->error == NULL)
		stage_end(parse);
	return true;
}
