/* cmd_completion.c - `wasmos completion`: scripts for bash and zsh that ask this program what could stand next. */
#include "shell/complete.h"

#include <stdio.h>
#include <string.h>

/* Words are taken over by hand: compgen -W would expand what a program or device is called. */
static const char bash[] =
    "# bash completion of wasmos; made by `wasmos completion bash`\n"
    "_wasmos() {\n"
    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} line what word about "
    "self=${COMP_WORDS[0]/#\\~\\//$HOME/}\n"
    "\tlocal -a words=() abouts=()\n"
    "\tCOMPREPLY=()\n"
    "\twhile IFS= read -r line; do\n"
    "\t\tif [ -z \"$what\" ]; then what=$line; continue; fi\n"
    "\t\twords+=(\"${line%%$'\\t'*}\") abouts+=(\"${line#*$'\\t'}\")\n"
    "\tdone < <(\"$self\" completion next -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" "
    "2>/dev/null)\n"
    "\tlocal i\n"
    "\tfor i in \"${!words[@]}\"; do\n"
    "\t\tprintf -v word %q \"${words[i]}\"\n"
    "\t\tif [ \"${#words[@]}\" -gt 1 ] && [ \"$COMP_TYPE\" = 63 ] && [ -n \"${abouts[i]}\" ]; "
    "then\n"
    "\t\t\tabout=${abouts[i]}\n"
    "\t\t\tword=\"$word  (${about:0:60})\"\n"
    "\t\tfi\n"
    "\t\tCOMPREPLY+=(\"$word\")\n"
    "\tdone\n"
    "\t[ \"$cur\" = = ] && cur=\n"
    "\tcase $what in\n"
    "\tfiles) compopt -o filenames 2>/dev/null\n"
    "\t\twhile IFS= read -r line; do COMPREPLY+=(\"$line\"); done < <(compgen -f -- \"$cur\") ;;\n"
    "\tfolders) compopt -o filenames 2>/dev/null\n"
    "\t\twhile IFS= read -r line; do COMPREPLY+=(\"$line\"); done < <(compgen -d -- \"$cur\") ;;\n"
    "\tesac\n"
    "}\n"
    "complete -F _wasmos wasmos\n";

static const char zsh[] =
    "#compdef wasmos\n"
    "# zsh completion of wasmos; made by `wasmos completion zsh`\n"
    "_wasmos() {\n"
    "\tlocal -a lines shown values\n"
    "\tlocal line what\n"
    "\tlines=(\"${(@f)$(${~words[1]} completion next -- \"${(@)words[2,CURRENT]}\" "
    "2>/dev/null)}\")\n"
    "\twhat=${lines[1]}\n"
    "\tfor line in \"${(@)lines[2,-1]}\"; do\n"
    "\t\tvalues+=(\"${line%%$'\\t'*}\")\n"
    "\t\tif [[ -n ${line#*$'\\t'} ]]; then\n"
    "\t\t\tshown+=(\"${line%%$'\\t'*}  -- ${line#*$'\\t'}\")\n"
    "\t\telse\n"
    "\t\t\tshown+=(\"${line%%$'\\t'*}\")\n"
    "\t\tfi\n"
    "\tdone\n"
    "\tif (( $#values )); then compadd -l -d shown -a values; fi\n"
    "\tcase $what in\n"
    "\tfiles) _files ;;\n"
    "\tfolders) _files -/ ;;\n"
    "\tesac\n"
    "}\n"
    "if [ \"$funcstack[1]\" = _wasmos ]; then _wasmos \"$@\"; else compdef _wasmos wasmos; fi\n";

static void next(struct shell *sh)
{
	int first = shell_argc(sh) > 1 && !strcmp(shell_arg(sh, 1), "--") ? 2 : 1;
	complete_next(sh, shell_args(sh) + first, shell_argc(sh) - first);
}

static int run(struct shell *sh)
{
	const char *what = shell_arg(sh, 0);
	if (!strcmp(what, "bash"))
		fputs(bash, stdout);
	else if (!strcmp(what, "zsh"))
		fputs(zsh, stdout);
	else if (!strcmp(what, "next"))
		next(sh);
	else
		return shell_usage(sh, "there is no completion for \"%s\": there is bash and zsh",
		                   what);
	return 0;
}

const struct command command_completion = {
    .name = "completion",
    .usage = "completion bash|zsh|next [WORDS...]",
    .summary = "print what makes a shell complete the words of this command",
    .help = "For bash, in ~/.bashrc:\n\n"
            "  source <(wasmos completion bash)\n\n"
            "for zsh, in ~/.zshrc behind compinit:\n\n"
            "  source <(wasmos completion zsh)\n\n"
            "scripts/install puts both where the shells look by themselves. Both ask `wasmos "
            "completion next -- WORDS` for the\n"
            "word that comes next: commands, options, devices, numbers of programs.\n",
    .min_args = 1,
    .max_args = -1,
    .rest = true,
    .run = run,
};
