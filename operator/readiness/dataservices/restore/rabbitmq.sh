#!/bin/sh
# A throw-away RabbitMQ on loopback, booted with definitions; then it says in found.json what it holds.
set -u
PATH=/opt/rabbitmq/sbin:/usr/lib/rabbitmq/bin:$PATH
cd "$1"
until [ -e order-1 ]; do sleep 0.2; done
export HOME="$PWD/data" ERL_EPMD_ADDRESS=127.0.0.1 RABBITMQ_NODENAME=drill@localhost
export RABBITMQ_MNESIA_BASE="$HOME/mnesia" RABBITMQ_LOG_BASE="$HOME/log" RABBITMQ_LOGS=- RABBITMQ_PID_FILE="$HOME/pid"
export RABBITMQ_CONFIG_FILE="$HOME/drill.conf" RABBITMQ_ENABLED_PLUGINS_FILE="$HOME/plugins"
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}'
echo '[].' > "$HOME/plugins"
cat > "$HOME/drill.conf" << END
listeners.tcp.1 = 127.0.0.1:$2
load_definitions = $HOME/definitions.json
END
rabbitmq-server &
server=$!
(
  rabbitmqctl -q wait --pid "$server" --timeout 1800 && rabbitmqctl -q await_startup &&
    rabbitmqctl -q export_definitions found.partial && mv found.partial found.json && : > loaded-1
) || kill "$server"
wait "$server"
echo $? > ended.partial
mv ended.partial ended-1
while :; do sleep 3600; done
