# Python's websockets: a server that knows nothing of dalamb.
/usr/bin/env python3 -m pip install -q --no-cache-dir --disable-pip-version-check --only-binary=:all: --implementation py --abi none --platform any --target . -r requirements.txt
