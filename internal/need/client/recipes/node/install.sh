# Node: the package builds a native part from sources that it carries, against the headers beside the system's node.
# Version 3 is the last one for Node 20; version 4 wants 22.
if [ -d /usr/include/node ]; then
	export npm_config_nodedir=/usr
fi
npm ci --no-audit --no-fund --loglevel=error
rm -rf node_modules/aws-lambda-ric/deps node_modules/node-gyp node_modules/aws-lambda-ric/build/Release/obj.target
