#!/bin/sh
# Greets a visitor: reads an event, answers with another, which dalamb publishes.
set -eu

# The name as it stands in the event, escapes included. Where the machine has jq, it is: name=$(jq .data.name)
name=$(sed -nE 's/.*"data": *\{.*"name": *"(([^"\\]|\\.)*)".*/\1/p')
if [ -z "$name" ]; then
	echo "data has no name" >&2
	exit 100 # the run has failed; 100 says that trying again is of no use
fi

echo "greeting $name" >&2 # stderr is the log
printf '{"specversion":"1.0","type":"visitor.greeted","source":"/{{name}}","data":{"greeting":"Hello, %s!"}}\n' "$name"
