# AWS's SDK for JavaScript, as it is published. It needs Node 18.
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
