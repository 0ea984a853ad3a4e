#!/bin/sh
# Before SIGTERM: waits, within bounds, until no queue would lose its majority with this member, then hands over
# what it leads. Statements stand apart on purpose: whatever the wait came to, the member is drained.
PATH=/opt/rabbitmq/sbin:/usr/lib/rabbitmq/bin:$PATH
end=$(($(date +%s) + STOP_WAIT))
: > "$HOME/stopping"

nobody_stays() {  # every other member is gone, or stops as well: waiting would only hold up the others
  for other in $MEMBERS; do
    [ "$other" != "$RABBITMQ_NODENAME" ] || continue
    stops=$(timeout "$STOP_CHECK" rabbitmqctl -q -n "$other" eval "filelib:is_regular(\"$HOME/stopping\")." 2> /dev/null)
    [ "$stops" != false ] || return 1
  done
}

[ "$REPLICAS" -gt 1 ] || exit 0
timeout "$STOP_CHECK" rabbitmq-diagnostics -q check_running > /dev/null 2>&1 || exit 0

while [ ! -s /etc/rabbitmq/pod/skip-stop ]; do
  timeout "$STOP_ROUND" rabbitmq-upgrade -q await_online_quorum_plus_one -t 20 > /dev/null 2>&1 && break
  timeout "$STOP_CHECK" rabbitmq-queues check_if_node_is_quorum_critical > /dev/termination-log 2>&1
  nobody_stays && break
  [ "$(date +%s)" -lt "$end" ] || break
  sleep 2
done
timeout "$STOP_DRAIN" rabbitmq-upgrade -q drain > /dev/null 2>&1
marks=$(timeout "$STOP_CHECK" rabbitmqctl -q list_global_parameters 2> /dev/null)
case $marks in
  *readiness-leaving*"$POD_NAME"*)  # it is not to come back: the others must not wait for it
    timeout "$STOP_LEAVE" rabbitmqctl -q stop_app > /dev/null 2>&1
    timeout "$STOP_LEAVE" rabbitmqctl -q reset > /dev/null 2>&1 ;;
esac
exit 0
