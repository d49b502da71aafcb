"""The command line: `clipseek COMMAND`.

main.py is the group of all commands and turns errors into exit codes; commands/ has the commands.
options.py has what several commands share; terminal.py prints; answers.py and sparkline.py draw what a search finds.
"""
