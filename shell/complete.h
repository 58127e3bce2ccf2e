/* complete.h - what could stand next on a command line of `wasmos`, found in the tables that commands are parsed by.
 *
 * Operands are read from a command's usage: PID, PEER and DEVICE, FILE, words in small letters, alternatives parted by " | ". Values of options from what the
 * help calls them. What only a node knows (programs, devices) is asked of it, for at most COMPLETE_MS; then what was found is all.
 *
 *	complete_next(sh, words, count);      // words after "wasmos"; the last is the one being typed, perhaps ""
 *
 * Prints first a line with what else fits, "words" (nothing else), "files" or "folders", then a line "WORD<tab>WHAT IT IS" for each word.
 */
#pragma once

#include "shell/shell.h"

enum { COMPLETE_MS = 800 };

void complete_next(struct shell *sh, char *const *words, int count);
