# AWS's command line and its SDK for Python, as they are published.
/usr/bin/env python3 -m pip install -q --no-cache-dir --disable-pip-version-check --target . -r requirements.txt
