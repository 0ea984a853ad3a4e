#!/bin/sh
# A throw-away RabbitMQ that serves nobody: `order-1` lets it boot with definitions and count what it holds (rabbitmq.erl);
# `loaded-1` says that it has, `ended-1` how it ended.
set -u
PATH=/opt/rabbitmq/sbin:/usr/lib/rabbitmq/bin:$PATH
cd "$1"
server=''
trap 'kill -9 $server $(cat data/node/pid) 2> /dev/null; exit 0' TERM  # the script, and the runtime that it started
[ ! -e data/node ] || : > ended-1  # this container was started anew: what was loaded is gone
until [ -e order-1 ]; do sleep 0.2; done
export HELD="$PWD/data" HOME="$PWD/data/node" TMPDIR="$PWD/data/node" COUNT="$PWD/data/count.erl"
mkdir "$HOME"
export RABBITMQ_NODENAME="drill-$2@localhost" RABBITMQ_DIST_PORT="$2" ERL_EPMD_ADDRESS=127.0.0.1 ERL_CRASH_DUMP_SECONDS=0
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1} -eval file:eval(os:getenv("COUNT"))'
export RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_CONFIG_FILE="$HOME/drill.conf" RABBITMQ_ENABLED_PLUGINS_FILE="$HOME/plugins"
export RABBITMQ_MNESIA_BASE="$HOME/mnesia" RABBITMQ_LOG_BASE="$HOME/log" RABBITMQ_LOGS=- RABBITMQ_PID_FILE="$HOME/pid"
export RABBITMQ_GENERATED_CONFIG_DIR="$HOME/config" RABBITMQ_SCHEMA_DIR="$HOME/schema"
echo '[].' > "$RABBITMQ_ENABLED_PLUGINS_FILE"
cat > "$RABBITMQ_CONFIG_FILE" << END
listeners.tcp = none
default_queue_type = quorum
load_definitions = $HELD/definitions.json
log.console.level = warning
END
rabbitmq-server &
server=$!
until [ -e data/counted ]; do
  kill -0 $server 2> /dev/null || break
  sleep 0.2
done
[ ! -e data/counted ] || : > loaded-1
wait $server
echo $? > ended.partial
mv ended.partial ended-1
while :; do sleep 1; done
