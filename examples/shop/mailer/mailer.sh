#!/bin/sh
# Mailer tells the customer what happened. It writes the mail to its log; what it prints is the run's result.
set -eu
event=$(tr -d '\n')
field() { printf '%s' "$event" | sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p"; }
echo "mail: order $(field order): $(field type)" >&2
printf '{"mailed":"%s","about":"%s"}\n' "$(field order)" "$(field type)"
