#!/bin/sh
# Ship sends an order on its way and sees it arrive: one event in, two events out. Exit 100 = trying again is no use.
set -eu
event=$(cat)
order=$(printf '%s' "$event" | tr -d '\n' | sed -n 's/.*"order" *: *"\([A-Za-z0-9-]*\)".*/\1/p')
if [ -z "$order" ]; then
	echo "ship: the event names no order" >&2
	exit 100
fi
fact() {
	printf '{"specversion":"1.0","type":"%s","source":"/shop/ship","subject":"%s","data":{"order":"%s"}}' "$1" "$order" "$order"
}
printf '[%s,%s]\n' "$(fact order.shipped)" "$(fact order.delivered)"
