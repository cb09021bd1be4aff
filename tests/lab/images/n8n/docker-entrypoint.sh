#!/bin/sh
# Runs n8n, with the image's command as its arguments (none, `worker`, `webhook`, …).
set -eu

if [ -d /opt/custom-certificates ]; then
    export NODE_OPTIONS="--use-openssl-ca ${NODE_OPTIONS:-}" SSL_CERT_DIR=/opt/custom-certificates
fi
exec n8n "$@"
