#!/bin/sh
# Runs when all of a push has come and nothing of it counts yet. It tells the node what the push wants to change, by descriptor 3, which
# git hands down to it, and gets the answer by descriptor 4: lines for the person who pushes, then the verdict. Without a node at the
# other end nothing is accepted.
{
	printf '%s\n' "$GIT_QUARANTINE_PATH"
	while IFS= read -r update; do printf '%s\n' "$update"; done
	printf '\n'
} >&3 || exit 1
exec 3>&-
while IFS= read -r line <&4; do
	case $line in
	accept) exit 0 ;;
	' '*) printf '%s\n' "${line# }" >&2 ;;
	*) exit 1 ;;
	esac
done
exit 1
