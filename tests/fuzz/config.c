/* SPDX-License-Identifier: MIT */
/* libFuzzer: any text is a configuration, or is refused with a place; what is accepted prints as
 * something that is accepted again. */
#include "config/parse.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct parse_options options = {.template_dir = "/nowhere"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *printed;
	struct parsed *parsed = NULL, *again = NULL;
	struct reject reject;

	memcpy(text, data, size);
	text[size] = '\0';
	if (config_parse(text, size, &options, &parsed, &reject) == 0) {
		printed = config_print(&parsed->config, parsed->broker_user);
		if (!printed ||
		    config_parse(printed, strlen(printed), &options, &again, &reject) < 0)
			abort();
		free(printed);
	}
	parsed_free(again);
	parsed_free(parsed);
	free(text);
	return 0;
}
