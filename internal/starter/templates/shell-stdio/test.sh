#!/bin/sh
set -eu
cd "$(dirname "$0")"

answer=$(echo '{"type":"visitor.came","data":{"name":"Ann"}}' | sh main.sh)
case $answer in
*'"greeting":"Hello, Ann!"'*) ;;
*) echo "got $answer" && exit 1 ;;
esac

if echo '{"type":"visitor.came","data":{}}' | sh main.sh; then
	echo "no name, and no failure"
	exit 1
fi
echo ok
