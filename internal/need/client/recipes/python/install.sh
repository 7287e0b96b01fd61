# Python: the package has a wheel for the machine, or builds with a C++ compiler.
pip=(/usr/bin/env python3 -m pip)
# The function runs under the system's python3, so the wheel has to be that one's.
"${pip[@]}" install -q --no-cache-dir --disable-pip-version-check --python-version "$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')" \
	--implementation cp --only-binary=:all: --target . -r requirements.txt
