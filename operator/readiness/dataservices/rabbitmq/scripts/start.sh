#!/bin/sh
# Starts one member. One that has never been a member on this volume, though the others count it as one, has
# lost its volume: they must forget it before it can join them again, and it must not found a second cluster.
# Where there has been a cluster, such a member waits until it meets it.
set -eu
PATH=/opt/rabbitmq/sbin:/usr/lib/rabbitmq/bin:$PATH
member=$RABBITMQ_MNESIA_BASE/.member  # as long as it is missing, what else lies here is of no value

rm -f "$HOME/stopping"

counted_by() {  # 0: running, and counts us as a member; 1: running, does not; 2: does not run
  found=$(timeout 30 rabbitmqctl -q -n "$1" cluster_status --formatter json 2> /dev/null) || return 2
  disks=${found#*'"disk_nodes":['}
  case "${disks%%]*}" in *'"'"$RABBITMQ_NODENAME"'"'*) return 0 ;; *) return 1 ;; esac
}

may_start() {  # 1: somebody counts us and could not forget us yet, or the cluster that was is not to be seen
  for other in $MEMBERS; do
    [ "$other" != "$RABBITMQ_NODENAME" ] || continue
    counted_by "$other" && answer=0 || answer=$?
    case $answer in
      0)
        echo "start: this volume is empty and $other counts $RABBITMQ_NODENAME as a member: asking it to forget"
        timeout 120 rabbitmqctl -q -n "$other" forget_cluster_node "$RABBITMQ_NODENAME" || return 1
        rm -rf "${RABBITMQ_MNESIA_BASE:?}/$RABBITMQ_NODENAME" "$RABBITMQ_MNESIA_BASE/$RABBITMQ_NODENAME"-*
        return 0 ;;
      1) return 0 ;;
    esac
  done
  [ ! -e /etc/rabbitmq/formed/since ] || {
    echo "start: this volume is empty, there has been a cluster, and no other member runs: waiting for one"
    return 1
  }
}

if [ ! -e "$member" ]; then
  until may_start; do sleep 5; done
  (
    until rabbitmqctl -q await_startup > /dev/null 2>&1; do sleep 2; done
    : > "$member"
  ) &
fi
exec rabbitmq-server
