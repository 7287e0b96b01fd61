# A stdio function in a shell: one event and the end, or with an argument as many as there are lines.
set -eu

if [ -n "${FAIL_INIT:-}" ]; then
	echo "no module for cards" >&2
	exit 1
fi

# handle answers the event in /tmp/event.
handle() {
	case $(head -c 16 /tmp/event) in
	'{"do":"echo"'*) sed 's/"do":"echo",//' /tmp/event ;;
	'{"do":"throw"'*)
		echo "no such card" >&2
		exit 1
		;;
	'{"do":"final"'*)
		echo "no such card" >&2
		exit 100
		;;
	'{"do":"fail"'*) echo '{"errorType":"CardError","errorMessage":"no such card"}' ;;
	'{"do":"sleep"'*) sleep 3600 ;;
	'{"do":"eat"'*) tail /dev/zero ;;
	'{"do":"take"'*) printf '{"size":%d}' $(($(tr -d '\n' </tmp/event | wc -c) - 23)) ;;
	'{"do":"give"'*)
		size=$(tr -dc 0-9 </tmp/event)
		printf '"'
		head -c $((size - 2)) /dev/zero | tr '\0' x
		printf '"'
		;;
	*)
		printf '{"id":"%s","leftMs":%d,"trace":"%s"}' \
			"$DALAMB_REQUEST_ID" $((DALAMB_DEADLINE_MS - $(date +%s%3N))) "$TRACEPARENT"
		;;
	esac
}

if [ $# -gt 0 ]; then
	while read -r line; do
		printf '%s\n' "$line" >/tmp/event
		answer=$(handle)
		printf '%s\n' "$answer"
	done
else
	cat >/tmp/event
	handle
fi
