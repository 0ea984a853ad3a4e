#!/bin/sh
# Before the server: what it must own itself, and a name that others can look up.
set -eu
umask 077

rm -f "$HOME/.erlang.cookie"
cp /etc/rabbitmq/cookie/erlang-cookie "$HOME/.erlang.cookie"
chmod 400 "$HOME/.erlang.cookie"
cp /etc/rabbitmq/plugins/enabled_plugins "$RABBITMQ_ENABLED_PLUGINS_FILE"

# the record appears some seconds after the pod; a server that starts without it looks for nobody
until getent hosts "${RABBITMQ_NODENAME#*@}" > /dev/null; do sleep 1; done
