# Serverless' OpenTelemetry extension, as its layer is published: the package holds the layer's archive.
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
mkdir opt
python3 -m zipfile -e node_modules/@serverless/aws-lambda-otel-extension-dist/extension.zip opt
chmod +x opt/extensions/otel-extension opt/otel-extension/index.js
rm -rf node_modules
